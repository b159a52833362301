/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The kernel's log, record by record, without ever waiting. A reader has its
 * own place in the log; what is overwritten before it was read is lost and said
 * to be so. Everything from the oldest record on is read, not only what is new:
 * who wants to tell the two apart looks when KMSG_E_AGAIN comes first.
 */

#include "base/root.h"

typedef struct Kmsg Kmsg;

typedef struct KmsgRecord {
        unsigned facility; /* 0: the kernel's own; what programs write into the log has another */
        unsigned level;    /* as in syslog(3) */
        usec_t stamp;      /* since boot, nearly CLOCK_MONOTONIC */
        const char *text;  /* without its newline, valid until the next call */
} KmsgRecord;

enum {
        _KMSG_E_SUCCESS,
        KMSG_E_ABSENT, /* no such log here: not the device, or no permission; *@reterr says which */
        KMSG_E_AGAIN,  /* nothing more at the moment */
        KMSG_E_LOST,   /* records were overwritten; the next call goes on with what is left */
        KMSG_E_END,    /* never anything more */
};

/* @reterr: half a sentence, static. Returns 0, KMSG_E_ABSENT or a negative errno. */
int kmsg_open(const Root *root, Kmsg **ret, const char **reterr);
Kmsg *kmsg_free(Kmsg *k);
DEFINE_CLEANUP(Kmsg, kmsg_free);

/* Readable when there is something; stays the reader's. */
int kmsg_fd(const Kmsg *k);

/* Returns 0, KMSG_E_AGAIN, KMSG_E_LOST, KMSG_E_END or a negative errno. */
int kmsg_next(Kmsg *k, KmsgRecord *ret);
