/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Whether nvidia_drm has to be inserted again. Some drivers (535) make DRM
 * minors for the GPUs that are there when nvidia_drm is loaded, and none for
 * one that comes back to the bus later.
 */

#include "policy/facts.h"

typedef enum RepairVerdict {
        REPAIR_NOTHING,    /* no GPU is there that lacks its minors */
        REPAIR_IMPOSSIBLE, /* nvidia_drm is not ours, or can never be unloaded, or is not there */
        REPAIR_MOVING,     /* nvidia_drm is just being loaded or unloaded */
        REPAIR_HELD,       /* somebody uses nvidia_drm */
        REPAIR_NOW,
        _REPAIR_VERDICT_MAX,
        _REPAIR_VERDICT_INVALID = -EINVAL,
} RepairVerdict;

/* All borrowed. */
typedef struct RepairFacts {
        const GpuFacts *wanted; /* those that READY promised */
        const GpuFacts *bus;    /* those that are there now */
        const NodeFacts *nodes; /* minors, with or without a node */
        const ModuleFact *drm;
        bool ours;      /* we loaded it */
        bool taken_out; /* an earlier repair took it out and did not get it in again */
} RepairFacts;

/* *@ret_gpus: the addresses of the GPUs that lack minors. Returns 0 or -ENOMEM. */
int repair_judge(const RepairFacts *facts, RepairVerdict *ret, char ***ret_gpus);

enum { REPAIR_ATTEMPTS = 3 };

/*
 * How long to wait before attempt @attempt, which counts from 0: a moment at
 * first, because a newer driver makes the minors by itself. USEC_INFINITY: there
 * is no such attempt, it would not help. But what was taken out has to go in again.
 */
usec_t repair_delay(unsigned attempt, bool taken_out);
