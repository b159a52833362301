/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The state machine, exhaustively: every order of events up to a depth, from
 * the start. In each state that is reached that way STOP is said, and then
 * every order of answers, late ones too, and none at all.
 *
 * What holds wherever it leads:
 *  - A stop ends within its limit and the reserve, by timers alone.
 *  - STUCK is only said while a helper is in the kernel.
 *  - READY is not entered before every stage of the plan has succeeded.
 *  - Who leaves a state before its work has answered cancels it, and nobody
 *    cancels what is in the kernel.
 */

#include "unit.h"

#include "policy/fsm.h"

#define GIVE (8 * USEC_PER_SEC)

/* check tells its parent of every assertion that holds, which would take most of the time here. */
#define must(condition, ...)                                                                                \
        do {                                                                                                \
                if (!(condition))                                                                           \
                        ck_abort_msg(__VA_ARGS__);                                                          \
        } while (false)

/* How far the search goes: before STOP, and with answers after it. Then only timers. */
enum { DEPTH = 14, DEPTH_STOPPING = 4, TIMERS_MAX = 8, KNOWN_MAX = 8192 };

static const FsmConfig config = {
        .retry = { .base = 2 * USEC_PER_SEC, .limit = 300 * USEC_PER_SEC },
        .attempts = 2,
        .stop_deadline = GIVE,
};

/* The machine and what is around it. */
typedef struct World {
        Fsm fsm;
        usec_t now, timer, stop_due; /* 0: none */
        unsigned todo;               /* stages of the plan that have not succeeded */
        unsigned n_kernel;
        bool ended;
} World;

typedef enum Move {
        MOVE_START,
        MOVE_PLAN_LOAD,
        MOVE_PLAN_ALL,
        MOVE_PLAN_NOTHING,
        MOVE_PLAN_FAILED,
        MOVE_ENTER_KERNEL,
        MOVE_LEAVE_KERNEL,
        MOVE_DONE,
        MOVE_FAILED,
        MOVE_FAILED_FOR_GOOD,
        MOVE_BUSY,
        MOVE_OVERDUE,
        MOVE_TIMER,
        MOVE_LOST,
        MOVE_HEALED,
        MOVE_REPAIR,
        MOVE_RETRY,
        MOVE_LATE, /* an answer of a state that was left */
        _MOVE_MAX,
} Move;

#define STEPS_LOAD (FSM_STEP(FSM_LOAD) | FSM_STEP(FSM_AWAIT_DEVICES))
#define STEPS_ALL  (((1u << (FSM_SERVICES + 1)) - 1) & ~((1u << FSM_ADOPT) - 1) & ~FSM_STEP(FSM_ADOPT))

static const FsmEvent events[_MOVE_MAX] = {
        [MOVE_START] = { .type = FSM_EV_START },
        [MOVE_PLAN_LOAD] = { .type = FSM_EV_PLANNED, .steps = STEPS_LOAD, .spare = true },
        [MOVE_PLAN_ALL] = { .type = FSM_EV_PLANNED, .steps = STEPS_ALL },
        [MOVE_PLAN_NOTHING] = { .type = FSM_EV_PLANNED },
        [MOVE_PLAN_FAILED] = { .type = FSM_EV_PLANNED, .code = CODE_NO_GPU },
        [MOVE_DONE] = { .type = FSM_EV_DONE },
        [MOVE_FAILED] = { .type = FSM_EV_FAILED, .code = CODE_NO_SPACE },
        [MOVE_FAILED_FOR_GOOD] = { .type = FSM_EV_FAILED, .code = CODE_LOAD_FORMAT },
        [MOVE_BUSY] = { .type = FSM_EV_BUSY },
        [MOVE_OVERDUE] = { .type = FSM_EV_OVERDUE },
        [MOVE_TIMER] = { .type = FSM_EV_TIMER },
        [MOVE_LOST] = { .type = FSM_EV_LOST, .code = CODE_DEVICES_LOST },
        [MOVE_HEALED] = { .type = FSM_EV_HEALED },
        [MOVE_REPAIR] = { .type = FSM_EV_REPAIR },
        [MOVE_RETRY] = { .type = FSM_EV_RETRY },
        [MOVE_LATE] = { .type = FSM_EV_DONE },
};

static bool is_answer(FsmEventType type)
{
        return type == FSM_EV_DONE || type == FSM_EV_FAILED || type == FSM_EV_BUSY || type == FSM_EV_PLANNED;
}

/* States whose work goes on in the next one, or that have none. */
static bool has_own_work(FsmState state)
{
        return state != FSM_START && state != FSM_STUCK && state != FSM_READY && state != FSM_DEGRADED;
}

