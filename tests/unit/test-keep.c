/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The directory between daemon and keepers. Locks belong to processes, so the
 * owners here are real children; the root is a directory, /proc is the real one.
 */

#include "unit.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

#include "base/str.h"
#include "sys/keep.h"
#include "tmproot.h"

typedef struct Fixture {
        TmpRoot tmp;
        Root *proc;
        int directory;
} Fixture;

static void fixture_init(Fixture *f)
{
        f->tmp = tmproot_new();
        ck_assert_int_eq(root_new("/", &f->proc), 0);
        ck_assert_int_eq(keep_open_directory(f->tmp.root, &f->directory), 0);
}

static void fixture_done(Fixture *f)
{
        safe_close(f->directory);
        root_free(f->proc);
        tmproot_done(&f->tmp);
}
#define _cleanup_fixture_ _cleanup_(fixture_done)

/* A child that takes the locks, says what came of it, and stays until it is killed. */
static pid_t start_keeper(Fixture *f, const char *name, int expected)
{
        int ends[2], r = -1;
        pid_t pid;

        ck_assert_int_eq(pipe(ends), 0);
        pid = fork();
        if (pid == 0) {
                int lock;

                r = keep_lock(f->directory, name, &lock);
                (void)!write(ends[1], &r, sizeof(r));
                for (;;)
                        (void)pause();
        }
        ck_assert_int_eq(read(ends[0], &r, sizeof(r)), sizeof(r));
        ck_assert_int_eq(r, expected);
        safe_close(ends[0]);
        safe_close(ends[1]);
        return pid;
}

static void end(pid_t pid)
{
        ck_assert_int_eq(kill(pid, SIGKILL), 0);
        ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
}

START_TEST(test_keeper_is_found)
{
        _cleanup_fixture_ Fixture f;
        _cleanup_close_ int pidfd = -EBADF;
        pid_t pid = 0, keeper;

        fixture_init(&f);
        ck_assert_int_eq(keep_find(f.directory, "one", &pid, &pidfd), KEEP_E_ABSENT);
        keeper = start_keeper(&f, "one", 0);
        ck_assert_int_eq(keep_find(f.directory, "one", &pid, &pidfd), 0);
        ck_assert_int_eq(pid, keeper);
        ck_assert_int_ge(pidfd, 0);
        ck_assert_int_eq(keep_find(f.directory, "two", &pid, &pidfd), KEEP_E_ABSENT);

        /* A second one is refused, and looking does not take the lock away. */
        end(start_keeper(&f, "one", KEEP_E_HELD));
        pidfd = safe_close(pidfd);
        ck_assert_int_eq(keep_find(f.directory, "one", &pid, &pidfd), 0);

        end(keeper);
        pidfd = safe_close(pidfd);
        ck_assert_int_eq(keep_find(f.directory, "one", &pid, &pidfd), KEEP_E_ABSENT);
        end(start_keeper(&f, "one", 0));
}
END_TEST

/* The number in the lock file, if somebody wrote one there, is nothing. */
START_TEST(test_numbers_are_not_believed)
{
        _cleanup_fixture_ Fixture f;
        _cleanup_free_ char *text = str_format("%d\n", (int)getppid());
        int pidfd;
        pid_t pid;

        fixture_init(&f);
        tmproot_write(&f.tmp, KEEP_DIRECTORY "/one:lock", text);
        ck_assert_int_eq(keep_find(f.directory, "one", &pid, &pidfd), KEEP_E_ABSENT);
}
END_TEST

START_TEST(test_family)
{
        _cleanup_fixture_ Fixture f;
        _cleanup_free_ pid_t *pids = NULL;
        size_t n = 0;
        int lock, ends[2];
        pid_t keeper, orphan;
        char c;

        fixture_init(&f);
        ck_assert_int_eq(pipe(ends), 0);
        keeper = fork();
        if (keeper == 0) {
                if (keep_lock(f.directory, "one", &lock) != 0)
                        _exit(1);
                orphan = fork();
                if (orphan == 0)
                        for (;;)
                                (void)pause();
                (void)!write(ends[1], &orphan, sizeof(orphan));
                _exit(0);
        }
        ck_assert_int_eq(read(ends[0], &orphan, sizeof(orphan)), sizeof(orphan));
        ck_assert_int_eq(waitpid(keeper, NULL, 0), keeper);

        ck_assert_int_eq(keep_lock(f.directory, "one", &lock), KEEP_E_FAMILY);
        ck_assert_int_eq(keep_family(f.directory, "one", f.proc, &pids, &n), 0);
        ck_assert_uint_eq(n, 1);
        ck_assert_int_eq(pids[0], orphan);
        ck_assert_int_eq(kill(orphan, SIGKILL), 0);
        safe_close(ends[1]);
        /* The orphan has the pipe too: its end is the pipe's. */
        ck_assert_int_eq(read(ends[0], &c, 1), 0);
        safe_close(ends[0]);
        ck_assert_int_eq(keep_lock(f.directory, "one", &lock), 0);
        safe_close(lock);
}
END_TEST

