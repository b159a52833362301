/* SPDX-License-Identifier: Apache-2.0 */

/*
 * All services of the driver. Their state is not the driver's: they are taken
 * over before anything else happens, live through whatever the state machine
 * does as long as the driver stays loaded, and are ended before it is unloaded.
 *
 * READY waits for the required ones only. All others may fail; that degrades
 * the state, and they are tried again.
 */

#include <stdio.h>

#include "base/result.h"
#include "base/str.h"
#include "service.h"
#include "stage-services.h"
#include "sys/keep.h"

enum {
        STAT_MAX = 4096,
        ANCESTORS_MAX = 16, /* all orphans of a service are children of its keeper */
};

struct Services {
        ServiceHost host;
        Service **items; /* in the order of their start */
        size_t n;
        unsigned answered; /* token of the stage that got its answer */
        sd_event_source *budget;
        void (*ended)(Manager *m); /* NULL: they are not being ended */
        unsigned ended_token;
};

static ServiceLimits limits_of(const Manager *m, bool daemonises)
{
        usec_t delay = m->config->service_restart_delay, term, kill_time;

        service_stop_budget(m->config->stop_timeout, &term, &kill_time);
        return (ServiceLimits){
                .restart = { .base = delay, .limit = MAX(delay, USEC_PER_MINUTE) },
                .attempts = m->config->service_attempts,
                .settle = daemonises ? 0 : 500 * USEC_PER_MSEC,
                .start = m->config->service_start_timeout,
                .stop = MIN(m->config->service_stop_timeout, term),
                .kill = kill_time,
        };
}

static Service *find(const Services *l, const char *name)
{
        for (size_t i = 0; i < l->n; i++)
                if (streq(l->items[i]->spec.name, name))
                        return l->items[i];
        return NULL;
}

static int add(Services *l, Service *s)
{
        Service **grown = reallocarray(l->items, l->n + 1, sizeof(*grown));

        if (!grown) {
                service_free(s);
                return err_origin(-ENOMEM);
        }
        l->items = grown;
        grown[l->n++] = s;
        return 0;
}

static bool all_off(const Services *l)
{
        for (size_t i = 0; i < l->n; i++)
                if (l->items[i]->machine.state != SERVICE_OFF)
                        return false;
        return true;
}

/* Kept until READY if it is not yet: what fails then degrades it from its first moment on. */
static void complain(Manager *m)
{
        _cleanup_strv_ char **list = NULL;
        _cleanup_free_ char *detail = NULL;

        for (size_t i = 0; i < m->services->n; i++)
                if (service_is_failing(&m->services->items[i]->machine))
                        (void)strv_push_consume(&list, service_describe_failure(m->services->items[i]));
        detail = strv_join(list, " ");
        manager_complain(m, HEALTH_SERVICES, list ? CODE_SERVICE_FAILED : CODE_OK, list ? detail : NULL);
}

static void fail(Manager *m, const Service *s)
{
        _cleanup_free_ char *text = service_describe_failure(s);

        m->services->answered = m->fsm.token;
        manager_stage_failed(m, CODE_SERVICE_FAILED, "%s", strna(text));
}

static void show_progress(Manager *m, char *const *names)
{
        _cleanup_free_ char *list = strv_join(names, ", "), *text = str_format("Starting %s", strna(list));

        manager_progress(m, text);
}

/* Whether the stage has its answer. */
static void judge(Manager *m)
{
        _cleanup_strv_ char **pending = NULL;
        Services *l = m->services;

        if (m->fsm.state != FSM_SERVICES || l->answered == m->fsm.token)
                return;
        for (size_t i = 0; i < l->n; i++) {
                Service *s = l->items[i];

                if (!s->spec.required || !s->machine.wanted || s->machine.state == SERVICE_RUNNING)
                        continue;
                if (service_is_exhausted(&s->machine)) {
                        fail(m, s);
                        return;
                }
                (void)strv_push(&pending, s->spec.name);
        }
        if (pending) {
                show_progress(m, pending);
                return;
        }
        l->answered = m->fsm.token;
        manager_progress(m, NULL);
        manager_stage_done(m);
}

static void go_on_ending(Manager *m)
{
        Services *l = m->services;
        void (*next)(Manager *) = l->ended;

        for (size_t i = l->n; i > 0; i--) {
                Service *s = l->items[i - 1];

                if (s->machine.state == SERVICE_OFF)
                        continue;
                if (s->machine.state == SERVICE_ENDING && !s->machine.wanted)
                        return;
                service_stop(s);
                /* A change has called us again, and has seen to the rest. */
                if (l->ended != next)
                        return;
                if (s->machine.state != SERVICE_OFF)
                        return;
        }
        l->budget = sd_event_source_disable_unref(l->budget);
        l->ended = NULL;
        if (m->fsm.token == l->ended_token)
                next(m);
}

static void on_change(void *userdata, Service *s)
{
        Manager *m = userdata;

        if (!m->services)
                return;
        manager_status_changed(m);
        complain(m);
        if (m->services->ended)
                go_on_ending(m);
        else
                judge(m);
}

static int on_budget(sd_event_source *source, uint64_t usec, void *userdata)
{
        Manager *m = userdata;
        Services *l = m->services;

        log_warning(m->log, "Services had their half of the time to stop, killing those that are left.");
        l->budget = sd_event_source_disable_unref(l->budget);
        for (size_t i = 0; i < l->n; i++) {
                service_stop(l->items[i]);
                service_kill(l->items[i]);
        }
        return 0;
}

