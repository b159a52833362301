/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The life of a service as its keeper sees it. The first process of a service
 * may be the service, or start it in the background and end with 0; then the
 * oldest of the orphans is the service from there on. When the service ends,
 * so does all that it has started.
 *
 *   SIGTERM   TERM to all, KILL after the grace
 *   SIGQUIT   KILL at once
 */

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>

#include "base/result.h"
#include "base/str.h"
#include "keeper.h"
#include "sys/clock.h"
#include "sys/keep.h"
#include "sys/proc.h"

/* Killed processes may have had children that come to us only then. */
#define KILL_INTERVAL (100 * USEC_PER_MSEC)

static int write_record(Keeper *k)
{
        _cleanup_free_ char *text = NULL;
        int r;

        r = service_record_to_text(&k->record, &text);
        if (r == 0)
                r = keep_write(k->directory, k->name, text);
        return err_trace(r);
}

static int take_locks(Keeper *k)
{
        int r;

        r = keep_lock(k->directory, k->name, &k->lock);
        if (r != KEEP_E_FAMILY)
                return r < 0 ? err_trace(r) : r;
        if (!keeper_end_family(k->directory, k->name, k->proc, k->grace))
                return KEEP_E_FAMILY;
        r = keep_lock(k->directory, k->name, &k->lock);
        return r < 0 ? err_trace(r) : r;
}

