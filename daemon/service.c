/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A service: the machine of policy/service.h, its timer, and what it wants done.
 */

#include <signal.h>

#include "base/result.h"
#include "base/str.h"
#include "service-internal.h"
#include "sys/clock.h"
#include "sys/keep.h"
#include "sys/pidfile.h"

static usec_t now_of(const Service *s)
{
        uint64_t now;

        return sd_event_now(s->host->event, CLOCK_MONOTONIC, &now) >= 0 ? now : now_usec();
}

/*
 * The pid file of the program itself. Somebody else's instance is left alone; a
 * number that is nobody's any more is removed with its file, and never used for
 * anything (trap T8). Returns what stands against a start, NULL for nothing.
 */
static char *look_at_pid_file(Service *s)
{
        const ServiceKnown *known = service_known_find(s->spec.name);
        pid_t pid = 0;
        int r;

        r = known ? pidfile_owner(s->host->root, known->pid_file, known->name, &pid) : PIDFILE_E_ABSENT;
        if (r < 0)
                return str_format("/%s: %s", known->pid_file, strerror(-r));
        if (r == 0)
                return pid == PIDFILE_HIDDEN ? strdup("somebody else runs it in another container")
                                             : str_format("somebody else runs it, process %d", (int)pid);
        if (r == PIDFILE_E_STALE) {
                log_info(s->host->log, "Removing /%s: process %d, which it names, is not %s.",
                                known->pid_file, (int)pid, known->name);
                (void)root_unlink(s->host->root, known->pid_file);
        }
        return NULL;
}

/* Returns false if nothing could be started; ->trouble says why. */
static bool launch(Service *s)
{
        _cleanup_close_ int directory = -EBADF;
        _cleanup_free_ char *obstacle = look_at_pid_file(s);
        int r;

        (void)str_replace(&s->trouble, obstacle);
        service_keeper_detach(s);
        last_lines_forget(&s->output.last);
        if (obstacle)
                return false;
        /* Before the keeper is there: what a short-lived service says would be gone with its FIFO. */
        r = keep_open_directory(s->host->root, &directory);
        if (r == 0)
                r = service_output_open(s, directory);
        if (r == 0)
                r = service_keeper_launch(s);
        if (r == 0) {
                s->since = now_realtime_usec();
                return true;
        }
        (void)str_replace(&s->trouble, strerror(-r));
        service_output_close(&s->output);
        return false;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
        service_feed(userdata, SERVICE_EV_TIMER);
        return 0;
}

static void arm_timer(Service *s)
{
        int r;

        s->timer = sd_event_source_disable_unref(s->timer);
        if (s->machine.due == USEC_INFINITY)
                return;
        r = sd_event_add_time(s->host->event, &s->timer, CLOCK_MONOTONIC, s->machine.due, 0, on_timer, s);
        if (r < 0)
                log_error(s->host->log, "timer: %s", strerror(-r));
}

/* Returns false if it failed at once. */
static bool perform(Service *s, ServiceAction action)
{
        switch (action) {
        case SERVICE_ACT_NONE:
                return true;
        case SERVICE_ACT_LAUNCH:
                log_debug(s->host->log, "Starting service %s.", s->spec.name);
                return launch(s);
        case SERVICE_ACT_END:
                if (s->machine.late)
                        (void)str_replace(&s->trouble, "it did not become ready in time");
                service_keeper_tell(s, SIGTERM);
                return true;
        case SERVICE_ACT_KILL:
                log_warning(s->host->log, "Service %s does not end, killing it.", s->spec.name);
                service_keeper_tell(s, SIGQUIT);
                return true;
        case SERVICE_ACT_FORGET:
                log_error(s->host->log,
                                "Service %s does not end although it was killed, going on without it.",
                                s->spec.name);
                s->forgotten = true;
                /* If it is not started again it may as well be heard of when it ends after all. */
                if (s->machine.wanted || s->pidfd < 0) {
                        service_output_close(&s->output);
                        service_keeper_detach(s);
                }
                return true;
        }
        return true;
}

