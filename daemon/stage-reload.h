/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Modules of ours that somebody else unloaded while they were promised. */

#include "base/macro.h"

typedef struct Manager Manager;

typedef struct ReloadWork {
        char **gone;       /* what is to be loaded again; NULL: nothing */
        char *detail;      /* what is done about it, for people */
        unsigned attempts; /* since all had been there for a while */
        usec_t due;        /* the next attempt; 0: not known yet */
        usec_t last;       /* attempt */
        usec_t look;       /* when to look again */
} ReloadWork;

/* With every look of the watch: whether it has to be done, and posts FSM_EV_REPAIR when it can be. */
void stage_reload_review(Manager *m);

/* True if REPAIR, which is entered now, is for these. */
bool stage_reload_is_due(const Manager *m);

/* What is done about them; NULL: nothing is gone. Borrowed. */
const char *stage_reload_detail(const Manager *m);

/* How long until another look makes sense, USEC_INFINITY if none does. */
usec_t stage_reload_delay(Manager *m);

/* REPAIR */
void stage_reload_enter(Manager *m);

void stage_reload_forget(Manager *m);
