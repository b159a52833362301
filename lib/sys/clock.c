/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The only clocks of the project. Policy never reads one, it is told the
 * time. clock_gettime(2) cannot fail for these on Linux.
 */

#include <time.h>

#include "sys/clock.h"

static usec_t read_clock(clockid_t id)
{
        struct timespec ts = {};

        (void)clock_gettime(id, &ts);
        /* A clock before 1970 is one that was never set: not known is all that can be said. */
        if (ts.tv_sec < 0)
                return 0;
        return (usec_t)ts.tv_sec * USEC_PER_SEC + (usec_t)ts.tv_nsec / NSEC_PER_USEC;
}

usec_t now_usec(void)
{
        return read_clock(CLOCK_MONOTONIC);
}

usec_t now_realtime_usec(void)
{
        return read_clock(CLOCK_REALTIME);
}

usec_t now_cpu_usec(void)
{
        return read_clock(CLOCK_PROCESS_CPUTIME_ID);
}
