/* SPDX-License-Identifier: Apache-2.0 */

/* The life of a service, told as lines of "event -> action, state, due in milliseconds". */

#include "unit.h"

#include "base/str.h"
#include "policy/service.h"

#define MS USEC_PER_MSEC

static const ServiceLimits simple = {
        .restart = { .base = 1000 * MS, .limit = 8000 * MS },
        .attempts = 3,
        .settle = 500 * MS,
        .start = 90000 * MS,
        .stop = 3000 * MS,
        .kill = 1000 * MS,
};

typedef struct Step {
        usec_t at; /* ms since the step before; the timer fires by itself with SERVICE_EV_TIMER */
        ServiceEvent event;
        ServiceAction action;
        ServiceState state;
        unsigned due; /* ms from then; 0: none */
} Step;

static void walk(ServiceMachine *s, const Step *steps, size_t n)
{
        usec_t now = USEC_PER_HOUR;

        for (size_t i = 0; i < n; i++) {
                const Step *t = &steps[i];
                ServiceAction action;

                now = t->event == SERVICE_EV_TIMER ? s->due : now + t->at * MS;
                ck_assert_msg(now != USEC_INFINITY, "step %zu: no timer runs", i);
                action = service_step(s, t->event, now);
                ck_assert_msg(action == t->action, "step %zu: action %d, not %d", i, action, t->action);
                ck_assert_msg(s->state == t->state, "step %zu: %s, not %s", i,
                                service_state_to_string(s->state), service_state_to_string(t->state));
                if (t->due)
                        ck_assert_msg(s->due == now + t->due * MS, "step %zu: due in %lld ms, not %u", i,
                                        (long long)(s->due - now) / 1000, t->due);
                else
                        ck_assert_msg(s->due == USEC_INFINITY, "step %zu: a timer runs", i);
        }
}

#define WALK(_s, ...)                                                                                       \
        do {                                                                                                \
                const Step _steps[] = { __VA_ARGS__ };                                                      \
                walk(_s, _steps, ELEMENTSOF(_steps));                                                       \
        } while (0)

START_TEST(test_simple_life)
{
        ServiceMachine s;

        service_init(&s, &simple);
        ck_assert(!service_is_failing(&s) && !service_is_exhausted(&s));
        WALK(&s, { 0, SERVICE_EV_START, SERVICE_ACT_LAUNCH, SERVICE_STARTING, 0 },
                        { 0, SERVICE_EV_LAUNCHED, SERVICE_ACT_NONE, SERVICE_STARTING, 500 },
                        { 0, SERVICE_EV_START, SERVICE_ACT_NONE, SERVICE_STARTING, 500 },
                        { 0, SERVICE_EV_TIMER, SERVICE_ACT_NONE, SERVICE_RUNNING, 60000 },
                        { 0, SERVICE_EV_TIMER, SERVICE_ACT_NONE, SERVICE_RUNNING, 0 },
                        { 9, SERVICE_EV_READY, SERVICE_ACT_NONE, SERVICE_RUNNING, 0 },
                        { 0, SERVICE_EV_STOP, SERVICE_ACT_END, SERVICE_ENDING, 3000 },
                        { 5, SERVICE_EV_GONE, SERVICE_ACT_NONE, SERVICE_OFF, 0 },
                        { 5, SERVICE_EV_GONE, SERVICE_ACT_NONE, SERVICE_OFF, 0 });
        ck_assert_uint_eq(s.restarts, 0);
}
END_TEST

