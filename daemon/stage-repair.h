/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A GPU that came back, for which nvidia_drm has to be loaded again. */

#include "base/macro.h"

typedef struct Manager Manager;

typedef struct RepairWork {
        char *gpus;        /* those that are back and lack their minors, for people; NULL: none */
        char *detail;      /* what is done about them, for people */
        char *parameters;  /* that nvidia_drm was loaded with */
        unsigned attempts; /* for these GPUs */
        usec_t due;        /* the next attempt; 0: not known yet */
        usec_t look;       /* when to look again */
        usec_t asked;      /* for those who hold it */
        bool taken_out;    /* by an attempt that did not get it in again */
} RepairWork;

/* With every look of the watch: whether it has to be done, and posts FSM_EV_REPAIR when it can be. */
void stage_repair_review(Manager *m);

/* What is done about GPUs that are back; NULL: nothing has to be. Borrowed. */
const char *stage_repair_detail(const Manager *m);

/* How long until another look makes sense, USEC_INFINITY if none does. */
usec_t stage_repair_delay(Manager *m);

/* REPAIR */
void stage_repair_enter(Manager *m);

void stage_repair_forget(Manager *m);
