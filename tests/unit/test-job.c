/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Children on a loop. The loop is turned until what is waited for has
 * happened; check's timeout is the only clock. Only where a timeout itself is
 * tested does time pass, and then as little as the deadline tested.
 */

#include "unit.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "base/root.h"
#include "base/str.h"
#include "job.h"

enum { LINES_KEPT = 100 };

typedef struct Fixture {
        sd_event *event;
        JobPool *pool;
        unsigned n_idle;
} Fixture;

/* What a job told its owner. */
typedef struct Owner {
        Job *job;
        char **lines; /* the first ones */
        unsigned n_lines;
        unsigned n_overdue, n_exit;
        JobResult result;
        const char *cancel_at; /* the line at which the owner lets go of it */
        bool gone;             /* it must not be called any more */
} Owner;

static void on_idle(void *userdata)
{
        ((Fixture *)userdata)->n_idle++;
}

static Fixture fixture_new(void)
{
        Fixture f = {};

        ck_assert_int_ge(sd_event_new(&f.event), 0);
        return f;
}

/* The pool keeps the fixture's address, so it is made where the fixture stays. */
static void fixture_open(Fixture *f)
{
        *f = fixture_new();
        ck_assert_int_eq(job_pool_new(f->event, on_idle, f, &f->pool), 0);
        ck_assert(job_pool_is_idle(f->pool));
}

static void fixture_done(Fixture *f)
{
        f->pool = job_pool_free(f->pool);
        f->event = sd_event_unref(f->event);
}
#define _cleanup_fixture_ _cleanup_(fixture_done)

static void owner_done(Owner *o)
{
        strv_free(o->lines);
}
#define _cleanup_owner_ _cleanup_(owner_done)

static void on_line(void *userdata, const char *line)
{
        Owner *o = userdata;

        ck_assert(!o->gone);
        ck_assert_uint_eq(o->n_exit, 0);
        ck_assert_uint_le(strlen(line), JOB_LINE_MAX);
        if (o->n_lines++ < LINES_KEPT)
                ck_assert_int_eq(strv_push(&o->lines, line), 0);
        if (o->cancel_at && streq(line, o->cancel_at)) {
                o->gone = true;
                job_cancel(o->job);
        }
}

static void on_overdue(void *userdata)
{
        Owner *o = userdata;

        ck_assert(!o->gone);
        o->n_overdue++;
}

static void on_exit_of(void *userdata, const JobResult *result)
{
        Owner *o = userdata;

        ck_assert(!o->gone);
        o->n_exit++;
        o->result = *result;
        o->job = NULL;
}

static const JobHandler handler = { .on_line = on_line, .on_overdue = on_overdue, .on_exit = on_exit_of };

/* @spec without argv: the script, by sh. */
static void start(Fixture *f, const char *script, JobSpec spec, Owner *o)
{
        char *const argv[] = { (char *)"sh", (char *)"-c", (char *)script, NULL };

        spec.argv = argv;
        if (spec.log_fd == 0)
                spec.log_fd = -EBADF;
        ck_assert_int_eq(job_start(f->pool, &spec, &handler, o, &o->job), 0);
        ck_assert(!job_pool_is_idle(f->pool));
        ck_assert_int_eq(getpgid(job_pid(o->job)), job_pid(o->job));
}

#define TURN_UNTIL(f, condition)                                                                            \
        while (!(condition))                                                                                \
        ck_assert_int_ge(sd_event_run((f)->event, UINT64_MAX), 0)

static void start_background(Fixture *f, const char *script, Owner *o)
{
        char *const argv[] = { (char *)"sh", (char *)"-c", (char *)script, NULL };
        JobSpec spec = { .argv = argv, .log_fd = -EBADF, .background = true };

        ck_assert_int_eq(job_start(f->pool, &spec, &handler, o, &o->job), 0);
}

static void run(const char *script, JobSpec spec, Owner *o)
{
        _cleanup_fixture_ Fixture f = {};

        fixture_open(&f);
        start(&f, script, spec, o);
        TURN_UNTIL(&f, o->n_exit);
        ck_assert_uint_eq(o->n_exit, 1);
        ck_assert_uint_eq(f.n_idle, 1);
        ck_assert(job_pool_is_idle(f.pool));
        ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1); /* reaped */
        ck_assert_int_eq(errno, ECHILD);
}

