/* SPDX-License-Identifier: Apache-2.0 */

/*
 * CLEAR and UNLOAD: our modules out, in the order that /sys/module/NAME/holders
 * dictates, one helper run each. What was asked for is not what counts: after
 * each run the kernel's own list is read again (trap T3).
 *
 * What to do about those who hold the driver is decided in policy/stopping.h.
 * They are looked for as soon as the driver is found in use, beside everything
 * else: the deadline holds even if nobody ever answers. Modules that we did not
 * load are never touched, but for those that only ride on ours.
 */

#include <signal.h>

#include "base/result.h"
#include "base/str.h"
#include "loaded.h"
#include "manager.h"
#include "policy/modorder.h"
#include "policy/modstack.h"
#include "policy/stopping.h"
#include "policy/verdict.h"
#include "sys/sysmod.h"

#define RETRY_DELAY (100 * USEC_PER_MSEC)

#define STOP_RESERVE (500 * USEC_PER_MSEC)

/* Whoever has waited for so long does not mind half a second more. */
#define PATIENT_AFTER (10 * USEC_PER_SEC)
#define PATIENT_DELAY (500 * USEC_PER_MSEC)

static void look(Manager *m);

static bool is_clearing(const Manager *m)
{
        return (m->fsm.state == FSM_STUCK ? m->fsm.stuck_in : m->fsm.state) == FSM_CLEAR;
}

/* Before the stop has to be over: what follows takes its time, too. */
static usec_t stop_deadline(const Manager *m)
{
        return fsm_stop_due(&m->fsm) - MIN(m->config->stop_timeout / 8, STOP_RESERVE);
}

/* Anew with each look: a stop may come in the middle of a roll-back. */
static void set_terms(Manager *m)
{
        const Config *c = m->config;
        Stopping *s = &m->stopping;
        bool stop = m->fsm.stop_wanted;

        s->policy = stop ? c->stop_policy : STOP_POLICY_LEAVE;
        s->kill = c->stop_kill;
        s->grace = c->stop_grace;
        s->drop_drm = stop;
        s->hasty = !stop;
        if (!stop)
                s->deadline = usec_add(m->work.began, c->load_timeout);
        else if (s->policy == STOP_POLICY_WAIT)
                s->deadline = USEC_INFINITY;
        else
                s->deadline = stop_deadline(m);
}

static void end(Manager *m)
{
        _cleanup_free_ char *names = strv_join(m->work.order, ", "),
                            *took = str_from_usec(manager_now(m) - m->work.began);

        if (m->work.order)
                log_info(m->log, "Unloaded %s in %s.", strna(names), strna(took));
        manager_progress(m, NULL);
}

static void finish(Manager *m)
{
        end(m);
        holding_forget(m);
        m->owned = strv_free(m->owned);
        if (loaded_forget(m->root) < 0)
                log_warning(m->log, "The record of loaded modules could not be removed, ignoring.");
        stage_firmware_withdraw(m);
        stage_clear_release(m);
}

/* It would be the same after any number of stops: that is no failure of this one. */
static void keep(Manager *m)
{
        end(m);
        holding_forget(m);
        m->kept = true;
        manager_stage_done(m);
}

void stage_unload_report_busy(Manager *m, const ModuleFacts *facts, char *const *removable)
{
        _cleanup_free_ char *text = holding_describe(m, facts, removable);

        end(m);
        (void)str_replace(&m->detail, text);
        log_code(m->log, LOG_WARNING, CODE_BUSY, text);
        manager_post(m, &(FsmEvent){ .type = FSM_EV_BUSY, .token = m->fsm.token });
}

/* Not by our helper: that has its own deadline. */
static void report_moving(Manager *m, const ModuleFacts *facts, char *const *removable)
{
        STRV_FOREACH (name, removable) {
                const ModuleFact *f = module_facts_find(facts, *name);

                if (f && (f->state == MOD_COMING || f->state == MOD_GOING))
                        (void)str_replace(&m->work.current, f->name);
        }
        m->work.moving = m->work.began;
        module_work_report_stuck(m);
        manager_post(m, &(FsmEvent){ .type = FSM_EV_OVERDUE, .token = m->fsm.token });
}

static void look_again(Manager *m)
{
        usec_t now = manager_now(m), deadline = m->stopping.deadline,
               delay = now - m->work.began > PATIENT_AFTER ? PATIENT_DELAY : RETRY_DELAY;

        module_work_again(m, deadline > now ? MIN(delay, deadline - now) : delay, look);
}

