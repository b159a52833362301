/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Builds of other kernels are not "old": a node goes back to its last kernel
 * when an update fails, and then needs that kernel's build. So age counts only
 * among the builds that could stand in for each other.
 */

#include "base/result.h"
#include "base/str.h"
#include "policy/retention.h"

static bool same_purpose(const BuildManifest *a, const BuildManifest *b)
{
        return a->driver_type == b->driver_type && streq(a->kernel_release, b->kernel_release);
}

/* How many builds of the same purpose are newer; of two of one second the later in the list counts as newer.
 */
static unsigned count_newer(const BuildManifests *l, size_t at)
{
        unsigned n = 0;

        for (size_t i = 0; i < l->n; i++) {
                int order = strcmp(strempty(l->items[i].created), strempty(l->items[at].created));

                if (same_purpose(&l->items[i], &l->items[at]) && (order > 0 || (order == 0 && i > at)))
                        n++;
        }
        return n;
}

int retention_choose(const BuildManifests *l, unsigned keep, char *const *protect, bool **ret_remove)
{
        bool *remove;
        int n = 0;

        remove = calloc(l->n + 1, sizeof(*remove));
        if (!remove)
                return err_origin(-ENOMEM);

        for (size_t i = 0; i < l->n; i++) {
                if (l->items[i].id && strv_contains(protect, l->items[i].id))
                        continue;
                remove[i] = count_newer(l, i) >= keep;
                n += remove[i];
        }
        *ret_remove = remove;
        return n;
}
