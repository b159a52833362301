/* SPDX-License-Identifier: Apache-2.0 */

#include "unit.h"

#include "base/str.h"
#include "policy/retention.h"

static void add(BuildManifests *l, const char *id, const char *kernel, DriverType type, const char *created)
{
        BuildManifest m = { .driver_type = type };

        ck_assert_int_eq(str_replace(&m.id, id), 0);
        ck_assert_int_eq(str_replace(&m.kernel_release, kernel), 0);
        ck_assert_int_eq(str_replace(&m.created, created), 0);
        ck_assert_int_eq(build_manifests_add(l, &m), 0);
}

static BuildManifests five(void)
{
        BuildManifests l = {};

        add(&l, "a", "6.1", DRIVER_PROPRIETARY, "2026-01-01T00:00:00Z");
        add(&l, "b", "6.1", DRIVER_PROPRIETARY, "2026-01-03T00:00:00Z");
        add(&l, "c", "6.1", DRIVER_PROPRIETARY, "2026-01-02T00:00:00Z");
        add(&l, "d", "6.1", DRIVER_OPEN, "2025-01-01T00:00:00Z");
        add(&l, "e", "6.12", DRIVER_PROPRIETARY, NULL);
        return l;
}

static const struct {
        unsigned keep;
        const char *in_use;
        const char *gone;
} cases[] = {
        { 3, NULL, "" },  /* three of one purpose are allowed */
        { 2, NULL, "a" }, /* the oldest of the three, not the first of another kernel or type */
        { 1, NULL, "ac" },
        { 1, "a", "c" }, /* what is loaded stays */
        { 1, "none", "ac" },
        { 100, "b", "" },
};

START_TEST(test_choose)
{
        BuildManifests l = five();
        _cleanup_free_ bool *gone = NULL;
        char text[8] = "";
        int n;

        n = retention_choose(&l,
                        &(RetentionRules){
                                        .keep = cases[_i].keep,
                                        .running = "6.1",
                                        .good = (char *[]){ (char *)cases[_i].in_use, NULL },
                        },
                        &gone);
        ck_assert_int_eq(n, (int)strlen(cases[_i].gone));
        for (size_t i = 0; i < l.n; i++)
                if (gone[i])
                        strcat(text, l.items[i].id);
        ck_assert_str_eq(text, cases[_i].gone);
        build_manifests_done(&l);
}
END_TEST

/* The newest build is one of 6.6, then comes one of 6.1. */
static const struct {
        unsigned kernels;
        const char *running, *in_use, *good;
        const char *gone;
} kernel_cases[] = {
        { 0, "6.1", NULL, NULL, "" },
        { 4, "6.1", NULL, NULL, "" },
        { 2, "6.1", NULL, NULL, "e" }, /* e says nothing of its age */
        { 1, "6.1", NULL, NULL, "ef" },
        { 1, "6.1", "e", NULL, "f" },  /* what is loaded stays */
        { 1, "6.1", NULL, "e", "ef" }, /* what has worked does not */
        { 1, "6.12", NULL, NULL, "abcdf" },
        { 2, "6.12", NULL, NULL, "abcd" },
        { 3, "6.12", NULL, NULL, "" },
        { 1, "6.18", NULL, NULL, "abcdef" }, /* nothing of the running one is there */
        { 2, "6.18", NULL, NULL, "abcde" },
        { 1, NULL, NULL, NULL, "" },
};

START_TEST(test_kernels)
{
        BuildManifests l = five();
        _cleanup_free_ bool *gone = NULL;
        char text[8] = "";
        int n;

        add(&l, "f", "6.6", DRIVER_OPEN, "2026-02-01T00:00:00Z");
        n = retention_choose(&l,
                        &(RetentionRules){
                                        .keep = 100,
                                        .kernels = kernel_cases[_i].kernels,
                                        .running = kernel_cases[_i].running,
                                        .in_use = (char *[]){ (char *)kernel_cases[_i].in_use, NULL },
                                        .good = (char *[]){ (char *)kernel_cases[_i].good, NULL },
                        },
                        &gone);
        ck_assert_int_eq(n, (int)strlen(kernel_cases[_i].gone));
        for (size_t i = 0; i < l.n; i++)
                if (gone[i])
                        strcat(text, l.items[i].id);
        ck_assert_str_eq(text, kernel_cases[_i].gone);
        build_manifests_done(&l);
}
END_TEST

START_TEST(test_same_second)
{
        BuildManifests l = {};
        _cleanup_free_ bool *gone = NULL;

        add(&l, "x", "6.1", DRIVER_OPEN, "2026-01-01T00:00:00Z");
        add(&l, "y", "6.1", DRIVER_OPEN, "2026-01-01T00:00:00Z");
        ck_assert_int_eq(retention_choose(&l, &(RetentionRules){ .keep = 1, .kernels = 1, .running = "6.1" },
                                         &gone),
                        1);
        ck_assert(gone[0] && !gone[1]);
        build_manifests_done(&l);
}
END_TEST

START_TEST(test_empty)
{
        BuildManifests l = {};
        _cleanup_free_ bool *gone = NULL;

        ck_assert_int_eq(retention_choose(&l, &(RetentionRules){ .keep = 1, .kernels = 1, .running = "6.1" },
                                         &gone),
                        0);
}
END_TEST

UNIT_MAIN("retention", UNIT_LOOP(test_choose, ELEMENTSOF(cases)),
                UNIT_LOOP(test_kernels, ELEMENTSOF(kernel_cases)), UNIT_TEST(test_same_second),
                UNIT_TEST(test_empty))
