/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Which source tree belongs to a kernel build tree. */

#include "base/root.h"

/*
 * @tree is relative to the root. *@ret is the caller's: @tree itself if it is
 * not split, a path without links if it is, NULL if it leads nowhere.
 * Returns 0 or a negative errno.
 */
int treesource_find(const Root *root, const char *tree, char **ret);
