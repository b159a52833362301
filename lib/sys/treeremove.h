/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Removing a tree, and nothing but that tree. */

#include "base/macro.h"

enum {
        _TREEREMOVE_E_SUCCESS,
        TREEREMOVE_E_LEFT, /* something could not be removed; each such thing was told */
};

/* @path: of the entry below the one that is removed, for people. @error: a positive errno; EXDEV: a mount
 * point. */
typedef void (*TreeremoveTrouble)(void *userdata, const char *name, int error);

/*
 * Removes @name, a file or a tree, from the directory @fd. Links are removed,
 * not followed; what is mounted in the tree is left, and so are the directories
 * above it. @trouble may be NULL.
 * Returns 0 (also if there is no such entry), TREEREMOVE_E_LEFT or a negative errno.
 */
int treeremove(int fd, const char *name, TreeremoveTrouble trouble, void *userdata);
