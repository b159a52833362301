/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What a child of ours finds when it starts. The children are shells; what
 * they say is waited for by the end of their output, never by the clock.
 */

#include "unit.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "base/root.h"
#include "base/str.h"
#include "sys/proc.h"

static int spawn(ProcSpec spec, pid_t *ret_pid)
{
        int output;

        ck_assert_int_eq(proc_spawn(&spec, ret_pid, &output), 0);
        ck_assert_int_ne(fcntl(output, F_GETFD) & FD_CLOEXEC, 0);
        ck_assert_int_ne(fcntl(output, F_GETFL) & O_NONBLOCK, 0);
        return output;
}

/* All of the output until its end. */
static char *read_all(int fd)
{
        char *text = NULL;

        ck_assert_int_eq(fcntl(fd, F_SETFL, 0), 0);
        ck_assert_int_eq(fd_read_file(fd, 1 << 20, &text, NULL), 0);
        closep(&fd);
        return text;
}

static int reap(pid_t pid)
{
        int status;

        ck_assert_int_eq(waitpid(pid, &status, 0), pid);
        return status;
}

/* Runs @script and returns its output; it must succeed. */
static char *run(const char *script)
{
        char *const argv[] = { (char *)"sh", (char *)"-c", (char *)script, NULL };
        pid_t pid;
        char *text = read_all(spawn((ProcSpec){ .argv = argv }, &pid));

        ck_assert_msg(reap(pid) == 0, "%s: %s", script, text);
        return text;
}

/* T5: a question meets its end of file at once. */
START_TEST(test_stdin)
{
        _cleanup_free_ char *text = run("readlink /proc/self/fd/0; wc -c; read answer; echo $?");

        ck_assert_str_eq(text, "/dev/null\n0\n1\n");
}
END_TEST

START_TEST(test_one_pipe)
{
        _cleanup_free_ char *text = run("echo out; echo err >&2; echo out");
        _cleanup_free_ char *links = run("test /proc/$$/fd/1 -ef /proc/$$/fd/2 && echo same");

        ck_assert_str_eq(text, "out\nerr\nout\n");
        ck_assert_str_eq(links, "same\n");
}
END_TEST

/* The child's own end blocks: make must be able to wait for a slow reader. */
START_TEST(test_output_blocks)
{
        _cleanup_free_ char *text = run("dd if=/dev/zero bs=65536 count=4 2>/dev/null | tr '\\0' x");

        ck_assert_uint_eq(strlen(text), 4 * 65536);
}
END_TEST

/* Not even descriptors that somebody forgot to mark. ls opens the directory itself: its fd 3. */
START_TEST(test_no_inherited_fds)
{
        int leaked = open("/etc/passwd", O_RDONLY), high;
        _cleanup_free_ char *text = NULL;
        char *const argv[] = { (char *)"ls", (char *)"/proc/self/fd", NULL };
        pid_t pid;

        high = fcntl(leaked, F_DUPFD, 200);
        ck_assert_int_ge(high, 200);
        text = read_all(spawn((ProcSpec){ .argv = argv }, &pid));
        ck_assert_int_eq(reap(pid), 0);
        ck_assert_str_eq(text, "0\n1\n2\n3\n");
        closep(&leaked);
        closep(&high);
}
END_TEST

/* A program that was started without standard streams: the numbers 0 to 2 are those of its own files. */
START_TEST(test_without_stdio)
{
        _cleanup_free_ char *text = NULL;
        int saved[3];

        for (int fd = 0; fd < 3; fd++)
                saved[fd] = fcntl(fd, F_DUPFD_CLOEXEC, 10);
        for (int fd = 0; fd < 3; fd++)
                if (_i & (1 << fd))
                        (void)close(fd);
        text = run("readlink /proc/self/fd/0; echo out; echo err >&2");
        for (int fd = 0; fd < 3; fd++) {
                (void)dup2(saved[fd], fd);
                (void)close(saved[fd]);
        }
        ck_assert_str_eq(text, "/dev/null\nout\nerr\n");
}
END_TEST

