/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The state machine: first every pair of state and event, in every context
 * that changes the answer, against tables; then the stories of a life.
 *
 * What a step does is written "STATE ACTIONS": the new state (empty: it stays)
 * and one letter per action, C cancel, E enter, T timer, X exit.
 */

#include "unit.h"

#include "base/str.h"
#include "policy/fsm.h"

#define NOW  (1000 * USEC_PER_SEC)
#define DUE  (2 * USEC_PER_SEC)
#define GIVE (8 * USEC_PER_SEC)

static const FsmConfig config = {
        .retry = { .base = DUE, .limit = 300 * USEC_PER_SEC },
        .attempts = 3,
        .stop_deadline = GIVE,
};

/* Every stage that a machine with nothing on it goes through. */
#define STEPS_COLD                                                                                          \
        (FSM_STEP(FSM_PREPARE) | FSM_STEP(FSM_COMPILE) | FSM_STEP(FSM_LINK) | FSM_STEP(FSM_PUBLISH) |       \
                        FSM_STEP(FSM_LOAD) | FSM_STEP(FSM_AWAIT_DEVICES) | FSM_STEP(FSM_SERVICES))

/* Columns in the order of the events; NULL: nothing happens. */
typedef const char *const Row[_FSM_EV_MAX];

#define DONE(to)    [FSM_EV_DONE] = (to)
#define FAILED(to)  [FSM_EV_FAILED] = (to)
#define BUSY(to)    [FSM_EV_BUSY] = (to)
#define OVERDUE(to) [FSM_EV_OVERDUE] = (to)
#define TIMER(to)   [FSM_EV_TIMER] = (to)
#define STOP(to)    [FSM_EV_STOP] = (to)
#define BUILD_STAGE                                                                                         \
        {                                                                                                   \
                DONE("ready E"), FAILED("backoff ET"), STOP("stopping CET")                                 \
        }
#define BUILD_STAGE_ENDING                                                                                  \
        {                                                                                                   \
                DONE("stopping ET"), FAILED("stopping ET"), TIMER("stopping CET")                           \
        }

/* Nobody wants to stop, nothing was loaded, the plan is used up, failures are transient. */
static Row plain[_FSM_STATE_MAX] = {
        [FSM_START] = { [FSM_EV_START] = "checking CE", STOP("stopping CET") },
        [FSM_CHECK] = { [FSM_EV_PLANNED] = "loading E", FAILED("backoff ET"), STOP("stopping CET") },
        [FSM_ADOPT] = BUILD_STAGE,
        [FSM_CLEAR] = { DONE("ready E"), FAILED("backoff ET"), BUSY("busy ET"), OVERDUE("stuck "),
                        STOP(" T") },
        [FSM_PREPARE] = BUILD_STAGE,
        [FSM_COMPILE] = BUILD_STAGE,
        [FSM_LINK] = BUILD_STAGE,
        [FSM_PUBLISH] = BUILD_STAGE,
        [FSM_LOAD] = { DONE("ready E"), FAILED("backoff ET"), OVERDUE("stuck "), STOP(" T") },
        [FSM_AWAIT_DEVICES] = BUILD_STAGE,
        [FSM_SERVICES] = BUILD_STAGE,
        [FSM_READY] = { [FSM_EV_LOST] = "degraded E", STOP("stopping CET") },
        [FSM_DEGRADED] = { [FSM_EV_HEALED] = "ready E",
                        [FSM_EV_REPAIR] = "repairing E",
                        STOP("stopping CET") },
        [FSM_REPAIR] = { DONE("degraded E"), FAILED("degraded E"), BUSY("degraded E"), OVERDUE("stuck "),
                        STOP(" T") },
        [FSM_BUSY] = { DONE("checking CE"), TIMER("checking CE"), STOP("stopping CET") },
        [FSM_BACKOFF] = { TIMER("checking CE"), STOP("stopping CET") },
        [FSM_STUCK] = { DONE("ready E"), FAILED("backoff ET"), STOP(" T") },
        [FSM_STOPPING] = { DONE("unloading E"), FAILED("unloading E"), STOP(" CET") },
        [FSM_UNLOAD] = { DONE("backoff ET"), FAILED("backoff ET"), BUSY("backoff ET"), OVERDUE("stuck "),
                        STOP(" T") },
        [FSM_STOPPED] = { TIMER(" X") },
        [FSM_FAILED] = { TIMER(" X") },
};

/* The same after STOP. Not all of these can happen, but all of them are defined. */
static Row ending[_FSM_STATE_MAX] = {
        [FSM_START] = { [FSM_EV_START] = "stopping CET", TIMER("stopping CET") },
        [FSM_CHECK] = { [FSM_EV_PLANNED] = "stopping ET", FAILED("stopping ET"), TIMER("stopping CET") },
        [FSM_ADOPT] = BUILD_STAGE_ENDING,
        [FSM_CLEAR] = { DONE("stopping ET"), FAILED("stopping ET"), BUSY("stopping ET"), OVERDUE("stuck T"),
                        TIMER("stopped ETX") },
        [FSM_PREPARE] = BUILD_STAGE_ENDING,
        [FSM_COMPILE] = BUILD_STAGE_ENDING,
        [FSM_LINK] = BUILD_STAGE_ENDING,
        [FSM_PUBLISH] = BUILD_STAGE_ENDING,
        [FSM_LOAD] = { DONE("stopping ET"), FAILED("stopping ET"), OVERDUE("stuck T"),
                        TIMER("stopped ETX") },
        [FSM_AWAIT_DEVICES] = BUILD_STAGE_ENDING,
        [FSM_SERVICES] = BUILD_STAGE_ENDING,
        [FSM_READY] = { [FSM_EV_LOST] = "degraded ET", TIMER("stopping CET") },
        [FSM_DEGRADED] = { [FSM_EV_HEALED] = "stopping ET", TIMER("stopping CET") },
        [FSM_REPAIR] = { DONE("stopping ET"), FAILED("stopping ET"), BUSY("stopping ET"), OVERDUE("stuck T"),
                        TIMER("stopped ETX") },
        [FSM_BUSY] = { DONE("stopping CET"), TIMER("stopping CET") },
        [FSM_BACKOFF] = { TIMER("stopping CET") },
        [FSM_STUCK] = { DONE("stopping ET"), FAILED("stopping ET"), TIMER("stopped ETX") },
        [FSM_STOPPING] = { DONE("unloading ET"), FAILED("unloading ET"), TIMER("unloading CET") },
        [FSM_UNLOAD] = { DONE("stopped ETX"), FAILED("stopped ETX"), BUSY("stopped ETX"), OVERDUE("stuck T"),
                        TIMER("stopped ETX") },
        [FSM_STOPPED] = { TIMER(" X") },
        [FSM_FAILED] = { TIMER(" X") },
};

