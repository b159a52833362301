/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Between a service and its keeper. The launcher is a child of ours and soon
 * gone, the keeper is nobody's child and looked up by its lock. So one that was
 * just started and one that an earlier daemon started are handled by the same
 * code from the first second.
 *
 * The end of a service is the end of its keeper. How it ended is in the record.
 * If it is not, the keeper was killed; then what it left is ended first, and
 * only then the service counts as gone.
 */

#include <inttypes.h>
#include <signal.h>
#include <sys/pidfd.h>
#include <sys/wait.h>

#include "base/result.h"
#include "base/str.h"
#include "helper.h"
#include "paths.h"
#include "service-internal.h"
#include "sys/clock.h"
#include "sys/keep.h"

/* Beyond the grace, for a keeper that first has to end what another one left. */
#define LAUNCH_TIMEOUT (10 * USEC_PER_SEC)

static bool clean_up(Service *s);

void service_keeper_tell(Service *s, int number)
{
        if (s->pidfd < 0)
                s->end_asked = true;
        else
                (void)pidfd_send_signal(s->pidfd, number, NULL, 0);
}

void service_keeper_detach(Service *s)
{
        s->gone = sd_event_source_disable_unref(s->gone);
        s->pidfd = safe_close(s->pidfd);
        s->keeper = s->main = 0;
        s->since = 0;
        s->end_asked = false;
        job_cancel(s->launcher);
        s->launcher = NULL;
}

/* Returns 0, KEEP_E_ABSENT (no record that can be read) or a negative errno. */
static int read_record(const Service *s, ServiceRecord *ret)
{
        _cleanup_close_ int directory = -EBADF;
        _cleanup_free_ char *text = NULL;
        int r;

        r = keep_open_directory(s->host->root, &directory);
        if (r == 0)
                r = keep_read(directory, s->spec.name, SERVICE_RECORD_MAX, &text);
        if (r)
                return r < 0 ? err_trace(r) : KEEP_E_ABSENT;
        r = service_record_parse(text, ret);
        return r < 0 ? err_trace(r) : r > 0 ? KEEP_E_ABSENT : 0;
}

static void log_end(Service *s)
{
        bool asked = s->machine.state == SERVICE_ENDING, silent = asked || isempty(s->last_words);

        log_field(s->host->log, "SERVICE", s->spec.name);
        log_message(s->host->log, asked ? LOG_INFO : LOG_WARNING, NULL, "Service %s ended: %s.%s%s",
                        s->spec.name, strna(s->last_end),
                        silent ? "" : " Its last lines: ", silent ? "" : s->last_words);
}

void service_keeper_ended(Service *s)
{
        ServiceRecord record = {};
        bool known;

        s->forgotten = false;
        service_output_drain(s);
        service_output_close(&s->output);
        /* In a container we may be process 1, whose children all orphans become. */
        if (s->pidfd >= 0)
                (void)waitid(P_PIDFD, (id_t)s->pidfd, &(siginfo_t){}, WEXITED | WNOHANG);
        known = read_record(s, &record) == 0 && record.ended;
        free(s->last_end);
        s->last_end = known ? service_record_describe_end(&record) : strdup("its keeper was killed");
        free(s->last_words);
        s->last_words = last_lines_join(&s->output.last);
        service_record_done(&record);
        service_keeper_detach(s);
        log_end(s);
        if (known || !clean_up(s))
                service_feed(s, SERVICE_EV_GONE);
        else
                /* It is not to count as running meanwhile. */
                s->timer = sd_event_source_disable_unref(s->timer);
}

static int on_pidfd(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
        service_keeper_ended(userdata);
        return 0;
}

/* As it is in the configuration, and not as it was executed. */
static void take_command(Service *s, ServiceRecord *record)
{
        const char *in_root = startswith(record->argv[0], s->host->root->prefix);
        _cleanup_free_ char *program = in_root && *in_root == '/' ? strdup(in_root) : NULL;

        if (program) {
                free(record->argv[0]);
                record->argv[0] = TAKE_PTR(program);
        }
        s->spec.argv = TAKE_PTR(record->argv);
}

void service_keeper_read(Service *s)
{
        _cleanup_(service_record_done) ServiceRecord record = {};

        if (read_record(s, &record) != 0)
                return;
        s->main = (pid_t)record.main;
        s->since = record.since;
        if (!s->spec.argv)
                take_command(s, &record);
        /* The settle time of one that an earlier daemon started is long over. */
        if (record.ready || (s->machine.limits.settle &&
                                            now_realtime_usec() >= record.since + s->machine.limits.settle))
                service_feed(s, SERVICE_EV_READY);
}

