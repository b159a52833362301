/* SPDX-License-Identifier: Apache-2.0 */

/* Scans on a loop, with a worker that is a shell script: what becomes of each kind of answer. */

#include "unit.h"

#include <signal.h>
#include <sys/wait.h>

#include "base/str.h"
#include "holders.h"
#include "paths.h"
#include "tmproot.h"

typedef struct Fixture {
        TmpRoot tmp;
        sd_event *event;
        JobPool *pool;
        HoldersScan *scan;
        unsigned n_done;
        bool failed, incomplete, free_in_done;
        char reason[100];
        char *text; /* of the holders, joined */
        unsigned n_unreadable;
} Fixture;

static void fixture_open(Fixture *f, const char *script)
{
        _cleanup_free_ char *text = str_format("#!/bin/sh\n%s\n", script), *path = NULL;
        sigset_t child;

        *f = (Fixture){ .tmp = tmproot_new() };
        ck_assert_int_eq(root_write_file(f->tmp.root, "worker", text, strlen(text), 0755), 0);
        path = root_path(f->tmp.root, "worker");
        ck_assert_int_eq(setenv("NVIDIA_DRIVERD_WORKER", path, 1), 0);
        paths_allow_environment(true);

        (void)sigemptyset(&child);
        (void)sigaddset(&child, SIGCHLD);
        ck_assert_int_eq(sigprocmask(SIG_BLOCK, &child, NULL), 0);
        ck_assert_int_ge(sd_event_new(&f->event), 0);
        ck_assert_int_eq(job_pool_new(f->event, NULL, NULL, &f->pool), 0);
}

static void fixture_done(Fixture *f)
{
        holders_scan_free(f->scan);
        job_pool_free(f->pool);
        sd_event_unref(f->event);
        free(f->text);
        tmproot_done(&f->tmp);
}
#define _cleanup_fixture_ _cleanup_(fixture_done)

static void on_done(void *userdata, const Holders *holders)
{
        Fixture *f = userdata;
        _cleanup_strv_ char **lines = NULL;

        f->n_done++;
        f->failed = !holders;
        (void)snprintf(f->reason, sizeof(f->reason), "%s", holders_scan_reason(f->scan));
        if (holders) {
                ck_assert_int_eq(holders_describe(holders, &lines), 0);
                f->text = strv_join(lines, "|");
                f->incomplete = holders->incomplete;
                f->n_unreadable = holders->n_unreadable;
        }
        if (f->free_in_done)
                f->scan = holders_scan_free(f->scan);
}

static void turn(Fixture *f)
{
        ck_assert_int_ge(sd_event_run(f->event, UINT64_MAX), 0);
}

static void scan(Fixture *f)
{
        ck_assert_int_eq(holders_scan(f->pool, f->tmp.root, on_done, f, &f->scan), 0);
        while (f->n_done == 0)
                turn(f);
        ck_assert_uint_eq(f->n_done, 1);
        ck_assert(job_pool_is_idle(f->pool));
}

#define HOLDER(pid, node)                                                                                   \
        "echo '{\"pid\":" #pid ",\"start\":1,\"uid\":5,\"user\":null,\"command\":\"cuda\",\"unit\":null,"   \
        "\"container\":null,\"pod\":null,\"node\":\"" node "\",\"kind\":\"fd\",\"fd\":3}'\n"
#define END  "echo '{\"processes\":9,\"unreadable\":2}'\n"
#define USER "echo '{\"uid\":5,\"user\":\"games\"}'\n"

static const struct {
        const char *script;
        const char *text; /* NULL: the scan fails */
} answers[] = {
        { HOLDER(20, "/dev/nvidia1") HOLDER(20, "/dev/nvidia0") HOLDER(3, "/dev/nvidiactl") END USER,
                        "cuda[3] of games (/dev/nvidiactl fd 3)|cuda[20] of games (/dev/nvidia0 fd 3, /dev/nvidia1 fd 3)" },
        { END, "" },
        { "echo 'a word of a library' >&2\n" END, "" },
        { HOLDER(3, "/dev/nvidiactl"), NULL }, /* no end */
        { "true", NULL },                      /* nothing at all */
        { "echo detail=No luck; exit 70", NULL },
        { END "exit 70", NULL },                            /* the worker itself says that it failed */
        { "echo '{\"pid\":1}'\n" END, NULL },               /* not our protocol */
        { HOLDER(3, "/dev/nvidiactl") "kill -9 $$", NULL }, /* killed */
        { END "kill -9 $$", NULL },
};