static char *describe(const Fsm *fsm, FsmState before, const FsmActions *actions)
{
        static const char letters[] = {
                [FSM_ACT_CANCEL] = 'C', [FSM_ACT_ENTER] = 'E', [FSM_ACT_TIMER] = 'T', [FSM_ACT_EXIT] = 'X'
        };
        char text[FSM_ACTIONS_MAX + 1] = "";

        ck_assert_uint_le(actions->n, FSM_ACTIONS_MAX);
        for (unsigned i = 0; i < actions->n; i++)
                text[i] = letters[actions->items[i].type];
        if (fsm->state == before && actions->n == 0)
                return NULL;
        return str_format("%s %s", fsm->state == before ? "" : fsm_state_to_string(fsm->state), text);
}

/* What holds for every step, wherever it leads. */
static void check_step(const Fsm *before, const Fsm *after, const FsmActions *actions, usec_t now)
{
        bool entered = false;

        for (unsigned i = 0; i < actions->n; i++) {
                const FsmAction *a = &actions->items[i];

                entered = entered || a->type == FSM_ACT_ENTER;
                if (a->type == FSM_ACT_EXIT) {
                        ck_assert(after->state == FSM_STOPPED || after->state == FSM_FAILED);
                        ck_assert_int_eq(a->code, after->code);
                        ck_assert_uint_eq(i, actions->n - 1);
                }
                if (a->type == FSM_ACT_TIMER) {
                        ck_assert(after->stop_wanted || after->state == FSM_BACKOFF ||
                                        after->state == FSM_BUSY || after->state == FSM_FAILED);
                        ck_assert_uint_ge(a->due, now);
                }
                if (a->type == FSM_ACT_CANCEL) {
                        ck_assert_uint_eq(i, 0);
                        ck_assert(before->state != FSM_STUCK);
                        ck_assert_uint_eq(before->n_kernel, 0);
                }
        }
        ck_assert_uint_eq(after->token, before->token + entered);
        ck_assert_msg(after->state == before->state || entered || after->state == FSM_STUCK,
                        "the state changed and nobody was told");
        ck_assert_uint_eq(after->since, after->state == before->state && !entered ? before->since : now);
}

static bool has_token(FsmEventType type)
{
        return type != FSM_EV_START && type != FSM_EV_LOST && type != FSM_EV_HEALED &&
               type != FSM_EV_REPAIR && type != FSM_EV_RETRY && type != FSM_EV_STOP;
}

static Fsm in_state(FsmState state)
{
        Fsm fsm;

        fsm_init(&fsm, &config, NOW - 10 * USEC_PER_SEC);
        fsm.state = state;
        if (fsm_state_is_kernel_operation(state))
                fsm_kernel_entered(&fsm, fsm.since);
        fsm.loading = false;
        fsm.token = 7;
        fsm.stuck_in = state == FSM_STUCK ? FSM_LOAD : _FSM_STATE_INVALID;
        fsm.code = state == FSM_UNLOAD ? CODE_LOAD_FAILED : CODE_OK;
        return fsm;
}

static FsmEvent event_of(FsmEventType type)
{
        return (FsmEvent){
                .type = type,
                .token = has_token(type) ? 7 : 0,
                .steps = FSM_STEP(FSM_LOAD),
                .code = type == FSM_EV_PLANNED ? CODE_OK : CODE_LOAD_FAILED,
        };
}

static void check_pair(Row *table, const Fsm *start, FsmEventType type)
{
        _cleanup_free_ char *got = NULL;
        const char *want = table[start->state][type];
        FsmEvent event = event_of(type);
        FsmActions actions;
        Fsm fsm = *start;

        fsm_step(&fsm, &event, NOW, &actions);
        got = describe(&fsm, start->state, &actions);
        ck_assert_msg(streq_ptr(got, want), "%s, %s: \"%s\" instead of \"%s\"",
                        fsm_state_to_string(start->state), fsm_event_to_string(type), strna(got),
                        strna(want));
        check_step(start, &fsm, &actions, NOW);
        ck_assert_uint_eq(fsm.n_stale, 0);

        /* The same answer, late. */
        if (!has_token(type))
                return;
        fsm = *start;
        event.token--;
        fsm_step(&fsm, &event, NOW, &actions);
        ck_assert_uint_eq(fsm.n_stale, 1);
        ck_assert_uint_eq(actions.n, 0);
        fsm.n_stale = 0;
        ck_assert_int_eq(memcmp(&fsm, start, sizeof(fsm)), 0);
}

START_TEST(test_every_event)
{
        Fsm fsm = in_state(_i);

        for (FsmEventType type = 0; type < _FSM_EV_MAX; type++)
                check_pair(plain, &fsm, type);
}
END_TEST

/* Nothing of ours is in the kernel (yet, or any more): nothing has to be waited for. */
START_TEST(test_stop_outside_kernel)
{
        static const FsmState states[] = { FSM_CLEAR, FSM_LOAD, FSM_REPAIR, FSM_UNLOAD };
        _cleanup_free_ char *got = NULL;
        Fsm before = in_state(states[_i]), fsm;
        FsmActions actions;

        fsm_kernel_left(&before, before.token - 1);
        ck_assert_uint_eq(before.n_kernel, 1);
        fsm_kernel_left(&before, before.token);
        ck_assert_uint_eq(before.n_kernel, 0);
        fsm_kernel_left(&before, before.token);
        ck_assert_uint_eq(before.n_kernel, 0);

        fsm = before;
        fsm_step(&fsm, &(FsmEvent){ FSM_EV_STOP }, NOW, &actions);
        got = describe(&fsm, before.state, &actions);
        ck_assert_str_eq(got, "stopping CET");
        check_step(&before, &fsm, &actions, NOW);
        ck_assert_uint_eq(actions.items[2].due, NOW + GIVE - FSM_STOP_LEAST);
}
END_TEST

/* The helper came back, but the stage did not answer in time: an unload ends, everything else goes on to it.
 */
START_TEST(test_stop_due_outside_kernel)
{
        static const FsmState states[] = { FSM_CLEAR, FSM_LOAD, FSM_REPAIR, FSM_UNLOAD };
        _cleanup_free_ char *got = NULL;
        Fsm before = in_state(states[_i]), fsm;
        FsmActions actions;

        before.stop_wanted = true;
        before.stop_due = NOW;
        fsm_kernel_left(&before, before.token);
        fsm = before;
        fsm_step(&fsm, &(FsmEvent){ FSM_EV_TIMER, .token = 7 }, NOW, &actions);
        got = describe(&fsm, before.state, &actions);
        ck_assert_str_eq(got, states[_i] == FSM_UNLOAD ? "stopped ETX" : "stopping CET");
        check_step(&before, &fsm, &actions, NOW);
        if (states[_i] == FSM_UNLOAD)
                ck_assert_int_eq(fsm.code, CODE_UNLOAD_FAILED);
}
END_TEST

