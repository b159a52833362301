/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * One attempt to get one file from a server, into a file that may hold its
 * beginning already. Blocks: for worker processes. It trusts nobody: whether
 * the bytes are the right ones is for the caller to find out.
 */

#include "base/macro.h"

typedef struct DownloadSpec {
        const char *url;
        int fd;            /* a regular file, open for writing; what it holds is continued */
        uint64_t size_max; /* of the whole */
        usec_t stall;      /* how long it may stand still, less than 1 kB/s; 0 for ever */
        bool only_https;   /* where a redirection may lead; never from https to http */
        /* Some bytes have arrived. @total is 0 if the server does not say. May be NULL. */
        void (*progress)(void *userdata, uint64_t done, uint64_t total);
        void *userdata;
} DownloadSpec;

typedef struct DownloadResult {
        uint64_t received;  /* in this attempt */
        usec_t retry_after; /* what the server asks for, 0 if nothing */
} DownloadResult;

enum {
        _DOWNLOAD_E_SUCCESS,
        DOWNLOAD_E_ABSENT,    /* the server has no such file */
        DOWNLOAD_E_REFUSED,   /* trying again does not help */
        DOWNLOAD_E_TRANSIENT, /* it may; what has arrived is in the file */
};

/* Whether this process may open connections at all; a sandbox may forbid it. */
bool download_is_permitted(void);

/*
 * If the server does not continue where the file ends, it is begun again. What
 * is certain not to fit on the disk is not begun (-ENOSPC).
 *
 * @reterr: on a positive code, half a sentence; the caller's.
 *
 * Return: 0, DOWNLOAD_E_*, or a negative errno of this machine's.
 */
int download(const DownloadSpec *spec, DownloadResult *ret, char **reterr);