static void check_left(const World *before, const World *w, const FsmEvent *event, const FsmActions *actions)
{
        bool cancelled = actions->n > 0 && actions->items[0].type == FSM_ACT_CANCEL;
        FsmState from = before->fsm.state, to = w->fsm.state;

        if (cancelled)
                must(before->n_kernel == 0, "%s was cancelled, with a helper in the kernel",
                                fsm_state_to_string(from));
        if (from == to || is_answer(event->type) || !has_own_work(from) || to == FSM_STUCK ||
                        to == FSM_STOPPED)
                return;
        must(cancelled, "%s was left for %s by event %s and not cancelled", fsm_state_to_string(from),
                        fsm_state_to_string(to), fsm_event_to_string(event->type));
}

/* Stages answer for themselves: what was planned and has succeeded is not left to do. */
static void follow_plan(const World *before, World *w, const FsmEvent *event)
{
        FsmState from = before->fsm.state == FSM_STUCK ? before->fsm.stuck_in : before->fsm.state;

        if (event->type == FSM_EV_PLANNED && from == FSM_CHECK)
                w->todo = event->steps;
        else if (event->type == FSM_EV_DONE && fsm_state_is_stage(from))
                w->todo &= ~FSM_STEP(from);
        if (w->fsm.state == FSM_READY && before->fsm.state != FSM_READY)
                must(w->todo == 0, "ready from %s, with stages 0x%x to do", fsm_state_to_string(from),
                                w->todo);
}

static void follow_actions(World *w, const World *before, const FsmActions *actions)
{
        must(actions->n <= FSM_ACTIONS_MAX, "%zu actions", (size_t)actions->n);
        if (w->fsm.state != before->fsm.state)
                w->timer = 0;
        if (w->fsm.token != before->fsm.token)
                w->n_kernel = 0;
        for (unsigned i = 0; i < actions->n; i++) {
                const FsmAction *a = &actions->items[i];

                if (a->type == FSM_ACT_TIMER)
                        w->timer = a->due;
                if (a->type != FSM_ACT_EXIT)
                        continue;
                w->ended = true;
                if (a->code == CODE_STUCK)
                        must(before->n_kernel > 0, "stuck in %s, with nothing in the kernel",
                                        fsm_state_to_string(before->fsm.state));
        }
}

static void happen(World *w, FsmEvent event, unsigned lateness)
{
        World before = *w;
        FsmActions actions;

        event.token = w->fsm.token - lateness;
        fsm_step(&w->fsm, &event, w->now, &actions);
        follow_actions(w, &before, &actions);
        if (lateness == 0)
                follow_plan(&before, w, &event);
        check_left(&before, w, &event, &actions);
}

static bool is_possible(const World *w, Move move)
{
        FsmState at = w->fsm.state == FSM_STUCK ? w->fsm.stuck_in : w->fsm.state;

        if (events[move].type == FSM_EV_PLANNED && at != FSM_CHECK)
                return false;
        if (move == MOVE_BUSY && at != FSM_CLEAR && at != FSM_UNLOAD && at != FSM_REPAIR)
                return false;
        if (move == MOVE_ENTER_KERNEL)
                return fsm_state_is_kernel_operation(w->fsm.state) && w->fsm.state != FSM_STUCK &&
                       w->n_kernel < 2;
        if (move == MOVE_LEAVE_KERNEL)
                return w->n_kernel > (w->fsm.state == FSM_STUCK);
        if (move == MOVE_OVERDUE)
                return w->n_kernel > 0;
        if (move == MOVE_TIMER)
                return w->timer > 0;
        /* A stage answers when its helpers are back. */
        if (move != MOVE_LATE && is_answer(events[move].type))
                return w->n_kernel == (w->fsm.state == FSM_STUCK);
        return true;
}

static void play(World *w, Move move)
{
        if (move == MOVE_TIMER)
                w->now = MAX(w->timer, w->now);
        else
                w->now++;

        /* The last one came back, and that is why there is an answer. */
        if (w->fsm.state == FSM_STUCK && move != MOVE_LATE && is_answer(events[move].type)) {
                fsm_kernel_left(&w->fsm, w->fsm.token);
                w->n_kernel--;
        }
        if (move == MOVE_ENTER_KERNEL) {
                fsm_kernel_entered(&w->fsm, w->now);
                w->n_kernel++;
        } else if (move == MOVE_LEAVE_KERNEL) {
                fsm_kernel_left(&w->fsm, w->fsm.token);
                w->n_kernel--;
        } else {
                happen(w, events[move], move == MOVE_LATE);
        }
}

static void check_in_time(const World *w)
{
        must(w->now <= w->stop_due, "%s, %u helpers in the kernel: %.3f s too late",
                        fsm_state_to_string(w->fsm.state), w->n_kernel,
                        (double)(w->now - w->stop_due) / (double)USEC_PER_SEC);
}

