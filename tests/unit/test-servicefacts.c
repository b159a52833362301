/* SPDX-License-Identifier: Apache-2.0 */

/* What a machine says of its services, and who a pid file belongs to. */

#include "unit.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

#include "base/str.h"
#include "sys/keep.h"
#include "sys/pidfile.h"
#include "sys/servicefacts.h"
#include "tmproot.h"

#define PID_FILE "run/nvidia-persistenced/nvidia-persistenced.pid"

static const char *const arguments[] = { NULL };
static const ServiceKnown persistenced = { "nvidia-persistenced", "nvidia-persistenced.service", PID_FILE,
        arguments, NULL };

static void check_owner(TmpRoot *t, int expected, pid_t pid)
{
        pid_t found = 0;

        ck_assert_int_eq(pidfile_owner(t->root, PID_FILE, "nvidia-persistenced", &found), expected);
        ck_assert_int_eq(found, pid);
}

START_TEST(test_owner_by_name)
{
        TmpRoot t = tmproot_new();

        check_owner(&t, PIDFILE_E_ABSENT, 0);
        tmproot_write(&t, PID_FILE, "4711\n");
        check_owner(&t, PIDFILE_E_STALE, 4711);
        tmproot_write(&t, "proc/4711/comm", "innocent\n");
        check_owner(&t, PIDFILE_E_STALE, 4711);
        tmproot_write(&t, "proc/4711/comm", "nvidia-persist\n");
        check_owner(&t, PIDFILE_E_STALE, 4711);
        /* The kernel cuts names. */
        tmproot_write(&t, "proc/4711/comm", "nvidia-persiste\n");
        check_owner(&t, 0, 4711);
        tmproot_write(&t, PID_FILE, "4711\n99\n");
        check_owner(&t, 0, 4711);
        tmproot_done(&t);
}
END_TEST

static const char *const garbage[] = { "", "\n", "x", "0\n", "-1\n", "4711 4712\n", "99999999999999999999\n",
        "0x1267\n",
        "4711                                                                                          \n" };

START_TEST(test_garbage)
{
        TmpRoot t = tmproot_new();

        tmproot_write(&t, "proc/4711/comm", "nvidia-persiste\n");
        tmproot_write(&t, PID_FILE, garbage[_i]);
        check_owner(&t, PIDFILE_E_STALE, 0);
        tmproot_done(&t);
}
END_TEST

START_TEST(test_owner_by_lock)
{
        TmpRoot t = tmproot_new();
        int ends[2], fd;
        char c;
        pid_t pid;

        tmproot_write(&t, PID_FILE, "4711\n");
        ck_assert_int_eq(root_open(t.root, PID_FILE, O_RDWR, &fd), 0);
        ck_assert_int_eq(pipe(ends), 0);
        pid = fork();
        if (pid == 0) {
                /* As nvidia-persistenced does it. */
                (void)!write(ends[1], lockf(fd, F_TLOCK, 0) == 0 ? "y" : "n", 1);
                for (;;)
                        (void)pause();
        }
        ck_assert_int_eq(read(ends[0], &c, 1), 1);
        ck_assert_int_eq(c, 'y');
        check_owner(&t, 0, pid);
        ck_assert_int_eq(kill(pid, SIGKILL), 0);
        ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
        check_owner(&t, PIDFILE_E_STALE, 4711);
        tmproot_done(&t);
}
END_TEST

START_TEST(test_link_is_refused)
{
        TmpRoot t = tmproot_new();
        pid_t pid;

        tmproot_write(&t, "elsewhere", "4711\n");
        tmproot_link(&t, "/elsewhere", PID_FILE);
        ck_assert_int_lt(pidfile_owner(t.root, PID_FILE, "nvidia-persistenced", &pid), 0);
        tmproot_done(&t);
}
END_TEST

static void write_program(TmpRoot *t, const char *path, mode_t mode)
{
        _cleanup_free_ char *full = root_path(t->root, path);

        tmproot_write(t, path, "#!/bin/sh\n");
        ck_assert_int_eq(chmod(full, mode), 0);
}

static void check_facts(TmpRoot *t, const char *given, const char *program, const char *unit, int64_t owner)
{
        _cleanup_(service_fact_done) ServiceFact f = {};

        ck_assert_int_eq(servicefacts_read(t->root, &persistenced, given, NULL, &f), 0);
        ck_assert_str_eq(f.name, "nvidia-persistenced");
        ck_assert_str_eq(strna(f.program), program);
        ck_assert_str_eq(strna(f.unit), unit);
        ck_assert_int_eq(f.owner, owner);
        ck_assert_ptr_null(f.settings);
}

