/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The driver's own device nodes: helper runs that settle every /dev, and the
 * watch over what they made. The first run starts as soon as the modules that
 * have nodes are live, while the others are still being loaded, so that a warm
 * start does not wait for it. A run reads files of the driver, which may hang:
 * it is a job in the background that nobody waits for when it all ends.
 *
 * What the last run said (which nodes there have to be, in which directories)
 * is kept; whether they are there is looked up each time. Nothing is recorded
 * for the next daemon: the helper sees what is dead.
 */

#include <fcntl.h>
#include <sys/inotify.h>

#include "base/result.h"
#include "base/str.h"
#include "helper.h"
#include "manager.h"
#include "node-rights.h"
#include "paths.h"
#include "sys/pci.h"
#include "sys/sysmod.h"

#define RUN_TIMEOUT   (30 * USEC_PER_SEC)
#define RUNS_IN_A_ROW 5
/* Each load gives out new ones; a few are remembered. */
#define MAJORS_MAX      32
#define TIDY_TIMEOUT    (2 * USEC_PER_SEC)
#define RETRY_ON_CHANGE NODE_RETRY_ON_CHANGE

/* Without success the runs become rare: a /dev that is full for an hour is no reason for a busy machine. */
static const Backoff retry = { .base = 500 * USEC_PER_MSEC, .limit = USEC_PER_MINUTE };

static void on_line(void *userdata, const char *line)
{
        Manager *m = userdata;

        node_report_line(&m->node_work.saying, line);
}

/*
 * The GPUs on the bus with their drivers, and those that the driver lists, as
 * one string to compare: the two do not change at the same moment. A list of a
 * directory in /proc asks the driver nothing. NULL: it cannot be read.
 */
static char *describe_gpus(Manager *m)
{
        _cleanup_(gpu_facts_done) GpuFacts gpus = {};
        _cleanup_strv_ char **words = NULL, **listed = NULL;

        if (pci_read_gpus(m->root, &gpus) < 0 || root_list(m->root, "proc/driver/nvidia/gpus", &listed) < 0)
                return NULL;
        for (size_t i = 0; i < gpus.n; i++)
                (void)strv_pushf(&words, "%s=%s", gpus.items[i].address, strempty(gpus.items[i].driver));
        STRV_FOREACH (address, listed)
                (void)strv_push(&words, *address);
        return strv_join(words, " ");
}

static bool gpus_have_changed(Manager *m)
{
        _cleanup_free_ char *now = NULL;

        if (m->fsm.state != FSM_READY && m->fsm.state != FSM_DEGRADED)
                return false;
        now = describe_gpus(m);
        return now && !streq_ptr(now, m->node_work.gpus);
}

/* The watch. */

/* Perhaps what was in the way has gone. What a run does that fails is seen here too, hence not at once. */
static int on_inotify(sd_event_source *source, const struct inotify_event *event, void *userdata)
{
        Manager *m = userdata;

        if (event->mask & IN_ATTRIB) {
                node_rights_touched(m, event->len > 0 ? event->name : "");
                return 0;
        }
        m->node_work.due = MIN(m->node_work.due, manager_now(m) + RETRY_ON_CHANGE);
        stage_devices_soon(m);
        return 0;
}

static void unwatch(Manager *m)
{
        NodeWork *w = &m->node_work;

        while (w->n_watches > 0)
                sd_event_source_disable_unref(w->watches[--w->n_watches]);
}

/* A directory that is not there is made by the next run, after which this is called again. */
static void watch_directory(Manager *m, const char *directory, const char *below)
{
        static const uint32_t mask = IN_CREATE | IN_DELETE | IN_MOVE | IN_DELETE_SELF | IN_MOVE_SELF |
                                     IN_ATTRIB | IN_ONLYDIR;
        _cleanup_free_ char *path = str_format("%s/%s", directory, below);
        _cleanup_close_ int fd = -EBADF;
        NodeWork *w = &m->node_work;
        int r;

        if (!path || w->n_watches == NODE_WATCHES_MAX ||
                        root_open(m->root, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, &fd) != 0)
                return;
        r = sd_event_add_inotify_fd(m->event, &w->watches[w->n_watches], fd, mask, on_inotify, m);
        if (r < 0)
                log_warning(m->log, "/%s cannot be watched: %s, ignoring.", path, strerror(-r));
        else
                w->n_watches++;
}

static void watch(Manager *m)
{
        unwatch(m);
        STRV_FOREACH (directory, m->node_work.said.directories) {
                watch_directory(m, *directory, ".");
                watch_directory(m, *directory, "nvidia-caps");
                watch_directory(m, *directory, "char");
                watch_directory(m, *directory, "dri");
        }
}

/* The runs. */

static void log_files(Manager *m, const char *what, char *const *files)
{
        bool promised = m->fsm.state == FSM_READY || m->fsm.state == FSM_DEGRADED;
        _cleanup_free_ char *names = strv_join(files, ", ");

        if (files)
                log_message(m->log, promised ? LOG_NOTICE : LOG_DEBUG, NULL, "%s device nodes: %s.", what,
                                strna(names));
}

