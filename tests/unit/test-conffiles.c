/* SPDX-License-Identifier: Apache-2.0 */

#include "tree.h"

#include "sys/conffiles.h"

#define ETC   "etc/nvidia-driverd/"
#define RUN   "run/nvidia-driverd/"
#define LOCAL "usr/local/lib/nvidia-driverd/"
#define LIB   "usr/lib/nvidia-driverd/"
#define D     "driverd.conf.d/"

/* A file, or with "->" a symlink. */
static const struct {
        const char *files[10];
        const char *list; /* with blanks between */
} cases[] = {
        { {}, "" },
        { { ETC "driverd.conf", RUN "driverd.conf", LIB "driverd.conf" }, ETC "driverd.conf" },
        { { LOCAL "driverd.conf", RUN "driverd.conf", LIB "driverd.conf" }, RUN "driverd.conf" },
        { { LOCAL "driverd.conf", LIB "driverd.conf" }, LOCAL "driverd.conf" },
        { { LIB "driverd.conf" }, LIB "driverd.conf" },

        /* sorted by name, whatever the place; after the main file */
        { { LIB D "10-a.conf", ETC D "30-c.conf", RUN D "20-b.conf", LOCAL D "25-l.conf",
                          LIB "driverd.conf" },
                        LIB "driverd.conf " LIB D "10-a.conf " RUN D "20-b.conf " LOCAL D "25-l.conf " ETC D
                            "30-c.conf" },

        /* the same name in a higher place */
        { { LIB D "a.conf", LOCAL D "a.conf", RUN D "a.conf", ETC D "a.conf" }, ETC D "a.conf" },
        { { LIB D "a.conf", LOCAL D "a.conf", RUN D "a.conf" }, RUN D "a.conf" },
        { { LIB D "a.conf", LOCAL D "a.conf", LIB D "b.conf" }, LOCAL D "a.conf " LIB D "b.conf" },

        /* masked */
        { { LIB D "a.conf", ETC D "a.conf->/dev/null", LIB D "b.conf" }, LIB D "b.conf" },
        { { LIB D "a.conf", RUN D "a.conf->../../../dev/null", LIB D "b.conf" }, LIB D "b.conf" },
        { { LIB "driverd.conf", ETC "driverd.conf->/dev/null", LIB D "b.conf" }, LIB D "b.conf" },
        { { LIB "driverd.conf->/dev/null", ETC "driverd.conf" }, ETC "driverd.conf" },
        { { LIB D "a.conf->/dev/null", ETC D "a.conf" }, ETC D "a.conf" },

        /* no configuration files */
        { { ETC D "README", ETC D ".hidden.conf", ETC D "a.conf.dpkg-old", ETC D "a.conf~", ETC D ".conf" },
                        "" },
        { { ETC "driverd.conf.d", LIB D "a.conf" }, LIB D "a.conf" },

        /* broken, so listed, so that reading shows why; a main file that leads nowhere is not there */
        { { ETC D "a.conf->nowhere" }, ETC D "a.conf" },
        { { ETC "driverd.conf->driverd.conf", LIB "driverd.conf" }, ETC "driverd.conf" },
        { { ETC "driverd.conf->nowhere", LIB "driverd.conf" }, LIB "driverd.conf" },
        { { ETC "driverd.conf.d->driverd.conf.d", LIB D "a.conf" }, LIB D "a.conf " ETC "driverd.conf.d" },

        /* a symlink is followed below the root */
        { { LIB "driverd.conf", ETC "driverd.conf->/usr/lib/nvidia-driverd/driverd.conf" },
                        ETC "driverd.conf" },
};

static void make(Tree *tree, const char *file)
{
        const char *arrow = strstr(file, "->");
        _cleanup_free_ char *path = arrow ? strndup(file, (size_t)(arrow - file)) : strdup(file);

        if (arrow)
                tree_symlink(tree, arrow + 2, path);
        else
                tree_write(tree, path, "");
}

START_TEST(test_cases)
{
        _cleanup_strv_ char **files = NULL;
        _cleanup_tree_ Tree tree = {};
        _cleanup_free_ char *list = NULL;

        tree_init(&tree);
        for (size_t i = 0; i < ELEMENTSOF(cases[_i].files) && cases[_i].files[i]; i++)
                make(&tree, cases[_i].files[i]);

        ck_assert_int_eq(conffiles_list(tree.root, &files), 0);
        list = strv_join(files, " ");
        ck_assert_str_eq(list, cases[_i].list);
}
END_TEST

UNIT_MAIN("conffiles", UNIT_LOOP(test_cases, ELEMENTSOF(cases)))
