/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Children on the loop. Two orderings matter:
 *
 *  - What the child still had to say is read before its end is told. Its end
 *    does that itself: a lower priority than the output's would do as well,
 *    until a grandchild in a session of its own writes without end.
 *  - When the leader of a group is gone its group is killed, so that a compiler
 *    whose make died does not go on writing into a staging directory.
 *
 * A grandchild that keeps the pipe open must not keep the job: the end of the
 * leader ends the job, whatever the pipe says.
 */

#include <fcntl.h>
#include <signal.h>
#include <sys/pidfd.h>
#include <sys/wait.h>

#include "base/result.h"
#include "base/str.h"
#include "job.h"
#include "sys/proc.h"

/* Of a program, for people; and of children that were killed before they could be watched. */
enum { NAME_SIZE = 32, ORPHANS_MAX = 16 };

struct Job {
        JobPool *pool;
        Job *next, *previous;
        JobHandler handler;
        void *userdata;
        pid_t pid;
        int pidfd;
        int output;
        int log_fd;
        bool timed_out;
        bool cancelled;
        bool untouchable;
        bool background;
        usec_t started;
        size_t n_line;
        char name[NAME_SIZE];
        sd_event_source *io, *child, *timeout, *overdue, *grace;
        char line[JOB_LINE_MAX + 1];
};

struct JobPool {
        sd_event *event;
        pid_t orphans[ORPHANS_MAX];
        size_t n_orphans;
        Job *jobs;
        void (*on_idle)(void *userdata);
        void *userdata;
};

int job_pool_new(sd_event *event, void (*on_idle)(void *userdata), void *userdata, JobPool **ret)
{
        JobPool *pool;

        pool = calloc(1, sizeof(*pool));
        if (!pool)
                return err_origin(-ENOMEM);

        pool->event = sd_event_ref(event);
        pool->on_idle = on_idle;
        pool->userdata = userdata;
        *ret = pool;
        return 0;
}

static Job *job_free(Job *job)
{
        if (!job)
                return NULL;

        if (job->previous)
                job->previous->next = job->next;
        else if (job->pool->jobs == job)
                job->pool->jobs = job->next;
        if (job->next)
                job->next->previous = job->previous;

        sd_event_source_disable_unref(job->io);
        sd_event_source_disable_unref(job->child);
        sd_event_source_disable_unref(job->timeout);
        sd_event_source_disable_unref(job->overdue);
        sd_event_source_disable_unref(job->grace);
        safe_close(job->pidfd);
        safe_close(job->output);
        free(job);
        return NULL;
}

/* They were killed, so it is a matter of a moment. */
static void reap_orphans(JobPool *pool)
{
        for (size_t i = 0; i < pool->n_orphans;) {
                siginfo_t info = {};

                if (waitid(P_PID, (id_t)pool->orphans[i], &info, WEXITED | WNOHANG) == 0 && info.si_pid == 0)
                        i++;
                else
                        pool->orphans[i] = pool->orphans[--pool->n_orphans];
        }
}

/* Only at the very end of a program: what still runs is killed and reaped, but for what must not be. */
JobPool *job_pool_free(JobPool *pool)
{
        if (!pool)
                return NULL;

        while (pool->jobs) {
                Job *job = pool->jobs;

                if (!job->untouchable)
                        proc_kill_group(job->pid, SIGKILL);
                job->child = sd_event_source_disable_unref(job->child);
                (void)waitid(P_PID, (id_t)job->pid, &(siginfo_t){}, WEXITED | WNOHANG);
                job_free(job);
        }
        reap_orphans(pool);
        sd_event_unref(pool->event);
        free(pool);
        return NULL;
}

bool job_pool_is_idle(const JobPool *pool)
{
        for (const Job *job = pool->jobs; job; job = job->next)
                if (!job->background)
                        return false;
        return true;
}

