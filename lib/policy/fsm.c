/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The state machine. One function per event, each a full switch over what
 * matters there; enter() is the only place that assigns the state, but for
 * on_overdue(), which must keep the token. Nothing in here reads a clock or
 * touches the machine, so the unit test walks every pair of state and event.
 *
 * Three rules carry it:
 *  - What can be called back (children of a build) is cancelled at once on
 *    STOP. What cannot (a kernel operation) is waited for, the wish is kept.
 *  - A failure after LOAD began takes out again what was loaded, and only then
 *    decides between another attempt and the end.
 *  - In STUCK the hanging stage keeps its token: when the kernel comes back,
 *    its answer is welcome and the machine goes on from where it hung.
 */

#include "policy/fsm.h"

static const char *const states[_FSM_STATE_MAX] = {
        [FSM_START] = "start",
        [FSM_CHECK] = "checking",
        [FSM_ADOPT] = "adopting",
        [FSM_CLEAR] = "clearing",
        [FSM_PREPARE] = "preparing",
        [FSM_COMPILE] = "compiling",
        [FSM_LINK] = "linking",
        [FSM_PUBLISH] = "publishing",
        [FSM_LOAD] = "loading",
        [FSM_AWAIT_DEVICES] = "awaiting-devices",
        [FSM_SERVICES] = "starting-services",
        [FSM_READY] = "ready",
        [FSM_DEGRADED] = "degraded",
        [FSM_REPAIR] = "repairing",
        [FSM_BUSY] = "busy",
        [FSM_BACKOFF] = "backoff",
        [FSM_STUCK] = "stuck",
        [FSM_STOPPING] = "stopping",
        [FSM_UNLOAD] = "unloading",
        [FSM_STOPPED] = "stopped",
        [FSM_FAILED] = "failed",
};

static const char *const events[_FSM_EV_MAX] = {
        [FSM_EV_START] = "start",
        [FSM_EV_PLANNED] = "planned",
        [FSM_EV_DONE] = "done",
        [FSM_EV_FAILED] = "failed",
        [FSM_EV_BUSY] = "busy",
        [FSM_EV_OVERDUE] = "overdue",
        [FSM_EV_TIMER] = "timer",
        [FSM_EV_LOST] = "lost",
        [FSM_EV_HEALED] = "healed",
        [FSM_EV_REPAIR] = "repair",
        [FSM_EV_RETRY] = "retry",
        [FSM_EV_STOP] = "stop",
};

const char *fsm_state_to_string(FsmState state)
{
        return state >= 0 && state < _FSM_STATE_MAX ? states[state] : "invalid";
}

FsmState fsm_state_from_string(const char *name)
{
        for (FsmState s = 0; s < _FSM_STATE_MAX; s++)
                if (streq(states[s], name))
                        return s;
        return _FSM_STATE_INVALID;
}

const char *fsm_event_to_string(FsmEventType type)
{
        return type >= 0 && type < _FSM_EV_MAX ? events[type] : "invalid";
}

bool fsm_state_is_kernel_operation(FsmState state)
{
        return state == FSM_CLEAR || state == FSM_LOAD || state == FSM_REPAIR || state == FSM_UNLOAD ||
               state == FSM_STUCK;
}

bool fsm_state_is_stage(FsmState state)
{
        return state >= FSM_ADOPT && state <= FSM_SERVICES;
}

void fsm_init(Fsm *fsm, const FsmConfig *config, usec_t now)
{
        *fsm = (Fsm){
                .config = *config,
                .state = FSM_START,
                .stuck_in = _FSM_STATE_INVALID,
                .since = now,
        };
}

static void act(FsmActions *actions, FsmAction action)
{
        actions->items[actions->n++] = action;
}

/* The only writer of the state. Every state has its own token, so answers to an older one are told apart. */
static void enter(Fsm *fsm, FsmState state, usec_t now, FsmActions *actions)
{
        fsm->state = state;
        fsm->since = now;
        fsm->token++;
        act(actions, (FsmAction){ .type = FSM_ACT_ENTER });
}