START_TEST(test_dies_and_comes_back)
{
        ServiceMachine s;

        service_init(&s, &simple);
        WALK(&s, { 0, SERVICE_EV_START, SERVICE_ACT_LAUNCH, SERVICE_STARTING, 0 },
                        { 0, SERVICE_EV_LAUNCHED, SERVICE_ACT_NONE, SERVICE_STARTING, 500 },
                        { 9, SERVICE_EV_GONE, SERVICE_ACT_NONE, SERVICE_WAITING, 1000 });
        ck_assert(service_is_failing(&s) && !service_is_exhausted(&s));
        WALK(&s, { 0, SERVICE_EV_TIMER, SERVICE_ACT_LAUNCH, SERVICE_STARTING, 0 },
                        { 0, SERVICE_EV_LAUNCHED, SERVICE_ACT_NONE, SERVICE_STARTING, 500 },
                        { 9, SERVICE_EV_GONE, SERVICE_ACT_NONE, SERVICE_WAITING, 2000 },
                        { 0, SERVICE_EV_TIMER, SERVICE_ACT_LAUNCH, SERVICE_STARTING, 0 },
                        { 0, SERVICE_EV_LAUNCHED, SERVICE_ACT_NONE, SERVICE_STARTING, 500 },
                        { 9, SERVICE_EV_GONE, SERVICE_ACT_NONE, SERVICE_WAITING, 4000 });
        ck_assert(service_is_exhausted(&s));
        /* It is never given up: only others stop waiting for it. */
        WALK(&s, { 0, SERVICE_EV_TIMER, SERVICE_ACT_LAUNCH, SERVICE_STARTING, 0 },
                        { 0, SERVICE_EV_LAUNCHED, SERVICE_ACT_NONE, SERVICE_STARTING, 500 },
                        { 9, SERVICE_EV_GONE, SERVICE_ACT_NONE, SERVICE_WAITING, 8000 },
                        { 0, SERVICE_EV_TIMER, SERVICE_ACT_LAUNCH, SERVICE_STARTING, 0 },
                        { 0, SERVICE_EV_LAUNCHED, SERVICE_ACT_NONE, SERVICE_STARTING, 500 },
                        { 9, SERVICE_EV_GONE, SERVICE_ACT_NONE, SERVICE_WAITING, 8000 },
                        { 0, SERVICE_EV_TIMER, SERVICE_ACT_LAUNCH, SERVICE_STARTING, 0 },
                        { 0, SERVICE_EV_LAUNCHED, SERVICE_ACT_NONE, SERVICE_STARTING, 500 },
                        { 0, SERVICE_EV_TIMER, SERVICE_ACT_NONE, SERVICE_RUNNING, 60000 });
        ck_assert(!service_is_failing(&s) && !service_is_exhausted(&s));
        ck_assert_uint_eq(s.restarts, 5);
        /* Before the minute is over earlier failures still count, afterwards they do not. */
        WALK(&s, { 9, SERVICE_EV_GONE, SERVICE_ACT_NONE, SERVICE_WAITING, 8000 },
                        { 0, SERVICE_EV_TIMER, SERVICE_ACT_LAUNCH, SERVICE_STARTING, 0 },
                        { 0, SERVICE_EV_LAUNCHED, SERVICE_ACT_NONE, SERVICE_STARTING, 500 },
                        { 0, SERVICE_EV_TIMER, SERVICE_ACT_NONE, SERVICE_RUNNING, 60000 },
                        { 0, SERVICE_EV_TIMER, SERVICE_ACT_NONE, SERVICE_RUNNING, 0 },
                        { 9, SERVICE_EV_GONE, SERVICE_ACT_NONE, SERVICE_WAITING, 1000 });
}
END_TEST

START_TEST(test_daemonising)
{
        ServiceLimits limits = simple;
        ServiceMachine s;

        limits.settle = 0;
        service_init(&s, &limits);
        WALK(&s, { 0, SERVICE_EV_START, SERVICE_ACT_LAUNCH, SERVICE_STARTING, 0 },
                        { 0, SERVICE_EV_LAUNCHED, SERVICE_ACT_NONE, SERVICE_STARTING, 90000 },
                        { 9, SERVICE_EV_READY, SERVICE_ACT_NONE, SERVICE_RUNNING, 60000 },
                        { 9, SERVICE_EV_STOP, SERVICE_ACT_END, SERVICE_ENDING, 3000 },
                        { 9, SERVICE_EV_GONE, SERVICE_ACT_NONE, SERVICE_OFF, 0 });
        /* Not ready in time: ended, and that was a failure. */
        WALK(&s, { 0, SERVICE_EV_START, SERVICE_ACT_LAUNCH, SERVICE_STARTING, 0 },
                        { 0, SERVICE_EV_LAUNCHED, SERVICE_ACT_NONE, SERVICE_STARTING, 90000 },
                        { 0, SERVICE_EV_TIMER, SERVICE_ACT_END, SERVICE_ENDING, 3000 },
                        { 9, SERVICE_EV_READY, SERVICE_ACT_NONE, SERVICE_ENDING, 2991 },
                        { 0, SERVICE_EV_TIMER, SERVICE_ACT_KILL, SERVICE_ENDING, 1000 },
                        { 9, SERVICE_EV_GONE, SERVICE_ACT_NONE, SERVICE_WAITING, 1000 });
        ck_assert_uint_eq(s.failures, 1);
}
END_TEST