START_TEST(test_answers)
{
        _cleanup_fixture_ Fixture f = {};

        fixture_open(&f, answers[_i].script);
        f.free_in_done = _i % 2;
        scan(&f);
        ck_assert_int_eq(f.failed, !answers[_i].text);
        if (answers[_i].text) {
                ck_assert_str_eq(f.text, answers[_i].text);
                ck_assert(!f.incomplete);
                ck_assert_uint_eq(f.n_unreadable, 2);
        } else {
                ck_assert_str_eq(f.reason, strstr(answers[_i].script, "No luck")
                                                           ? "No luck"
                                                           : "the worker gave no complete answer");
        }
}
END_TEST

/* The tree to look at is told; on the host there is nothing to tell. */
START_TEST(test_arguments)
{
        _cleanup_fixture_ Fixture f = {};
        _cleanup_free_ char *expected = NULL;
        _cleanup_(root_freep) Root *host = NULL;

        fixture_open(&f,
                        "echo '{\"pid\":1,\"start\":1,\"uid\":5,\"user\":null,\"command\":null,\"unit\":null,"
                        "\"container\":null,\"pod\":null,\"node\":\"'\"$#:$1:$2\"'\",\"kind\":\"mapping\"}'\n" END);
        scan(&f);
        expected = str_format("n/a[1] of uid 5 (2:holders:%s mapped)", f.tmp.path);
        ck_assert_str_eq(f.text, expected);

        f.scan = holders_scan_free(f.scan);
        f.n_done = 0;
        free(f.text);
        ck_assert_int_eq(root_new("/", &host), 0);
        ck_assert_int_eq(holders_scan(f.pool, host, on_done, &f, &f.scan), 0);
        while (f.n_done == 0)
                turn(&f);
        ck_assert_str_eq(f.text, "n/a[1] of uid 5 (1:holders: mapped)");
}
END_TEST

START_TEST(test_no_worker)
{
        _cleanup_fixture_ Fixture f = {};

        fixture_open(&f, "true");
        tmproot_rm(&f.tmp, "worker");
        scan(&f);
        ck_assert(f.failed);
}
END_TEST

/* Half an answer, and a worker that hangs: what was found counts, and that there may be more. */
START_TEST(test_timeout)
{
        _cleanup_fixture_ Fixture f = {};

        fixture_open(&f, _i == 0 ? HOLDER(3, "/dev/nvidiactl") "sleep 100"
                                 : HOLDER(3, "/dev/nvidiactl") END "sleep 100");
        scan(&f);
        ck_assert(!f.failed);
        ck_assert_str_eq(f.text, "cuda[3] of uid 5 (/dev/nvidiactl fd 3)");
        ck_assert_int_eq(f.incomplete, _i == 0); /* the end was told: only names are missing */
}
END_TEST

/* Let go of: nobody is called, the worker is terminated and reaped. */
START_TEST(test_free)
{
        _cleanup_fixture_ Fixture f = {};

        fixture_open(&f, END "exec sleep 100");
        ck_assert_int_eq(holders_scan(f.pool, f.tmp.root, on_done, &f, &f.scan), 0);
        f.scan = holders_scan_free(f.scan);
        while (!job_pool_is_idle(f.pool))
                turn(&f);
        ck_assert_uint_eq(f.n_done, 0);
        ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
        ck_assert_int_eq(errno, ECHILD);
        ck_assert_ptr_null(holders_scan_free(NULL));
}
END_TEST

UNIT_MAIN("holders", UNIT_LOOP(test_answers, ELEMENTSOF(answers)), UNIT_TEST(test_arguments),
                UNIT_TEST(test_no_worker), UNIT_LOOP(test_timeout, 2), UNIT_TEST(test_free))
