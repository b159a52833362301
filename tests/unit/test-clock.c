/* SPDX-License-Identifier: Apache-2.0 */

#include "unit.h"

#include <time.h>

#include "sys/clock.h"

static struct timespec now;

/* In the place of the C library's. */
int clock_gettime(clockid_t id, struct timespec *ts)
{
        (void)id;
        *ts = now;
        return 0;
}

START_TEST(units)
{
        now = (struct timespec){ .tv_sec = 7, .tv_nsec = 8999 };
        ck_assert_uint_eq(now_realtime_usec(), 7 * USEC_PER_SEC + 8);
        ck_assert_uint_eq(now_usec(), 7 * USEC_PER_SEC + 8);
}
END_TEST

/* A board without a battery, before its clock was set. */
START_TEST(before_1970)
{
        now = (struct timespec){ .tv_sec = -1, .tv_nsec = 1000 };
        ck_assert_uint_eq(now_realtime_usec(), 0);
}
END_TEST

UNIT_MAIN("clock", UNIT_TEST(units), UNIT_TEST(before_1970))