static int start_service(Keeper *k)
{
        /* What belongs to the daemon; a service that speaks for it would confuse systemd. */
        static const char *const not_theirs[] = { "NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC",
                "JOURNAL_STREAM", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES" };
        ProcSpec spec = { .argv = k->argv, .keep_fd = k->lock };

        for (size_t i = 0; i < ELEMENTSOF(not_theirs); i++)
                (void)unsetenv(not_theirs[i]);
        return err_trace(proc_spawn(&spec, &k->leader, &k->output.pipe));
}

int keeper_begin(Keeper *k)
{
        int fifo = -EBADF, r;
        sigset_t set;

        (void)sigemptyset(&set);
        (void)sigaddset(&set, SIGCHLD);
        (void)sigaddset(&set, SIGTERM);
        (void)sigaddset(&set, SIGQUIT);
        (void)signal(SIGHUP, SIG_IGN);
        (void)signal(SIGINT, SIG_IGN);
        if (sigprocmask(SIG_BLOCK, &set, NULL) < 0 || prctl(PR_SET_CHILD_SUBREAPER, 1) < 0)
                return err_origin(-errno);
        k->signals = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
        if (k->signals < 0)
                return err_origin(-errno);

        r = take_locks(k);
        if (r == 0)
                r = keep_open_output(k->directory, k->name, &fifo);
        if (r)
                return r < 0 ? err_trace(r) : r;
        keeper_output_init(&k->output, fifo);

        /* Before the service: what is written down is then never an earlier one. */
        k->kill_at = USEC_INFINITY;
        k->record.since = now_realtime_usec();
        r = strv_copy(k->argv, &k->record.argv);
        if (r == 0)
                r = write_record(k);
        if (r == 0)
                r = start_service(k);
        if (r)
                return err_trace(r);
        k->record.main = k->leader;
        /* The service runs already: without the record it is only known by less. */
        (void)write_record(k);
        return 0;
}

/* The usual ways into the background are one fork and two: of these the second process ends at once as well.
 */
#define BACKGROUND_TIME (5 * USEC_PER_SEC)

static void note_end(Keeper *k, int status)
{
        if (k->record.ended)
                return;
        k->record.ended = true;
        k->record.status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
        k->record.signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
        /* What is left has until the grace is over if there is one, and is killed otherwise. */
        if (k->ending)
                keeper_tree_signal(k->proc, SIGTERM);
        else
                k->kill_at = now_usec();
}

static bool may_go_into_background(const Keeper *k, int status)
{
        return !k->ending && WIFEXITED(status) && WEXITSTATUS(status) == 0 &&
               (k->record.main == k->leader || now_usec() < k->main_since + BACKGROUND_TIME);
}

static void on_reaped(Keeper *k, pid_t pid, int status)
{
        pid_t other;

        if (pid != k->record.main)
                return;
        other = may_go_into_background(k, status) ? keeper_tree_oldest(k->proc) : 0;
        if (other == 0) {
                note_end(k, status);
                return;
        }
        k->record.main = other;
        k->main_since = now_usec();
        k->record.ready = true;
        (void)write_record(k);
        keeper_output_ready(&k->output);
}

/* Returns false when no child is left. */
static bool reap(Keeper *k)
{
        for (;;) {
                int status;
                pid_t pid = waitpid(-1, &status, WNOHANG);

                if (pid > 0)
                        on_reaped(k, pid, status);
                else if (pid == 0)
                        return true;
                else if (errno != EINTR)
                        return false;
        }
}

static void end(Keeper *k, usec_t grace)
{
        usec_t at = now_usec() + grace;

        if (!k->ending && grace > 0)
                keeper_tree_signal(k->proc, SIGTERM);
        k->ending = true;
        k->kill_at = MIN(k->kill_at, at);
}

static void take_signals(Keeper *k)
{
        struct signalfd_siginfo si;

        while (read(k->signals, &si, sizeof(si)) == sizeof(si)) {
                if (si.ssi_signo == SIGTERM)
                        end(k, k->grace);
                else if (si.ssi_signo == SIGQUIT)
                        end(k, 0);
        }
}

static int timeout_of(const Keeper *k, usec_t now)
{
        usec_t due = MIN(k->kill_at, keeper_output_due(&k->output));

        if (due == USEC_INFINITY)
                return -1;
        return due > now ? (int)MIN((due - now) / USEC_PER_MSEC + 1, (usec_t)INT32_MAX) : 0;
}

static void turn(Keeper *k, int timeout)
{
        KeeperOutput *o = &k->output;
        bool blocked = keeper_output_is_blocked(o);
        struct pollfd fds[] = {
                { .fd = k->signals, .events = POLLIN },
                { .fd = blocked ? -1 : o->pipe, .events = POLLIN },
                { .fd = blocked ? o->fifo : -1, .events = POLLOUT },
        };
        usec_t now;

        (void)poll(fds, ELEMENTSOF(fds), timeout);
        now = now_usec();
        take_signals(k);
        if (fds[1].revents)
                (void)keeper_output_read(o, now);
        if (blocked && (fds[2].revents || keeper_output_due(o) <= now))
                keeper_output_flush(o, now);
        if (k->kill_at <= now) {
                keeper_tree_signal(k->proc, SIGKILL);
                k->kill_at = now + KILL_INTERVAL;
        }
}

/* What the service still had to say. Somebody who got away may write for ever: no more than a pipe holds. */
static void finish_output(Keeper *k)
{
        KeeperOutput *o = &k->output;
        int left = o->pipe >= 0 ? fcntl(o->pipe, F_GETPIPE_SZ) : 0;

        for (;;) {
                if (keeper_output_is_blocked(o)) {
                        struct pollfd fd = { .fd = o->fifo, .events = POLLOUT };

                        (void)poll(&fd, 1, 100);
                        keeper_output_flush(o, now_usec());
                        /* Only the word "ready" waits without a limit, and that is of no use any more. */
                        o->ready_wanted = false;
                } else if (left > 0 && o->pipe >= 0) {
                        size_t n = keeper_output_read(o, now_usec());

                        left = n > 0 ? left - (int)n : 0;
                } else {
                        break;
                }
        }
        keeper_output_finish(o, now_usec());
}

void keeper_run(Keeper *k)
{
        while (reap(k))
                turn(k, timeout_of(k, now_usec()));
        finish_output(k);
        /* The last act before the lock goes: who sees the lock free finds how it ended. */
        (void)write_record(k);
}
