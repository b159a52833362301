/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The part of the plan that is about signatures. Modules are signed when a key
 * is configured; which signature this kernel takes is policy/enforcement's
 * verdict. What the kernel would refuse after minutes of compiling is refused
 * here; what it only might refuse is tried.
 */

#include "base/result.h"
#include "base/str.h"
#include "policy/plan-internal.h"

/* Whose signature the modules to be loaded have, or will have. */
static const Signer *signer_of(const PlanFacts *facts, const Plan *plan)
{
        if (plan->build)
                return &plan->build->signer;
        if (plan->shared && !plan->shared_is_base)
                return &plan->shared->signer;
        return facts->signing->wanted ? &facts->signing->signer : NULL;
}

bool plan_is_refused(const PlanFacts *facts, const Signer *signer)
{
        return enforcement_refuses(enforcement_judge(facts->enforcement, signer));
}

/* The kernel takes its signature, and it is ours if we have one that the kernel takes. */
static bool is_signed_as_wanted(const PlanFacts *facts, const BuildManifest *m)
{
        const Signer *ours = &facts->signing->signer;

        if (plan_is_refused(facts, &m->signer))
                return false;
        return signer_is_empty(ours) || signer_same(&m->signer, ours) || plan_is_refused(facts, ours);
}

void plan_choose_among(const PlanFacts *facts, const BuildManifests *builds, const BuildWish *wish,
                const BuildManifest **ret_build, const BuildManifest **ret_base)
{
        const BuildManifest *best = build_manifests_choose(builds, wish), *signed_one = NULL;
        BuildWish same = *wish;

        *ret_build = best;
        *ret_base = NULL;
        if (!best || is_signed_as_wanted(facts, best))
                return;

        same.driver_version = best->driver_version;
        same.driver_type = best->driver_type;
        for (size_t i = 0; i < builds->n; i++) {
                const BuildManifest *m = &builds->items[i];

                if (build_manifest_serves(m, &same, NULL) > 0 && is_signed_as_wanted(facts, m) &&
                                (!signed_one || strcmp(strempty(m->created), strempty(signed_one->created)) >
                                                                0))
                        signed_one = m;
        }
        /* Without a key there is nothing to make out of it, and what the kernel takes is better than
         * nothing. */
        if (signed_one)
                *ret_build = signed_one;
        else if (facts->signing->wanted &&
                        (facts->signing->code == CODE_OK || plan_is_refused(facts, &best->signer))) {
                *ret_build = NULL;
                *ret_base = best;
        }
}

void plan_choose_build(const Config *config, const PlanFacts *facts, Plan *plan)
{
        BuildWish wish = plan_wish(config, facts->kernel, facts->gpus);

        plan_choose_among(facts, facts->builds, &wish, &plan->build, &plan->base);
}

int plan_check_signature(const PlanFacts *facts, Plan *plan, bool loads)
{
        const Signer *signer = signer_of(facts, plan);
        _cleanup_free_ char *what = NULL;
        int r;

        r = enforcement_summarize(facts->enforcement, signer,
                        plan->build || (plan->shared && !plan->shared_is_base), &plan->signature);
        if (r || !loads)
                return err_trace(r);
        plan->sign = !plan->build && (!plan->shared || plan->shared_is_base) && facts->signing->wanted;
        if (plan->sign && facts->signing->code != CODE_OK)
                return err_trace(plan_refuse(
                                plan, facts->signing->code, strdup(strempty(facts->signing->detail))));
        if (!plan_is_refused(facts, signer))
                return 0;
        what = plan->build ? str_format("build %s", strna(plan->build->id)) : strdup("the build to be made");
        return err_trace(plan_refuse(plan, CODE_SIGNATURE_REQUIRED,
                        what ? enforcement_explain(facts->enforcement, signer, what) : NULL));
}
