/* SPDX-License-Identifier: Apache-2.0 */

/*
 * fork(2) and not posix_spawn(3), because PR_SET_PDEATHSIG can only be set
 * from inside the child. Between fork and exec only async-signal-safe calls
 * are made, although no program of ours has threads.
 *
 * stdin is /dev/null for every child: a kernel configuration that wants to ask
 * a question meets its end of file instead of hanging the node (trap T5).
 */

#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/result.h"
#include "sys/proc.h"

static void reset_signals(void)
{
        sigset_t none;

        for (int s = 1; s < NSIG; s++)
                (void)signal(s, SIG_DFL);
        (void)sigemptyset(&none);
        (void)sigprocmask(SIG_SETMASK, &none, NULL);
}

static void complain(const char *what, const char *name)
{
        const char *reason = strerrordesc_np(errno);

        (void)!write(STDERR_FILENO, what, strlen(what));
        (void)!write(STDERR_FILENO, name, strlen(name));
        (void)!write(STDERR_FILENO, ": ", 2);
        if (reason)
                (void)!write(STDERR_FILENO, reason, strlen(reason));
        (void)!write(STDERR_FILENO, "\n", 1);
}

static void keep_only(int fd)
{
        unsigned first = STDERR_FILENO + 1;

        if (fd > 0) {
                /* On itself, dup2(2) would leave the close-on-exec flag. */
                if (fd == (int)first)
                        (void)fcntl(fd, F_SETFD, 0);
                else
                        (void)dup2(fd, (int)first);
                first++;
        }
        (void)close_range(first, ~0U, 0);
}

/* Tells the leader of a guarded group that this process is gone; make and its like have no use for it. */
#define GUARD_SIGNAL SIGUSR1

static void kill_own_group(int number)
{
        (void)kill(0, SIGKILL);
}

/* Ends as the program did, so that nobody sees a difference. */
static _Noreturn void end_as(int status)
{
        if (WIFSIGNALED(status)) {
                /* One core dump is enough. */
                (void)prctl(PR_SET_DUMPABLE, 0);
                (void)signal(WTERMSIG(status), SIG_DFL);
                (void)raise(WTERMSIG(status));
        }
        _exit(WIFEXITED(status) ? WEXITSTATUS(status) : PROC_STATUS_NO_EXEC);
}

/*
 * Returns in the program's process only. The signals that end the group reach the
 * program as well, and this one waits for its end.
 */
static void guard(pid_t parent)
{
        static const int passed_on[] = { SIGTERM, SIGINT, SIGHUP, SIGQUIT };
        pid_t pid, self = getpid();
        sigset_t later, none;
        int status;

        /* Until each of the two knows what to do with one. */
        (void)sigfillset(&later);
        (void)sigemptyset(&none);
        (void)sigprocmask(SIG_SETMASK, &later, NULL);

        (void)signal(GUARD_SIGNAL, kill_own_group);
        (void)prctl(PR_SET_PDEATHSIG, GUARD_SIGNAL);
        if (getppid() != parent)
                _exit(PROC_STATUS_NO_EXEC);
        pid = fork();
        if (pid < 0) {
                complain("cannot execute ", "a second process");
                _exit(PROC_STATUS_NO_EXEC);
        }
        if (pid == 0) {
                (void)signal(GUARD_SIGNAL, SIG_DFL);
                (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
                if (getppid() != self)
                        _exit(PROC_STATUS_NO_EXEC);
                (void)sigprocmask(SIG_SETMASK, &none, NULL);
                return;
        }
        for (size_t i = 0; i < ELEMENTSOF(passed_on); i++)
                (void)signal(passed_on[i], SIG_IGN);
        (void)sigprocmask(SIG_SETMASK, &none, NULL);
        /* A pipe that this process has would seem to be the program's. */
        (void)close_range(STDIN_FILENO, ~0U, 0);
        while (waitpid(pid, &status, 0) < 0)
                if (errno != EINTR)
                        _exit(PROC_STATUS_NO_EXEC);
        end_as(status);
}

static _Noreturn void run_child(const ProcSpec *spec, pid_t parent, int null, int output)
{
        reset_signals();
        (void)setpgid(0, 0);
        if (spec->death_signal && !spec->guarded)
                (void)prctl(PR_SET_PDEATHSIG, spec->death_signal);
        /* The parent may have died between fork and prctl: nobody would tell us. */
        if (spec->death_signal && getppid() != parent)
                _exit(PROC_STATUS_NO_EXEC);

        if (dup2(null, STDIN_FILENO) < 0 || dup2(output, STDOUT_FILENO) < 0 ||
                        dup2(output, STDERR_FILENO) < 0)
                _exit(PROC_STATUS_NO_EXEC);
        keep_only(spec->keep_fd);

        if (spec->guarded)
                guard(parent);
        if (chdir(spec->directory ? spec->directory : "/") < 0) {
                complain("cannot enter ", spec->directory);
                _exit(PROC_STATUS_NO_EXEC);
        }
        if (spec->environment)
                environ = (char **)spec->environment;
        (void)execvp(spec->argv[0], spec->argv);
        complain("cannot execute ", spec->argv[0]);
        _exit(PROC_STATUS_NO_EXEC);
}

/*
 * A program that was started without standard streams gets these numbers for
 * its own files. The child's dup2(2) would then overwrite one with the other,
 * or leave it alone together with its close-on-exec flag.
 */
static int above_stdio(int *fd)
{
        int moved;

        if (*fd > STDERR_FILENO)
                return 0;
        moved = fcntl(*fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
        if (moved < 0)
                return err_origin(-errno);
        safe_close(*fd);
        *fd = moved;
        return 0;
}

int proc_spawn(const ProcSpec *spec, pid_t *ret_pid, int *ret_output)
{
        _cleanup_close_ int null = -EBADF, reader = -EBADF, writer = -EBADF;
        pid_t parent = getpid(), pid;
        sigset_t all, mask;
        int ends[2], error, r;

        null = open("/dev/null", O_RDONLY | O_CLOEXEC);
        if (null < 0)
                return err_origin(-errno);
        if (pipe2(ends, O_CLOEXEC) < 0)
                return err_origin(-errno);
        reader = ends[0];
        writer = ends[1];
        r = above_stdio(&null);
        if (r == 0)
                r = above_stdio(&reader);
        if (r == 0)
                r = above_stdio(&writer);
        if (r)
                return err_trace(r);
        /* Only our end is non-blocking: make must be able to wait for a slow reader. */
        if (fcntl(reader, F_SETFL, O_NONBLOCK) < 0)
                return err_origin(-errno);

        /* Until the child has reset its signals, none may run a handler of ours in it. */
        (void)sigfillset(&all);
        if (sigprocmask(SIG_SETMASK, &all, &mask) < 0)
                return err_origin(-errno);
        pid = fork();
        error = errno;
        if (pid == 0)
                run_child(spec, parent, null, writer);
        (void)sigprocmask(SIG_SETMASK, &mask, NULL);
        if (pid < 0)
                return err_origin(-error);

        /* Both sides do it, so the group exists whoever comes first. */
        (void)setpgid(pid, pid);
        *ret_pid = pid;
        *ret_output = TAKE_FD(reader);
        return 0;
}

void proc_kill_group(pid_t pid, int signal)
{
        if (pid > 1)
                (void)kill(-pid, signal);
}