char *job_pool_describe(const JobPool *pool)
{
        _cleanup_strv_ char **names = NULL;

        for (const Job *job = pool->jobs; job; job = job->next)
                if (!job->background && strv_pushf(&names, "%s (process %d)", job->name, (int)job->pid) < 0)
                        return NULL;
        return strv_join(names, ", ");
}

pid_t job_pid(const Job *job)
{
        return job->pid;
}

static void flush_line(Job *job)
{
        job->line[job->n_line] = '\0';
        if (!job->cancelled && job->handler.on_line)
                job->handler.on_line(job->userdata, job->line);
        job->n_line = 0;
}

static void take_output(Job *job, const char *data, size_t n)
{
        /* The log is a record, not a result: a full disk is noticed by what needs the space. */
        if (job->log_fd >= 0)
                (void)!write(job->log_fd, data, n);

        for (size_t i = 0; i < n; i++) {
                if (data[i] == '\n')
                        flush_line(job);
                else if (job->n_line < JOB_LINE_MAX)
                        job->line[job->n_line++] = data[i];
        }
}

/*
 * What the child still had to say is in the pipe when its end is handled, so
 * no more than the pipe holds is read: a grandchild in a session of its own
 * may go on writing for ever.
 */
static void drain(Job *job)
{
        int left = job->output >= 0 ? fcntl(job->output, F_GETPIPE_SZ) : 0;
        char buffer[16384];

        while (left > 0) {
                ssize_t n = read(job->output, buffer, MIN(sizeof(buffer), (size_t)left));

                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0)
                        return;
                take_output(job, buffer, (size_t)n);
                left -= (int)n;
        }
}

static int on_output(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
        Job *job = userdata;
        char buffer[16384];
        ssize_t n;

        /* One buffer per turn, so a chatty compiler does not starve the others on the loop. */
        n = read(fd, buffer, sizeof(buffer));
        if (n > 0) {
                take_output(job, buffer, (size_t)n);
        } else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
                job->io = sd_event_source_disable_unref(job->io);
                job->output = safe_close(job->output);
        }
        return 0;
}

static usec_t now_of(sd_event *event)
{
        uint64_t now = 0;

        (void)sd_event_now(event, CLOCK_MONOTONIC, &now);
        return now;
}

static int on_child(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
        Job *job = userdata;
        JobPool *pool = job->pool;
        JobHandler handler = job->handler;
        void *handler_data = job->userdata;
        siginfo_t si = {};
        JobResult result;
        bool cancelled;

        /* Reaped only when its group has been killed: until then its number is nobody else's. */
        if (waitid(P_PIDFD, (id_t)fd, &si, WEXITED | WNOHANG | WNOWAIT) == 0 && si.si_pid == 0)
                return 0;
        result = (JobResult){
                .status = si.si_code == CLD_EXITED ? si.si_status : -1,
                .signal = si.si_code == CLD_EXITED ? 0 : si.si_status,
                .timed_out = job->timed_out,
                .duration = now_of(pool->event) - job->started,
        };

        reap_orphans(pool);
        proc_kill_group(job->pid, SIGKILL);
        (void)waitid(P_PIDFD, (id_t)fd, &(siginfo_t){}, WEXITED | WNOHANG);
        drain(job);
        if (job->n_line > 0)
                flush_line(job);
        /* Not before: the last lines may have made the owner let go of it. */
        cancelled = job->cancelled;
        job_free(job);

        if (!cancelled)
                handler.on_exit(handler_data, &result);
        if (pool->on_idle && job_pool_is_idle(pool))
                pool->on_idle(pool->userdata);
        return 0;
}

static int on_grace(sd_event_source *source, uint64_t usec, void *userdata)
{
        Job *job = userdata;

        proc_kill_group(job->pid, SIGKILL);
        return 0;
}

static int on_overdue(sd_event_source *source, uint64_t usec, void *userdata)
{
        Job *job = userdata;

        if (!job->cancelled && job->handler.on_overdue)
                job->handler.on_overdue(job->userdata);
        return 0;
}

