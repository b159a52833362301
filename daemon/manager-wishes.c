/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Wishes that were not granted: a module that this kernel does not load, a
 * parameter that a module does not have. The driver works, so READY is
 * announced; what it lacks is the reason for DEGRADED right after it. What
 * READY never promised cannot be lost.
 */

#include "base/result.h"
#include "base/str.h"
#include "manager.h"
#include "sys/sysmod.h"

void manager_wish_failed(Manager *m, Code code, const char *detail)
{
        /* The first cause is what has to be mended; what follows from it is in the journal. */
        if (m->health.complaints[HEALTH_WISHES].code == CODE_OK)
                manager_complain(m, HEALTH_WISHES, code, strempty(detail));
}

bool manager_lacks(const Manager *m, const char *module)
{
        STRV_FOREACH (name, m->lacking)
                if (modname_eq(*name, module))
                        return true;
        return false;
}

static int list_absent(Manager *m, char *const *names, char ***ret)
{
        _cleanup_(module_facts_done) ModuleFacts facts = {};
        int r;

        r = sysmod_read_set(m->root, names, &facts);
        for (size_t i = 0; r == 0 && i < facts.n; i++)
                if (facts.items[i].state == MOD_ABSENT || facts.items[i].state == MOD_GOING)
                        r = strv_push(ret, facts.items[i].name);
        return err_trace(r);
}

void manager_make_do(Manager *m, Code code, const char *detail)
{
        _cleanup_free_ char *names = NULL, *text = NULL;

        m->lacking = strv_free(m->lacking);
        if (list_absent(m, m->config->modules, &m->lacking) < 0)
                log_warning(m->log, "/sys/module cannot be read, ignoring.");
        names = m->lacking ? strv_join(m->lacking, ", ") : NULL;
        if (names && !startswith(strempty(detail), "Not loaded: "))
                text = str_format("Not loaded: %s. %s", names, strempty(detail));
        log_notice(m->log, "The driver works and is kept%s%s.", names ? ", without " : "", strempty(names));
        manager_wish_failed(m, code, text ? text : detail);
}

void manager_wishes_review(Manager *m)
{
        _cleanup_strv_ char **absent = NULL;

        if (!m->lacking || list_absent(m, m->lacking, &absent) < 0)
                return;
        strv_free(m->lacking);
        m->lacking = TAKE_PTR(absent);
        if (!m->lacking)
                manager_complain(m, HEALTH_WISHES, CODE_OK, NULL);
}

static int describe_pending(Manager *m, const Plan *plan)
{
        Code code = plan->code != CODE_OK ? plan->code : plan->lack;
        int r = 0;

        if (code != CODE_OK)
                r = strv_pushf(&m->pending, "[%s] %s A restart would %s.", code_to_string(code),
                                strempty(plan->code != CODE_OK ? plan->detail : plan->lack_detail),
                                plan->code != CODE_OK ? "fail" : "be degraded");
        STRV_FOREACH (obstacle, plan->obstacles)
                if (r == 0)
                        r = strv_pushf(&m->pending, "%s; it is loaded again at the next start", *obstacle);
        return err_trace(r);
}

void manager_wishes_foresee(Manager *m)
{
        Facts facts = {};
        Plan plan = {};
        int r;

        m->pending = strv_free(m->pending);
        r = facts_gather(m->root, m->config, NULL, &facts);
        if (r == 0)
                r = facts_plan(&facts, m->config, &plan);
        if (r == 0)
                r = describe_pending(m, &plan);
        if (r < 0)
                log_warning(m->log, "What the configuration means for the next start is not known: %s.",
                                strerror(-r));
        STRV_FOREACH (pending, m->pending)
                log_warning(m->log, "Pending: %s", *pending);
        plan_done(&plan);
        facts_done(&facts);
}
