/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Reads what a kernel build or source tree contains. Nothing is run in it and
 * nothing is written. The derived fields are left to tree_facts_derive().
 */

#include "base/root.h"
#include "policy/kerneltree.h"

enum {
        _TREEFACTS_E_SUCCESS,
        TREEFACTS_E_ABSENT, /* no such directory */
};

/* @path is relative to the root. Returns 0, TREEFACTS_E_ABSENT or a negative errno. */
int treefacts_read(const Root *root, const char *path, TreeFacts *ret);

/*
 * Reads every tree that exists, in the order of the search: lib/modules/R/build,
 * usr/src/linux-R, usr/src/linux-headers-R, usr/src/linux,
 * usr/lib64/modules/R/build, lib/modules/R/source, usr/lib/modules/R/build; the
 * same directory under two names counts once. With a @configured path (may be NULL) only that one is
 * looked at: an explicit choice is never silently replaced.
 * An empty list is no error. Returns 0 or a negative errno.
 */
int treefacts_search(const Root *root, const char *configured, const char *release, TreeFactsList *ret);