static void enter_end(Fsm *fsm, FsmState state, Code code, usec_t now, FsmActions *actions)
{
        fsm->code = code;
        enter(fsm, state, now, actions);
        act(actions, (FsmAction){ .type = FSM_ACT_EXIT, .code = code });
}

static void act_timer(FsmActions *actions, usec_t now, usec_t delay)
{
        act(actions, (FsmAction){ .type = FSM_ACT_TIMER, .due = usec_add(now, delay) });
}

static void enter_check(Fsm *fsm, usec_t now, FsmActions *actions)
{
        fsm->loading = false;
        fsm->promised = false;
        fsm->steps = 0;
        enter(fsm, FSM_CHECK, now, actions);
}

static void enter_wait(Fsm *fsm, FsmState state, Code code, usec_t now, FsmActions *actions)
{
        fsm->code = code;
        fsm->attempt++;
        enter(fsm, state, now, actions);
        act_timer(actions, now, backoff_delay(&fsm->config.retry, fsm->attempt));
}

/* The next stage of the plan, or READY when none is left. */
static void advance(Fsm *fsm, usec_t now, FsmActions *actions)
{
        if (fsm->stop_wanted) {
                enter(fsm, FSM_STOPPING, now, actions);
                return;
        }

        for (FsmState s = FSM_ADOPT; s <= FSM_SERVICES; s++) {
                if (!(fsm->steps & FSM_STEP(s)))
                        continue;
                fsm->steps &= ~FSM_STEP(s);
                if (s == FSM_LOAD)
                        fsm->loading = true;
                enter(fsm, s, now, actions);
                return;
        }

        fsm->code = CODE_OK;
        fsm->attempt = 0;
        fsm->promised = true;
        enter(fsm, FSM_READY, now, actions);
}

/* Once, and only if it is the driver that failed: nobody's machine gets better by another one. */
static bool falls_back(const Fsm *fsm, Code code)
{
        return fsm->spare && !fsm->fallback && code_is_about_driver(code);
}

static void begin_fallback(Fsm *fsm, Code code, usec_t now, FsmActions *actions)
{
        fsm->fallback = true;
        fsm->failed = code;
        fsm->code = CODE_OK;
        fsm->attempt = 0;
        enter_check(fsm, now, actions);
}

/* What failed first is what has to be mended. */
static void enter_failed(Fsm *fsm, Code code, usec_t now, FsmActions *actions)
{
        enter_end(fsm, FSM_FAILED, fsm->fallback ? fsm->failed : code, now, actions);
}

/* Nothing of ours is loaded (any more): try again later, do with another driver, or end. */
static void settle(Fsm *fsm, Code code, usec_t now, FsmActions *actions)
{
        bool again = code_is_transient(code) &&
                     (fsm->config.attempts == 0 || fsm->attempt + 1 < fsm->config.attempts);

        fsm->loading = false;
        if (fsm->stop_wanted)
                enter_end(fsm, FSM_STOPPED, CODE_OK, now, actions);
        else if (again)
                enter_wait(fsm, FSM_BACKOFF, code, now, actions);
        else if (falls_back(fsm, code))
                begin_fallback(fsm, code, now, actions);
        else
                enter_failed(fsm, code, now, actions);
}

static void fail(Fsm *fsm, Code code, usec_t now, FsmActions *actions)
{
        if (fsm->stop_wanted) {
                enter(fsm, FSM_STOPPING, now, actions);
        } else if (fsm->loading) {
                fsm->code = code;
                enter(fsm, FSM_UNLOAD, now, actions);
        } else {
                settle(fsm, code, now, actions);
        }
}

/* An unload came to its end; @code says how. The reason for a roll-back outlives it. */
static void unloaded(Fsm *fsm, Code code, usec_t now, FsmActions *actions)
{
        if (fsm->stop_wanted)
                enter_end(fsm, FSM_STOPPED, code, now, actions);
        else
                settle(fsm, fsm->code == CODE_OK ? code : fsm->code, now, actions);
}

/* However a repair went: the watch sees what is there now, and says so. */
static void repaired(Fsm *fsm, usec_t now, FsmActions *actions)
{
        enter(fsm, fsm->stop_wanted ? FSM_STOPPING : FSM_DEGRADED, now, actions);
}