static void log_report(Manager *m)
{
        NodeWork *w = &m->node_work;

        log_files(m, "Made", w->said.made);
        log_files(m, "Removed", w->said.removed);
        if (w->said.detail && !streq_ptr(w->said.detail, w->told)) {
                log_info(m->log, "%s.", w->said.detail);
                (void)str_replace(&w->told, w->said.detail);
        }
}

static void on_run_over(void *userdata, const JobResult *result)
{
        Manager *m = userdata;
        NodeWork *w = &m->node_work;

        w->job = NULL;
        if (!w->saying.directories && !w->saying.failure)
                w->saying.failure = str_format(
                                "The helper gave no answer%s", result->timed_out ? " in time" : "");
        node_report_done(&w->said);
        w->said = w->saying;
        w->saying = (NodeReport){};
        w->settled = true;
        for (size_t i = 0; i < w->said.majors.n && w->majors.n < MAJORS_MAX; i++)
                (void)number_set_add(&w->majors, w->said.majors.items[i]);
        w->hands_off = w->said.hands_off;
        w->due = manager_now(m) + backoff_delay(&retry, w->n_runs);
        /* It got somewhere: what vanished meanwhile need not wait for that. */
        if (w->said.made && !w->said.failure && !w->said.blocked && w->n_runs <= RUNS_IN_A_ROW)
                w->due = 0;
        log_report(m);
        node_rights_judge(m);
        watch(m);
        stage_devices_look(m);
}

/* Who waits has a deadline of his own. */
static void on_run_overdue(void *userdata)
{
        Manager *m = userdata;
        NodeWork *w = &m->node_work;
        _cleanup_free_ char *text = str_format(
                        "The driver does not answer helper process %d", (int)job_pid(w->job));

        log_warning(m->log, "%s, which asks for its device nodes.", strna(text));
        if (m->fsm.state != FSM_READY && m->fsm.state != FSM_DEGRADED)
                return;
        (void)str_replace(&w->said.failure, text);
        stage_devices_look(m);
}

static bool wants_module(const Manager *m, const char *name)
{
        STRV_FOREACH (wanted, m->config->modules)
                if (modname_eq(*wanted, name))
                        return !manager_lacks(m, name);
        return false;
}

static int push_wish(Manager *m, char ***argv)
{
        int r = 0;

        if (wants_module(m, "nvidia-uvm"))
                r = strv_push(argv, "uvm");
        if (r == 0 && wants_module(m, "nvidia-modeset"))
                r = strv_push(argv, "modeset");
        for (size_t i = 0; r == 0 && i < m->facts.gpus.n; i++)
                r = strv_pushf(argv, "gpu=%s", m->facts.gpus.items[i].address);
        return err_trace(r);
}

static int push_majors(Manager *m, char ***argv)
{
        int r = 0;

        for (size_t i = 0; r == 0 && i < m->node_work.majors.n; i++)
                r = strv_pushf(argv, "major=%u", m->node_work.majors.items[i]);
        return err_trace(r);
}

static int start(Manager *m, bool remove, const JobHandler *handler, JobSpec spec, Job **ret)
{
        _cleanup_strv_ char **argv = NULL;
        int r;

        r = strv_push(&argv, path_of_helper());
        if (r == 0)
                r = strv_push(&argv, "nodes");
        if (r == 0)
                r = strv_push_consume(&argv, root_path(m->root, ""));
        if (r == 0 && m->config->create_on_host)
                r = strv_push(&argv, "host");
        if (r == 0 && node_rights_are_fought_over(m))
                r = strv_push(&argv, "keep-rights");
        if (r == 0 && m->node_work.hands_off)
                r = strv_push(&argv, "hands-off");
        if (r == 0)
                r = push_majors(m, &argv);
        if (r == 0)
                r = remove ? strv_push(&argv, "remove") : push_wish(m, &argv);
        spec.argv = argv;
        spec.log_fd = -EBADF;
        return r ? err_trace(r) : err_trace(job_start(m->pool, &spec, handler, m, ret));
}

static void run(Manager *m)
{
        static const JobHandler handler = {
                .on_line = on_line, .on_overdue = on_run_overdue, .on_exit = on_run_over
        };
        const JobSpec spec = {
                .overdue = m->config->load_timeout, .timeout = RUN_TIMEOUT, .background = true
        };
        NodeWork *w = &m->node_work;
        int r;

        free(w->gpus);
        w->gpus = describe_gpus(m);
        w->n_runs++;
        w->touched = false;
        w->used = true;
        node_report_done(&w->saying);
        r = start(m, /* remove= */ false, &handler, spec, &w->job);
        if (r < 0) {
                w->due = manager_now(m) + backoff_delay(&retry, w->n_runs);
                log_warning(m->log, "Device nodes cannot be made: helper: %s, trying again.", strerror(-r));
        }
}

