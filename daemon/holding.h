/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Who holds the driver, as far as the manager knows: asked in the background,
 * told in the log process by process, and put into words for people.
 */

#include "holders.h"
#include "policy/facts.h"
#include "policy/status.h"

typedef struct Manager Manager;

/* A process that was asked to end. */
typedef struct Evicted {
        pid_t pid;
        uint64_t start;
} Evicted;

typedef struct Holding {
        HoldersScan *asking;    /* under way */
        HoldersScan *asked;     /* the last one that was answered; the list is its */
        Holders others;         /* a copy of it without our services, if there are any in it */
        const Holders *holders; /* one of the two; NULL: not known yet, or it could not be found out */
        void (*answered)(Manager *m);

        size_t at; /* evict.c: the first holder that has not been signalled yet */
        int signal;
        Evicted *evicted;
        size_t n_evicted;
} Holding;

/*
 * Asks, unless that is under way. @answered is called from the loop, also if it
 * could not be found out. Processes that are new in the list are logged then.
 * Returns 0 or a negative errno.
 */
int holding_ask(Manager *m, void (*answered)(Manager *m));

/* Nobody is asked any more, and what was known is forgotten. */
void holding_forget(Manager *m);

/* "nvidia (3 open), in use by a[1] of root (...); b[2] of root (...)". NULL on out of memory. */
char *holding_describe(Manager *m, const ModuleFacts *facts, char *const *removable);

/* "a[1], b[2] and 3 more", for a line of status; NULL if nobody is known. */
char *holding_brief(Manager *m);

/* Fields of the journal for the process that begins at @at, and the index behind it. */
size_t holding_log_fields(Manager *m, const Holders *holders, size_t at);

/* The entries for the status, as many as it shows. Returns 0 or -ENOMEM. */
int holding_fill_status(Manager *m, Status *s);

/*
 * evict.c: sends @signal to those who hold the driver, in bounded steps:
 * evict_begin(), then evict_step() until it returns false.
 */
void evict_begin(Manager *m, int signal);
bool evict_step(Manager *m);