static void on_done(Fsm *fsm, usec_t now, FsmActions *actions)
{
        FsmState state = fsm->state == FSM_STUCK ? fsm->stuck_in : fsm->state;

        if (state == FSM_STOPPING) {
                enter(fsm, FSM_UNLOAD, now, actions);
        } else if (state == FSM_UNLOAD) {
                unloaded(fsm, CODE_OK, now, actions);
        } else if (state == FSM_REPAIR) {
                repaired(fsm, now, actions);
        } else if (state == FSM_BUSY) {
                enter_check(fsm, now, actions);
        } else if (fsm_state_is_stage(state)) {
                /* Waiting for holders made the delays grow; it was no failure of what comes now. */
                if (state == FSM_CLEAR)
                        fsm->attempt = 0;
                advance(fsm, now, actions);
        }
}

static void on_failed(Fsm *fsm, Code code, usec_t now, FsmActions *actions)
{
        FsmState state = fsm->state == FSM_STUCK ? fsm->stuck_in : fsm->state;

        if (state == FSM_STOPPING) {
                /* A service that does not stop is no reason to keep the driver. */
                enter(fsm, FSM_UNLOAD, now, actions);
        } else if (state == FSM_UNLOAD) {
                unloaded(fsm, code, now, actions);
        } else if (state == FSM_REPAIR) {
                repaired(fsm, now, actions);
        } else if (fsm_state_is_stage(state) || state == FSM_CHECK) {
                fail(fsm, code, now, actions);
        }
}

static void on_busy(Fsm *fsm, usec_t now, FsmActions *actions)
{
        FsmState state = fsm->state == FSM_STUCK ? fsm->stuck_in : fsm->state;

        if (state == FSM_UNLOAD)
                unloaded(fsm, CODE_BUSY, now, actions);
        else if (state == FSM_REPAIR)
                repaired(fsm, now, actions);
        else if (state == FSM_CLEAR && fsm->stop_wanted)
                enter(fsm, FSM_STOPPING, now, actions);
        else if (state == FSM_CLEAR)
                enter_wait(fsm, FSM_BUSY, CODE_BUSY, now, actions);
}

static void on_overdue(Fsm *fsm, usec_t now, FsmActions *actions)
{
        if (!fsm_state_is_kernel_operation(fsm->state) || fsm->state == FSM_STUCK)
                return;

        fsm->stuck_in = fsm->state;
        fsm->state = FSM_STUCK; /* the token stays: the helper's answer is still wanted */
        fsm->since = now;
        if (fsm->stop_wanted)
                act(actions, (FsmAction){ .type = FSM_ACT_TIMER, .due = MAX(fsm->stop_due, now) });
}

static void on_timer(Fsm *fsm, usec_t now, FsmActions *actions)
{
        if (fsm->state == FSM_BACKOFF || fsm->state == FSM_BUSY)
                enter_check(fsm, now, actions);
        else if (fsm->state == FSM_UNLOAD && fsm->config.patient)
                return; /* it waits for programs, not for the kernel */
        else if (fsm_state_is_kernel_operation(fsm->state) && fsm->stop_wanted)
                /* The kernel does not come back in time; the next start finds out what became of it. */
                enter_end(fsm, FSM_STOPPED, CODE_STUCK, now, actions);
}

static void on_planned(Fsm *fsm, const FsmEvent *event, usec_t now, FsmActions *actions)
{
        if (fsm->state != FSM_CHECK)
                return;

        fsm->spare = event->spare;
        if (event->code != CODE_OK && fsm->fallback && !fsm->stop_wanted) {
                enter_failed(fsm, event->code, now, actions);
                return;
        }
        if (event->code != CODE_OK) {
                fail(fsm, event->code, now, actions);
                return;
        }
        fsm->steps = event->steps;
        advance(fsm, now, actions);
}

