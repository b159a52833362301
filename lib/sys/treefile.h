/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Single files below a directory, for the readers of kernel trees and driver sources. */

#include "base/root.h"

/* "BASE/NAME", the caller's. Returns 0 or -ENOMEM. */
int treefile_path(const char *base, const char *name, char **ret);

/* Is it there, of whatever type? Returns 0 or -ENOMEM. */
int treefile_exists(const Root *root, const char *base, const char *name, bool *ret);

/*
 * Reads BASE/NAME as text. A file that is absent or larger than @max bytes
 * leaves *@ret alone: in a tree both mean "not there". @ret_size may be NULL.
 * Returns 0 or a negative errno.
 */
int treefile_read(const Root *root, const char *base, const char *name, size_t max, char **ret,
                size_t *ret_size);
