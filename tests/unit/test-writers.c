/* SPDX-License-Identifier: Apache-2.0 */

#include "unit.h"

#include <sys/stat.h>
#include <unistd.h>

#include "base/str.h"
#include "sys/writers.h"
#include "tmproot.h"

static char *warning_of(const TmpRoot *t, const char *path)
{
        char *warning = NULL;

        ck_assert_int_eq(writers_of_tree(t->root, path, &warning), 0);
        return warning;
}

static void set(const TmpRoot *t, const char *path, mode_t mode, uid_t owner, gid_t group)
{
        _cleanup_free_ char *full = root_path(t->root, path);

        ck_assert_int_eq(chown(full, owner, group), 0);
        ck_assert_int_eq(chmod(full, mode), 0);
}

START_TEST(test_trees)
{
        static const struct {
                const char *path;
                mode_t mode;
                uid_t owner;
                gid_t group;
                const char *says; /* NULL: nothing */
        } cases[] = {
                { "src/tree", 0755, 0, 0, NULL },
                { "src/tree", 0775, 0, 0, NULL },
                { "src/tree", 0775, 0, 1000, "group 1000" },
                { "src/tree", 0777, 0, 0, "others (mode 0777)" },
                { "src/tree", 0755, 1000, 0, "owned by user 1000" },
                { "src", 0777, 0, 0, "chmod go-w" },
                { "src", 01777, 0, 0, NULL },
                { "src", 01755, 1000, 0, "chown root:root" },
        };

        if (geteuid() != 0) {
                (void)fprintf(stderr, "not root: not tested\n");
                return;
        }
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_(tmproot_done) TmpRoot t = tmproot_new();
                _cleanup_free_ char *warning = NULL;

                tmproot_mkdir(&t, "src/tree");
                set(&t, cases[i].path, cases[i].mode, cases[i].owner, cases[i].group);
                warning = warning_of(&t, "src/tree");
                if (!cases[i].says)
                        ck_assert_msg(!warning, "case %zu: %s", i, strempty(warning));
                else
                        ck_assert_msg(warning && strstr(warning, cases[i].says), "case %zu: %s", i,
                                        strempty(warning));
        }
}
END_TEST

START_TEST(test_no_tree)
{
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();

        tmproot_write(&t, "file", "x");
        ck_assert_ptr_null(warning_of(&t, "none"));
        ck_assert_ptr_null(warning_of(&t, "file"));
}
END_TEST

UNIT_MAIN("writers", UNIT_TEST(test_trees), UNIT_TEST(test_no_tree))