/* Neither descriptors nor a changed signal mask stay behind in the parent. */
START_TEST(test_no_leak)
{
        int before = dup(0), after;
        sigset_t mask, now;

        closep(&before);
        (void)sigemptyset(&mask);
        (void)sigaddset(&mask, SIGUSR1);
        ck_assert_int_eq(sigprocmask(SIG_SETMASK, &mask, NULL), 0);
        before = dup(0);
        for (unsigned i = 0; i < 20; i++)
                free(run("echo x"));
        after = dup(0);
        ck_assert_int_eq(after, before + 1);
        ck_assert_int_eq(sigprocmask(SIG_SETMASK, NULL, &now), 0);
        ck_assert_int_eq(sigismember(&now, SIGUSR1), 1);
        ck_assert_int_eq(sigismember(&now, SIGTERM), 0);
        closep(&after);
        closep(&before);
}
END_TEST

START_TEST(test_own_group)
{
        char *const argv[] = { (char *)"sleep", (char *)"1000", NULL };
        pid_t pid;
        int output = spawn((ProcSpec){ .argv = argv }, &pid), status;

        ck_assert_int_eq(getpgid(pid), pid);
        ck_assert_int_ne(getpgid(0), pid);
        proc_kill_group(pid, SIGTERM);
        status = reap(pid);
        ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
        proc_kill_group(pid, SIGKILL); /* gone: fine */
        closep(&output);
}
END_TEST

/* The whole group: what the child started goes as well, and with it the last writer of the pipe. */
START_TEST(test_kill_group)
{
        char *const argv[] = { (char *)"sh", (char *)"-c", (char *)"sleep 1000 & sleep 1000 & echo up; wait",
                NULL };
        _cleanup_free_ char *text = NULL;
        struct pollfd p = { .events = POLLIN };
        pid_t pid;

        p.fd = spawn((ProcSpec){ .argv = argv }, &pid);
        ck_assert_int_eq(poll(&p, 1, -1), 1);
        proc_kill_group(pid, SIGKILL);
        text = read_all(p.fd);
        ck_assert_str_eq(text, "up\n");
        ck_assert_int_eq(WTERMSIG(reap(pid)), SIGKILL);
}
END_TEST

/* kill(-1) and kill(0) mean everybody: these numbers must never get there. */
START_TEST(test_kill_nobody)
{
        proc_kill_group(0, SIGKILL);
        proc_kill_group(1, SIGKILL);
        proc_kill_group(-1, SIGKILL);
}
END_TEST

/* Blocked and ignored signals of ours are not the child's. */
START_TEST(test_signals)
{
        _cleanup_free_ char *text = NULL;
        sigset_t all, now;

        for (int s = 1; s < 32; s++)
                if (s != SIGCHLD)
                        (void)signal(s, SIG_IGN);
        (void)sigfillset(&all);
        ck_assert_int_eq(sigprocmask(SIG_SETMASK, &all, NULL), 0);
        text = run("cat /proc/self/status");
        ck_assert_ptr_nonnull(strstr(text, "SigBlk:\t0000000000000000\n"
                                           "SigIgn:\t0000000000000000\n"
                                           "SigCgt:\t0000000000000000\n"));
        ck_assert_int_eq(sigprocmask(SIG_SETMASK, NULL, &now), 0);
        ck_assert_int_eq(sigismember(&now, SIGTERM), 1); /* and ours is as it was */
}
END_TEST

static int death_signals[] = { SIGTERM, SIGKILL, 0 };

/*
 * The process in the middle dies; its child goes with it, if that was asked
 * for. The test inherits the orphan (as a subreaper) and so learns its end.
 */
