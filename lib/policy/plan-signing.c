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

void plan_choose_build(const Config *config, const PlanFacts *facts, Plan *plan)
{
        BuildWish wish = plan_wish(config, facts->kernel);
        const BuildManifest *best = build_manifests_choose(facts->builds, &wish);

        plan->build = best;
        if (!best || is_signed_as_wanted(facts, best))
                return;

        wish.driver_version = best->driver_version;
        wish.driver_type = best->driver_type;
        plan->build = NULL;
        for (size_t i = 0; i < facts->builds->n; i++) {
                const BuildManifest *m = &facts->builds->items[i];

                if (build_manifest_serves(m, &wish, NULL) > 0 && is_signed_as_wanted(facts, m) &&
                                (!plan->build || strcmp(strempty(m->created),
                                                                 strempty(plan->build->created)) > 0))
                        plan->build = m;
        }
        if (plan->build)
                return;
        /* Without a key there is nothing to make out of it, and what the kernel takes is better than
         * nothing. */
        if (facts->signing->wanted &&
                        (facts->signing->code == CODE_OK || plan_is_refused(facts, &best->signer)))
                plan->base = best;
        else
                plan->build = best;
}

int plan_check_signature(const PlanFacts *facts, Plan *plan, bool loads)
{
        const Signer *signer = signer_of(facts, plan);
        _cleanup_free_ char *what = NULL;
        int r;

        r = enforcement_summarize(facts->enforcement, signer, plan->build != NULL, &plan->signature);
        if (r || !loads)
                return err_trace(r);
        plan->sign = !plan->build && facts->signing->wanted;
        if (plan->sign && facts->signing->code != CODE_OK)
                return err_trace(plan_refuse(
                                plan, facts->signing->code, strdup(strempty(facts->signing->detail))));
        if (!plan_is_refused(facts, signer))
                return 0;
        what = plan->build ? str_format("build %s", strna(plan->build->id)) : strdup("the build to be made");
        return err_trace(plan_refuse(plan, CODE_SIGNATURE_REQUIRED,
                        what ? enforcement_explain(facts->enforcement, signer, what) : NULL));
}