/* The last operation of an unload that goes forward is waited for, but not twice. */
START_TEST(test_stop_due_in_unload)
{
        Fsm fsm = in_state(FSM_UNLOAD);
        FsmActions actions;

        fsm.stop_wanted = true;
        fsm.stop_due = NOW;
        fsm_kernel_left(&fsm, fsm.token);
        fsm_kernel_entered(&fsm, NOW - 1);
        fsm_step(&fsm, &(FsmEvent){ FSM_EV_TIMER, .token = 7 }, NOW, &actions);
        ck_assert_int_eq(fsm.state, FSM_UNLOAD);
        ck_assert_uint_eq(actions.n, 1);
        ck_assert_uint_eq(actions.items[0].due, NOW - 1 + FSM_STOP_LEAST);

        fsm_kernel_left(&fsm, fsm.token);
        fsm_kernel_entered(&fsm, NOW + FSM_STOP_LEAST - 2);
        fsm_step(&fsm, &(FsmEvent){ FSM_EV_TIMER, .token = 7 }, NOW + FSM_STOP_LEAST, &actions);
        ck_assert_int_eq(fsm.state, FSM_STOPPED);
        ck_assert_int_eq(fsm.code, CODE_STUCK);
}
END_TEST

START_TEST(test_every_event_ending)
{
        Fsm fsm = in_state(_i);

        fsm.stop_wanted = true;
        fsm.stop_due = NOW;
        for (FsmEventType type = 0; type < _FSM_EV_MAX; type++)
                check_pair(ending, &fsm, type);
}
END_TEST

/* Events that are none, and what they carry, change nothing. */
START_TEST(test_no_event)
{
        static const FsmEventType none[] = { _FSM_EV_MAX, _FSM_EV_INVALID };
        Fsm before = in_state(_i), fsm = before;
        FsmActions actions;

        for (size_t i = 0; i < ELEMENTSOF(none); i++) {
                fsm_step(&fsm, &(FsmEvent){ .type = none[i], .token = 7 }, NOW, &actions);
                ck_assert_uint_eq(actions.n, 0);
                ck_assert_int_eq(memcmp(&fsm, &before, sizeof(fsm)), 0);
        }
}
END_TEST

/* How a failed stage ends: @loading and the code decide. */
static const struct {
        FsmState state;
        bool loading;
        Code code;
        const char *outcome;
} failures[] = {
        { FSM_CHECK, false, CODE_INTERNAL, "failed ETX" },
        { FSM_ADOPT, false, CODE_INTERNAL, "failed ETX" },
        { FSM_CLEAR, false, CODE_UNLOAD_FAILED, "backoff ET" },
        { FSM_CLEAR, false, CODE_FOREIGN_DRIVER, "failed ETX" },
        { FSM_PREPARE, false, CODE_PREPARE_FAILED, "failed ETX" },
        { FSM_COMPILE, false, CODE_COMPILE_FAILED, "failed ETX" },
        { FSM_COMPILE, false, CODE_OUT_OF_MEMORY, "backoff ET" },
        { FSM_LINK, false, CODE_LINK_FAILED, "failed ETX" },
        { FSM_PUBLISH, false, CODE_NO_SPACE, "backoff ET" },
        { FSM_LOAD, true, CODE_LOAD_REFUSED, "unloading E" },
        { FSM_LOAD, true, CODE_LOAD_FAILED, "unloading E" },
        { FSM_AWAIT_DEVICES, true, CODE_DEVICES_MISSING, "unloading E" },
        { FSM_AWAIT_DEVICES, false, CODE_DEVICES_MISSING, "backoff ET" },
        { FSM_SERVICES, true, CODE_INTERNAL, "unloading E" },
        { FSM_SERVICES, false, CODE_INTERNAL, "failed ETX" },
        { FSM_STUCK, true, CODE_LOAD_FAILED, "unloading E" },
        { FSM_UNLOAD, true, CODE_UNLOAD_FAILED, "backoff ET" },
};

START_TEST(test_failure)
{
        _cleanup_free_ char *got = NULL;
        Fsm before = in_state(failures[_i].state), fsm;
        FsmActions actions;

        before.loading = failures[_i].loading;
        fsm = before;
        fsm_step(&fsm, &(FsmEvent){ FSM_EV_FAILED, .token = 7, .code = failures[_i].code }, NOW, &actions);
        got = describe(&fsm, before.state, &actions);
        ck_assert_str_eq(got, failures[_i].outcome);
        check_step(&before, &fsm, &actions, NOW);
        ck_assert_int_eq(fsm.code, failures[_i].state == FSM_UNLOAD ? CODE_LOAD_FAILED : failures[_i].code);
}
END_TEST

/* A kernel operation that hung and came back goes on from where it hung. */
static const struct {
        FsmState in;
        FsmEventType answer;
        bool stop;
        const char *outcome;
} returns[] = {
        { FSM_CLEAR, FSM_EV_DONE, false, "ready E" },
        { FSM_CLEAR, FSM_EV_BUSY, false, "busy ET" },
        { FSM_CLEAR, FSM_EV_BUSY, true, "stopping ET" },
        { FSM_CLEAR, FSM_EV_FAILED, false, "backoff ET" },
        { FSM_LOAD, FSM_EV_DONE, false, "ready E" },
        { FSM_LOAD, FSM_EV_DONE, true, "stopping ET" },
        { FSM_REPAIR, FSM_EV_DONE, false, "degraded E" },
        { FSM_REPAIR, FSM_EV_FAILED, false, "degraded E" },
        { FSM_REPAIR, FSM_EV_BUSY, false, "degraded E" },
        { FSM_REPAIR, FSM_EV_DONE, true, "stopping ET" },
        { FSM_REPAIR, FSM_EV_BUSY, true, "stopping ET" },
        { FSM_UNLOAD, FSM_EV_DONE, true, "stopped ETX" },
        { FSM_UNLOAD, FSM_EV_BUSY, true, "stopped ETX" },
        { FSM_UNLOAD, FSM_EV_FAILED, true, "stopped ETX" },
        { FSM_UNLOAD, FSM_EV_DONE, false, "backoff ET" },
};

START_TEST(test_return_from_stuck)
{
        _cleanup_free_ char *got = NULL;
        Fsm before = in_state(returns[_i].in), fsm;
        FsmEvent event = event_of(returns[_i].answer);
        FsmActions actions;

        before.code = CODE_LOAD_FAILED;
        before.stop_wanted = returns[_i].stop;
        fsm_step(&before, &(FsmEvent){ FSM_EV_OVERDUE, .token = 7 }, NOW - 1, &actions);
        ck_assert_int_eq(before.state, FSM_STUCK);
        ck_assert_int_eq(before.stuck_in, returns[_i].in);
        ck_assert_uint_eq(before.token, 7);

        fsm = before;
        fsm_step(&fsm, &event, NOW, &actions);
        got = describe(&fsm, FSM_STUCK, &actions);
        ck_assert_str_eq(got, returns[_i].outcome);
        check_step(&before, &fsm, &actions, NOW);
}
END_TEST

/* The stories: a machine and its time. */
typedef struct Story {
        Fsm fsm;
        usec_t now;
        FsmActions actions;
} Story;