START_TEST(test_death_signal)
{
        char *const argv[] = { (char *)"sh", (char *)"-c", (char *)"echo up; exec sleep 1000", NULL };
        int channel[2], death = death_signals[_i];
        pid_t middle, pid = 0;
        char word[3];

        ck_assert_int_eq(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
        ck_assert_int_eq(pipe(channel), 0);
        middle = fork();
        if (middle == 0) {
                ProcSpec spec = { .argv = argv, .death_signal = death };
                int output;

                if (proc_spawn(&spec, &pid, &output) < 0)
                        _exit(1);
                /* Only when it runs: what it says goes to the test by way of this process. */
                (void)poll(&(struct pollfd){ .fd = output, .events = POLLIN }, 1, -1);
                (void)!read(output, word, 3);
                (void)!write(channel[1], &pid, sizeof(pid));
                (void)kill(getpid(), SIGKILL);
        }
        ck_assert_int_eq(close(channel[1]), 0);
        ck_assert_int_eq(read(channel[0], &pid, sizeof(pid)), sizeof(pid));
        ck_assert_int_eq(WTERMSIG(reap(middle)), SIGKILL);
        if (death == 0) {
                ck_assert_int_eq(waitpid(pid, NULL, WNOHANG), 0); /* alive, and ours now */
                ck_assert_int_eq(kill(pid, SIGUSR1), 0);
        }
        ck_assert_int_eq(WTERMSIG(reap(pid)), death ? death : SIGUSR1);
        closep(&channel[0]);
}
END_TEST

/* A shell below a shell, which no signal to their leader would reach. */
START_TEST(test_guarded_death)
{
        char *const argv[] = { (char *)"sh", (char *)"-c",
                (char *)"sh -c 'sh -c \"echo up; sleep 1000; true\"; true'; true", NULL };
        int channel[2], status;
        pid_t middle, pid = 0;
        char word[3];

        ck_assert_int_eq(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
        ck_assert_int_eq(pipe(channel), 0);
        middle = fork();
        if (middle == 0) {
                ProcSpec spec = { .argv = argv, .guarded = true };
                int output;

                if (proc_spawn(&spec, &pid, &output) < 0)
                        _exit(1);
                (void)poll(&(struct pollfd){ .fd = output, .events = POLLIN }, 1, -1);
                (void)!read(output, word, 3);
                (void)!write(channel[1], &pid, sizeof(pid));
                (void)kill(getpid(), SIGKILL);
        }
        ck_assert_int_eq(close(channel[1]), 0);
        ck_assert_int_eq(read(channel[0], &pid, sizeof(pid)), sizeof(pid));
        /* Whoever has not been reaped by a parent comes to us in the end; this would wait for a sleeper. */
        while (waitpid(-1, &status, 0) > 0)
                ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        ck_assert_int_eq(kill(-pid, 0), -1);
        closep(&channel[0]);
}
END_TEST

static const struct {
        const char *script;
        int exited, signal;
} ends[] = {
        { "exit 0", 0, 0 },
        { "exit 77", 77, 0 },
        { "kill -KILL $$", 0, SIGKILL },
        { "kill -SEGV $$", 0, SIGSEGV },
        { "kill -TERM $$", 0, SIGTERM },
        { "kill -USR1 $$", 0, SIGUSR1 },
};

/* The guard ends as the program did. */
START_TEST(test_guarded_end)
{
        char *const argv[] = { (char *)"sh", (char *)"-c", (char *)ends[_i].script, NULL };
        pid_t pid;
        int status;

        free(read_all(spawn((ProcSpec){ .argv = argv, .guarded = true }, &pid)));
        status = reap(pid);
        if (ends[_i].signal)
                ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == ends[_i].signal);
        else
                ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == ends[_i].exited);
}
END_TEST

/* Who asks the group to end waits for the program, which may have something to do before. */
START_TEST(test_guarded_term)
{
        char *const argv[] = { (char *)"sh", (char *)"-c",
                (char *)"trap 'echo tidy; exit 5' TERM; echo up; while :; do sleep 0.02; done", NULL };
        _cleanup_free_ char *text = NULL;
        struct pollfd p = { .events = POLLIN };
        pid_t pid;
        int status;

        p.fd = spawn((ProcSpec){ .argv = argv, .guarded = true }, &pid);
        ck_assert_int_eq(poll(&p, 1, -1), 1);
        proc_kill_group(pid, SIGTERM);
        status = reap(pid);
        text = read_all(p.fd);
        ck_assert_ptr_nonnull(strstr(text, "tidy\n")); /* beside what the shell says of its sleep */
        ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 5);
}
END_TEST

START_TEST(test_environment)
{
        char *const argv[] = { (char *)"env", NULL };
        char *const environment[] = { (char *)"PATH=/usr/bin:/bin", (char *)"LC_ALL=C", NULL };
        _cleanup_free_ char *text = NULL, *inherited = NULL;
        pid_t pid;

        text = read_all(spawn((ProcSpec){ .argv = argv, .environment = environment }, &pid));
        ck_assert_int_eq(reap(pid), 0);
        ck_assert_str_eq(text, "PATH=/usr/bin:/bin\nLC_ALL=C\n");

        ck_assert_int_eq(setenv("OF_THE_TEST", "yes", 1), 0);
        inherited = run("echo $OF_THE_TEST");
        ck_assert_str_eq(inherited, "yes\n");
}
END_TEST

