/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The state machine. One function per event, each a full switch over what
 * matters there; enter() is the only place that assigns the state, but for
 * on_overdue(), which must keep the token. Nothing in here reads a clock or
 * touches the machine, so the unit test walks every pair of state and event.
 *
 * Four rules carry it:
 *  - What can be called back (children of a build, the verification before a
 *    load) is cancelled at once on STOP. What cannot (a helper in the kernel)
 *    is waited for, the wish is kept.
 *  - Once STOP was said, every state has a deadline, whatever its children do.
 *    Only a helper that is in the kernel then makes the end STUCK.
 *  - A failure after the first insert takes out again what was loaded, and only
 *    then decides between another attempt and the end.
 *  - In STUCK the hanging stage keeps its token: when the kernel comes back,
 *    its answer is welcome and the machine goes on from where it hung.
 */

#include <assert.h>

#include "policy/fsm.h"

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
        assert(actions->n < FSM_ACTIONS_MAX);
        actions->items[actions->n++] = action;
}

static void act_timer(FsmActions *actions, usec_t due)
{
        act(actions, (FsmAction){ .type = FSM_ACT_TIMER, .due = due });
}

/* What a state of a stop may take at least, however late it began. */
static usec_t least(const Fsm *fsm)
{
        return MIN(fsm->config.stop_deadline / 2, FSM_STOP_LEAST);
}

usec_t fsm_stop_due(const Fsm *fsm)
{
        usec_t rest = MIN(fsm->config.stop_deadline / 4, FSM_STOP_LEAST);

        if (fsm->stop_due == USEC_INFINITY)
                return USEC_INFINITY;
        if (fsm->state == FSM_STOPPING)
                return MAX(fsm->stop_due - rest, fsm->since);
        if (fsm->state == FSM_UNLOAD)
                return MAX(fsm->stop_due, usec_add(fsm->since, least(fsm)));
        return fsm->stop_due;
}

/* UNLOAD keeps the limit by itself, and its answer says who holds the driver: it is not to be overtaken. */
static usec_t timer_due(const Fsm *fsm)
{
        return usec_add(fsm_stop_due(fsm), fsm->state == FSM_UNLOAD ? FSM_STOP_ANSWER : 0);
}

/* The only writer of the state. Every state has its own token, so answers to an older one are told apart. */
static void enter(Fsm *fsm, FsmState state, usec_t now, FsmActions *actions)
{
        fsm->state = state;
        fsm->since = now;
        fsm->token++;
        fsm->n_kernel = 0;
        act(actions, (FsmAction){ .type = FSM_ACT_ENTER });
        if (fsm->stop_wanted && state != FSM_STOPPED)
                act_timer(actions, timer_due(fsm));
}

/* What is tidied up before the exit is waited for, but not for ever. */
static void enter_end(Fsm *fsm, FsmState state, Code code, usec_t now, FsmActions *actions)
{
        fsm->code = code;
        enter(fsm, state, now, actions);
        act_timer(actions, usec_add(now, state == FSM_FAILED ? fsm->config.stop_deadline : least(fsm)));
        act(actions, (FsmAction){ .type = FSM_ACT_EXIT, .code = code });
}

/* The state is left before its work has answered. */
static void cancel(Fsm *fsm, FsmState state, usec_t now, FsmActions *actions)
{
        act(actions, (FsmAction){ .type = FSM_ACT_CANCEL });
        enter(fsm, state, now, actions);
}

static void enter_check(Fsm *fsm, usec_t now, FsmActions *actions)
{
        fsm->loading = false;
        fsm->promised = false;
        fsm->steps = 0;
        cancel(fsm, fsm->stop_wanted ? FSM_STOPPING : FSM_CHECK, now, actions);
}

