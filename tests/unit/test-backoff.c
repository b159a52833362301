/* SPDX-License-Identifier: Apache-2.0 */

/* The delays between attempts. */

#include "unit.h"

#include "policy/backoff.h"

static const struct {
        usec_t base, limit;
        unsigned attempt;
        usec_t delay;
} cases[] = {
        { 2, 300, 0, 2 },
        { 2, 300, 1, 2 },
        { 2, 300, 2, 4 },
        { 2, 300, 3, 8 },
        { 2, 300, 8, 256 },
        { 2, 300, 9, 300 },
        { 2, 300, 10, 300 },
        { 2, 300, UINT32_MAX, 300 },
        { 0, 300, 5, 0 },
        { 7, 7, 1, 7 },
        { 7, 7, 2, 7 },
        { 9, 4, 1, 4 }, /* a base above the limit is the limit */
        { 9, 0, 3, 0 },
        { 1, USEC_INFINITY, 64, (usec_t)1 << 63 },
        { 1, USEC_INFINITY, 65, USEC_INFINITY }, /* and not 0 */
        { USEC_INFINITY, USEC_INFINITY, 3, USEC_INFINITY },
};

START_TEST(test_delay)
{
        Backoff b = { .base = cases[_i].base, .limit = cases[_i].limit };

        ck_assert_uint_eq(backoff_delay(&b, cases[_i].attempt), cases[_i].delay);
}
END_TEST

START_TEST(test_never_shrinks)
{
        Backoff b = { .base = 3, .limit = 1000003 };

        for (unsigned attempt = 1; attempt < 200; attempt++) {
                ck_assert_uint_le(backoff_delay(&b, attempt), backoff_delay(&b, attempt + 1));
                ck_assert_uint_le(backoff_delay(&b, attempt), b.limit);
        }
}
END_TEST

UNIT_MAIN("backoff", UNIT_LOOP(test_delay, ELEMENTSOF(cases)), UNIT_TEST(test_never_shrinks))
