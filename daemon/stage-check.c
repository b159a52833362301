/* SPDX-License-Identifier: Apache-2.0 */

/*
 * CHECK: everything that is known before anything is done. Facts are read and
 * a plan is made of them at once; only if that plan signs modules is the key
 * tried first, by the worker, and the plan made again with what came of it.
 */

#include "base/result.h"
#include "base/str.h"
#include "manager.h"

static void log_plan(Manager *m)
{
        for (size_t i = 0; i < m->plan.n_steps; i++) {
                const PlanStep *s = &m->plan.steps[i];

                log_debug(m->log, "Plan: %s %s: %s.", s->run ? "run" : "skip", fsm_state_to_string(s->state),
                                s->reason);
        }
        if (m->plan.signature)
                log_debug(m->log, "Module signatures: %s.", m->plan.signature);
}

static void report(Manager *m)
{
        const SigningFact *signing = &m->facts.signing;

        STRV_FOREACH (problem, m->facts.problems)
                log_warning(m->log, "%s, ignoring this build.", *problem);
        STRV_FOREACH (warning, m->plan.warnings)
                log_warning(m->log, "%s, ignoring.", *warning);
        STRV_FOREACH (note, signing->notes)
                log_warning(m->log, "%s, ignoring.", *note);
        /* Nothing has to be signed now, but it will not do when it has to. */
        if (signing->code != CODE_OK && m->plan.code == CODE_OK)
                log_warning(m->log, "%s %s, ignoring: nothing has to be signed.",
                                code_sentence(signing->code), strempty(signing->detail));
        log_plan(m);
        if (m->plan.code != CODE_OK) {
                (void)str_replace(&m->detail, m->plan.detail);
                /* Falling back, the first failure is what is told, see manager-fallback.c. */
                if (!m->fsm.fallback)
                        log_code(m->log, LOG_ERR, m->plan.code, m->plan.detail);
        } else if (!m->plan.foreign) {
                stage_clear_block(m);
        }
}

static void finish(Manager *m)
{
        report(m);
        manager_post(m, &(FsmEvent){
                                        .type = FSM_EV_PLANNED,
                                        .token = m->fsm.token,
                                        .steps = plan_mask(&m->plan),
                                        .spare = m->plan.spare,
                                        .code = m->plan.code,
                        });
}

static void fail(Manager *m, int r, const char *what)
{
        log_fatal(m->log, r, what);
        manager_stage_failed(m, CODE_INTERNAL, "Facts about this machine: %s.", strerror(-r));
}

static void on_key_checked(void *userdata)
{
        Manager *m = userdata;
        int r;

        m->signing_check = signing_check_free(m->signing_check);
        plan_done(&m->plan);
        r = facts_plan(&m->facts, m->config, &m->plan);
        if (r < 0)
                fail(m, r, "planning");
        else
                finish(m);
}

void stage_check_enter(Manager *m)
{
        int r;

        r = facts_gather(m->root, m->config, NULL, &m->facts);
        m->facts.fall_back = m->fsm.fallback;
        if (r == 0)
                r = facts_plan(&m->facts, m->config, &m->plan);
        if (r == 0 && m->plan.code == CODE_OK && m->plan.sign) {
                r = signing_check(m->pool, m->root, m->config, &m->facts.signing, on_key_checked, m,
                                &m->signing_check);
                if (r == 0)
                        return;
        }
        if (r < 0)
                fail(m, r, "gathering facts");
        else
                finish(m);
}

void stage_check_leave(Manager *m)
{
        m->signing_check = signing_check_free(m->signing_check);
}