static void enter_wait(Fsm *fsm, FsmState state, Code code, usec_t now, FsmActions *actions)
{
        fsm->code = code;
        fsm->attempt++;
        enter(fsm, state, now, actions);
        act_timer(actions, usec_add(now, backoff_delay(&fsm->config.retry, fsm->attempt)));
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

static void enter_failed(Fsm *fsm, Code code, usec_t now, FsmActions *actions)
{
        enter_end(fsm, FSM_FAILED, fsm->fallback ? fsm->failed : code, now, actions);
}

/* Nothing of ours is loaded (any more): try again later, do with another driver, or end. */
static void settle(Fsm *fsm, Code code, usec_t now, FsmActions *actions)
{
        /* A damaged build is out of the way: what the next plan finds may be whole. */
        bool passes = code_is_transient(code) || (code == CODE_BUILD_DAMAGED && fsm->state != FSM_CHECK);
        bool again = passes && (fsm->config.attempts == 0 || fsm->attempt + 1 < fsm->config.attempts);

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

bool fsm_makes_do(const Fsm *fsm)
{
        FsmState state = fsm->state == FSM_STUCK ? fsm->stuck_in : fsm->state;

        return fsm->live && !fsm->stop_wanted && state >= FSM_PREPARE && state <= FSM_LOAD;
}

static void fail(Fsm *fsm, Code code, usec_t now, FsmActions *actions)
{
        if (fsm->stop_wanted) {
                enter(fsm, FSM_STOPPING, now, actions);
        } else if (fsm_makes_do(fsm)) {
                fsm->loading = false;
                fsm->steps &= FSM_STEP(FSM_AWAIT_DEVICES) | FSM_STEP(FSM_SERVICES);
                advance(fsm, now, actions);
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
                act_timer(actions, MAX(fsm->stop_due, now));
}

/* An unload that began late is not cut off while it goes forward; it has no more than this either. */
static usec_t kernel_due(const Fsm *fsm)
{
        usec_t due = fsm_stop_due(fsm);

        if (fsm->state != FSM_UNLOAD)
                return due;
        return MIN(usec_add(fsm->kernel_since, least(fsm)), usec_add(due, least(fsm)));
}

/* Time is up for a stop. */
static void on_stop_due(Fsm *fsm, usec_t now, FsmActions *actions)
{
        if (fsm->state == FSM_STOPPING)
                cancel(fsm, FSM_UNLOAD, now, actions);
        else if (fsm->state == FSM_STUCK)
                enter_end(fsm, FSM_STOPPED, CODE_STUCK, now, actions);
        else if (fsm->n_kernel > 0 && now < kernel_due(fsm))
                act_timer(actions, kernel_due(fsm));
        else if (fsm->n_kernel > 0)
                /* The kernel does not come back in time; the next start finds out what became of it. */
                enter_end(fsm, FSM_STOPPED, CODE_STUCK, now, actions);
        else if (fsm->state == FSM_UNLOAD)
                enter_end(fsm, FSM_STOPPED, CODE_UNLOAD_FAILED, now, actions);
        else
                cancel(fsm, FSM_STOPPING, now, actions);
}

static void on_timer(Fsm *fsm, usec_t now, FsmActions *actions)
{
        if (fsm->state == FSM_STOPPED || fsm->state == FSM_FAILED)
                act(actions, (FsmAction){ .type = FSM_ACT_EXIT, .code = fsm->code });
        else if (fsm->state == FSM_UNLOAD && fsm->config.patient)
                return; /* it waits for programs, not for the kernel */
        else if (fsm->stop_wanted)
                on_stop_due(fsm, now, actions);
        else if (fsm->state == FSM_BACKOFF || fsm->state == FSM_BUSY)
                enter_check(fsm, now, actions);
}

static void on_planned(Fsm *fsm, const FsmEvent *event, usec_t now, FsmActions *actions)
{
        if (fsm->state != FSM_CHECK)
                return;

        fsm->spare = event->spare;
        fsm->live = event->live;
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
        enter_check(fsm, now, actions);
}

static void on_stop(Fsm *fsm, usec_t now, FsmActions *actions)
{
        /* Said twice, it is not to push the deadline of the first time away. */
        if (fsm->stop_wanted)
                return;
        fsm->stop_wanted = true;
        fsm->stop_due = usec_add(now, fsm->config.stop_deadline);

        if (fsm->state == FSM_STOPPED || fsm->state == FSM_FAILED)
                return;
        if (fsm->state == FSM_STUCK || fsm->n_kernel > 0)
                /* finit_module(2) and delete_module(2) cannot be called back, only waited for. */
                act_timer(actions, fsm_stop_due(fsm));
        else
                cancel(fsm, FSM_STOPPING, now, actions);
}

void fsm_kernel_entered(Fsm *fsm, usec_t now)
{
        fsm->n_kernel++;
        fsm->kernel_since = now;
        if (fsm->state == FSM_LOAD)
                fsm->loading = true;
}

void fsm_kernel_left(Fsm *fsm, unsigned token)
{
        if (token == fsm->token && fsm->n_kernel > 0)
                fsm->n_kernel--;
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