static void tell(Story *s, const FsmEvent *e, const char *want)
{
        Fsm before = s->fsm;
        _cleanup_free_ char *got = NULL;

        s->now += USEC_PER_SEC;
        fsm_step(&s->fsm, e, s->now, &s->actions);
        got = describe(&s->fsm, before.state, &s->actions);
        ck_assert_msg(streq_ptr(got, want), "%s, %s: \"%s\" instead of \"%s\"",
                        fsm_state_to_string(before.state), fsm_event_to_string(e->type), strna(got),
                        strna(want));
        check_step(&before, &s->fsm, &s->actions, s->now);
        /* In the stories a state that may go into the kernel does so at once. */
        if (s->fsm.token != before.token && fsm_state_is_kernel_operation(s->fsm.state))
                fsm_kernel_entered(&s->fsm, s->now);
}

#define HAPPENS(s, kind, want, ...)                                                                         \
        tell(s, &(FsmEvent){ .type = (kind), .token = (s)->fsm.token, ##__VA_ARGS__ }, (want))

static Story begin(unsigned steps, const char *first)
{
        Story s = { .now = NOW };

        fsm_init(&s.fsm, &config, s.now);
        ck_assert_int_eq(s.fsm.state, FSM_START);
        HAPPENS(&s, FSM_EV_START, "checking CE");
        HAPPENS(&s, FSM_EV_PLANNED, first, .steps = steps);
        return s;
}

static void check_ready(const Story *s)
{
        ck_assert_int_eq(s->fsm.state, FSM_READY);
        ck_assert_int_eq(s->fsm.code, CODE_OK);
        ck_assert_uint_eq(s->fsm.attempt, 0);
        ck_assert_uint_eq(s->fsm.steps, 0);
        ck_assert(s->fsm.promised);
}

static void stop_from_ready(Story *s)
{
        HAPPENS(s, FSM_EV_STOP, "stopping CET");
        HAPPENS(s, FSM_EV_DONE, "unloading ET");
        HAPPENS(s, FSM_EV_DONE, "stopped ETX");
        ck_assert_int_eq(s->fsm.code, CODE_OK);
}

static Story cold_to_loading(void)
{
        Story s = begin(STEPS_COLD, "preparing E");

        HAPPENS(&s, FSM_EV_DONE, "compiling E");
        HAPPENS(&s, FSM_EV_DONE, "linking E");
        HAPPENS(&s, FSM_EV_DONE, "publishing E");
        ck_assert(!s.fsm.loading);
        HAPPENS(&s, FSM_EV_DONE, "loading E");
        ck_assert(s.fsm.loading);
        return s;
}

START_TEST(test_story_cold)
{
        Story s = cold_to_loading();

        HAPPENS(&s, FSM_EV_DONE, "awaiting-devices E");
        HAPPENS(&s, FSM_EV_DONE, "starting-services E");
        ck_assert(!s.fsm.promised);
        HAPPENS(&s, FSM_EV_DONE, "ready E");
        check_ready(&s);
        ck_assert_uint_eq(s.fsm.n_stale, 0);
        stop_from_ready(&s);
}
END_TEST

START_TEST(test_story_warm)
{
        Story s = begin(FSM_STEP(FSM_LOAD) | FSM_STEP(FSM_AWAIT_DEVICES), "loading E");

        HAPPENS(&s, FSM_EV_DONE, "awaiting-devices E");
        HAPPENS(&s, FSM_EV_DONE, "ready E");
        check_ready(&s);
}
END_TEST

START_TEST(test_story_adopt)
{
        Story s = begin(FSM_STEP(FSM_ADOPT) | FSM_STEP(FSM_AWAIT_DEVICES), "adopting E");

        HAPPENS(&s, FSM_EV_DONE, "awaiting-devices E");
        ck_assert(!s.fsm.loading);
        HAPPENS(&s, FSM_EV_DONE, "ready E");
        check_ready(&s);
        stop_from_ready(&s);
}
END_TEST

/* An adopted driver may be in use: missing nodes are no reason to take it out. */
START_TEST(test_story_adopted_without_devices)
{
        Story s = begin(FSM_STEP(FSM_ADOPT) | FSM_STEP(FSM_AWAIT_DEVICES) | FSM_STEP(FSM_SERVICES),
                        "adopting E");

        HAPPENS(&s, FSM_EV_DONE, "awaiting-devices E");
        HAPPENS(&s, FSM_EV_FAILED, "backoff ET", .code = CODE_DEVICES_MISSING);
        ck_assert_int_eq(s.fsm.code, CODE_DEVICES_MISSING);
        /* The nodes came late: the next attempt adopts again. */
        HAPPENS(&s, FSM_EV_TIMER, "checking CE");
}
END_TEST

START_TEST(test_story_plan_is_empty)
{
        Story s = begin(0, "ready E");

        check_ready(&s);
}
END_TEST

START_TEST(test_story_nothing_can_be_done)
{
        Story s = { .now = NOW };

        fsm_init(&s.fsm, &config, s.now);
        HAPPENS(&s, FSM_EV_START, "checking CE");
        HAPPENS(&s, FSM_EV_PLANNED, "failed ETX", .code = CODE_NO_GPU, .steps = STEPS_COLD);
        ck_assert_int_eq(s.fsm.code, CODE_NO_GPU);
        ck_assert_int_eq(s.actions.items[2].code, CODE_NO_GPU);
        HAPPENS(&s, FSM_EV_STOP, NULL);
}
END_TEST

/* STOP cancels at once wherever children can be called back, and a late answer of theirs is dropped. */
START_TEST(test_story_stop_anywhere)
{
        static const char *const states[] = { "checking", "preparing", "compiling", "linking",
                "publishing" };
        Story s = { .now = NOW };
        unsigned late;

        fsm_init(&s.fsm, &config, s.now);
        HAPPENS(&s, FSM_EV_START, "checking CE");
        if (_i > 0)
                HAPPENS(&s, FSM_EV_PLANNED, "preparing E", .steps = STEPS_COLD);
        for (int i = 1; i < _i; i++) {
                _cleanup_free_ char *next = str_format("%s E", states[i + 1]);

                HAPPENS(&s, FSM_EV_DONE, next);
        }
        ck_assert_str_eq(fsm_state_to_string(s.fsm.state), states[_i]);

        late = s.fsm.token;
        HAPPENS(&s, FSM_EV_STOP, "stopping CET");
        HAPPENS(&s, FSM_EV_STOP, NULL);
        tell(&s, &(FsmEvent){ FSM_EV_DONE, .token = late }, NULL);
        tell(&s, &(FsmEvent){ FSM_EV_FAILED, .token = late, .code = CODE_COMPILE_FAILED }, NULL);
        ck_assert_uint_eq(s.fsm.n_stale, 2);
        HAPPENS(&s, FSM_EV_DONE, "unloading ET");
        HAPPENS(&s, FSM_EV_DONE, "stopped ETX");
        ck_assert_int_eq(s.fsm.code, CODE_OK);
}
END_TEST

START_TEST(test_story_stop_before_start)
{
        Story s = { .now = NOW };

        fsm_init(&s.fsm, &config, s.now);
        HAPPENS(&s, FSM_EV_STOP, "stopping CET");
        HAPPENS(&s, FSM_EV_START, NULL);
        HAPPENS(&s, FSM_EV_DONE, "unloading ET");
        HAPPENS(&s, FSM_EV_DONE, "stopped ETX");
}
END_TEST

/* finit_module(2) cannot be called back: the wish is kept until it returns. */
START_TEST(test_story_stop_while_loading)
{
        Story s = cold_to_loading();

        HAPPENS(&s, FSM_EV_STOP, " T");
        ck_assert(s.fsm.stop_wanted);
        if (_i == 0)
                HAPPENS(&s, FSM_EV_DONE, "stopping ET");
        else
                HAPPENS(&s, FSM_EV_FAILED, "stopping ET", .code = CODE_LOAD_NO_DEVICE);
        HAPPENS(&s, FSM_EV_DONE, "unloading ET");
        HAPPENS(&s, FSM_EV_DONE, "stopped ETX");
        ck_assert_int_eq(s.fsm.code, CODE_OK);
}
END_TEST

/* STOP during a roll-back: the unload that runs is the one that was asked for. */
START_TEST(test_story_stop_while_rolling_back)
{
        Story s = cold_to_loading();

        HAPPENS(&s, FSM_EV_FAILED, "unloading E", .code = CODE_LOAD_FAILED);
        HAPPENS(&s, FSM_EV_STOP, " T");
        HAPPENS(&s, FSM_EV_DONE, "stopped ETX");
        ck_assert_int_eq(s.fsm.code, CODE_OK);
}
END_TEST

START_TEST(test_story_stop_while_busy_unloading)
{
        Story s = begin(0, "ready E");

        HAPPENS(&s, FSM_EV_STOP, "stopping CET");
        HAPPENS(&s, FSM_EV_FAILED, "unloading ET", .code = CODE_INTERNAL);
        HAPPENS(&s, FSM_EV_BUSY, "stopped ETX");
        ck_assert_int_eq(s.fsm.code, CODE_BUSY);
        ck_assert_int_eq(s.actions.items[2].code, CODE_BUSY);
}
END_TEST

/* A permanent failure after LOAD began: first out with the modules, then the end, with the first reason. */
START_TEST(test_story_roll_back)
{
        Story s = cold_to_loading();

        HAPPENS(&s, FSM_EV_FAILED, "unloading E", .code = CODE_LOAD_REFUSED);
        if (_i == 0)
                HAPPENS(&s, FSM_EV_DONE, "failed ETX");
        else if (_i == 1)
                HAPPENS(&s, FSM_EV_BUSY, "failed ETX");
        else
                HAPPENS(&s, FSM_EV_FAILED, "failed ETX", .code = CODE_UNLOAD_FAILED);
        ck_assert_int_eq(s.fsm.code, CODE_LOAD_REFUSED);
        ck_assert(!s.fsm.loading);
}
END_TEST

/* Attempts=3: the first, and two more, with growing delays. */
START_TEST(test_story_retries)
{
        Story s = begin(FSM_STEP(FSM_LOAD) | FSM_STEP(FSM_AWAIT_DEVICES), "loading E");

        for (unsigned attempt = 1; attempt <= 3; attempt++) {
                HAPPENS(&s, FSM_EV_DONE, "awaiting-devices E");
                HAPPENS(&s, FSM_EV_FAILED, "unloading E", .code = CODE_DEVICES_MISSING);
                if (attempt == 3)
                        break;
                HAPPENS(&s, FSM_EV_DONE, "backoff ET");
                ck_assert_uint_eq(s.actions.items[1].due, s.now + (DUE << (attempt - 1)));
                ck_assert_uint_eq(s.fsm.attempt, attempt);
                ck_assert_int_eq(s.fsm.code, CODE_DEVICES_MISSING);
                HAPPENS(&s, FSM_EV_TIMER, "checking CE");
                ck_assert(!s.fsm.loading);
                HAPPENS(&s, FSM_EV_PLANNED, "loading E",
                                .steps = FSM_STEP(FSM_LOAD) | FSM_STEP(FSM_AWAIT_DEVICES));
        }
        HAPPENS(&s, FSM_EV_DONE, "failed ETX");
        ck_assert_int_eq(s.fsm.code, CODE_DEVICES_MISSING);
}
END_TEST

/* READY ends the count. */
START_TEST(test_story_retries_are_consecutive)
{
        Story s = begin(FSM_STEP(FSM_COMPILE), "compiling E");

        for (unsigned i = 0; i < 2; i++) {
                HAPPENS(&s, FSM_EV_FAILED, "backoff ET", .code = CODE_NO_SPACE);
                HAPPENS(&s, FSM_EV_TIMER, "checking CE");
                HAPPENS(&s, FSM_EV_PLANNED, "compiling E", .steps = FSM_STEP(FSM_COMPILE));
        }
        HAPPENS(&s, FSM_EV_DONE, "ready E");
        check_ready(&s);
}
END_TEST

START_TEST(test_story_retries_without_end)
{
        Story s = { .now = NOW };
        FsmConfig patient = config;

        patient.attempts = 0;
        fsm_init(&s.fsm, &patient, s.now);
        HAPPENS(&s, FSM_EV_START, "checking CE");
        for (unsigned i = 0; i < 50; i++) {
                HAPPENS(&s, FSM_EV_FAILED, "backoff ET", .code = CODE_STORE_FAILED);
                ck_assert_uint_le(s.actions.items[1].due, s.now + config.retry.limit);
                HAPPENS(&s, FSM_EV_TIMER, "checking CE");
        }
        HAPPENS(&s, FSM_EV_FAILED, "failed ETX", .code = CODE_TOOLCHAIN_MISSING);
}
END_TEST

START_TEST(test_story_single_attempt)
{
        Story s = { .now = NOW };
        FsmConfig hasty = config;

        hasty.attempts = 1;
        fsm_init(&s.fsm, &hasty, s.now);
        HAPPENS(&s, FSM_EV_START, "checking CE");
        HAPPENS(&s, FSM_EV_FAILED, "failed ETX", .code = CODE_NO_SPACE);
}
END_TEST

/* Somebody holds the driver that has to go: wait as long as it takes, and it is no failure of what follows.
 */
START_TEST(test_story_busy_clear)
{
        unsigned steps = FSM_STEP(FSM_CLEAR) | FSM_STEP(FSM_COMPILE);
        Story s = begin(steps, "clearing E");

        for (unsigned i = 1; i <= 10; i++) {
                HAPPENS(&s, FSM_EV_BUSY, "busy ET");
                ck_assert_int_eq(s.fsm.code, CODE_BUSY);
                ck_assert_uint_eq(s.actions.items[1].due, s.now + MIN(DUE << (i - 1), config.retry.limit));
                HAPPENS(&s, FSM_EV_TIMER, "checking CE");
                HAPPENS(&s, FSM_EV_PLANNED, "clearing E", .steps = steps);
        }
        HAPPENS(&s, FSM_EV_DONE, "compiling E");
        HAPPENS(&s, FSM_EV_FAILED, "backoff ET", .code = CODE_NO_SPACE);
        ck_assert_uint_eq(s.actions.items[1].due, s.now + DUE);
        HAPPENS(&s, FSM_EV_STOP, "stopping CET");
}
END_TEST

START_TEST(test_story_stop_while_busy)
{
        Story s = begin(FSM_STEP(FSM_CLEAR), "clearing E");
        unsigned armed;

        HAPPENS(&s, FSM_EV_BUSY, "busy ET");
        armed = s.fsm.token;
        HAPPENS(&s, FSM_EV_STOP, "stopping CET");
        tell(&s, &(FsmEvent){ FSM_EV_TIMER, .token = armed }, NULL);
        ck_assert_uint_eq(s.fsm.n_stale, 1);
        HAPPENS(&s, FSM_EV_DONE, "unloading ET");
        HAPPENS(&s, FSM_EV_BUSY, "stopped ETX");
        ck_assert_int_eq(s.fsm.code, CODE_BUSY);
}
END_TEST

/* They have gone: no need to wait for the timer, which grows and grows. */
START_TEST(test_story_busy_no_more)
{
        Story s = begin(FSM_STEP(FSM_CLEAR), "clearing E");

        HAPPENS(&s, FSM_EV_BUSY, "busy ET");
        HAPPENS(&s, FSM_EV_DONE, "checking CE");
        HAPPENS(&s, FSM_EV_PLANNED, "clearing E", .steps = FSM_STEP(FSM_CLEAR));
        HAPPENS(&s, FSM_EV_DONE, "ready E");
        ck_assert_uint_eq(s.fsm.attempt, 0);
}
END_TEST

/* Policy=wait: programs have all the time they want, the kernel has not. */
START_TEST(test_story_patient)
{
        Story s = begin(0, "ready E");
        unsigned armed;

        s.fsm.config.patient = true;
        HAPPENS(&s, FSM_EV_STOP, "stopping CET");
        HAPPENS(&s, FSM_EV_DONE, "unloading ET");
        s.now += 100 * GIVE;
        HAPPENS(&s, FSM_EV_TIMER, NULL);
        HAPPENS(&s, FSM_EV_OVERDUE, "stuck T");
        ck_assert_uint_eq(s.actions.items[0].due, s.now);
        armed = s.fsm.token;
        tell(&s, &(FsmEvent){ FSM_EV_TIMER, .token = armed }, "stopped ETX");
        ck_assert_int_eq(s.fsm.code, CODE_STUCK);
}
END_TEST

/* STOP in CLEAR, which then finds holders: there is nothing left to wait for. */
START_TEST(test_story_stop_while_clearing)
{
        Story s = begin(FSM_STEP(FSM_CLEAR), "clearing E");

        HAPPENS(&s, FSM_EV_STOP, " T");
        HAPPENS(&s, FSM_EV_BUSY, "stopping ET");
}
END_TEST

START_TEST(test_story_stuck_and_back)
{
        Story s = cold_to_loading();

        HAPPENS(&s, FSM_EV_OVERDUE, "stuck ");
        HAPPENS(&s, FSM_EV_OVERDUE, NULL);
        ck_assert(s.fsm.loading);
        HAPPENS(&s, FSM_EV_DONE, "awaiting-devices E");
        HAPPENS(&s, FSM_EV_DONE, "starting-services E");
        HAPPENS(&s, FSM_EV_DONE, "ready E");
        check_ready(&s);
}
END_TEST

/* STOP while STUCK: the deadline is the first STOP's, and then the daemon ends without the kernel. */
START_TEST(test_story_stop_while_stuck)
{
        Story s = cold_to_loading();

        HAPPENS(&s, FSM_EV_OVERDUE, "stuck ");
        HAPPENS(&s, FSM_EV_STOP, " T");
        ck_assert_uint_eq(s.actions.items[0].due, s.now + GIVE);
        HAPPENS(&s, FSM_EV_STOP, NULL);
        HAPPENS(&s, FSM_EV_TIMER, "stopped ETX");
        ck_assert_int_eq(s.fsm.code, CODE_STUCK);
}
END_TEST

START_TEST(test_story_stuck_while_stopping)
{
        Story s = begin(0, "ready E");
        unsigned armed;

        HAPPENS(&s, FSM_EV_STOP, "stopping CET");
        HAPPENS(&s, FSM_EV_DONE, "unloading ET");
        HAPPENS(&s, FSM_EV_OVERDUE, "stuck T");
        ck_assert_uint_eq(s.actions.items[0].due, MAX(s.fsm.stop_due, s.now));
        armed = s.fsm.token;
        HAPPENS(&s, FSM_EV_DONE, "stopped ETX");
        ck_assert_int_eq(s.fsm.code, CODE_OK);
        tell(&s, &(FsmEvent){ FSM_EV_TIMER, .token = armed }, NULL);
        ck_assert_uint_eq(s.fsm.n_stale, 1);
}
END_TEST

START_TEST(test_story_lost_and_healed)
{
        Story s = begin(0, "ready E");

        HAPPENS(&s, FSM_EV_LOST, "degraded E", .code = CODE_DEVICES_LOST);
        ck_assert_int_eq(s.fsm.code, CODE_DEVICES_LOST);
        HAPPENS(&s, FSM_EV_LOST, NULL, .code = CODE_MODULES_LOST);
        ck_assert_int_eq(s.fsm.code, CODE_MODULES_LOST);
        HAPPENS(&s, FSM_EV_HEALED, "ready E");
        check_ready(&s);
        HAPPENS(&s, FSM_EV_HEALED, NULL);
        HAPPENS(&s, FSM_EV_LOST, "degraded E", .code = CODE_DEVICES_LOST);
        stop_from_ready(&s);
}
END_TEST

/* A repair ends where it began, however it went: the watch decides what follows. */
START_TEST(test_story_repair)
{
        static const FsmEventType answers[] = { FSM_EV_DONE, FSM_EV_FAILED, FSM_EV_BUSY };
        Story s = begin(0, "ready E");

        HAPPENS(&s, FSM_EV_REPAIR, NULL);
        HAPPENS(&s, FSM_EV_LOST, "degraded E", .code = CODE_DEVICES_LOST);
        for (size_t i = 0; i < ELEMENTSOF(answers); i++) {
                HAPPENS(&s, FSM_EV_REPAIR, "repairing E");
                HAPPENS(&s, FSM_EV_REPAIR, NULL);
                HAPPENS(&s, FSM_EV_HEALED, NULL);
                ck_assert_int_eq(s.fsm.code, CODE_DEVICES_LOST);
                HAPPENS(&s, answers[i], "degraded E", .code = CODE_LOAD_FAILED);
                ck_assert_int_eq(s.fsm.code, CODE_DEVICES_LOST);
        }
        HAPPENS(&s, FSM_EV_HEALED, "ready E");
        check_ready(&s);
}
END_TEST

/* What else is lost meanwhile is not forgotten. */
START_TEST(test_story_lost_while_repairing)
{
        Story s = begin(0, "ready E");

        HAPPENS(&s, FSM_EV_LOST, "degraded E", .code = CODE_DEVICES_LOST);
        HAPPENS(&s, FSM_EV_REPAIR, "repairing E");
        HAPPENS(&s, FSM_EV_LOST, NULL, .code = CODE_MODULES_LOST);
        HAPPENS(&s, FSM_EV_OVERDUE, "stuck ");
        HAPPENS(&s, FSM_EV_DONE, "degraded E");
        ck_assert_int_eq(s.fsm.code, CODE_MODULES_LOST);
}
END_TEST

START_TEST(test_story_stop_while_repairing)
{
        Story s = begin(0, "ready E");

        HAPPENS(&s, FSM_EV_LOST, "degraded E", .code = CODE_DEVICES_LOST);
        HAPPENS(&s, FSM_EV_REPAIR, "repairing E");
        HAPPENS(&s, FSM_EV_STOP, " T");
        ck_assert_uint_eq(s.actions.items[0].due, s.now + GIVE);
        if (_i == 0) {
                HAPPENS(&s, FSM_EV_DONE, "stopping ET");
                HAPPENS(&s, FSM_EV_DONE, "unloading ET");
        } else {
                HAPPENS(&s, FSM_EV_OVERDUE, "stuck T");
                HAPPENS(&s, FSM_EV_TIMER, "stopped ETX");
                ck_assert_int_eq(s.fsm.code, CODE_STUCK);
        }
}
END_TEST

/* "infinity" may be configured for both spans: never means never, not at once. */
/* The wanted driver fails for good; the plan said that there is another one. */
static Story fallen_back(Code code)
{
        Story s = { .now = NOW };

        fsm_init(&s.fsm, &config, s.now);
        HAPPENS(&s, FSM_EV_START, "checking CE");
        HAPPENS(&s, FSM_EV_PLANNED, "compiling E", .steps = FSM_STEP(FSM_COMPILE), .spare = true);
        for (unsigned i = 0; code_is_transient(code) && i < 2; i++) {
                HAPPENS(&s, FSM_EV_FAILED, "backoff ET", .code = code);
                HAPPENS(&s, FSM_EV_TIMER, "checking CE");
                ck_assert(!s.fsm.fallback);
                HAPPENS(&s, FSM_EV_PLANNED, "compiling E", .steps = FSM_STEP(FSM_COMPILE), .spare = true);
        }
        HAPPENS(&s, FSM_EV_FAILED, "checking CE", .code = code);
        ck_assert(s.fsm.fallback);
        ck_assert_int_eq(s.fsm.failed, code);
        return s;
}

START_TEST(test_story_fallback)
{
        Story s = fallen_back(_i ? CODE_NO_SPACE : CODE_COMPILE_FAILED);

        HAPPENS(&s, FSM_EV_PLANNED, "loading E", .steps = FSM_STEP(FSM_LOAD));
        HAPPENS(&s, FSM_EV_DONE, "ready E");
        check_ready(&s);
        ck_assert(s.fsm.fallback);
        HAPPENS(&s, FSM_EV_LOST, "degraded E", .code = CODE_DRIVER_FALLBACK);
        /* Another configuration: from the start, and no second fallback without a plan that has one. */
        HAPPENS(&s, FSM_EV_RETRY, "checking CE");
        ck_assert(!s.fsm.fallback);
        HAPPENS(&s, FSM_EV_PLANNED, "failed ETX", .code = CODE_COMPILE_FAILED);
        ck_assert_int_eq(s.fsm.code, CODE_COMPILE_FAILED);
}
END_TEST

/* It happens once, and the first failure is what counts in the end. */
START_TEST(test_story_fallback_fails)
{
        Story s = fallen_back(CODE_COMPILE_FAILED);

        if (_i == 0) {
                HAPPENS(&s, FSM_EV_PLANNED, "failed ETX", .code = CODE_DRIVER_FALLBACK);
        } else {
                HAPPENS(&s, FSM_EV_PLANNED, "loading E", .steps = FSM_STEP(FSM_LOAD), .spare = true);
                HAPPENS(&s, FSM_EV_FAILED, "unloading E",
                                .code = _i == 1 ? CODE_LOAD_FORMAT : CODE_BUILD_DAMAGED);
                if (_i == 2) {
                        HAPPENS(&s, FSM_EV_DONE, "backoff ET");
                        HAPPENS(&s, FSM_EV_TIMER, "checking CE");
                        HAPPENS(&s, FSM_EV_PLANNED, "failed ETX", .code = CODE_DRIVER_FALLBACK);
                } else {
                        HAPPENS(&s, FSM_EV_DONE, "failed ETX");
                }
        }
        ck_assert_int_eq(s.fsm.code, CODE_COMPILE_FAILED);
        ck_assert_int_eq(s.actions.items[2].code, CODE_COMPILE_FAILED);
}
END_TEST

/* The machine's failures, somebody's stop, and plans without another build: as ever. */
START_TEST(test_story_no_fallback)
{
        Story s = { .now = NOW };

        fsm_init(&s.fsm, &config, s.now);
        HAPPENS(&s, FSM_EV_START, "checking CE");
        if (_i == 0) {
                HAPPENS(&s, FSM_EV_PLANNED, "failed ETX", .code = CODE_NO_GPU, .spare = true);
        } else if (_i == 1) {
                HAPPENS(&s, FSM_EV_PLANNED, "compiling E", .steps = FSM_STEP(FSM_COMPILE));
                HAPPENS(&s, FSM_EV_FAILED, "failed ETX", .code = CODE_COMPILE_FAILED);
        } else {
                HAPPENS(&s, FSM_EV_PLANNED, "loading E", .steps = FSM_STEP(FSM_LOAD), .spare = true);
                HAPPENS(&s, FSM_EV_FAILED, "unloading E", .code = CODE_LOAD_REFUSED);
                HAPPENS(&s, FSM_EV_STOP, " T");
                HAPPENS(&s, FSM_EV_DONE, "stopped ETX");
        }
        ck_assert(!s.fsm.fallback);
}
END_TEST

/* The plan only adds to a driver that works: its failure costs what it was to add, and no more. */
START_TEST(test_live)
{
        static const FsmState stages[] = { FSM_PREPARE, FSM_COMPILE, FSM_LINK, FSM_PUBLISH, FSM_LOAD };
        _cleanup_free_ char *first = str_format("%s E", fsm_state_to_string(stages[_i]));
        Story s = { .now = NOW };

        fsm_init(&s.fsm, &config, s.now);
        HAPPENS(&s, FSM_EV_START, "checking CE");
        HAPPENS(&s, FSM_EV_PLANNED, first, .live = true,
                        .steps = FSM_STEP(stages[_i]) | FSM_STEP(FSM_LOAD) | FSM_STEP(FSM_SERVICES));
        ck_assert(fsm_makes_do(&s.fsm));
        HAPPENS(&s, FSM_EV_FAILED, "starting-services E", .code = CODE_LOAD_REFUSED);
        ck_assert(!fsm_makes_do(&s.fsm));
        HAPPENS(&s, FSM_EV_DONE, "ready E");
        ck_assert_int_eq(s.fsm.code, CODE_OK);
}
END_TEST

START_TEST(test_infinite_spans)
{
        Story s = { .now = NOW };
        FsmConfig never = { .retry = { USEC_INFINITY, USEC_INFINITY }, .stop_deadline = USEC_INFINITY };

        fsm_init(&s.fsm, &never, s.now);
        HAPPENS(&s, FSM_EV_START, "checking CE");
        HAPPENS(&s, FSM_EV_FAILED, "backoff ET", .code = CODE_NO_SPACE);
        ck_assert_uint_eq(s.actions.items[1].due, USEC_INFINITY);
        HAPPENS(&s, FSM_EV_TIMER, "checking CE");
        HAPPENS(&s, FSM_EV_PLANNED, "loading E", .steps = FSM_STEP(FSM_LOAD));
        HAPPENS(&s, FSM_EV_OVERDUE, "stuck ");
        HAPPENS(&s, FSM_EV_STOP, " T");
        ck_assert_uint_eq(s.actions.items[0].due, USEC_INFINITY);
}
END_TEST

/* Whatever happens, and then STOP and answers to it: the machine comes to its end. */
static void walk(uint64_t seed)
{
        Story s = { .now = NOW };

        fsm_init(&s.fsm, &config, s.now);
        for (unsigned i = 0; i < 1000; i++) {
                Fsm before = s.fsm;
                FsmEvent e;

                seed = seed * 6364136223846793005u + 1442695040888963407u;
                e = (FsmEvent){
                        .type = (FsmEventType)((seed >> 33) % FSM_EV_STOP),
                        .token = s.fsm.token - ((seed >> 40) % 8 == 0),
                        .steps = (unsigned)(seed >> 43) & (STEPS_COLD | FSM_STEP(FSM_CLEAR)),
                        .code = (seed >> 50) % 4 ? CODE_OK : CODE_NO_SPACE,
                };
                fsm_step(&s.fsm, &e, ++s.now, &s.actions);
                check_step(&before, &s.fsm, &s.actions, s.now);
                ck_assert(!s.fsm.stop_wanted);
        }

        fsm_step(&s.fsm, &(FsmEvent){ FSM_EV_STOP }, ++s.now, &s.actions);
        for (unsigned i = 0; i < 3 && s.fsm.state != FSM_STOPPED && s.fsm.state != FSM_FAILED; i++)
                fsm_step(&s.fsm, &(FsmEvent){ FSM_EV_DONE, .token = s.fsm.token }, ++s.now, &s.actions);
        ck_assert(s.fsm.state == FSM_STOPPED || s.fsm.state == FSM_FAILED);
}

START_TEST(test_random_walks)
{
        for (uint64_t seed = 1; seed <= 50; seed++)
                walk(seed * 2654435761u);
}
END_TEST

START_TEST(test_names)
{
        for (FsmState state = 0; state < _FSM_STATE_MAX; state++) {
                ck_assert_int_eq(fsm_state_from_string(fsm_state_to_string(state)), state);
                ck_assert_str_ne(fsm_state_to_string(state), "invalid");
        }
        for (FsmEventType a = 0; a < _FSM_EV_MAX; a++)
                for (FsmEventType b = 0; b < a; b++)
                        ck_assert_str_ne(fsm_event_to_string(a), fsm_event_to_string(b));
        ck_assert_str_eq(fsm_state_to_string(_FSM_STATE_MAX), "invalid");
        ck_assert_str_eq(fsm_state_to_string(_FSM_STATE_INVALID), "invalid");
        ck_assert_str_eq(fsm_event_to_string(_FSM_EV_MAX), "invalid");
        ck_assert_str_eq(fsm_event_to_string(_FSM_EV_INVALID), "invalid");
        ck_assert_int_eq(fsm_state_from_string("not-running"), _FSM_STATE_INVALID);
        ck_assert_int_eq(fsm_state_from_string(""), _FSM_STATE_INVALID);
}
END_TEST

START_TEST(test_kinds_of_states)
{
        for (FsmState s = 0; s < _FSM_STATE_MAX; s++) {
                ck_assert_int_eq(fsm_state_is_stage(s), s >= FSM_ADOPT && s <= FSM_SERVICES);
                ck_assert_int_eq(fsm_state_is_kernel_operation(s),
                                s == FSM_CLEAR || s == FSM_LOAD || s == FSM_REPAIR || s == FSM_UNLOAD ||
                                                s == FSM_STUCK);
        }
}
END_TEST

UNIT_MAIN("fsm", UNIT_LOOP(test_every_event, _FSM_STATE_MAX),
                UNIT_LOOP(test_every_event_ending, _FSM_STATE_MAX), UNIT_LOOP(test_stop_outside_kernel, 4),
                UNIT_LOOP(test_stop_due_outside_kernel, 4), UNIT_TEST(test_stop_due_in_unload),
                UNIT_LOOP(test_no_event, _FSM_STATE_MAX), UNIT_LOOP(test_failure, ELEMENTSOF(failures)),
                UNIT_LOOP(test_return_from_stuck, ELEMENTSOF(returns)), UNIT_TEST(test_story_cold),
                UNIT_TEST(test_story_warm), UNIT_TEST(test_story_adopt),
                UNIT_TEST(test_story_adopted_without_devices), UNIT_TEST(test_story_plan_is_empty),
                UNIT_TEST(test_story_nothing_can_be_done), UNIT_LOOP(test_story_stop_anywhere, 5),
                UNIT_TEST(test_story_stop_before_start), UNIT_LOOP(test_story_stop_while_loading, 2),
                UNIT_TEST(test_story_stop_while_rolling_back),
                UNIT_TEST(test_story_stop_while_busy_unloading), UNIT_LOOP(test_story_roll_back, 3),
                UNIT_TEST(test_story_retries), UNIT_TEST(test_story_retries_are_consecutive),
                UNIT_TEST(test_story_retries_without_end), UNIT_TEST(test_story_single_attempt),
                UNIT_TEST(test_story_busy_clear), UNIT_TEST(test_story_busy_no_more),
                UNIT_TEST(test_story_patient), UNIT_TEST(test_story_stop_while_busy),
                UNIT_TEST(test_story_stop_while_clearing), UNIT_TEST(test_story_stuck_and_back),
                UNIT_TEST(test_story_stop_while_stuck), UNIT_TEST(test_story_stuck_while_stopping),
                UNIT_TEST(test_story_lost_and_healed), UNIT_TEST(test_story_repair),
                UNIT_TEST(test_story_lost_while_repairing), UNIT_LOOP(test_story_stop_while_repairing, 2),
                UNIT_LOOP(test_story_fallback, 2), UNIT_LOOP(test_story_fallback_fails, 3),
                UNIT_LOOP(test_story_no_fallback, 3), UNIT_LOOP(test_live, 5),
                UNIT_TEST(test_infinite_spans), UNIT_TEST(test_random_walks), UNIT_TEST(test_names),
                UNIT_TEST(test_kinds_of_states))