static void check_lines(const Owner *o, const char *expected)
{
        _cleanup_free_ char *text = strv_join(o->lines, "|");

        ck_assert_str_eq(text, expected);
}

static unsigned count_fds(void)
{
        _cleanup_closedir_ DIR *d = opendir("/proc/self/fd");
        unsigned n = 0;

        while (readdir(d))
                n++;
        return n;
}

static const struct {
        const char *script, *lines;
        int status, signal;
} runs[] = {
        { "true", "", 0, 0 },
        { "false", "", 1, 0 },
        { "exit 127", "", 127, 0 },
        { "echo one; echo two >&2; echo three", "one|two|three", 0, 0 },
        { "echo", "", 0, 0 },
        { "printf 'no end'", "no end", 0, 0 },
        { "printf 'a\\n\\nb\\n'", "a||b", 0, 0 },
        { "printf 'a\\0b\\nc'", "a|c", 0, 0 }, /* a line is text: it ends at a NUL */
        { "printf 'part'; kill -TERM $$", "part", -1, SIGTERM },
        { "kill -KILL $$", "", -1, SIGKILL },
        { "wc -c", "0", 0, 0 },
};

START_TEST(test_run)
{
        _cleanup_owner_ Owner o = {};

        run(runs[_i].script, (JobSpec){}, &o);
        check_lines(&o, runs[_i].lines);
        ck_assert_int_eq(o.result.status, runs[_i].status);
        ck_assert_int_eq(o.result.signal, runs[_i].signal);
        ck_assert(!o.result.timed_out);
        ck_assert_uint_eq(o.n_overdue, 0);
}
END_TEST

/* Lines that come in pieces are put together. */
START_TEST(test_pieces)
{
        _cleanup_fixture_ Fixture f = {};
        _cleanup_owner_ Owner o = {};
        char fifo[] = "/tmp/test-job-XXXXXX";
        _cleanup_free_ char *script = NULL;
        int to;

        ck_assert_ptr_nonnull(mkdtemp(fifo));
        script = str_format(
                        "printf 'one pie'; mkfifo %s/f; read x <%s/f; printf 'ce\\nnext\\n'", fifo, fifo);
        fixture_open(&f);
        start(&f, script, (JobSpec){}, &o);
        script = (free(script), str_format("%s/f", fifo));
        /* The first piece has arrived when the loop has turned and no line is there. */
        ck_assert_int_ge(sd_event_run(f.event, UINT64_MAX), 0);
        ck_assert_ptr_null(o.lines);
        while ((to = open(script, O_WRONLY | O_CLOEXEC)) < 0)
                ck_assert_int_eq(errno, ENOENT);
        ck_assert_int_eq(write(to, "\n", 1), 1);
        closep(&to);
        TURN_UNTIL(&f, o.n_exit);
        check_lines(&o, "one piece|next");
        ck_assert_int_eq(unlink(script), 0);
        ck_assert_int_eq(rmdir(fifo), 0);
}
END_TEST

/* Each length around the limit: the rest of a line is dropped, and only that. */
START_TEST(test_long_lines)
{
        static const size_t lengths[] = { JOB_LINE_MAX - 1, JOB_LINE_MAX, JOB_LINE_MAX + 1, 3 * JOB_LINE_MAX,
                200000 };
        _cleanup_free_ char *script = str_format(
                        "head -c %zu /dev/zero | tr '\\0' x; echo; echo next", lengths[_i]);
        _cleanup_owner_ Owner o = {};

        run(script, (JobSpec){}, &o);
        ck_assert_uint_eq(strv_length(o.lines), 2);
        ck_assert_uint_eq(strlen(o.lines[0]), MIN(lengths[_i], (size_t)JOB_LINE_MAX));
        ck_assert_uint_eq(strspn(o.lines[0], "x"), strlen(o.lines[0]));
        ck_assert_str_eq(o.lines[1], "next");
}
END_TEST

/* A child that is gone with a full pipe behind it: all of it is there before its end is told. */
START_TEST(test_drained_first)
{
        _cleanup_fixture_ Fixture f = {};
        _cleanup_owner_ Owner o = {};
        siginfo_t si = {};

        fixture_open(&f);
        start(&f, "i=0; while [ $i -lt 4000 ]; do echo line $i; i=$((i+1)); done", (JobSpec){}, &o);
        /* It is dead before the loop turns for the first time. */
        ck_assert_int_eq(waitid(P_PID, (id_t)job_pid(o.job), &si, WEXITED | WNOWAIT), 0);
        TURN_UNTIL(&f, o.n_exit);
        ck_assert_uint_eq(o.n_lines, 4000);
}
END_TEST

