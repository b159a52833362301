/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A small tree of files for one test: made below /tmp, seen through a Root,
 * and removed with the test. Paths are given without a leading slash.
 */

#include <ftw.h>
#include <sys/stat.h>

#include "base/root.h"
#include "base/str.h"
#include "unit.h"

typedef struct Tree {
        Root *root;
        char path[32];
} Tree;

static inline int tree_remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
        return remove(path);
}

static inline void tree_done(Tree *tree)
{
        tree->root = root_free(tree->root);
        (void)nftw(tree->path, tree_remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}
#define _cleanup_tree_ _cleanup_(tree_done)

static inline void tree_init(Tree *tree)
{
        (void)strcpy(tree->path, "/tmp/test-tree-XXXXXX");
        ck_assert_ptr_nonnull(mkdtemp(tree->path));
        ck_assert_int_eq(root_new(tree->path, &tree->root), 0);
}

static inline void tree_make_parent(Tree *tree, const char *path)
{
        _cleanup_free_ char *parent = strdup(path);
        char *slash = strrchr(parent, '/');

        if (!slash)
                return;
        *slash = '\0';
        ck_assert_int_eq(root_mkdirs(tree->root, parent, 0755), 0);
}

static inline void tree_write_bytes(Tree *tree, const char *path, const char *data, size_t size)
{
        tree_make_parent(tree, path);
        ck_assert_int_eq(root_write_file(tree->root, path, data, size, 0644), 0);
}

static inline void tree_write(Tree *tree, const char *path, const char *text)
{
        tree_write_bytes(tree, path, text, strlen(text));
}

static inline void tree_symlink(Tree *tree, const char *target, const char *path)
{
        _cleanup_free_ char *full = root_path(tree->root, path);

        tree_make_parent(tree, path);
        ck_assert_int_eq(symlink(target, full), 0);
}
