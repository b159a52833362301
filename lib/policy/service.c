/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The life of a service:
 *
 *      off -> starting -> running          (START, then READY or the settle time)
 *      starting, running -> waiting        (GONE: a failure) -> starting
 *      starting -> ending -> waiting       (not ready in time: a failure as well)
 *      starting, running -> ending -> off  (STOP)
 *
 * A service that is wanted again while it ends (its command line has changed)
 * is started as soon as it is gone.
 */

#include "policy/service.h"

static const char *const states[_SERVICE_STATE_MAX] = {
        [SERVICE_OFF] = "off",
        [SERVICE_STARTING] = "starting",
        [SERVICE_RUNNING] = "running",
        [SERVICE_WAITING] = "waiting",
        [SERVICE_ENDING] = "ending",
};

const char *service_state_to_string(ServiceState state)
{
        return state >= 0 && state < _SERVICE_STATE_MAX ? states[state] : "invalid";
}

void service_init(ServiceMachine *s, const ServiceLimits *limits)
{
        *s = (ServiceMachine){ .limits = *limits, .state = SERVICE_OFF, .due = USEC_INFINITY };
}

static usec_t later(usec_t now, usec_t delay)
{
        return delay > USEC_INFINITY - now ? USEC_INFINITY : now + delay;
}

static void enter(ServiceMachine *s, ServiceState state, usec_t due)
{
        s->state = state;
        s->due = due;
        s->killed = false;
        if (state != SERVICE_ENDING)
                s->late = false;
}

static void wait_for_start(ServiceMachine *s, usec_t now)
{
        s->due = later(now, s->limits.settle ? s->limits.settle : s->limits.start);
}

/* Making a process has a limit of its own, which ends with GONE. */
static ServiceAction enter_starting(ServiceMachine *s, ServiceAction action, usec_t now)
{
        enter(s, SERVICE_STARTING, USEC_INFINITY);
        if (action == SERVICE_ACT_NONE)
                wait_for_start(s, now);
        return action;
}

static ServiceAction enter_waiting(ServiceMachine *s, usec_t now)
{
        s->failures++;
        enter(s, SERVICE_WAITING, later(now, backoff_delay(&s->limits.restart, s->failures)));
        return SERVICE_ACT_NONE;
}

static ServiceAction enter_ending(ServiceMachine *s, usec_t now)
{
        enter(s, SERVICE_ENDING, later(now, s->limits.stop));
        return SERVICE_ACT_END;
}

static void enter_running(ServiceMachine *s, usec_t now)
{
        enter(s, SERVICE_RUNNING, later(now, SERVICE_STABLE));
}

static ServiceAction on_start(ServiceMachine *s, usec_t now)
{
        s->wanted = true;
        if (s->state == SERVICE_OFF || s->state == SERVICE_WAITING) {
                /* Somebody asks anew: what was before does not count. */
                s->failures = 0;
                return enter_starting(s, SERVICE_ACT_LAUNCH, now);
        }
        return SERVICE_ACT_NONE;
}

static ServiceAction on_gone(ServiceMachine *s, usec_t now)
{
        switch (s->state) {
        case SERVICE_STARTING:
        case SERVICE_RUNNING:
                if (s->wanted)
                        return enter_waiting(s, now);
                enter(s, SERVICE_OFF, USEC_INFINITY);
                return SERVICE_ACT_NONE;
        case SERVICE_ENDING:
                if (s->wanted && s->late)
                        return enter_waiting(s, now);
                if (s->wanted)
                        return enter_starting(s, SERVICE_ACT_LAUNCH, now);
                enter(s, SERVICE_OFF, USEC_INFINITY);
                return SERVICE_ACT_NONE;
        case SERVICE_OFF:
        case SERVICE_WAITING:
        case _SERVICE_STATE_MAX:
        case _SERVICE_STATE_INVALID:
                break;
        }
        return SERVICE_ACT_NONE;
}

static ServiceAction kill_it(ServiceMachine *s, usec_t now)
{
        s->killed = true;
        s->due = later(now, s->limits.kill);
        return SERVICE_ACT_KILL;
}

static ServiceAction on_timer(ServiceMachine *s, usec_t now)
{
        switch (s->state) {
        case SERVICE_STARTING:
                if (s->limits.settle) {
                        enter_running(s, now);
                        return SERVICE_ACT_NONE;
                }
                s->late = true;
                return enter_ending(s, now);
        case SERVICE_RUNNING:
                s->failures = 0;
                s->due = USEC_INFINITY;
                return SERVICE_ACT_NONE;
        case SERVICE_WAITING:
                s->restarts++;
                return enter_starting(s, SERVICE_ACT_LAUNCH, now);
        case SERVICE_ENDING:
                if (!s->killed)
                        return kill_it(s, now);
                /* It may end one day. What is started then finds it still there, so there are never two. */
                if (s->wanted)
                        (void)enter_waiting(s, now);
                else
                        enter(s, SERVICE_OFF, USEC_INFINITY);
                return SERVICE_ACT_FORGET;
        case SERVICE_OFF:
        case _SERVICE_STATE_MAX:
        case _SERVICE_STATE_INVALID:
                break;
        }
        return SERVICE_ACT_NONE;
}

static ServiceAction on_stop(ServiceMachine *s, usec_t now)
{
        s->wanted = false;
        if (s->state == SERVICE_STARTING || s->state == SERVICE_RUNNING)
                return enter_ending(s, now);
        if (s->state == SERVICE_WAITING)
                enter(s, SERVICE_OFF, USEC_INFINITY);
        return SERVICE_ACT_NONE;
}

ServiceAction service_step(ServiceMachine *s, ServiceEvent event, usec_t now)
{
        switch (event) {
        case SERVICE_EV_START:
                return on_start(s, now);
        case SERVICE_EV_LAUNCHED:
                if (s->state == SERVICE_STARTING)
                        wait_for_start(s, now);
                return SERVICE_ACT_NONE;
        case SERVICE_EV_FOUND:
                return s->state == SERVICE_OFF ? enter_starting(s, SERVICE_ACT_NONE, now) : SERVICE_ACT_NONE;
        case SERVICE_EV_READY:
                if (s->state == SERVICE_STARTING)
                        enter_running(s, now);
                return SERVICE_ACT_NONE;
        case SERVICE_EV_GONE:
                return on_gone(s, now);
        case SERVICE_EV_TIMER:
                return on_timer(s, now);
        case SERVICE_EV_STOP:
                return on_stop(s, now);
        case SERVICE_EV_KILL:
                return s->state == SERVICE_ENDING && !s->killed ? kill_it(s, now) : SERVICE_ACT_NONE;
        case _SERVICE_EV_MAX:
        case _SERVICE_EV_INVALID:
                break;
        }
        return SERVICE_ACT_NONE;
}

bool service_is_failing(const ServiceMachine *s)
{
        return s->wanted && s->failures > 0 && s->state != SERVICE_RUNNING;
}

bool service_is_exhausted(const ServiceMachine *s)
{
        return s->limits.attempts > 0 && s->failures >= s->limits.attempts && s->state != SERVICE_RUNNING;
}

void service_stop_budget(usec_t stop, usec_t *ret_term, usec_t *ret_kill)
{
        /*
         * The other half is the driver's. Of that the killing may take some; only if a process hangs in the
         * kernel it does, and then there is hardly a driver to be unloaded.
         */
        *ret_term = stop / 2;
        *ret_kill = MIN(stop / 4, 2 * USEC_PER_SEC);
}