START_TEST(test_log)
{
        char path[] = "/tmp/test-job-XXXXXX", text[64] = "";
        int fd = mkostemp(path, O_CLOEXEC);
        _cleanup_owner_ Owner o = {};

        run("printf 'a\\nb\\n\\nc'", (JobSpec){ .log_fd = fd }, &o);
        ck_assert_int_eq(pread(fd, text, sizeof(text), 0), 6);
        ck_assert_str_eq(text, "a\nb\n\nc");
        ck_assert_int_eq(fcntl(fd, F_GETFD), FD_CLOEXEC); /* still the caller's */
        closep(&fd);
        (void)unlink(path);
}
END_TEST

/* A log that cannot be written is no reason to lose lines. */
START_TEST(test_log_full)
{
        int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
        _cleanup_owner_ Owner o = {};

        run("echo one; echo two", (JobSpec){ .log_fd = fd }, &o);
        check_lines(&o, "one|two");
        closep(&fd);
}
END_TEST

START_TEST(test_without_handlers)
{
        static const JobHandler bare = { .on_exit = on_exit_of };
        char *const argv[] = { (char *)"sh", (char *)"-c", (char *)"echo x; sleep 0.01", NULL };
        JobSpec spec = { .argv = argv, .log_fd = -EBADF, .overdue = 1 };
        _cleanup_fixture_ Fixture f = {};
        _cleanup_owner_ Owner o = {};

        fixture_open(&f);
        ck_assert_int_eq(job_start(f.pool, &spec, &bare, &o, &o.job), 0);
        TURN_UNTIL(&f, o.n_exit);
        ck_assert_ptr_null(o.lines);
        ck_assert_int_eq(o.result.status, 0);
}
END_TEST

START_TEST(test_not_executable)
{
        char *const argv[] = { (char *)"/no/such/program", NULL };
        JobSpec spec = { .argv = argv, .log_fd = -EBADF };
        _cleanup_fixture_ Fixture f = {};
        _cleanup_owner_ Owner o = {};

        fixture_open(&f);
        ck_assert_int_eq(job_start(f.pool, &spec, &handler, &o, &o.job), 0);
        TURN_UNTIL(&f, o.n_exit);
        ck_assert_int_eq(o.result.status, 127);
        check_lines(&o, "cannot execute /no/such/program: No such file or directory");
}
END_TEST

/* TERM is enough for this one. */
START_TEST(test_timeout)
{
        _cleanup_owner_ Owner o = {};

        run("echo up; exec sleep 1000", (JobSpec){ .timeout = 300 * USEC_PER_MSEC }, &o);
        ck_assert(o.result.timed_out);
        ck_assert_int_eq(o.result.status, -1);
        ck_assert_int_eq(o.result.signal, SIGTERM);
        ck_assert_uint_ge(o.result.duration, 300 * USEC_PER_MSEC);
}
END_TEST

/* This one does not listen, nor does its child: after the grace both are killed. */
START_TEST(test_timeout_ignored)
{
        _cleanup_owner_ Owner o = {};

        run("trap '' TERM; echo up; sleep 1000; echo never", (JobSpec){ .timeout = 300 * USEC_PER_MSEC },
                        &o);
        ck_assert(o.result.timed_out);
        ck_assert_int_eq(o.result.signal, SIGKILL);
        ck_assert_uint_ge(o.result.duration, 300 * USEC_PER_MSEC + JOB_GRACE);
        check_lines(&o, "up");
}
END_TEST

/* One that cleans up on TERM may do so, and what it says then is heard. */
START_TEST(test_timeout_cleans_up)
{
        _cleanup_owner_ Owner o = {};

        run("trap 'echo bye; exit 3' TERM; echo up; while :; do sleep 0.02; done",
                        (JobSpec){ .timeout = 300 * USEC_PER_MSEC }, &o);
        ck_assert(o.result.timed_out);
        ck_assert_int_eq(o.result.status, 3);
        ck_assert_str_eq(o.lines[strv_length(o.lines) - 1], "bye");
}
END_TEST

START_TEST(test_no_timeout)
{
        _cleanup_owner_ Owner o = {};

        run("echo x", (JobSpec){ .timeout = USEC_INFINITY, .overdue = USEC_INFINITY }, &o);
        ck_assert(!o.result.timed_out);
}
END_TEST

