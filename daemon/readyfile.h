/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The files by which NVIDIA's GPU operator lets its other parts know that the
 * driver is ready. It is the operator's startup probe that writes them, beside
 * us in the container; what they say stops being true with us.
 */

#include "base/root.h"
#include "log.h"
#include "policy/fsm.h"

/* "driver-ready" beside them is the validator's and is never touched. */
#define READYFILE_CONTAINER "run/nvidia/validations/.driver-ctr-ready"
#define READYFILE_DAEMONS   "run/nvidia/validations/.driver-daemons-status"

/*
 * To be called when a state is entered: with the first one in which the driver
 * is not ready, or will not be for long, the files go. Before anything else of a
 * stop, so that nobody begins with a driver that is about to go. What cannot be
 * removed is logged.
 */
void readyfile_review(const Root *root, Log *log, FsmState state);
