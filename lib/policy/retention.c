/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Builds of other kernels are not "old": a node goes back to its last kernel
 * when an update fails, and then needs that kernel's build. So age counts only
 * among the builds that could stand in for each other. Whole kernels are given
 * up only where the administrator says how many are enough.
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

/* When the last build for this kernel was made. */
static const char *newest_of(const BuildManifests *l, const char *release)
{
        const char *newest = "";

        for (size_t i = 0; i < l->n; i++)
                if (streq(l->items[i].kernel_release, release) &&
                                strcmp(strempty(l->items[i].created), newest) > 0)
                        newest = l->items[i].created;
        return newest;
}

static bool is_first_of_kernel(const BuildManifests *l, size_t at)
{
        for (size_t i = 0; i < at; i++)
                if (streq(l->items[i].kernel_release, l->items[at].kernel_release))
                        return false;
        return true;
}

/* Whether so many other kernels have newer builds that this one's are not kept. */
static bool is_old_kernel(const BuildManifests *l, const char *release, const RetentionRules *rules)
{
        const char *newest = newest_of(l, release);
        unsigned n = 0;

        if (rules->kernels == 0 || !rules->running || streq(release, rules->running))
                return false;
        /* The running one has its place, even if it has no build or an old one. */
        for (size_t i = 0; i < l->n; i++) {
                const char *other = l->items[i].kernel_release;

                if (is_first_of_kernel(l, i) && !streq(other, release) && !streq(other, rules->running))
                        n += strcmp(newest_of(l, other), newest) > 0;
        }
        return n + 1 >= rules->kernels;
}

int retention_choose(const BuildManifests *l, const RetentionRules *rules, bool **ret_remove)
{
        bool *remove;
        int n = 0;

        remove = calloc(l->n + 1, sizeof(*remove));
        if (!remove)
                return err_origin(-ENOMEM);

        for (size_t i = 0; i < l->n; i++) {
                const BuildManifest *m = &l->items[i];

                if (m->id && strv_contains(rules->in_use, m->id))
                        continue;
                if (is_old_kernel(l, m->kernel_release, rules))
                        remove[i] = true;
                else if (!m->id || !strv_contains(rules->good, m->id))
                        remove[i] = count_newer(l, i) >= rules->keep;
                n += remove[i];
        }
        *ret_remove = remove;
        return n;
}
