/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Where the modules of a kernel are. On a host that is /lib/modules/RELEASE. A
 * container has them where somebody mounted them, or, with the host's
 * processes, below the root directory of process 1. What a directory holds
 * decides, not that it exists: Docker makes an empty one for every mount of
 * something that the host does not have.
 */

#include "base/root.h"

enum {
        _MODULETREE_E_SUCCESS,
        MODULETREE_E_ABSENT, /* there is none, or no further one */
};

/*
 * One tree after the other, in the order of the search. @place: where to go
 * on, 0 at first. A tree has a modules.dep that names at least one file of
 * kernel @release, or a modules.builtin with something in it.
 * @ret: its directory below the root, without a leading slash; the caller's.
 * Returns 0, MODULETREE_E_ABSENT or a negative errno.
 */
int moduletree_next(const Root *root, const char *release, size_t *place, char **ret);

/* The first one. Returns 0, MODULETREE_E_ABSENT or a negative errno. */
int moduletree_find(const Root *root, const char *release, char **ret);

/* The sentence about a machine without any, with the places and what helps; the caller's. NULL on out of
 * memory. */
char *moduletree_explain_absence(const char *release);
