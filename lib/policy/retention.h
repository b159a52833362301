/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Which finished builds the store can do without. */

#include "policy/manifest.h"

/*
 * Marks the builds to remove: per kernel release and driver type the @keep
 * newest stay, and so do those in @protect (ids) however old they are.
 * @ret_remove has one entry per build of @l; the caller frees it.
 * Returns the number of marks, or -ENOMEM.
 */
int retention_choose(const BuildManifests *l, unsigned keep, char *const *protect, bool **ret_remove);
