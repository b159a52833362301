/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A unit test program: one suite, TAP on standard output. Use UNIT_MAIN() with
 * the suite's name and a comma separated list of UNIT_TEST(function) and
 * UNIT_LOOP(function, count). check(3) forks per test, so a crash is one
 * failed test, and LeakSanitizer blames the very test that leaks.
 */

#undef NDEBUG
#include <assert.h>
#include <check.h>
#include <stdlib.h>

#include "base/macro.h"

typedef struct UnitTest {
        const TTest *test;
        int n;
} UnitTest;

#define UNIT_TEST(f)                                                                                        \
        {                                                                                                   \
                f, 1                                                                                        \
        }
#define UNIT_LOOP(f, n)                                                                                     \
        {                                                                                                   \
                f, (int)(n)                                                                                 \
        }

static inline int unit_run(const char *name, const UnitTest *tests, size_t n_tests)
{
        Suite *suite = suite_create(name);
        TCase *tcase = tcase_create(name);
        SRunner *runner;
        int failed;

        tcase_set_timeout(tcase, 120);
        suite_add_tcase(suite, tcase);
        for (size_t i = 0; i < n_tests; i++)
                tcase_add_loop_test(tcase, tests[i].test, 0, tests[i].n);

        runner = srunner_create(suite);
        srunner_set_tap(runner, "-");
        srunner_run_all(runner, CK_SILENT);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

#define UNIT_MAIN(name, ...)                                                                                \
        int main(void)                                                                                      \
        {                                                                                                   \
                const UnitTest unit_tests[] = { __VA_ARGS__ };                                              \
                return unit_run(name, unit_tests, ELEMENTSOF(unit_tests));                                  \
        }
