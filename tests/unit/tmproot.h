/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A fixture tree made on the spot, for tests that change it or need what git
 * cannot keep (devices, empty directories). Every step aborts the test on failure.
 */

#include <fcntl.h>
#include <ftw.h>
#include <stdarg.h>
#include <sys/stat.h>

#include "base/root.h"
#include "unit.h"

typedef struct TmpRoot {
        char path[64];
        Root *root;
} TmpRoot;

static inline TmpRoot tmproot_new(void)
{
        TmpRoot t = { .path = "/tmp/unit-XXXXXX" };

        ck_assert_ptr_nonnull(mkdtemp(t.path));
        ck_assert_int_eq(chmod(t.path, 0755), 0);
        ck_assert_int_eq(root_new(t.path, &t.root), 0);
        return t;
}

static inline int tmproot_remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
        return remove(path);
}

static inline void tmproot_rm(TmpRoot *t, const char *path)
{
        char full[4096];

        (void)snprintf(full, sizeof(full), "%s/%s", t->path, path);
        ck_assert_int_eq(nftw(full, tmproot_remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

static inline void tmproot_done(TmpRoot *t)
{
        t->root = root_free(t->root);
        ck_assert_int_eq(nftw(t->path, tmproot_remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

static inline void tmproot_mkdir(TmpRoot *t, const char *path)
{
        ck_assert_int_eq(root_mkdirs(t->root, path, 0755), 0);
}

static inline void tmproot_mkdir_above(TmpRoot *t, const char *path)
{
        char *above = strdup(path), *slash = above ? strrchr(above, '/') : NULL;

        if (slash) {
                *slash = '\0';
                tmproot_mkdir(t, above);
        }
        free(above);
}

static inline void tmproot_write(TmpRoot *t, const char *path, const char *text)
{
        tmproot_mkdir_above(t, path);
        ck_assert_int_eq(root_write_file(t->root, path, text, strlen(text), 0644), 0);
}

static inline void tmproot_link(TmpRoot *t, const char *target, const char *path)
{
        char full[4096];

        tmproot_mkdir_above(t, path);
        (void)snprintf(full, sizeof(full), "%s/%s", t->path, path);
        ck_assert_int_eq(symlink(target, full), 0);
}
