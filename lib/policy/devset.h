/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The set of device nodes that READY promises: for each GPU at least one card
 * and one render node below its own PCI address. Which number a card has and
 * which node comes first does not matter.
 */

#include "policy/facts.h"

typedef struct DevsetCount {
        size_t n_gpus;
        size_t n_cards;   /* GPUs that have a card node */
        size_t n_renders; /* GPUs that have a render node */
} DevsetCount;

void devset_count(const GpuFacts *gpus, const NodeFacts *nodes, DevsetCount *ret);

/* True if nothing is missing; so it is for no GPUs at all. */
bool devset_complete(const GpuFacts *gpus, const NodeFacts *nodes);

/* Why nodes are not there when the time to wait for them is over. */
typedef struct DevsetLack {
        bool drm;       /* a card or render node is among them */
        bool hands_off; /* NVreg_ModifyDeviceFiles=0: the others are made by somebody else, or by nobody */
} DevsetLack;

/* True: what was loaded is unloaded. False: the driver works, and stays without them. */
bool devset_is_fatal(const DevsetLack *lack);

/*
 * What is missing, for people: "card node of 0001:00:00.0", in the order of the
 * GPUs. An empty vector if nothing is. Returns 0 or -ENOMEM.
 */
int devset_missing(const GpuFacts *gpus, const NodeFacts *nodes, char ***ret_missing);
