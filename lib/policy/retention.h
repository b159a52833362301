/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Which finished builds the store can do without. */

#include "policy/manifest.h"

/*
 * Marks the builds to remove: per kernel release and driver type the @keep
 * newest stay, and so does @in_use (an id; NULL for none) however old it is.
 * @ret_remove has one entry per build of @l; the caller frees it.
 * Returns the number of marks, or -ENOMEM.
 */
int retention_choose(const BuildManifests *l, unsigned keep, const char *in_use, bool **ret_remove);
