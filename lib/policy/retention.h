/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Which finished builds the store can do without. */

#include "policy/manifest.h"

/* What stays; borrowed. */
typedef struct RetentionRules {
        unsigned keep;       /* the newest ones, per kernel release and driver type */
        unsigned kernels;    /* of so many kernels, those with the newest builds; 0: of all */
        const char *running; /* this kernel is one of them, whatever the age; NULL: not known, and none goes
                              */
        char *const *in_use; /* ids of builds that stay however old they are */
        char *const *good;   /* the same, but for kernels that do not stay */
} RetentionRules;

/*
 * Marks the builds to remove. @ret_remove has one entry per build of @l; the
 * caller frees it. Returns the number of marks, or -ENOMEM.
 */
int retention_choose(const BuildManifests *l, const RetentionRules *rules, bool **ret_remove);