START_TEST(test_found)
{
        ServiceMachine s;

        service_init(&s, &simple);
        WALK(&s, { 0, SERVICE_EV_FOUND, SERVICE_ACT_NONE, SERVICE_STARTING, 500 },
                        { 9, SERVICE_EV_READY, SERVICE_ACT_NONE, SERVICE_RUNNING, 60000 },
                        { 9, SERVICE_EV_START, SERVICE_ACT_NONE, SERVICE_RUNNING, 59991 },
                        { 9, SERVICE_EV_GONE, SERVICE_ACT_NONE, SERVICE_WAITING, 1000 });
        ck_assert_uint_eq(s.restarts, 0);
        /* Before anybody wants it, its end is nobody's business. */
        service_init(&s, &simple);
        WALK(&s, { 0, SERVICE_EV_FOUND, SERVICE_ACT_NONE, SERVICE_STARTING, 500 },
                        { 9, SERVICE_EV_GONE, SERVICE_ACT_NONE, SERVICE_OFF, 0 },
                        { 9, SERVICE_EV_FOUND, SERVICE_ACT_NONE, SERVICE_STARTING, 500 },
                        { 9, SERVICE_EV_READY, SERVICE_ACT_NONE, SERVICE_RUNNING, 60000 },
                        { 9, SERVICE_EV_GONE, SERVICE_ACT_NONE, SERVICE_OFF, 0 });
}
END_TEST

/* The command line has changed: ended, and started anew without a delay. */
START_TEST(test_replaced)
{
        ServiceMachine s;

        service_init(&s, &simple);
        WALK(&s, { 0, SERVICE_EV_FOUND, SERVICE_ACT_NONE, SERVICE_STARTING, 500 },
                        { 9, SERVICE_EV_STOP, SERVICE_ACT_END, SERVICE_ENDING, 3000 },
                        { 0, SERVICE_EV_START, SERVICE_ACT_NONE, SERVICE_ENDING, 3000 },
                        { 9, SERVICE_EV_GONE, SERVICE_ACT_LAUNCH, SERVICE_STARTING, 0 },
                        { 0, SERVICE_EV_LAUNCHED, SERVICE_ACT_NONE, SERVICE_STARTING, 500 });
        ck_assert_uint_eq(s.failures, 0);
}
END_TEST

START_TEST(test_stubborn)
{
        ServiceMachine s;

        service_init(&s, &simple);
        WALK(&s, { 0, SERVICE_EV_START, SERVICE_ACT_LAUNCH, SERVICE_STARTING, 0 },
                        { 0, SERVICE_EV_LAUNCHED, SERVICE_ACT_NONE, SERVICE_STARTING, 500 },
                        { 9, SERVICE_EV_STOP, SERVICE_ACT_END, SERVICE_ENDING, 3000 },
                        { 9, SERVICE_EV_STOP, SERVICE_ACT_NONE, SERVICE_ENDING, 2991 },
                        { 0, SERVICE_EV_TIMER, SERVICE_ACT_KILL, SERVICE_ENDING, 1000 },
                        { 9, SERVICE_EV_KILL, SERVICE_ACT_NONE, SERVICE_ENDING, 991 },
                        { 0, SERVICE_EV_TIMER, SERVICE_ACT_FORGET, SERVICE_OFF, 0 });
        /* No time left: killed at once. */
        WALK(&s, { 0, SERVICE_EV_START, SERVICE_ACT_LAUNCH, SERVICE_STARTING, 0 },
                        { 0, SERVICE_EV_LAUNCHED, SERVICE_ACT_NONE, SERVICE_STARTING, 500 },
                        { 9, SERVICE_EV_KILL, SERVICE_ACT_NONE, SERVICE_STARTING, 491 },
                        { 0, SERVICE_EV_STOP, SERVICE_ACT_END, SERVICE_ENDING, 3000 },
                        { 9, SERVICE_EV_KILL, SERVICE_ACT_KILL, SERVICE_ENDING, 1000 },
                        { 9, SERVICE_EV_GONE, SERVICE_ACT_NONE, SERVICE_OFF, 0 });
        /* One that is wanted and cannot even be killed is tried again: what is started then finds it. */
        WALK(&s, { 0, SERVICE_EV_START, SERVICE_ACT_LAUNCH, SERVICE_STARTING, 0 },
                        { 0, SERVICE_EV_LAUNCHED, SERVICE_ACT_NONE, SERVICE_STARTING, 500 },
                        { 9, SERVICE_EV_STOP, SERVICE_ACT_END, SERVICE_ENDING, 3000 },
                        { 0, SERVICE_EV_START, SERVICE_ACT_NONE, SERVICE_ENDING, 3000 },
                        { 0, SERVICE_EV_TIMER, SERVICE_ACT_KILL, SERVICE_ENDING, 1000 },
                        { 0, SERVICE_EV_TIMER, SERVICE_ACT_FORGET, SERVICE_WAITING, 1000 });
}
END_TEST

