/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The part of the plan that is about a driver that works already. Whatever
 * else was wanted and cannot be had, the machine keeps its GPUs: the plan takes
 * over what is live, and says what it does without and why.
 *
 * Not when somebody else's driver is of another version than the configured
 * one: the user space that is installed for it would not work.
 */

#include "base/result.h"
#include "base/str.h"
#include "policy/plan-internal.h"

bool plan_driver_works(const PlanFacts *facts)
{
        const ModuleFact *nvidia = module_facts_find(facts->modules, "nvidia");

        if (!nvidia || (nvidia->state != MOD_LIVE && nvidia->state != MOD_BUILTIN))
                return false;
        for (size_t i = 0; i < facts->gpus->n; i++)
                if (streq_ptr(facts->gpus->items[i].driver, "nvidia"))
                        return true;
        return false;
}

int plan_lack(Plan *plan, Code code, char *detail)
{
        if (!detail)
                return err_origin(-ENOMEM);
        free(plan->lack_detail);
        plan->lack = code;
        plan->lack_detail = detail;
        return 0;
}

static bool has_module(const PlanFacts *facts, const char *name)
{
        const ModuleFact *m = module_facts_find(facts->modules, name);

        return m && (m->state == MOD_LIVE || m->state == MOD_BUILTIN);
}

int plan_explain_lack(const Config *config, const PlanFacts *facts, const char *detail, char **ret)
{
        _cleanup_strv_ char **missing = NULL;
        _cleanup_free_ char *names = NULL;
        int r = 0;

        STRV_FOREACH (name, config->modules)
                if (r == 0 && !has_module(facts, *name))
                        r = strv_push(&missing, *name);
        if (r)
                return err_trace(r);
        names = missing ? strv_join(missing, ", ") : NULL;
        *ret = names ? str_format("Not loaded: %s. %s", names, strempty(detail)) : strdup(strempty(detail));
        return *ret ? 0 : err_origin(-ENOMEM);
}

int plan_make_do(const Config *config, const PlanFacts *facts, Plan *plan)
{
        char *detail = NULL;
        int r;

        if (!plan_driver_works(facts) || facts->fall_back || plan->loaded == PLAN_LOADED_NONE ||
                        plan->code == CODE_NO_GPU || plan->code == CODE_FOREIGN_DRIVER)
                return 0;
        r = plan_explain_lack(config, facts, plan->detail, &detail);
        if (r == 0)
                r = plan_lack(plan, plan->code, detail);
        if (r)
                return err_trace(r);
        /* The build that was chosen is that of another driver, then. */
        if (plan->loaded == PLAN_LOADED_OTHER)
                plan->build = NULL;
        plan->loaded = PLAN_LOADED_WANTED;
        plan->code = CODE_OK;
        plan->detail = (free(plan->detail), NULL);
        plan->obstacles = strv_free(plan->obstacles);
        plan->base = plan->shared = plan->spare = NULL;
        plan->source = NULL;
        plan->tree = NULL;
        plan->surplus = plan->sign = plan->toolchain = false;
        for (size_t i = 0; i < plan->n_steps; i++)
                free(plan->steps[i].reason);
        plan->n_steps = 0;
        return 0;
}