static void show_waiting(Manager *m)
{
        _cleanup_free_ char *names = holding_brief(m),
                            *text = names ? str_format("Waiting for %s to let go of the driver", names)
                                          : NULL;

        if (text)
                manager_progress(m, text);
}

static void on_answered(Manager *m)
{
        m->stopping.answered = true;
        show_waiting(m);
}

static void ask(Manager *m)
{
        int r = holding_ask(m, on_answered);

        if (r < 0) {
                log_warning(m->log, "Who holds the driver cannot be found out: %s.", strerror(-r));
                m->stopping.answered = true;
        }
        look_again(m);
}

static void signal_more(Manager *m)
{
        if (evict_step(m))
                module_work_again(m, USEC_PER_MSEC, signal_more);
        else
                look_again(m);
}

static void on_deleted(Manager *m)
{
        Verdict verdict;
        Code code;

        if (!module_work_judge(m, verdict_unload, &verdict, &code))
                return;

        if (verdict == VERDICT_FAILED) {
                _cleanup_free_ char *evidence = module_work_evidence(m);

                manager_stage_failed(m, code, "%s: %s. %s", m->work.current,
                                m->work.error > 0 ? strerror(m->work.error) : "no answer",
                                strempty(evidence));
                return;
        }
        m->stopping.refused = verdict == VERDICT_BUSY || verdict == VERDICT_RETRY;
        if (verdict == VERDICT_DONE) {
                log_debug(m->log, "Module %s is unloaded.", m->work.current);
                (void)strv_push(&m->work.order, m->work.current);
                look(m);
        } else {
                look_again(m);
        }
}

static void delete_module(Manager *m, const char *name)
{
        _cleanup_free_ char *progress = str_format("Unloading %s", name);
        int r;

        /* A GPU may fall off the bus while programs are waited for. */
        if (watch_kernel_vetoes_unload(m, look))
                return;
        if (!strv_contains(m->owned, name))
                log_notice(m->log, "Module %s goes with the driver, whoever loaded it.", name);
        manager_progress(m, progress);
        r = str_replace(&m->work.current, name);
        if (r == 0)
                r = module_work_start(m, "delete", m->work.current, NULL, on_deleted);
        if (r < 0 && !module_work_passes(m, r, look))
                manager_stage_failed(m, code_of_error(r), "helper: %s.", strerror(-r));
}

static void act(Manager *m, StoppingMove move, const char *name, const ModuleFacts *facts,
                char *const *removable)
{
        switch (move) {
        case STOPPING_UNLOAD:
                delete_module(m, name);
                return;
        case STOPPING_ASK:
                ask(m);
                return;
        case STOPPING_TERMINATE:
        case STOPPING_KILL:
                evict_begin(m, move == STOPPING_KILL ? SIGKILL : SIGTERM);
                signal_more(m);
                return;
        case STOPPING_DONE:
                finish(m);
                return;
        case STOPPING_KEPT:
                keep(m);
                return;
        case STOPPING_BUSY:
                stage_unload_report_busy(m, facts, removable);
                return;
        case STOPPING_STUCK:
                report_moving(m, facts, removable);
                look_again(m);
                return;
        case STOPPING_WAIT:
        case _STOPPING_MOVE_MAX:
        case _STOPPING_MOVE_INVALID:
                look_again(m);
                return;
        }
}

static void look(Manager *m)
{
        _cleanup_(module_facts_done) ModuleFacts facts = {};
        _cleanup_strv_ char **removable = NULL;
        const char *name = NULL;
        StoppingMove move;
        int r;

        /* The stop does the rest, on its own terms. */
        if (is_clearing(m) && m->fsm.stop_wanted) {
                manager_stage_done(m);
                return;
        }

        r = sysmod_list_family(m->root, &facts);
        if (r == 0)
                r = modstack_removable(&facts, m->owned, &removable);
        set_terms(m);
        if (r < 0) {
                if (!module_work_passes(m, r, look))
                        manager_stage_failed(m, code_of_error(r), "/sys/module cannot be read: %s.",
                                        strerror(-r));
                return;
        }
        move = stopping_next(&m->stopping, &facts, removable, manager_now(m), &name);
        act(m, move, name, &facts, removable);
}

static void begin(Manager *m)
{
        if (!watch_kernel_vetoes_unload(m, begin))
                look(m);
}

void stage_unload_enter(Manager *m)
{
        module_work_reset(m);
        m->work.began = manager_now(m);
        m->stopping = (Stopping){};
        m->kept = false;
        begin(m);
}