static void on_lost(Fsm *fsm, Code code, usec_t now, FsmActions *actions)
{
        if (fsm->state == FSM_DEGRADED || fsm->state == FSM_REPAIR) {
                fsm->code = code;
        } else if (fsm->state == FSM_READY) {
                fsm->code = code;
                enter(fsm, FSM_DEGRADED, now, actions);
        }
}

static void on_retry(Fsm *fsm, usec_t now, FsmActions *actions)
{
        if (!fsm->fallback || fsm->stop_wanted || (fsm->state != FSM_READY && fsm->state != FSM_DEGRADED))
                return;
        fsm->fallback = false;
        fsm->code = CODE_OK;
        act(actions, (FsmAction){ .type = FSM_ACT_CANCEL });
        enter_check(fsm, now, actions);
}

static void on_stop(Fsm *fsm, usec_t now, FsmActions *actions)
{
        /* Said twice, it is not to push the deadline of the first time away. */
        if (fsm->stop_wanted)
                return;
        fsm->stop_wanted = true;
        fsm->stop_due = usec_add(now, fsm->config.stop_deadline);

        switch (fsm->state) {
        case FSM_CLEAR:
        case FSM_LOAD:
        case FSM_REPAIR:
        case FSM_UNLOAD:
        case FSM_STUCK:
                /* finit_module(2) and delete_module(2) cannot be called back, only waited for. */
                act(actions, (FsmAction){ .type = FSM_ACT_TIMER, .due = fsm->stop_due });
                return;
        case FSM_STOPPING:
        case FSM_STOPPED:
        case FSM_FAILED:
                return;
        case FSM_START:
        case FSM_CHECK:
        case FSM_ADOPT:
        case FSM_PREPARE:
        case FSM_COMPILE:
        case FSM_LINK:
        case FSM_PUBLISH:
        case FSM_AWAIT_DEVICES:
        case FSM_SERVICES:
        case FSM_READY:
        case FSM_DEGRADED:
        case FSM_BUSY:
        case FSM_BACKOFF:
                act(actions, (FsmAction){ .type = FSM_ACT_CANCEL });
                enter(fsm, FSM_STOPPING, now, actions);
                return;
        case _FSM_STATE_MAX:
        case _FSM_STATE_INVALID:
                return;
        }
}

static bool event_has_token(FsmEventType type)
{
        return type == FSM_EV_PLANNED || type == FSM_EV_DONE || type == FSM_EV_FAILED ||
               type == FSM_EV_BUSY || type == FSM_EV_OVERDUE || type == FSM_EV_TIMER;
}

void fsm_step(Fsm *fsm, const FsmEvent *event, usec_t now, FsmActions *ret)
{
        *ret = (FsmActions){};

        if (event_has_token(event->type) && event->token != fsm->token) {
                fsm->n_stale++;
                return;
        }

        switch (event->type) {
        case FSM_EV_START:
                if (fsm->state == FSM_START)
                        enter_check(fsm, now, ret);
                return;
        case FSM_EV_PLANNED:
                on_planned(fsm, event, now, ret);
                return;
        case FSM_EV_DONE:
                on_done(fsm, now, ret);
                return;
        case FSM_EV_FAILED:
                on_failed(fsm, event->code, now, ret);
                return;
        case FSM_EV_BUSY:
                on_busy(fsm, now, ret);
                return;
        case FSM_EV_OVERDUE:
                on_overdue(fsm, now, ret);
                return;
        case FSM_EV_TIMER:
                on_timer(fsm, now, ret);
                return;
        case FSM_EV_LOST:
                on_lost(fsm, event->code, now, ret);
                return;
        case FSM_EV_HEALED:
                if (fsm->state == FSM_DEGRADED)
                        advance(fsm, now, ret);
                return;
        case FSM_EV_REPAIR:
                if (fsm->state == FSM_DEGRADED && !fsm->stop_wanted)
                        enter(fsm, FSM_REPAIR, now, ret);
                return;
        case FSM_EV_RETRY:
                on_retry(fsm, now, ret);
                return;
        case FSM_EV_STOP:
                on_stop(fsm, now, ret);
                return;
        case _FSM_EV_MAX:
        case _FSM_EV_INVALID:
                return;
        }
}
