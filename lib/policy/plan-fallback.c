/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The part of the plan that is about the day on which the wanted driver cannot
 * be built or loaded. A build that came to READY on this very kernel is better
 * than none, whatever its version and type; it has to have all wanted modules,
 * and the kernel has to take its signature.
 */

#include "base/result.h"
#include "base/str.h"
#include "policy/plan-internal.h"

static bool may_stand_in(const Config *config, const PlanFacts *facts, const BuildManifest *m)
{
        BuildWish wish = plan_wish(config, facts->kernel, facts->gpus);

        wish.driver_version = NULL;
        wish.driver_type = _DRIVER_TYPE_INVALID;
        return build_manifest_serves(m, &wish, NULL) > 0 && !plan_is_refused(facts, &m->signer);
}

int plan_choose_spare(const Config *config, const PlanFacts *facts, Plan *plan)
{
        for (size_t i = 0; config->driver_fallback && facts->good && i < facts->builds->n; i++) {
                const BuildManifest *m = &facts->builds->items[i];

                if (streq_ptr(m->id, facts->good) && m != plan->build && may_stand_in(config, facts, m))
                        plan->spare = m;
        }
        if (!facts->fall_back)
                return 0;
        if (!plan->spare)
                return plan_refuse(
                                plan, CODE_DRIVER_FALLBACK, strdup("There is no other build that worked."));
        plan->build = TAKE_PTR(plan->spare);
        plan->base = NULL;
        plan->fallback = true;
        return 0;
}
