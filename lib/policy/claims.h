/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Which GPUs are ours to use, who else has them, and what has to be done about
 * it. Pure: whoever acts asks again after each step with the bus as it is then.
 */

#include "policy/config.h"
#include "policy/facts.h"

/* A driver_override that matches no driver: ours, for GPUs that are to be left alone. */
#define GPU_PIN "nvidia-driverd-excluded"

/* Marks the GPUs that the configuration does not want. */
void claims_mark(GpuFacts *gpus, const Config *config);

/*
 * The same, in two lists; @all becomes empty. Returns 0 or -ENOMEM, then the
 * lists are still the caller's.
 */
int claims_split(GpuFacts *all, const Config *config, GpuFacts *wanted, GpuFacts *excluded);

/* Why there is no GPU to use: which were looked for, or which were excluded. NULL on out of memory. */
char *claims_explain_none(const GpuFacts *excluded, const Config *config);

/* Addresses in Include= and Exclude= at which there is no GPU, a sentence each. Returns 0 or -ENOMEM. */
int claims_explain_absent(
                const GpuFacts *wanted, const GpuFacts *excluded, const Config *config, char ***lines);

/*
 * True if a driver that is not NVIDIA's has the GPU, or is to have it: with a
 * driver_override the kernel gives it to nobody else.
 */
bool claims_is_taken(const GpuFact *gpu);

/* "GPU 0000:01:00.0 is bound to nouveau", for each that is taken. Returns 0 or -ENOMEM. */
int claims_explain(const GpuFacts *gpus, char ***lines);

bool claims_is_pinned(const GpuFact *gpu);

typedef enum ClaimsMove {
        CLAIMS_DONE,
        CLAIMS_UNBIND, /* from its driver */
        CLAIMS_FREE,   /* of its driver_override */
        _CLAIMS_MOVE_MAX,
        _CLAIMS_MOVE_INVALID = -EINVAL,
} ClaimsMove;

/* What is to be done next to take GPUs from others; *@ret is the GPU. */
ClaimsMove claims_take(const GpuFacts *wanted, const GpuFact **ret);

/*
 * The addresses of those that must be pinned before the driver is loaded: not
 * wanted, and free for the driver to bind. Returns 0 or -ENOMEM.
 */
int claims_to_pin(const GpuFacts *excluded, char ***addresses);

/* Of those that we have pinned. Returns 0 or -ENOMEM. */
int claims_pinned(const GpuFacts *gpus, char ***addresses);
