/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The part of the plan that is about the stores of others. They are asked in
 * their order when the own one does not help; what is found there is judged like a build of our
 * own, the rules about signatures included. Where no version is configured, a
 * machine with driver sources wants that version: what the rest of the fleet
 * runs is not its business.
 */

#include "base/result.h"
#include "base/str.h"
#include "policy/plan-internal.h"

static BuildWish shared_wish(const Config *config, const PlanFacts *facts)
{
        BuildWish wish = plan_wish(config, facts->kernel, facts->gpus);

        if (!wish.driver_version && facts->source->code == CODE_OK &&
                        facts->source->index < facts->sources->n)
                wish.driver_version = facts->sources->items[facts->source->index].version;
        return wish;
}

/* How many builds, the one at @from included, are of the same store. */
static size_t count_same_store(const BuildManifests *l, size_t from)
{
        const char *first = strempty(l->items[from].directory), *end = strrchr(first, '/');
        size_t n = end ? (size_t)(end + 1 - first) : 0, i = from;

        while (i < l->n && strncmp(strempty(l->items[i].directory), first, n) == 0)
                i++;
        return i - from;
}

/* Of one store. */
static bool choose(const PlanFacts *facts, const BuildManifests *builds, const BuildWish *wish, Plan *plan)
{
        const BuildManifest *build, *base;

        plan_choose_among(facts, builds, wish, &build, &base);
        /* Nothing is copied that cannot be made use of. */
        if (build ? plan_is_refused(facts, &build->signer) : !base || facts->signing->code != CODE_OK)
                return false;
        plan->shared = build ? build : base;
        plan->shared_is_base = !build;
        plan->build = NULL;
        return true;
}

void plan_choose_shared(const Config *config, const PlanFacts *facts, Plan *plan, bool loads)
{
        BuildWish wish;
        size_t n;

        if (!loads || plan->fallback || plan->base ||
                        (plan->build && !plan_is_refused(facts, &plan->build->signer)))
                return;
        plan->lacking = true;
        wish = shared_wish(config, facts);
        for (size_t i = 0; facts->shared && i < facts->shared->n; i += n) {
                n = count_same_store(facts->shared, i);
                if (choose(facts, &(BuildManifests){ .items = &facts->shared->items[i], .n = n }, &wish,
                                    plan))
                        return;
        }
}
