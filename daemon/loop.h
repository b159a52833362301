/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Running the event loop with a watch in the hand: how long the longest turn
 * was is the longest time that a client, a signal or the watchdog had to wait
 * for this program.
 */

#include <systemd/sd-event.h>

#include "log.h"

typedef struct LoopWatch {
        Log *log;
        usec_t slowest; /* the longest turn so far */
} LoopWatch;

/* A turn that takes longer is told, at debug level. */
#define LOOP_SLOW (50 * USEC_PER_MSEC)

/* Until somebody calls sd_event_exit(), through errors that pass. Returns 0 or a negative errno. */
int loop_run(sd_event *event, LoopWatch *watch);