void service_is_ready(Service *s)
{
        service_keeper_read(s);
        service_feed(s, SERVICE_EV_READY);
}

int service_keeper_attach(Service *s)
{
        _cleanup_close_ int directory = -EBADF;
        int r;

        r = keep_open_directory(s->host->root, &directory);
        if (r == 0)
                r = keep_find(directory, s->spec.name, &s->keeper, &s->pidfd);
        if (r == 0 && s->output.fd < 0)
                r = service_output_open(s, directory);
        if (r)
                return r < 0 ? err_trace(r) : r;
        r = sd_event_add_io(s->host->event, &s->gone, s->pidfd, EPOLLIN, on_pidfd, s);
        if (r < 0)
                return err_origin(r);

        s->forgotten = false;
        service_feed(s, SERVICE_EV_LAUNCHED);
        if (s->end_asked)
                service_keeper_tell(s, s->machine.killed ? SIGQUIT : SIGTERM);
        s->end_asked = false;
        service_keeper_read(s);
        return 0;
}

static void not_started(Service *s, const char *why)
{
        (void)str_replace(&s->trouble, why);
        log_field(s->host->log, "SERVICE", s->spec.name);
        log_warning(s->host->log, "Service %s could not be started: %s.", s->spec.name, strna(s->trouble));
        service_output_close(&s->output);
        service_keeper_detach(s);
        service_feed(s, SERVICE_EV_GONE);
}

static void on_launcher_line(void *userdata, const char *line)
{
        Service *s = userdata;
        const char *value = startswith(line, HELPER_KEY_DETAIL "=");

        (void)str_replace(&s->trouble, value ? value : line);
}

static void on_launched(void *userdata, const JobResult *result)
{
        Service *s = userdata;
        int r;

        s->launcher = NULL;
        if (result->status != 0 && code_from_exit_status(result->status) != CODE_ALREADY_RUNNING) {
                not_started(s, s->trouble ? s->trouble : "its keeper gave no answer");
                return;
        }
        r = service_keeper_attach(s);
        if (r == KEEP_E_ABSENT)
                service_keeper_ended(s); /* that was quick */
        else if (r == KEEP_E_HIDDEN)
                not_started(s, "it runs already, in another pid namespace");
        else if (r < 0)
                not_started(s, strerror(-r));
}

static void on_cleaned_up(void *userdata, const JobResult *result)
{
        Service *s = userdata;

        s->launcher = NULL;
        if (result->status != 0)
                log_error(s->host->log, "What is left of service %s could not be ended: %s.", s->spec.name,
                                s->trouble ? s->trouble : "no answer");
        service_feed(s, SERVICE_EV_GONE);
}

static int run_keeper(Service *s, char *const *program, void (*done)(void *, const JobResult *))
{
        JobHandler handler = { .on_line = on_launcher_line, .on_exit = done };
        _cleanup_free_ char *directory = root_path(s->host->root, KEEP_DIRECTORY), *path = NULL;
        _cleanup_strv_ char **argv = NULL;
        JobSpec spec = { .timeout = s->machine.limits.stop > USEC_INFINITY - LAUNCH_TIMEOUT
                                                    ? 0
                                                    : s->machine.limits.stop + LAUNCH_TIMEOUT,
                .log_fd = -EBADF };
        int r;

        r = directory ? strv_push(&argv, path_of_keeper()) : err_origin(-ENOMEM);
        if (r == 0)
                r = strv_push(&argv, directory);
        if (r == 0)
                r = strv_push(&argv, s->spec.name);
        if (r == 0)
                r = strv_pushf(&argv, "%" PRIu64, MIN(s->machine.limits.stop, (usec_t)INT64_MAX));
        STRV_FOREACH (word, program) {
                path = word == program ? root_path(s->host->root, *word + 1) : NULL;
                if (r == 0)
                        r = strv_push(&argv, path ? path : *word);
                freep(&path);
        }
        if (r)
                return err_trace(r);
        spec.argv = argv;
        return err_trace(job_start(s->host->pool, &spec, &handler, s, &s->launcher));
}

/* What a killed keeper left. Returns false if that cannot even be begun. */
static bool clean_up(Service *s)
{
        int r;

        (void)str_replace(&s->trouble, NULL);
        r = run_keeper(s, NULL, on_cleaned_up);
        if (r < 0)
                log_error(s->host->log, "The keeper of service %s cannot be started: %s.", s->spec.name,
                                strerror(-r));
        return r == 0;
}

int service_keeper_launch(Service *s)
{
        return err_trace(run_keeper(s, s->spec.argv, on_launched));
}