void stage_services_end(Manager *m, void (*next)(Manager *m))
{
        Services *l = m->services;
        usec_t term, kill_time;

        l->ended = next;
        l->ended_token = m->fsm.token;
        if (all_off(l)) {
                l->ended = NULL;
                next(m);
                return;
        }

        manager_progress(m, "Stopping services");
        service_stop_budget(m->config->stop_timeout, &term, &kill_time);
        if (!l->budget && sd_event_add_time_relative(
                                          m->event, &l->budget, CLOCK_MONOTONIC, term, 0, on_budget, m) < 0)
                (void)on_budget(NULL, 0, m);
        if (l->ended)
                go_on_ending(m);
}

bool stage_services_are_ending(const Manager *m)
{
        return m->services->ended;
}

bool stage_services_run(const Manager *m)
{
        return !all_off(m->services);
}

static bool is_known(const Services *l, pid_t pid)
{
        for (size_t i = 0; i < l->n; i++)
                if (l->items[i]->keeper == pid || l->items[i]->main == pid)
                        return true;
        return false;
}

static pid_t parent_of(const Root *root, pid_t pid)
{
        _cleanup_free_ char *path = str_format("proc/%d/stat", (int)pid), *text = NULL;
        const char *rest;
        int parent = 0;

        if (!path || root_read_line(root, path, STAT_MAX, &text) != 0)
                return 0;
        /* The name may contain anything; the last parenthesis is not part of it. */
        rest = strrchr(text, ')');
        return rest && sscanf(rest + 1, " %*c %d", &parent) == 1 ? parent : 0;
}

bool stage_services_own(const Manager *m, pid_t pid, bool look_up)
{
        for (unsigned i = 0; pid > 1 && i < ANCESTORS_MAX; i++) {
                if (is_known(m->services, pid))
                        return true;
                if (!look_up)
                        return false;
                pid = parent_of(m->root, pid);
        }
        return false;
}

static int start(Manager *m, const ServiceSpec *spec)
{
        ServiceLimits limits = limits_of(m, spec->daemonises);
        Service *s = find(m->services, spec->name);
        int r = 0;

        if (!s) {
                r = service_new(&m->services->host, spec, &limits, &s);
                if (r == 0)
                        r = add(m->services, s);
        }
        return r ? err_trace(r) : err_trace(service_want(s, spec, &limits));
}

static bool is_wanted(const ServicePlan *plan, const char *name)
{
        for (size_t i = 0; i < plan->n; i++)
                if (streq(plan->items[i].name, name))
                        return true;
        return false;
}

void stage_services_enter(Manager *m)
{
        Services *l = m->services;
        unsigned token = m->fsm.token;
        int r = 0;

        l->ended = NULL;
        l->budget = sd_event_source_disable_unref(l->budget);
        /* Until all of them are asked for, the answer of one of them is not the answer. */
        l->answered = token;
        for (size_t i = 0; i < l->n; i++)
                if (!is_wanted(&m->plan.services, l->items[i]->spec.name))
                        service_stop(l->items[i]);
        for (size_t i = 0; r == 0 && i < m->plan.services.n; i++)
                r = start(m, &m->plan.services.items[i]);
        if (r < 0) {
                manager_stage_failed(m, code_of_error(r), "services: %s.", strerror(-r));
                return;
        }
        l->answered = token - 1;
        complain(m);
        judge(m);
}

static int by_start(const void *a, const void *b)
{
        const Service *x = *(Service *const *)a, *y = *(Service *const *)b;

        return x->since < y->since ? -1 : x->since > y->since;
}

static int take_over(Manager *m, const char *name)
{
        ServiceLimits limits = limits_of(m, service_known_find(name));
        Service *s;
        int r;

        /* How long it has been starting is not known, and it may be doing its work already. */
        limits.start = USEC_INFINITY;
        r = service_find(&m->services->host, name, &limits, &s);
        if (r)
                return err_trace(r);
        if (s->keeper > 0)
                log_info(m->log, "Service %s was left running by an earlier daemon, taking it over.", name);
        return err_trace(add(m->services, s));
}

int stage_services_new(Manager *m)
{
        _cleanup_strv_ char **names = NULL;
        Services *l = calloc(1, sizeof(*l));
        int r;

        if (!l)
                return err_origin(-ENOMEM);
        l->host = (ServiceHost){ .event = m->event,
                .pool = m->pool,
                .root = m->root,
                .log = m->log,
                .on_change = on_change,
                .userdata = m };
        m->services = l;

        r = keep_list(m->root, &names);
        STRV_FOREACH (name, names) {
                if (r == 0)
                        r = take_over(m, *name);
                if (r < 0)
                        return err_trace(r);
        }
        if (l->n > 1)
                qsort(l->items, l->n, sizeof(*l->items), by_start);
        return err_trace(r);
}

void stage_services_free(Manager *m)
{
        Services *l = m->services;

        if (!l)
                return;
        m->services = NULL;
        sd_event_source_disable_unref(l->budget);
        for (size_t i = 0; i < l->n; i++)
                service_free(l->items[i]);
        free(l->items);
        free(l);
}

int stage_services_fill_status(const Manager *m, Status *status)
{
        const Services *l = m->services;

        for (size_t i = 0; i < l->n; i++) {
                const Service *s = l->items[i];
                int r;

                if (s->machine.state == SERVICE_OFF)
                        continue;
                r = status_add_service(status,
                                &(StatusService){
                                                .name = s->spec.name,
                                                .state = (char *)service_state_to_string(s->machine.state),
                                                .required = s->spec.required,
                                                .pid = s->main,
                                                .since = s->since,
                                                .restarts = s->machine.restarts,
                                                .last_end = s->last_end,
                                });
                if (r)
                        return err_trace(r);
        }
        return 0;
}