static int add_timer(Job *job, sd_event_source **source, usec_t relative, sd_event_time_handler_t handler)
{
        int r;

        if (relative == 0 || relative == USEC_INFINITY)
                return 0;
        r = sd_event_add_time_relative(job->pool->event, source, CLOCK_MONOTONIC, relative, 0, handler, job);
        return r < 0 ? err_origin(r) : 0;
}

static void terminate(Job *job)
{
        if (job->grace)
                return;

        proc_kill_group(job->pid, SIGTERM);
        if (add_timer(job, &job->grace, JOB_GRACE, on_grace) < 0)
                proc_kill_group(job->pid, SIGKILL);
}

static int on_timeout(sd_event_source *source, uint64_t usec, void *userdata)
{
        Job *job = userdata;

        job->timed_out = true;
        terminate(job);
        return 0;
}

void job_lift_timeout(Job *job)
{
        job->timeout = sd_event_source_disable_unref(job->timeout);
}

void job_cancel(Job *job)
{
        if (!job || job->cancelled)
                return;

        job->cancelled = true;
        job->log_fd = -EBADF; /* the caller closes it now, and the number gets another meaning */
        terminate(job);
}

void job_detach(Job *job)
{
        if (!job)
                return;
        job->cancelled = true;
        job->log_fd = -EBADF;
}

/*
 * Not as a child source: that is oneshot, so epoll reports the end once, and a
 * turn of the loop that fails would lose it.
 */
static int watch_child(Job *job)
{
        int r;

        job->pidfd = pidfd_open(job->pid, 0);
        if (job->pidfd < 0)
                return err_origin(-errno);
        r = sd_event_add_io(job->pool->event, &job->child, job->pidfd, EPOLLIN, on_child, job);
        return r < 0 ? err_origin(r) : 0;
}

static int attach(Job *job, const JobSpec *spec)
{
        sd_event *event = job->pool->event;
        int r;

        r = watch_child(job);
        if (r < 0)
                return err_trace(r);
        r = sd_event_add_io(event, &job->io, job->output, EPOLLIN, on_output, job);
        if (r < 0)
                return err_origin(r);
        r = add_timer(job, &job->timeout, spec->timeout, on_timeout);
        if (r < 0)
                return err_trace(r);
        return err_trace(add_timer(job, &job->overdue, spec->overdue, on_overdue));
}

int job_start(JobPool *pool, const JobSpec *spec, const JobHandler *handler, void *userdata, Job **ret)
{
        ProcSpec proc = {
                .argv = spec->argv,
                .environment = spec->environment,
                .directory = spec->directory,
                .death_signal = spec->death_signal,
                .guarded = spec->guarded,
        };
        const char *name;
        Job *job;
        int r;

        job = calloc(1, sizeof(*job));
        if (!job)
                return err_origin(-ENOMEM);
        reap_orphans(pool);
        job->pool = pool;
        job->handler = *handler;
        name = strrchr(spec->argv[0], '/');
        (void)snprintf(job->name, sizeof(job->name), "%s", name ? name + 1 : spec->argv[0]);
        job->userdata = userdata;
        job->pidfd = job->output = -EBADF;
        job->log_fd = spec->log_fd;
        job->untouchable = spec->untouchable;
        job->background = spec->background;
        job->started = now_of(pool->event);

        r = proc_spawn(&proc, &job->pid, &job->output);
        if (r < 0) {
                free(job);
                return err_trace(r);
        }

        job->next = pool->jobs;
        if (job->next)
                job->next->previous = job;
        pool->jobs = job;

        r = attach(job, spec);
        if (r < 0) {
                proc_kill_group(job->pid, SIGKILL);
                if (pool->n_orphans < ORPHANS_MAX)
                        pool->orphans[pool->n_orphans++] = job->pid;
                job_free(job);
                reap_orphans(pool);
                return err_trace(r);
        }

        *ret = job;
        return 0;
}