START_TEST(test_directory)
{
        char *const argv[] = { (char *)"pwd", NULL };
        const char *directory = _i == 0 ? NULL : "/usr/lib";
        _cleanup_free_ char *text = NULL;
        pid_t pid;

        text = read_all(spawn((ProcSpec){ .argv = argv, .directory = directory }, &pid));
        ck_assert_int_eq(reap(pid), 0);
        ck_assert_str_eq(text, _i == 0 ? "/\n" : "/usr/lib\n");
}
END_TEST

static const struct {
        const char *program, *path, *directory, *message;
} failures[] = {
        { "no-such-program", NULL, NULL, "cannot execute no-such-program: No such file or directory\n" },
        { "/etc/passwd", NULL, NULL, "cannot execute /etc/passwd: Permission denied\n" },
        { "/", NULL, NULL, "cannot execute /: Permission denied\n" },
        { "sh", "PATH=/nowhere", NULL, "cannot execute sh: No such file or directory\n" },
        { "true", NULL, "/no/such/directory",
                        "cannot enter /no/such/directory: No such file or directory\n" },
        { "true", NULL, "/etc/passwd", "cannot enter /etc/passwd: Not a directory\n" },
};

START_TEST(test_failure)
{
        char *const argv[] = { (char *)failures[_i].program, NULL };
        char *const environment[] = { (char *)failures[_i].path, NULL };
        ProcSpec spec = { .argv = argv, .directory = failures[_i].directory };
        _cleanup_free_ char *text = NULL;
        int status;
        pid_t pid;

        if (failures[_i].path)
                spec.environment = environment;
        text = read_all(spawn(spec, &pid));
        ck_assert_str_eq(text, failures[_i].message);
        status = reap(pid);
        ck_assert(WIFEXITED(status));
        ck_assert_int_eq(WEXITSTATUS(status), 127);
}
END_TEST

/* The one that is handed over is number 3 in the child, whatever it was and however it is flagged. */
START_TEST(test_keep_fd)
{
        static const char script[] = "readlink /proc/self/fd/3; ls /proc/self/fd | wc -l";
        char *const argv[] = { (char *)"sh", (char *)"-c", (char *)script, NULL };
        _cleanup_free_ char *text = NULL;
        int null = open("/dev/zero", O_RDONLY | O_CLOEXEC), other = open("/dev/full", O_RDONLY | O_CLOEXEC);
        int kept = fcntl(null, F_DUPFD_CLOEXEC, _i);
        ProcSpec spec = { .argv = argv, .keep_fd = kept };
        pid_t pid;

        ck_assert_int_ge(kept, _i);
        text = read_all(spawn(spec, &pid));
        ck_assert_str_eq(text, "/dev/zero\n5\n"); /* and the directory that ls reads */
        ck_assert_int_eq(reap(pid), 0);
        ck_assert_int_ne(fcntl(kept, F_GETFD) & FD_CLOEXEC, 0);
        safe_close(kept);
        safe_close(null);
        safe_close(other);
}
END_TEST

UNIT_MAIN("proc", UNIT_TEST(test_stdin), UNIT_TEST(test_one_pipe), UNIT_TEST(test_output_blocks),
                UNIT_TEST(test_no_inherited_fds), UNIT_LOOP(test_without_stdio, 8), UNIT_TEST(test_no_leak),
                UNIT_TEST(test_own_group), UNIT_TEST(test_kill_group), UNIT_TEST(test_kill_nobody),
                UNIT_TEST(test_signals), UNIT_LOOP(test_death_signal, ELEMENTSOF(death_signals)),
                UNIT_TEST(test_guarded_death), UNIT_LOOP(test_guarded_end, ELEMENTSOF(ends)),
                UNIT_TEST(test_guarded_term), UNIT_TEST(test_environment), UNIT_LOOP(test_directory, 2),
                UNIT_LOOP(test_keep_fd, 8), UNIT_LOOP(test_failure, ELEMENTSOF(failures)))
