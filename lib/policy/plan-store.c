/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Why the store does not help. Somebody who imported a build, or whose kernel
 * was updated, believes that there is one: the refusal says of the newest what
 * it is for and what this machine is, before anybody thinks of compiling.
 */

#include "base/result.h"
#include "base/str.h"
#include "policy/plan-internal.h"

static const BuildManifest *newest(const BuildManifests *builds)
{
        const BuildManifest *best = NULL;

        for (size_t i = 0; i < builds->n; i++) {
                const BuildManifest *m = &builds->items[i];

                if (!best || strcmp(strempty(m->created), strempty(best->created)) > 0)
                        best = m;
        }
        return best;
}

/* Whoever reads it has to look at the disk first; that another one cannot be made comes second. */
static int refuse_damaged(const PlanFacts *facts, Plan *plan, Code code, const char *detail)
{
        return err_trace(plan_refuse(plan, CODE_BUILD_DAMAGED,
                        str_format("The one in the store was damaged, and is kept in /%s. Another one cannot be made: "
                                   "%s %s [%s]",
                                        facts->damaged + strspn(facts->damaged, "/"), code_sentence(code),
                                        strempty(detail), code_to_string(code))));
}

int plan_refuse_unserved(
                const Config *config, const PlanFacts *facts, Plan *plan, Code code, const char *detail)
{
        BuildWish wish = plan_wish(config, facts->kernel, facts->gpus);
        const BuildManifest *m = newest(facts->builds);
        _cleanup_free_ char *reason = NULL, *more = NULL;
        int r;

        if (facts->damaged)
                return err_trace(refuse_damaged(facts, plan, code, detail));
        if (!m)
                return err_trace(plan_refuse(plan, code, strdup(strempty(detail))));
        r = build_manifest_serves(m, &wish, &reason);
        if (r < 0)
                return err_trace(r);
        if (facts->builds->n > 1)
                more = str_format(", and so it is with %zu more", facts->builds->n - 1);
        else
                more = strdup("");
        if (!more)
                return err_origin(-ENOMEM);
        return err_trace(plan_refuse(plan, code,
                        str_format("%s%sBuild %s of the store cannot be used: %s%s.", strempty(detail),
                                        isempty(detail) ? "" : " ", strna(m->id), strna(reason), more)));
}
