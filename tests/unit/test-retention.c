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

        n = retention_choose(&l, cases[_i].keep, (char *[]){ (char *)cases[_i].in_use, NULL }, &gone);
        ck_assert_int_eq(n, (int)strlen(cases[_i].gone));
        for (size_t i = 0; i < l.n; i++)
                if (gone[i])
                        strcat(text, l.items[i].id);
        ck_assert_str_eq(text, cases[_i].gone);
        build_manifests_done(&l);
}
END_TEST

START_TEST(test_same_second)
{
        BuildManifests l = {};
        _cleanup_free_ bool *gone = NULL;

        add(&l, "x", "6.1", DRIVER_OPEN, "2026-01-01T00:00:00Z");
        add(&l, "y", "6.1", DRIVER_OPEN, "2026-01-01T00:00:00Z");
        ck_assert_int_eq(retention_choose(&l, 1, NULL, &gone), 1);
        ck_assert(gone[0] && !gone[1]);
        build_manifests_done(&l);
}
END_TEST

START_TEST(test_empty)
{
        BuildManifests l = {};
        _cleanup_free_ bool *gone = NULL;

        ck_assert_int_eq(retention_choose(&l, 1, NULL, &gone), 0);
}
END_TEST

UNIT_MAIN("retention", UNIT_LOOP(test_choose, ELEMENTSOF(cases)), UNIT_TEST(test_same_second),
                UNIT_TEST(test_empty))