/* Nobody answers any more. */
static void let_time_pass(World w)
{
        for (unsigned i = 0; i < TIMERS_MAX && !w.ended; i++) {
                must(w.timer > 0, "%s stands for ever", fsm_state_to_string(w.fsm.state));
                play(&w, MOVE_TIMER);
        }
        must(w.ended, "%s does not end", fsm_state_to_string(w.fsm.state));
        check_in_time(&w);
        must(w.fsm.state == FSM_STOPPED || w.fsm.state == FSM_FAILED, "it ended in %s",
                        fsm_state_to_string(w.fsm.state));
}

/* Each answer at the worst moment: right before time is up. */
static void stop_in_every_way(const World *w, unsigned depth)
{
        let_time_pass(*w);
        if (depth == 0)
                return;
        for (Move move = MOVE_PLAN_LOAD; move < _MOVE_MAX; move++) {
                World next = *w;

                if (!is_possible(w, move))
                        continue;
                if (move != MOVE_TIMER)
                        next.now = MAX(next.now, next.timer > 2 ? next.timer - 2 : 0);
                play(&next, move);
                if (next.ended)
                        check_in_time(&next);
                else if (memcmp(&next.fsm, &w->fsm, sizeof(next.fsm)) != 0)
                        stop_in_every_way(&next, depth - 1);
        }
}

static void stop(World w)
{
        w.stop_due = w.now + GIVE + FSM_STOP_RESERVE;
        happen(&w, (FsmEvent){ .type = FSM_EV_STOP }, 0);
        stop_in_every_way(&w, DEPTH_STOPPING);
}

/* What makes two worlds different: not when they were reached, nor on which way. */
typedef struct Key {
        FsmState state, stuck_in;
        unsigned steps, attempt, todo, n_kernel;
        Code code, failed;
        bool loading, promised, spare, fallback, armed;
} Key;

static Key key_of(const World *w)
{
        Key key;

        memset(&key, 0, sizeof(key));
        key.state = w->fsm.state;
        key.stuck_in = w->fsm.state == FSM_STUCK ? w->fsm.stuck_in : _FSM_STATE_INVALID;
        key.steps = w->fsm.steps;
        key.attempt = w->fsm.attempt > config.attempts ? config.attempts : w->fsm.attempt;
        key.todo = w->todo;
        key.n_kernel = w->n_kernel;
        key.code = w->fsm.code;
        key.failed = w->fsm.failed;
        key.loading = w->fsm.loading;
        key.promised = w->fsm.promised;
        key.spare = w->fsm.spare;
        key.fallback = w->fsm.fallback;
        key.armed = w->timer > 0;
        return key;
}

typedef struct Search {
        Key known[KNOWN_MAX];
        World worlds[KNOWN_MAX];
        unsigned depth[KNOWN_MAX];
        unsigned n;
} Search;

static void add(Search *s, const World *w, unsigned depth)
{
        Key key = key_of(w);

        for (unsigned i = 0; i < s->n; i++)
                if (memcmp(&s->known[i], &key, sizeof(key)) == 0)
                        return;
        ck_assert_uint_lt(s->n, KNOWN_MAX);
        s->known[s->n] = key;
        s->worlds[s->n] = *w;
        s->depth[s->n++] = depth;
}

static Search search;

/* The states that were seen. */
static unsigned explore(void)
{
        unsigned seen = 0;
        World w = { .now = 1000 * USEC_PER_SEC };

        fsm_init(&w.fsm, &config, w.now);
        add(&search, &w, 0);
        for (unsigned i = 0; i < search.n; i++) {
                seen |= FSM_STEP(search.worlds[i].fsm.state);
                if (search.depth[i] >= DEPTH)
                        continue;
                for (Move move = 0; move < _MOVE_MAX; move++) {
                        World next = search.worlds[i];

                        if (next.ended || !is_possible(&next, move))
                                continue;
                        play(&next, move);
                        add(&search, &next, search.depth[i] + 1);
                }
        }
        return seen;
}

START_TEST(test_every_order)
{
        unsigned seen = explore();

        printf("# %u different situations\n", search.n);
        /* All but those of a stop, and ADOPT, which is like the others. */
        ck_assert_uint_eq(seen, FSM_STEP(_FSM_STATE_MAX) - 1 - FSM_STEP(FSM_ADOPT) - FSM_STEP(FSM_STOPPING) -
                                                FSM_STEP(FSM_STOPPED));
}
END_TEST

/* One part of the situations each. */
enum { PARTS = 8 };

START_TEST(test_stop_always_ends)
{
        (void)explore();
        for (unsigned i = (unsigned)_i; i < search.n; i += PARTS)
                if (!search.worlds[i].ended)
                        stop(search.worlds[i]);
}
END_TEST

UNIT_MAIN("fsm-invariants", UNIT_TEST(test_every_order), UNIT_LOOP(test_stop_always_ends, PARTS))
