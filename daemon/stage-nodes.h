/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The driver's own device nodes, as the stages and the watch see them. */

#include <systemd/sd-event.h>

#include "job.h"
#include "node-report.h"
#include "policy/status.h"

typedef struct Manager Manager;

enum { NODE_WATCHES_MAX = 8 };

typedef struct NodeWork {
        Job *job;
        NodeReport said, saying; /* the last run, the one that runs */
        NumberSet majors;        /* that the driver had at any time: what is left of them goes with it */
        bool settled;            /* a run has come to its end */
        bool used;               /* there may be nodes to remove at the end */
        bool hands_off;          /* what the driver said when it was last asked */
        bool given_up;           /* READY did not wait for what is absent */
        bool ends;               /* the run that tidies up is the last thing to happen */
        char *absent;            /* which nodes were not there when it was last looked, for people */
        char *gpus;              /* the GPUs as they were when the last run started */
        char *told;              /* what has been logged */
        bool touched;            /* owner or mode of a node may have changed since the last run */
        unsigned n_corrections;  /* in a row, each soon after the one before */
        usec_t corrected;        /* when the last one was */
        usec_t rights_due;       /* no run because of a change of owner or mode before */
        unsigned n_runs;         /* in a row, since all was well */
        usec_t due;              /* no run before */
        sd_event_source *watches[NODE_WATCHES_MAX];
        unsigned n_watches;
} NodeWork;

/* LOAD went on: the first run starts when the modules that have nodes are there. */
void stage_nodes_loading(Manager *m);

/*
 * Looks whether everything is there, and starts a run if one may help: a node
 * is not there, @drm_absent, or a GPU came or went. stage_devices_look() is
 * called when it is over.
 */
void stage_nodes_review(Manager *m, bool drm_absent);

/* Waiting begins anew: earlier runs do not delay the next one. */
void stage_nodes_urge(Manager *m);

/* Nothing is missing, as of the last look. */
bool stage_nodes_complete(const Manager *m);

/* The helper is at it. */
bool stage_nodes_is_running(const Manager *m);

/* A run may make what is not there. */
bool stage_nodes_is_mending(const Manager *m);

/* Why a node could not be made, and which ones are not there; NULL: nothing of that kind. Borrowed. */
const char *stage_nodes_failure(const Manager *m);
const char *stage_nodes_absent(const Manager *m);

/* Files in the way of nodes; NULL: none. Borrowed. */
char *const *stage_nodes_blocked(const Manager *m);

/* Nodes whose owner or mode somebody else keeps changing; NULL: none. Borrowed. */
char *const *stage_nodes_fought_over(const Manager *m);

/* The driver's parameters leave its nodes to somebody else. */
bool stage_nodes_is_hands_off(const Manager *m);

/* How long until another run makes sense, USEC_INFINITY if none does. */
usec_t stage_nodes_delay(Manager *m);

/* Forgets all that was said; a run that runs answers to nobody any more. */
void stage_nodes_forget(Manager *m);
void stage_nodes_done(Manager *m);

/*
 * After an unload: removes the nodes of what is gone. With @last the loop ends
 * after it. Returns false if there is nothing to do.
 */
bool stage_nodes_tidy(Manager *m, bool last);

/* Adds the nodes to a status. Returns 0 or -ENOMEM. */
int stage_nodes_fill(Manager *m, Status *s);