/* The deadline is told once and nobody is harmed: a kernel operation cannot be called back. */
START_TEST(test_overdue)
{
        _cleanup_fixture_ Fixture f = {};
        _cleanup_owner_ Owner o = {};

        fixture_open(&f);
        start(&f, "exec sleep 1000", (JobSpec){ .overdue = 1 * USEC_PER_MSEC }, &o);
        TURN_UNTIL(&f, o.n_overdue);
        ck_assert_uint_eq(o.n_exit, 0);
        ck_assert_int_eq(kill(job_pid(o.job), 0), 0);
        ck_assert_int_eq(kill(job_pid(o.job), SIGINT), 0);
        TURN_UNTIL(&f, o.n_exit);
        ck_assert_uint_eq(o.n_overdue, 1);
        ck_assert(!o.result.timed_out);
        ck_assert_int_eq(o.result.signal, SIGINT);
}
END_TEST

/* Nobody is called any more, and the child is gone and reaped in the background. */
START_TEST(test_cancel)
{
        _cleanup_fixture_ Fixture f = {};
        _cleanup_owner_ Owner o = {};
        const char *const scripts[] = { "exec sleep 1000", "trap '' TERM; echo up; sleep 1000; echo never" };
        pid_t pid;

        fixture_open(&f);
        start(&f, scripts[_i], (JobSpec){ .overdue = 1 * USEC_PER_MSEC, .timeout = 2 * USEC_PER_MSEC }, &o);
        pid = job_pid(o.job);
        o.gone = true;
        job_cancel(o.job);
        job_cancel(o.job);
        ck_assert(!job_pool_is_idle(f.pool));
        TURN_UNTIL(&f, f.n_idle);
        ck_assert(job_pool_is_idle(f.pool));
        ck_assert_int_eq(kill(pid, 0), -1);
        ck_assert_int_eq(errno, ESRCH);
        job_cancel(NULL);
}
END_TEST

/*
 * The caller closes its log after the cancel, and the number becomes another
 * file: what the job still says must not get there.
 */
START_TEST(test_cancel_leaves_log)
{
        char path[] = "/tmp/test-job-XXXXXX", other[] = "/tmp/test-job-XXXXXX";
        int fd = mkostemp(path, O_CLOEXEC), reused;
        _cleanup_fixture_ Fixture f = {};
        _cleanup_owner_ Owner o = {};
        struct stat st;

        fixture_open(&f);
        start(&f, "trap 'echo last words; exit' TERM; echo up; while :; do sleep 0.02; done",
                        (JobSpec){ .log_fd = fd }, &o);
        TURN_UNTIL(&f, o.lines);
        o.gone = true;
        job_cancel(o.job);
        ck_assert_int_eq(close(fd), 0);
        reused = mkostemp(other, O_CLOEXEC);
        ck_assert_int_eq(reused, fd);
        TURN_UNTIL(&f, f.n_idle);
        ck_assert_int_eq(fstat(reused, &st), 0);
        ck_assert_int_eq(st.st_size, 0);
        closep(&reused);
        (void)unlink(path);
        (void)unlink(other);
}
END_TEST

/* An owner that has heard enough, from within a line: at once, and among the last lines of a dead child. */
START_TEST(test_cancel_from_line)
{
        _cleanup_fixture_ Fixture f = {};
        _cleanup_owner_ Owner o = { .cancel_at = "enough" };
        siginfo_t si = {};

        fixture_open(&f);
        start(&f, "echo one; echo enough; echo more", (JobSpec){}, &o);
        if (_i == 1)
                ck_assert_int_eq(waitid(P_PID, (id_t)job_pid(o.job), &si, WEXITED | WNOWAIT), 0);
        TURN_UNTIL(&f, f.n_idle);
        check_lines(&o, "one|enough");
        ck_assert_uint_eq(o.n_exit, 0);
}
END_TEST

/* The last line without its newline is told only when the child is gone: also then the owner may let go. */
START_TEST(test_cancel_from_last_line)
{
        _cleanup_fixture_ Fixture f = {};
        _cleanup_owner_ Owner o = { .cancel_at = "enough" };

        fixture_open(&f);
        start(&f, "printf enough", (JobSpec){}, &o);
        TURN_UNTIL(&f, f.n_idle);
        ck_assert_uint_eq(o.n_exit, 0);
}
END_TEST