void service_feed(Service *s, ServiceEvent event)
{
        ServiceState before = s->machine.state;
        unsigned failures = s->machine.failures;

        while (!perform(s, service_step(&s->machine, event, now_of(s)))) {
                log_field(s->host->log, "SERVICE", s->spec.name);
                log_warning(s->host->log, "Service %s cannot be started: %s.", s->spec.name,
                                strna(s->trouble));
                event = SERVICE_EV_GONE;
        }
        arm_timer(s);
        /* The lock of one that still runs is all that keeps a second one away. */
        if (s->machine.state == SERVICE_OFF && !s->forgotten)
                keep_remove(s->host->root, s->spec.name);
        if (s->machine.state == before && s->machine.failures == failures)
                return;
        log_debug(s->host->log, "Service %s: %s -> %s.", s->spec.name, service_state_to_string(before),
                        service_state_to_string(s->machine.state));
        if (s->machine.state == SERVICE_RUNNING)
                (void)str_replace(&s->trouble, NULL);
        s->host->on_change(s->host->userdata, s);
}

static int make(const ServiceHost *host, const ServiceLimits *limits, Service **ret)
{
        Service *s = calloc(1, sizeof(*s));

        if (!s)
                return err_origin(-ENOMEM);
        s->host = host;
        s->pidfd = -EBADF;
        s->output.fd = -EBADF;
        service_init(&s->machine, limits);
        *ret = s;
        return 0;
}

int service_new(const ServiceHost *host, const ServiceSpec *spec, const ServiceLimits *limits, Service **ret)
{
        _cleanup_(service_freep) Service *s = NULL;
        int r;

        r = make(host, limits, &s);
        if (r == 0)
                r = service_spec_copy(spec, &s->spec);
        if (r)
                return err_trace(r);
        *ret = TAKE_PTR(s);
        return 0;
}

int service_find(const ServiceHost *host, const char *name, const ServiceLimits *limits, Service **ret)
{
        _cleanup_(service_freep) Service *s = NULL;
        int r;

        r = make(host, limits, &s);
        if (r == 0)
                r = str_replace(&s->spec.name, name);
        if (r)
                return err_trace(r);

        service_feed(s, SERVICE_EV_FOUND);
        r = service_keeper_attach(s);
        if (r < 0)
                return err_trace(r);
        if (r == KEEP_E_ABSENT)
                service_keeper_ended(s);
        else if (r == KEEP_E_HIDDEN)
                service_feed(s, SERVICE_EV_STOP);
        *ret = TAKE_PTR(s);
        return 0;
}

Service *service_free(Service *s)
{
        if (!s)
                return NULL;

        sd_event_source_disable_unref(s->timer);
        service_output_close(&s->output);
        service_keeper_detach(s);
        service_spec_done(&s->spec);
        free(s->last_end);
        free(s->last_words);
        free(s->trouble);
        free(s);
        return NULL;
}

static bool is_same_command(char *const *a, char *const *b)
{
        for (; *a && *b; a++, b++)
                if (!streq(*a, *b))
                        return false;
        return !*a && !*b;
}

int service_want(Service *s, const ServiceSpec *spec, const ServiceLimits *limits)
{
        ServiceSpec copy = {};
        bool other = !s->spec.argv || !is_same_command(s->spec.argv, spec->argv);
        int r;

        r = service_spec_copy(spec, &copy);
        if (r)
                return err_trace(r);
        if (other && s->machine.state != SERVICE_OFF && s->machine.state != SERVICE_WAITING) {
                log_notice(s->host->log, "Service %s has another command now, starting it anew.",
                                spec->name);
                service_stop(s);
        }
        service_spec_done(&s->spec);
        s->spec = copy;
        s->machine.limits = *limits;
        service_feed(s, SERVICE_EV_START);
        if (s->keeper > 0 && s->machine.state == SERVICE_STARTING)
                service_keeper_read(s);
        return 0;
}

void service_stop(Service *s)
{
        service_feed(s, SERVICE_EV_STOP);
}

void service_kill(Service *s)
{
        service_feed(s, SERVICE_EV_KILL);
}

char *service_describe_failure(const Service *s)
{
        /* An instance that runs and is not ready is explained by its own lines, not by those of the one
         * before. */
        _cleanup_free_ char *current = s->trouble ? last_lines_join(&s->output.last) : NULL;
        const char *why = s->trouble ? s->trouble : s->last_end;
        const char *words = s->trouble ? current : s->last_words;
        unsigned n = s->machine.failures;

        return str_format("%s: %s, %u time%s in a row.%s%s", s->spec.name, why ? why : "did not start", n,
                        n == 1 ? "" : "s", isempty(words) ? "" : " Its last lines: ", strempty(words));
}