static bool is_live(Manager *m, const char *name)
{
        ModuleFact fact = {};
        bool live;

        live = sysmod_read(m->root, name, &fact) == 0 && fact.state == MOD_LIVE;
        module_fact_done(&fact);
        return live;
}

void stage_nodes_loading(Manager *m)
{
        if (m->config->create_nodes && m->node_work.n_runs == 0 && is_live(m, "nvidia") &&
                        (!wants_module(m, "nvidia-uvm") || is_live(m, "nvidia-uvm")))
                run(m);
}

void stage_nodes_urge(Manager *m)
{
        m->node_work.due = 0;
}

void stage_nodes_review(Manager *m, bool drm_absent)
{
        NodeWork *w = &m->node_work;

        bool changed, touched;
        char *absent;

        if (!m->config->create_nodes || w->job)
                return;
        changed = gpus_have_changed(m);
        touched = w->touched && manager_now(m) >= w->rights_due;
        absent = node_report_absent(&w->said, m->root);
        if (w->settled && !absent && !w->said.failure && !w->said.blocked && !drm_absent && !changed &&
                        !touched) {
                w->n_runs = 0;
                w->due = 0;
        } else if (changed || touched || manager_now(m) >= w->due) {
                /* What a run can mend is nothing to complain of; it is judged when that is over. */
                free(absent);
                run(m);
                return;
        }
        free(w->absent);
        w->absent = absent;
}

bool stage_nodes_complete(const Manager *m)
{
        const NodeWork *w = &m->node_work;

        return !m->config->create_nodes || (w->settled && !w->job && !w->absent && !w->said.failure);
}

bool stage_nodes_is_running(const Manager *m)
{
        return m->node_work.job;
}

bool stage_nodes_is_mending(const Manager *m)
{
        return m->node_work.job && !m->node_work.said.failure;
}

const char *stage_nodes_failure(const Manager *m)
{
        return m->config->create_nodes ? m->node_work.said.failure : NULL;
}

const char *stage_nodes_absent(const Manager *m)
{
        return m->config->create_nodes ? m->node_work.absent : NULL;
}

char *const *stage_nodes_blocked(const Manager *m)
{
        return m->config->create_nodes ? m->node_work.said.blocked : NULL;
}

bool stage_nodes_is_hands_off(const Manager *m)
{
        return m->config->create_nodes && m->node_work.hands_off;
}

usec_t stage_nodes_delay(Manager *m)
{
        const NodeWork *w = &m->node_work;
        usec_t now = manager_now(m), due = USEC_INFINITY;

        if (!m->config->create_nodes || w->job)
                return USEC_INFINITY;
        if (w->n_runs > 0)
                due = w->due;
        if (w->touched)
                due = MIN(due, w->rights_due);
        return due == USEC_INFINITY ? due : due > now ? due - now : 0;
}

/* The end. */

void stage_nodes_forget(Manager *m)
{
        NodeWork *w = &m->node_work;

        /* The one that tidies up is short, and owes nobody an answer. */
        job_cancel(w->job);
        w->job = NULL;
        unwatch(m);
        node_report_done(&w->said);
        node_report_done(&w->saying);
        w->absent = (free(w->absent), NULL);
        w->gpus = (free(w->gpus), NULL);
        w->settled = false;
        w->given_up = false;
        w->touched = false;
        w->n_corrections = 0;
        w->rights_due = 0;
        w->n_runs = 0;
        w->due = 0;
}

void stage_nodes_done(Manager *m)
{
        stage_nodes_forget(m);
        m->node_work.told = (free(m->node_work.told), NULL);
        number_set_done(&m->node_work.majors);
}

static void on_tidy_overdue(void *userdata)
{
        Manager *m = userdata;

        if (m->node_work.ends)
                (void)sd_event_exit(m->event, 0);
}

static void on_tidied(void *userdata, const JobResult *result)
{
        on_tidy_overdue(userdata);
}

static void on_tidy_line(void *userdata, const char *line)
{
        Manager *m = userdata;

        if (startswith(line, HELPER_KEY_FAILED "="))
                log_warning(m->log, "A device node could not be removed: %s, ignoring.",
                                line + strlen(HELPER_KEY_FAILED "="));
        else
                log_debug(m->log, "nodes: %s", line);
}

bool stage_nodes_tidy(Manager *m, bool last)
{
        static const JobHandler handler = {
                .on_line = on_tidy_line, .on_overdue = on_tidy_overdue, .on_exit = on_tidied
        };
        /* Killed at the one and not waited for any more at the other. */
        const JobSpec spec = { .timeout = TIDY_TIMEOUT, .overdue = 2 * TIDY_TIMEOUT };
        NodeWork *w = &m->node_work;
        Job *job;

        if (!w->used || m->plan.foreign)
                return false;
        stage_nodes_forget(m);
        w->used = false;
        w->ends = last;
        return start(m, /* remove= */ true, &handler, spec, &job) == 0;
}

int stage_nodes_fill(Manager *m, Status *s)
{
        return err_trace(node_report_fill(&m->node_work.said, m->root, is_live(m, "nvidia-uvm"), s));
}