START_TEST(test_program)
{
        TmpRoot t = tmproot_new();

        check_facts(&t, NULL, "n/a", "n/a", 0);
        write_program(&t, "usr/bin/nvidia-persistenced", 0644);
        tmproot_mkdir(&t, "usr/sbin/nvidia-persistenced");
        check_facts(&t, NULL, "n/a", "n/a", 0);
        write_program(&t, "usr/local/bin/nvidia-persistenced", 0755);
        check_facts(&t, NULL, "/usr/local/bin/nvidia-persistenced", "n/a", 0);
        write_program(&t, "usr/bin/nvidia-persistenced", 0755);
        check_facts(&t, NULL, "/usr/bin/nvidia-persistenced", "n/a", 0);
        check_facts(&t, "/opt/p", "n/a", "n/a", 0);
        write_program(&t, "opt/p", 0700);
        check_facts(&t, "/opt/p", "/opt/p", "n/a", 0);
        tmproot_done(&t);
}
END_TEST

START_TEST(test_unit)
{
        TmpRoot t = tmproot_new();

        /* The package in the image of a container: nobody reads that unit. */
        tmproot_write(&t, "lib/systemd/system/nvidia-persistenced.service", "");
        check_facts(&t, NULL, "n/a", "n/a", 0);
        tmproot_mkdir(&t, "run/systemd/system");
        check_facts(&t, NULL, "n/a", "nvidia-persistenced.service", 0);
        tmproot_write(&t, PID_FILE, "4711\n");
        tmproot_write(&t, "proc/4711/comm", "nvidia-persiste\n");
        check_facts(&t, NULL, "n/a", "nvidia-persistenced.service", 4711);
        tmproot_done(&t);
}
END_TEST

START_TEST(test_settings)
{
        _cleanup_(service_fact_done) ServiceFact f = {};
        TmpRoot t = tmproot_new();

        ck_assert_int_eq(servicefacts_read(t.root, &persistenced, NULL, "/etc/x.cfg", &f), 0);
        ck_assert_ptr_null(f.settings);
        service_fact_done(&f);
        tmproot_write(&t, "etc/x.cfg", "A=1\n");
        ck_assert_int_eq(servicefacts_read(t.root, &persistenced, NULL, "/etc/x.cfg", &f), 0);
        ck_assert_str_eq(f.settings, "A=1\n");
        tmproot_done(&t);
}
END_TEST

START_TEST(test_kept)
{
        TmpRoot t = tmproot_new();
        _cleanup_strv_ char **none = NULL, **dead = NULL, **kept = NULL;
        int ends[2], directory;
        char c;
        pid_t pid;

        ck_assert_int_eq(servicefacts_kept(t.root, &none), 0);
        ck_assert_ptr_null(none);
        ck_assert(!root_exists(t.root, "run"));
        tmproot_write(&t, KEEP_DIRECTORY "/dead:lock", "");
        ck_assert_int_eq(servicefacts_kept(t.root, &dead), 0);
        ck_assert_ptr_null(dead);

        ck_assert_int_eq(pipe(ends), 0);
        pid = fork();
        if (pid == 0) {
                int lock;

                if (keep_open_directory(t.root, &directory) == 0 &&
                                keep_lock(directory, "alive", &lock) == 0)
                        (void)!write(ends[1], "y", 1);
                for (;;)
                        (void)pause();
        }
        ck_assert_int_eq(read(ends[0], &c, 1), 1);
        ck_assert_int_eq(servicefacts_kept(t.root, &kept), 0);
        ck_assert_uint_eq(strv_length(kept), 1);
        ck_assert_str_eq(kept[0], "alive");
        ck_assert_int_eq(kill(pid, SIGKILL), 0);
        ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
        tmproot_done(&t);
}
END_TEST

UNIT_MAIN("servicefacts", UNIT_TEST(test_owner_by_name), UNIT_LOOP(test_garbage, ELEMENTSOF(garbage)),
                UNIT_TEST(test_owner_by_lock), UNIT_TEST(test_link_is_refused), UNIT_TEST(test_program),
                UNIT_TEST(test_unit), UNIT_TEST(test_settings), UNIT_TEST(test_kept))
