/* SPDX-License-Identifier: Apache-2.0 */

/*
 * sd_event_loop(3), taken apart: everything but the waiting is measured. The
 * kernel scheduling somebody else in between counts too, as it does for who
 * waits for an answer.
 */

#include <inttypes.h>
#include <poll.h>
#include <string.h>

#include "base/result.h"
#include "loop.h"
#include "policy/code.h"
#include "sys/clock.h"

enum {
        ERRORS_MAX = 20, /* in a row */
        ERROR_DELAY_MS = 10,
};

/* Returns 1 if something is to be dispatched, 0 if not, or a negative errno. */
static int await(sd_event *event)
{
        int r = sd_event_prepare(event);

        return r == 0 ? sd_event_wait(event, UINT64_MAX) : r;
}

/*
 * The loop's own reads and waits fail for lack of memory, or because of a
 * passing error of I/O. No event is lost then, as long as no source that has a
 * descriptor is oneshot: epoll reports it again in the next turn. True if there
 * is to be one.
 */
static bool passes(LoopWatch *watch, int error, unsigned *n_errors)
{
        if (code_of_error(error) != CODE_RESOURCES || ++*n_errors > ERRORS_MAX)
                return false;
        if (*n_errors == 1)
                log_warning(watch->log, "event loop: %s, trying again.", strerror(-error));
        (void)poll(NULL, 0, ERROR_DELAY_MS);
        return true;
}

int loop_run(sd_event *event, LoopWatch *watch)
{
        unsigned n_errors = 0;

        while (sd_event_get_state(event) != SD_EVENT_FINISHED) {
                usec_t began, took;
                int r;

                r = await(event);
                began = now_usec();
                if (r > 0)
                        r = sd_event_dispatch(event);
                if (r < 0) {
                        if (!passes(watch, r, &n_errors))
                                return err_origin(r);
                        continue;
                }
                n_errors = 0;

                took = now_usec() - began;
                watch->slowest = MAX(watch->slowest, took);
                if (took > LOOP_SLOW)
                        log_debug(watch->log, "A turn of the loop took %" PRIu64 " ms.",
                                        (uint64_t)(took / USEC_PER_MSEC));
        }
        return 0;
}
