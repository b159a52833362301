/* SPDX-License-Identifier: Apache-2.0 */

#include "tmproot.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/str.h"
#include "sys/procsignal.h"

static pid_t sleeper(const char *name)
{
        pid_t pid;

        /* check(3) has a handler, and the signal may come before the child has done anything. */
        (void)signal(SIGTERM, SIG_DFL);
        pid = fork();
        ck_assert_int_ge(pid, 0);
        if (pid == 0) {
                (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
                (void)prctl(PR_SET_NAME, name);
                for (;;)
                        pause();
        }
        return pid;
}

/* The 22nd field, counted by hand. */
static uint64_t start_of(pid_t pid)
{
        _cleanup_free_ char *path = str_format("/proc/%d/stat", (int)pid);
        _cleanup_fclose_ FILE *f = fopen(path, "re");
        unsigned long long start = 0;
        char line[1024], *p;

        ck_assert_ptr_nonnull(f);
        ck_assert_ptr_nonnull(fgets(line, sizeof(line), f));
        p = strrchr(line, ')');
        for (int field = 3; field <= 22; field++)
                p = strchr(p + 1, ' ');
        ck_assert_int_eq(sscanf(p, "%llu", &start), 1);
        return start;
}

static Root *host(void)
{
        Root *root = NULL;

        ck_assert_int_eq(root_new("/", &root), 0);
        return root;
}

static bool lives(pid_t pid)
{
        return waitpid(pid, NULL, WNOHANG) == 0;
}

START_TEST(test_signal)
{
        _cleanup_(root_freep) Root *root = host();
        pid_t pid = sleeper("sleeper");
        int status;

        ck_assert_int_eq(procsignal_send(root, pid, start_of(pid), 0), 0);
        ck_assert(lives(pid));
        ck_assert_int_eq(procsignal_send(root, pid, start_of(pid), SIGTERM), 0);
        ck_assert_int_eq(waitpid(pid, &status, 0), pid);
        ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
}
END_TEST

/* The pid has a new owner: an innocent one. */
START_TEST(test_other_process)
{
        _cleanup_(root_freep) Root *root = host();
        pid_t pid = sleeper("sleeper");
        uint64_t start = start_of(pid);

        ck_assert_int_eq(procsignal_send(root, pid, start - 1, SIGKILL), PROCSIGNAL_E_GONE);
        ck_assert_int_eq(procsignal_send(root, pid, start + 1, SIGKILL), PROCSIGNAL_E_GONE);
        ck_assert_int_eq(procsignal_send(root, pid, 0, SIGKILL), PROCSIGNAL_E_GONE);
        ck_assert(lives(pid));
        ck_assert_int_eq(kill(pid, SIGKILL), 0);
        ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
}
END_TEST

START_TEST(test_gone)
{
        _cleanup_(root_freep) Root *root = host();
        pid_t pid = sleeper("sleeper");
        uint64_t start = start_of(pid);

        ck_assert_int_eq(kill(pid, SIGKILL), 0);
        ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
        ck_assert_int_eq(procsignal_send(root, pid, start, SIGTERM), PROCSIGNAL_E_GONE);
}
END_TEST

/* What calls itself like the end of the name and a start time. */
START_TEST(test_deceiver)
{
        _cleanup_(root_freep) Root *root = host();
        pid_t pid = sleeper(") S 1 1 1 1");

        /* The name is set by the child itself: wait until it is. */
        while (lives(pid)) {
                _cleanup_free_ char *path = str_format("proc/%d/comm", (int)pid), *name = NULL;

                ck_assert_int_eq(root_read_line(root, path, 64, &name), 0);
                if (*name == ')')
                        break;
        }
        ck_assert_int_eq(procsignal_send(root, pid, start_of(pid), SIGTERM), 0);
        ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
}
END_TEST

/* A proc that tells nonsense, or nothing: no signal. */
START_TEST(test_no_proof)
{
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();
        pid_t pid = sleeper("sleeper");
        _cleanup_free_ char *path = str_format("proc/%d/stat", (int)pid);

        ck_assert_int_eq(procsignal_send(t.root, pid, start_of(pid), SIGKILL), PROCSIGNAL_E_GONE);
        tmproot_write(&t, path, "1 (x) S 1 1\n");
        ck_assert_int_eq(procsignal_send(t.root, pid, start_of(pid), SIGKILL), -EBADMSG);
        tmproot_write(&t, path, "nonsense");
        ck_assert_int_eq(procsignal_send(t.root, pid, start_of(pid), SIGKILL), -EBADMSG);
        ck_assert(lives(pid));
        ck_assert_int_eq(kill(pid, SIGKILL), 0);
        ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
}
END_TEST

START_TEST(test_refused)
{
        _cleanup_(root_freep) Root *root = host();

        ck_assert_int_eq(procsignal_send(root, -1, 0, 0), -EINVAL);
        /* init, as nobody */
        if (getuid() == 0)
                ck_assert_int_eq(setresuid(65534, 65534, 65534), 0);
        ck_assert_int_eq(procsignal_send(root, 1, start_of(1), 0), -EPERM);
}
END_TEST

UNIT_MAIN("procsignal", UNIT_TEST(test_signal), UNIT_TEST(test_other_process), UNIT_TEST(test_gone),
                UNIT_TEST(test_deceiver), UNIT_TEST(test_no_proof), UNIT_TEST(test_refused))