START_TEST(test_record)
{
        _cleanup_fixture_ Fixture f;
        _cleanup_free_ char *text = NULL;
        _cleanup_strv_ char **names = NULL, **after = NULL;

        fixture_init(&f);
        ck_assert_int_eq(keep_read(f.directory, "one", 1000, &text), KEEP_E_ABSENT);
        ck_assert_int_eq(keep_write(f.directory, "one", "first\n"), 0);
        ck_assert_int_eq(keep_write(f.directory, "one", "second\n"), 0);
        ck_assert_int_eq(keep_read(f.directory, "one", 1000, &text), 0);
        ck_assert_str_eq(text, "second\n");

        end(start_keeper(&f, "one", 0));
        end(start_keeper(&f, "two.2", 0));
        tmproot_write(&f.tmp, KEEP_DIRECTORY "/:lock", "");
        ck_assert_int_eq(keep_list(f.tmp.root, &names), 0);
        ck_assert_uint_eq(strv_length(names), 2);
        ck_assert_str_eq(names[0], "one");
        ck_assert_str_eq(names[1], "two.2");

        keep_remove(f.tmp.root, "one");
        ck_assert_int_eq(unlinkat(f.directory, ":lock", 0), 0);
        ck_assert(root_exists(f.tmp.root, KEEP_DIRECTORY));
        keep_remove(f.tmp.root, "two.2");
        ck_assert(!root_exists(f.tmp.root, KEEP_DIRECTORY));
        keep_remove(f.tmp.root, "two.2");
        ck_assert_int_eq(keep_list(f.tmp.root, &after), 0);
        ck_assert_ptr_null(after);
}
END_TEST

START_TEST(test_output)
{
        _cleanup_fixture_ Fixture f;
        int one, two;
        char buffer[16];

        fixture_init(&f);
        ck_assert_int_eq(keep_open_output(f.directory, "one", &one), 0);
        ck_assert_int_eq(write(one, "before\n", 7), 7);
        ck_assert_int_eq(keep_open_output(f.directory, "one", &two), 0);
        ck_assert_int_eq(read(two, buffer, sizeof(buffer)), 7);
        ck_assert_int_eq(read(two, buffer, sizeof(buffer)), -1);
        ck_assert_int_eq(errno, EAGAIN);
        safe_close(one);
        safe_close(two);
}
END_TEST

/* What is not what we make is refused: a link could lead anywhere. */
START_TEST(test_intruders)
{
        _cleanup_fixture_ Fixture f;
        _cleanup_free_ char *text = NULL;
        int fd;
        pid_t pid;

        fixture_init(&f);
        tmproot_write(&f.tmp, "victim", "precious");
        tmproot_link(&f.tmp, "/victim", KEEP_DIRECTORY "/a:lock");
        tmproot_link(&f.tmp, "/victim", KEEP_DIRECTORY "/a:new");
        tmproot_link(&f.tmp, "/victim", KEEP_DIRECTORY "/a:output");
        tmproot_link(&f.tmp, "/victim", KEEP_DIRECTORY "/a");
        tmproot_write(&f.tmp, KEEP_DIRECTORY "/b:output", "");
        tmproot_mkdir(&f.tmp, KEEP_DIRECTORY "/c:lock");
        ck_assert_int_lt(keep_lock(f.directory, "a", &fd), 0);
        ck_assert_int_lt(keep_find(f.directory, "a", &pid, &fd), 0);
        ck_assert_int_lt(keep_write(f.directory, "a", "x"), 0);
        ck_assert_int_lt(keep_read(f.directory, "a", 10, &text), 0);
        ck_assert_int_lt(keep_open_output(f.directory, "a", &fd), 0);
        ck_assert_int_lt(keep_open_output(f.directory, "b", &fd), 0);
        ck_assert_int_lt(keep_lock(f.directory, "c", &fd), 0);
        ck_assert_int_eq(root_read_line(f.tmp.root, "victim", 100, &text), 0);
        ck_assert_str_eq(text, "precious");
}
END_TEST

START_TEST(test_directory_is_a_link)
{
        TmpRoot tmp = tmproot_new();
        int fd;

        tmproot_mkdir(&tmp, "elsewhere");
        tmproot_link(&tmp, "/elsewhere", KEEP_DIRECTORY);
        ck_assert_int_lt(keep_open_directory(tmp.root, &fd), 0);
        tmproot_done(&tmp);
}
END_TEST

/* Somebody who has the file open without a right to it is no part of the service, and would be killed as
 * one. */
START_TEST(test_stranger)
{
        _cleanup_fixture_ Fixture f;
        _cleanup_free_ pid_t *pids = NULL;
        int ends[2], lock = -EBADF;
        struct stat st;
        size_t n = 1;
        pid_t stranger;
        char c;

        fixture_init(&f);
        ck_assert_int_eq(fstat(f.directory, &st), 0);
        ck_assert_uint_eq(st.st_mode & 07777, 0700);
        ck_assert_int_eq(keep_lock(f.directory, "one", &lock), 0);
        ck_assert_int_eq(pipe(ends), 0);
        stranger = fork();
        if (stranger == 0) {
                safe_close(lock);
                if (openat(f.directory, "one:lock", O_PATH) < 0 || write(ends[1], "x", 1) != 1)
                        _exit(1);
                for (;;)
                        (void)pause();
        }
        ck_assert_int_eq(read(ends[0], &c, 1), 1);
        ck_assert_int_eq(keep_family(f.directory, "one", f.proc, &pids, &n), 0);
        ck_assert_uint_eq(n, 0);
        ck_assert_int_eq(kill(stranger, SIGKILL), 0);
        ck_assert_int_eq(waitpid(stranger, NULL, 0), stranger);
        safe_close(lock);
        safe_close(ends[0]);
        safe_close(ends[1]);
}
END_TEST

UNIT_MAIN("keep", UNIT_TEST(test_stranger), UNIT_TEST(test_keeper_is_found),
                UNIT_TEST(test_numbers_are_not_believed), UNIT_TEST(test_family), UNIT_TEST(test_record),
                UNIT_TEST(test_output), UNIT_TEST(test_intruders), UNIT_TEST(test_directory_is_a_link))