/* Grandchildren that left the group, with the pipe in hand: silent, or talking for ever. */
#define ESCAPE(command)                                                                                     \
        "setsid sh -c 'echo $$; exec " command "' & "                                                       \
        "while test \"$(cut -d' ' -f6 /proc/$!/stat)\" != $!; do :; done; echo done"
static const char *const escaped[] = { ESCAPE("sleep 1000"), ESCAPE("yes") };

static void reap_orphans(Owner *o)
{
        STRV_FOREACH (line, o->lines) {
                pid_t pid = (pid_t)strtol(*line, NULL, 10);

                if (pid > 1)
                        (void)kill(pid, SIGKILL);
        }
}

START_TEST(test_grandchild_holds_pipe)
{
        _cleanup_owner_ Owner o = {};
        _cleanup_fixture_ Fixture f = {};

        ck_assert_int_eq(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
        fixture_open(&f);
        start(&f, escaped[_i], (JobSpec){}, &o);
        TURN_UNTIL(&f, o.n_exit);
        ck_assert_int_eq(o.result.status, 0);
        ck_assert(job_pool_is_idle(f.pool));
        reap_orphans(&o);
}
END_TEST

/* Those that stayed in the group go with their leader. Their pipe is the test's: its end is their end. */
START_TEST(test_grandchildren_killed)
{
        _cleanup_owner_ Owner o = {};
        pid_t orphan;
        int status;

        ck_assert_int_eq(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
        {
                _cleanup_fixture_ Fixture f = {};

                fixture_open(&f);
                start(&f, "sleep 1000 & echo $!", (JobSpec){}, &o);
                TURN_UNTIL(&f, o.n_exit);
        }
        orphan = (pid_t)strtol(o.lines[0], NULL, 10);
        ck_assert_int_eq(waitpid(orphan, &status, 0), orphan);
        ck_assert_int_eq(WTERMSIG(status), SIGKILL);
}
END_TEST

START_TEST(test_many)
{
        enum { N = 40 };
        _cleanup_fixture_ Fixture f = {};
        Owner owners[N] = {};
        unsigned n_done = 0;

        fixture_open(&f);
        for (unsigned i = 0; i < N; i++) {
                _cleanup_free_ char *script = str_format("echo %u; exit %u", i, i);

                start(&f, script, (JobSpec){ .timeout = USEC_PER_HOUR, .overdue = USEC_PER_HOUR },
                                &owners[i]);
        }
        job_cancel(owners[7].job);
        owners[7].gone = true;
        TURN_UNTIL(&f, f.n_idle);
        for (unsigned i = 0; i < N; i++) {
                n_done += owners[i].n_exit;
                if (i == 7)
                        continue;
                ck_assert_int_eq(owners[i].result.status, (int)i);
                ck_assert_uint_eq(strv_length(owners[i].lines), 1);
                owner_done(&owners[i]);
        }
        ck_assert_uint_eq(n_done, N - 1);
        ck_assert_uint_eq(f.n_idle, 1);
}
END_TEST

/* What may hang in the kernel is not waited for: the pool is idle with it, and told when the last other one
 * ends. */
START_TEST(test_background)
{
        _cleanup_owner_ Owner hangs = {}, ends = {};
        _cleanup_fixture_ Fixture f = {};

        fixture_open(&f);
        start_background(&f, "sleep 1000", &hangs);
        ck_assert(job_pool_is_idle(f.pool));
        start(&f, "true", (JobSpec){}, &ends);
        while (f.n_idle == 0)
                ck_assert_int_ge(sd_event_run(f.event, UINT64_MAX), 0);
        ck_assert_uint_eq(ends.n_exit, 1);
        ck_assert_uint_eq(hangs.n_exit, 0);
        ck_assert(job_pool_is_idle(f.pool));
        job_cancel(hangs.job);
        while (f.n_idle == 1)
                ck_assert_int_ge(sd_event_run(f.event, UINT64_MAX), 0);
        ck_assert_uint_eq(hangs.n_exit, 0);
}
END_TEST

START_TEST(test_no_fd_leak)
{
        unsigned before;

        {
                _cleanup_owner_ Owner o = {};

                run("true", (JobSpec){}, &o); /* the libraries have opened what they keep */
        }
        before = count_fds();
        for (unsigned i = 0; i < 10; i++) {
                _cleanup_owner_ Owner o = {};

                run("echo x", (JobSpec){ .timeout = USEC_PER_HOUR, .overdue = USEC_PER_HOUR }, &o);
        }
        for (unsigned i = 0; i < 10; i++) {
                _cleanup_fixture_ Fixture f = {};
                _cleanup_owner_ Owner o = {};

                fixture_open(&f);
                start(&f, "exec sleep 1000", (JobSpec){}, &o);
                job_cancel(o.job);
                o.gone = true;
                TURN_UNTIL(&f, f.n_idle);
        }
        ck_assert_uint_eq(count_fds(), before);
}
END_TEST

/* At the very end of a program nothing is left behind, and nobody is called. */
START_TEST(test_pool_free)
{
        unsigned before;
        pid_t pids[2];

        {
                _cleanup_fixture_ Fixture f = {};
                fixture_open(&f); /* as above */
        }
        before = count_fds();
        {
                _cleanup_fixture_ Fixture f = {};
                Owner o[2] = { { .gone = true }, { .gone = true } };

                fixture_open(&f);
                start(&f, "sleep 1000; echo never", (JobSpec){ .timeout = USEC_PER_HOUR }, &o[0]);
                start(&f, "sleep 1000; echo never", (JobSpec){}, &o[1]);
                job_cancel(o[1].job);
                for (unsigned i = 0; i < 2; i++)
                        pids[i] = job_pid(o[i].job);
        }
        ck_assert_uint_eq(count_fds(), before);
        for (unsigned i = 0; i < 2; i++) {
                int status = 0;

                /* Killed for sure; reaped already if it was dead by then. */
                if (waitpid(pids[i], &status, 0) == pids[i])
                        ck_assert(WTERMSIG(status) == SIGKILL || WTERMSIG(status) == SIGTERM);
                ck_assert_int_eq(kill(pids[i], 0), -1);
        }
        ck_assert_ptr_null(job_pool_free(NULL));
}
END_TEST

/* Out of descriptors: an error, nothing started, and later it works again. */
START_TEST(test_out_of_fds)
{
        char *const argv[] = { (char *)"true", NULL };
        JobSpec spec = { .argv = argv, .log_fd = -EBADF };
        _cleanup_fixture_ Fixture f = {};
        _cleanup_owner_ Owner o = {};
        int hoard[2048], n = 0;
        unsigned free_fds;

        fixture_open(&f);
        while (n < (int)ELEMENTSOF(hoard) && (hoard[n] = fcntl(0, F_DUPFD_CLOEXEC, 3)) >= 0)
                n++;
        if (n == (int)ELEMENTSOF(hoard))
                free_fds = 6; /* the limit is higher: nothing can be shown here */
        else
                for (free_fds = 0; free_fds < 6; free_fds++) {
                        int r = job_start(f.pool, &spec, &handler, &o, &o.job);

                        if (r == 0)
                                break;
                        ck_assert_int_eq(r, -EMFILE);
                        ck_assert(job_pool_is_idle(f.pool));
                        (void)close(hoard[--n]);
                }
        while (n > 0)
                (void)close(hoard[--n]);
        if (job_pool_is_idle(f.pool))
                start(&f, "true", (JobSpec){}, &o);
        TURN_UNTIL(&f, o.n_exit);
}
END_TEST

UNIT_MAIN("job", UNIT_LOOP(test_run, ELEMENTSOF(runs)), UNIT_TEST(test_pieces),
                UNIT_LOOP(test_long_lines, 5), UNIT_TEST(test_drained_first), UNIT_TEST(test_log),
                UNIT_TEST(test_log_full), UNIT_TEST(test_without_handlers), UNIT_TEST(test_not_executable),
                UNIT_TEST(test_timeout), UNIT_TEST(test_timeout_ignored), UNIT_TEST(test_timeout_cleans_up),
                UNIT_TEST(test_no_timeout), UNIT_TEST(test_overdue), UNIT_LOOP(test_cancel, 2),
                UNIT_TEST(test_cancel_leaves_log), UNIT_LOOP(test_cancel_from_line, 2),
                UNIT_TEST(test_cancel_from_last_line),
                UNIT_LOOP(test_grandchild_holds_pipe, ELEMENTSOF(escaped)),
                UNIT_TEST(test_grandchildren_killed), UNIT_TEST(test_many), UNIT_TEST(test_background),
                UNIT_TEST(test_no_fd_leak), UNIT_TEST(test_pool_free), UNIT_TEST(test_out_of_fds))