START_TEST(test_stop_while_waiting)
{
        ServiceMachine s;

        service_init(&s, &simple);
        WALK(&s, { 0, SERVICE_EV_STOP, SERVICE_ACT_NONE, SERVICE_OFF, 0 },
                        { 0, SERVICE_EV_START, SERVICE_ACT_LAUNCH, SERVICE_STARTING, 0 },
                        { 0, SERVICE_EV_LAUNCHED, SERVICE_ACT_NONE, SERVICE_STARTING, 500 },
                        { 9, SERVICE_EV_GONE, SERVICE_ACT_NONE, SERVICE_WAITING, 1000 },
                        { 9, SERVICE_EV_STOP, SERVICE_ACT_NONE, SERVICE_OFF, 0 });
        ck_assert(!service_is_failing(&s));
        /* Asked for again in the delay: at once, and what was does not count. */
        WALK(&s, { 0, SERVICE_EV_START, SERVICE_ACT_LAUNCH, SERVICE_STARTING, 0 },
                        { 0, SERVICE_EV_LAUNCHED, SERVICE_ACT_NONE, SERVICE_STARTING, 500 },
                        { 9, SERVICE_EV_GONE, SERVICE_ACT_NONE, SERVICE_WAITING, 1000 },
                        { 9, SERVICE_EV_START, SERVICE_ACT_LAUNCH, SERVICE_STARTING, 0 },
                        { 0, SERVICE_EV_LAUNCHED, SERVICE_ACT_NONE, SERVICE_STARTING, 500 });
        ck_assert_uint_eq(s.failures, 0);
}
END_TEST

START_TEST(test_attempts_without_limit)
{
        ServiceLimits limits = simple;
        ServiceMachine s;

        limits.attempts = 0;
        service_init(&s, &limits);
        (void)service_step(&s, SERVICE_EV_START, 0);
        for (unsigned i = 0; i < 100; i++) {
                (void)service_step(&s, SERVICE_EV_GONE, 0);
                ck_assert(!service_is_exhausted(&s));
                (void)service_step(&s, SERVICE_EV_TIMER, s.due);
        }
}
END_TEST

/* Whatever comes in whatever state: the machine stays in its rules. */
START_TEST(test_every_pair)
{
        for (ServiceEvent e = 0; e < _SERVICE_EV_MAX; e++) {
                ServiceMachine s;
                ServiceAction a;

                service_init(&s, &simple);
                s.state = (ServiceState)_i;
                s.wanted = _i != SERVICE_OFF;
                a = service_step(&s, e, 1000);
                ck_assert_int_lt(s.state, _SERVICE_STATE_MAX);
                ck_assert_int_ge(s.state, 0);
                if (a == SERVICE_ACT_LAUNCH)
                        ck_assert_int_eq(s.state, SERVICE_STARTING);
                if (a == SERVICE_ACT_END || a == SERVICE_ACT_KILL)
                        ck_assert_int_eq(s.state, SERVICE_ENDING);
                if (s.state == SERVICE_OFF)
                        ck_assert(!s.wanted);
                ck_assert_str_ne(service_state_to_string(s.state), "invalid");
        }
}
END_TEST

START_TEST(test_far_away)
{
        ServiceLimits limits = simple;
        ServiceMachine s;

        limits.settle = 0;
        limits.start = USEC_INFINITY;
        service_init(&s, &limits);
        ck_assert_int_eq(service_step(&s, SERVICE_EV_START, 77), SERVICE_ACT_LAUNCH);
        ck_assert_int_eq(service_step(&s, SERVICE_EV_LAUNCHED, 77), SERVICE_ACT_NONE);
        ck_assert_uint_eq(s.due, USEC_INFINITY);
        ck_assert_str_eq(service_state_to_string(_SERVICE_STATE_MAX), "invalid");
}
END_TEST

START_TEST(test_budget)
{
        static const usec_t stops[] = { 0, 1000, 250 * MS, 1000 * MS, 8000 * MS, USEC_PER_HOUR,
                USEC_INFINITY };

        for (size_t i = 0; i < ELEMENTSOF(stops); i++) {
                usec_t term, kill_time;

                service_stop_budget(stops[i], &term, &kill_time);
                ck_assert_uint_eq(term, stops[i] / 2);
                ck_assert_uint_le(term + kill_time, stops[i] - stops[i] / 4);
        }
        {
                usec_t term, kill_time;

                service_stop_budget(8 * USEC_PER_SEC, &term, &kill_time);
                ck_assert_uint_eq(term, 4 * USEC_PER_SEC);
                ck_assert_uint_eq(kill_time, 2 * USEC_PER_SEC);
        }
}
END_TEST

UNIT_MAIN("service", UNIT_TEST(test_simple_life), UNIT_TEST(test_dies_and_comes_back),
                UNIT_TEST(test_daemonising), UNIT_TEST(test_found), UNIT_TEST(test_replaced),
                UNIT_TEST(test_stubborn), UNIT_TEST(test_stop_while_waiting),
                UNIT_TEST(test_attempts_without_limit), UNIT_LOOP(test_every_pair, _SERVICE_STATE_MAX),
                UNIT_TEST(test_far_away), UNIT_TEST(test_budget))
