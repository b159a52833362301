/* SPDX-License-Identifier: Apache-2.0 */

/*
 * sd_event_loop(3), taken apart: everything but the waiting is measured. The
 * kernel scheduling somebody else in between counts too, as it does for who
 * waits for an answer.
 */

#include <inttypes.h>

#include "base/result.h"
#include "loop.h"
#include "sys/clock.h"

/* Returns 1 if something is to be dispatched, 0 if not, or a negative errno. */
static int await(sd_event *event)
{
        int r = sd_event_prepare(event);

        return r == 0 ? sd_event_wait(event, UINT64_MAX) : r;
}

int loop_run(sd_event *event, LoopWatch *watch)
{
        while (sd_event_get_state(event) != SD_EVENT_FINISHED) {
                usec_t began, took;
                int r;

                r = await(event);
                began = now_usec();
                if (r > 0)
                        r = sd_event_dispatch(event);
                if (r < 0)
                        return err_origin(r);

                took = now_usec() - began;
                watch->slowest = MAX(watch->slowest, took);
                if (took > LOOP_SLOW)
                        log_debug(watch->log, "A turn of the loop took %" PRIu64 " ms.",
                                        (uint64_t)(took / USEC_PER_MSEC));
        }
        return 0;
}
