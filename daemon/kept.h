/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Kept kernel trees in a store: see policy/kepttree.h. */

#include "base/root.h"
#include "policy/kepttree.h"

/*
 * The kept trees for kernel @release (NULL: of all), as directories in the
 * root, sorted by name. Returns 0 (also without any) or a negative errno.
 */
int kept_list(const Root *root, const char *store, const char *release, char ***ret);

/* Returns 0, 1 if there is none that can be read, or a negative errno. */
int kept_read_origin(const Root *root, const char *directory, KeptOrigin *ret);
int kept_read_files(const Root *root, const char *directory, KeptFiles *ret, char ret_xxh64[static 17]);

/* Of the directory of a kept tree, which is locked: others find what is in it by name and cannot open it. */
#define KEPT_MODE 0711

enum {
        _KEPT_E_SUCCESS,
        KEPT_E_IN_USE, /* somebody builds in it */
};

/*
 * The kept trees that may go: of kernels that none of @builds is for, and all of them if @keep is
 * false. @ret is the caller's. Returns 0 or a negative errno.
 */
int kept_list_surplus(
                const Root *root, const char *store, bool keep, const BuildManifests *builds, char ***ret);

/*
 * Takes a kept tree out of the store, into staging, where it counts as stale. The store's
 * lock has to be held. Returns 0, KEPT_E_IN_USE or a negative errno.
 */
int kept_retire(const Root *root, const char *store, const char *directory);
