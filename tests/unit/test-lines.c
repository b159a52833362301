/* SPDX-License-Identifier: Apache-2.0 */

#include "unit.h"

#include "policy/lines.h"

START_TEST(test_limit)
{
        LineLimit l = {};
        unsigned long held;
        unsigned passed = 0;

        for (unsigned i = 0; i < 3 * LINE_LIMIT_BURST; i++) {
                passed += line_limit_allows(&l, 1000 + i, &held);
                ck_assert_uint_eq(held, 0);
        }
        ck_assert_uint_eq(passed, LINE_LIMIT_BURST);
        /* The next period begins with the number of those that were kept back, once. */
        ck_assert(line_limit_allows(&l, 1000 + LINE_LIMIT_PERIOD, &held));
        ck_assert_uint_eq(held, 2 * LINE_LIMIT_BURST);
        ck_assert(line_limit_allows(&l, 1001 + LINE_LIMIT_PERIOD, &held));
        ck_assert_uint_eq(held, 0);
}
END_TEST

START_TEST(test_slow_speaker)
{
        LineLimit l = {};
        unsigned long held;

        for (unsigned i = 0; i < 10 * LINE_LIMIT_BURST; i++) {
                ck_assert(line_limit_allows(&l, i * (LINE_LIMIT_PERIOD / LINE_LIMIT_BURST + 1), &held));
                ck_assert_uint_eq(held, 0);
        }
}
END_TEST

static void check_join(const LastLines *l, const char *expected)
{
        _cleanup_free_ char *joined = last_lines_join(l);

        ck_assert_str_eq(joined, expected);
}

START_TEST(test_last)
{
        LastLines l = {};

        check_join(&l, "");
        last_lines_add(&l, "a");
        last_lines_add(&l, "");
        last_lines_add(&l, "b");
        check_join(&l, "a | b");
        for (const char *s = "cdefg"; *s; s++)
                last_lines_add(&l, (char[]){ *s, '\0' });
        check_join(&l, "c | d | e | f | g");
        last_lines_forget(&l);
        check_join(&l, "");
        last_lines_add(&l, "z");
        check_join(&l, "z");
}
END_TEST

START_TEST(test_bytes)
{
        LastLines l = {};
        char text[LAST_LINE_SIZE * 2];
        _cleanup_free_ char *joined = NULL;

        last_lines_add(&l, "a\tb\033[1m\xc3\xa4");
        check_join(&l, "a?b?[1m??");
        memset(text, 'x', sizeof(text));
        text[sizeof(text) - 1] = '\0';
        last_lines_forget(&l);
        last_lines_add(&l, text);
        joined = last_lines_join(&l);
        ck_assert_uint_eq(strlen(joined), LAST_LINE_SIZE - 1);
}
END_TEST

UNIT_MAIN("lines", UNIT_TEST(test_limit), UNIT_TEST(test_slow_speaker), UNIT_TEST(test_last),
                UNIT_TEST(test_bytes))
