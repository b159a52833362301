/* SPDX-License-Identifier: Apache-2.0 */

#include "unit.h"

#include <poll.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "sys/pidlock.h"
#include "tmproot.h"

static void assert_content(TmpRoot *t, const char *expected)
{
        _cleanup_free_ char *text = NULL;

        ck_assert_int_eq(root_read_file(t->root, PIDLOCK_PATH, 64, &text, NULL), 0);
        ck_assert_str_eq(text, expected);
}

START_TEST(test_life)
{
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();
        PidLock *lock = NULL;
        struct stat st;
        pid_t other = -1;

        ck_assert_int_eq(pidlock_acquire(t.root, 4711, &lock, &other), 0);
        assert_content(&t, "4711\n");
        ck_assert_int_eq(root_stat(t.root, PIDLOCK_DIRECTORY, &st), 0);
        ck_assert_uint_eq(st.st_mode & 07777, 0755);
        ck_assert_int_eq(root_stat(t.root, PIDLOCK_PATH, &st), 0);
        ck_assert_uint_eq(st.st_mode & 07777, 0644);
        ck_assert_int_eq(other, -1);

        ck_assert_ptr_null(pidlock_release(lock));
        ck_assert(!root_exists(t.root, PIDLOCK_PATH));
        ck_assert(root_exists(t.root, PIDLOCK_DIRECTORY));
        ck_assert_ptr_null(pidlock_release(NULL));
}
END_TEST

/* Two open file descriptions exclude each other even within one process. */
START_TEST(test_held)
{
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();
        PidLock *lock = NULL, *second = NULL;
        pid_t other = -1;

        ck_assert_int_eq(pidlock_acquire(t.root, 4711, &lock, &other), 0);
        ck_assert_int_eq(pidlock_acquire(t.root, 4712, &second, &other), PIDLOCK_E_HELD);
        ck_assert_int_eq(other, 4711);
        ck_assert_ptr_null(second);
        assert_content(&t, "4711\n");

        pidlock_release(lock);
        ck_assert_int_eq(pidlock_acquire(t.root, 4712, &second, &other), 0);
        assert_content(&t, "4712\n");
        pidlock_release(second);
}
END_TEST

/* The script's "exec 3> FILE; flock -n 3": for a moment it holds a file without a number. */
static const struct {
        const char *content;
        pid_t pid;
} foreign[] = {
        { "", 0 },
        { "815\n", 815 },
        { "  816  \n", 816 },
        { "no number\n", 0 },
        { "-5\n", 0 },
        { "0\n", 0 },
        { "99999999999999999999999999999999999999\n", 0 },
};

START_TEST(test_held_by_another_program)
{
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();
        _cleanup_close_ int fd = -EBADF;
        PidLock *lock = NULL;
        pid_t other = -1;

        tmproot_write(&t, PIDLOCK_PATH, foreign[_i].content);
        ck_assert_int_eq(root_open(t.root, PIDLOCK_PATH, O_RDWR, &fd), 0);
        ck_assert_int_eq(flock(fd, LOCK_EX | LOCK_NB), 0);
        ck_assert_int_eq(pidlock_acquire(t.root, 1, &lock, &other), PIDLOCK_E_HELD);
        ck_assert_int_eq(other, foreign[_i].pid);
        assert_content(&t, foreign[_i].content);
}
END_TEST

/* SIGKILL leaves the file, the kernel takes the lock back; the longer old content is cut off. */
START_TEST(test_stale)
{
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();
        PidLock *lock = NULL;
        pid_t other = -1, child;
        int status;

        child = fork();
        ck_assert_int_ge(child, 0);
        if (child == 0) {
                if (pidlock_acquire(t.root, 1234567, &lock, &other) == 0)
                        (void)raise(SIGKILL);
                _exit(1);
        }
        ck_assert_int_eq(waitpid(child, &status, 0), child);
        ck_assert(WIFSIGNALED(status));
        assert_content(&t, "1234567\n");

        ck_assert_int_eq(pidlock_acquire(t.root, 8, &lock, &other), 0);
        assert_content(&t, "8\n");
        pidlock_release(lock);
}
END_TEST

/* Somebody removed our file and another one lives under its name: it is not ours to remove. */
START_TEST(test_replaced)
{
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();
        PidLock *lock = NULL, *second = NULL;
        pid_t other = -1;

        ck_assert_int_eq(pidlock_acquire(t.root, 1, &lock, &other), 0);
        tmproot_rm(&t, PIDLOCK_PATH);
        /* The lock does not hang on it. */
        ck_assert_int_eq(pidlock_acquire(t.root, 2, &second, &other), PIDLOCK_E_HELD);
        ck_assert_int_eq(other, 1);
        tmproot_write(&t, PIDLOCK_PATH, "somebody's\n");
        pidlock_release(lock);
        assert_content(&t, "somebody's\n");
        ck_assert_int_eq(pidlock_acquire(t.root, 2, &second, &other), 0);
        assert_content(&t, "2\n");
        pidlock_release(second);
        ck_assert(!root_exists(t.root, PIDLOCK_PATH));
}
END_TEST

static const char *const removed[] = { PIDLOCK_PATH, PIDLOCK_DIRECTORY "/" PIDLOCK_LOCK_NAME,
        PIDLOCK_DIRECTORY };

START_TEST(test_restore)
{
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();
        PidLock *lock = NULL, *second = NULL;
        pid_t other = -1;

        ck_assert_int_eq(pidlock_acquire(t.root, 1, &lock, &other), 0);
        ck_assert_int_eq(pidlock_restore(t.root, lock, &other), 0);
        tmproot_rm(&t, removed[_i]);
        ck_assert_int_eq(pidlock_restore(t.root, lock, &other), PIDLOCK_E_RESTORED);
        ck_assert_int_eq(pidlock_restore(t.root, lock, &other), 0);
        assert_content(&t, "1\n");
        ck_assert_int_eq(pidlock_acquire(t.root, 2, &second, &other), PIDLOCK_E_HELD);
        pidlock_release(lock);
        ck_assert(!root_exists(t.root, PIDLOCK_PATH));
        ck_assert(!root_exists(t.root, PIDLOCK_DIRECTORY "/" PIDLOCK_LOCK_NAME));
}
END_TEST

/* All of it was removed, and another one was faster than we. */
START_TEST(test_restore_too_late)
{
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();
        PidLock *lock = NULL, *second = NULL;
        pid_t other = -1;

        ck_assert_int_eq(pidlock_acquire(t.root, 1, &lock, &other), 0);
        tmproot_rm(&t, PIDLOCK_DIRECTORY);
        ck_assert_int_eq(pidlock_acquire(t.root, 2, &second, &other), 0);
        ck_assert_int_eq(pidlock_restore(t.root, lock, &other), PIDLOCK_E_HELD);
        ck_assert_int_eq(other, 2);
        pidlock_release(lock);
        assert_content(&t, "2\n");
        pidlock_release(second);
}
END_TEST

/* A lock on a file that everybody may read: nobody's does not count, whatever number the file has. */
static const struct {
        bool root; /* who has it locked */
        bool by_child_of_dead;
        bool names_us;
        int expected;
} lockers[] = {
        { false, false, false, 0 },
        { false, false, true, 0 },
        { false, true, false, 0 },
        { true, false, false, PIDLOCK_E_HELD },
        { true, true, true, PIDLOCK_E_HELD }, /* flock(1) for a shell that lives */
        { true, true, false, 0 },
};

static void lock_and_wait(TmpRoot *t, bool root, bool by_child_of_dead, int ready)
{
        int fd;

        if (!root && (setgid(65534) < 0 || setuid(65534) < 0))
                _exit(1);
        if (root_open(t->root, PIDLOCK_PATH, O_RDONLY, &fd) != 0 || flock(fd, LOCK_EX | LOCK_NB) < 0)
                _exit(2);
        if (by_child_of_dead && fork() != 0)
                _exit(0);
        if (write(ready, "x", 1) != 1)
                _exit(3);
        (void)pause();
}

START_TEST(test_lockers)
{
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();
        char number[32] = "", c;
        PidLock *lock = NULL;
        pid_t other = -1, group;
        int ready[2], status;

        if (geteuid() != 0)
                return;
        (void)snprintf(number, sizeof(number), "%d\n", lockers[_i].names_us ? (int)getpid() : 4194303);
        tmproot_write(&t, PIDLOCK_PATH, number);
        ck_assert_int_eq(pipe(ready), 0);
        group = fork();
        if (group == 0) {
                (void)setpgid(0, 0);
                lock_and_wait(&t, lockers[_i].root, lockers[_i].by_child_of_dead, ready[1]);
                _exit(4);
        }
        (void)setpgid(group, group);
        ck_assert_int_eq(read(ready[0], &c, 1), 1);
        if (lockers[_i].by_child_of_dead)
                ck_assert_int_eq(waitpid(group, &status, 0), group);
        ck_assert_int_eq(pidlock_acquire(t.root, 77, &lock, &other), lockers[_i].expected);
        if (lockers[_i].expected == 0)
                assert_content(&t, "77\n");
        pidlock_release(lock);
        (void)kill(-group, SIGKILL);
        if (!lockers[_i].by_child_of_dead)
                ck_assert_int_eq(waitpid(group, &status, 0), group);
}
END_TEST

START_TEST(test_directory_gone)
{
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();
        PidLock *lock = NULL;
        pid_t other = -1;

        ck_assert_int_eq(pidlock_acquire(t.root, 1, &lock, &other), 0);
        tmproot_rm(&t, PIDLOCK_DIRECTORY);
        pidlock_release(lock);
        ck_assert(!root_exists(t.root, PIDLOCK_DIRECTORY));
}
END_TEST

/* The child holds the name for 300 short locks while we try: each try ends in one of two ways. */
START_TEST(test_race)
{
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();
        unsigned n_held = 0, n_taken = 0;
        pid_t other = -1, child;
        int status;

        child = fork();
        ck_assert_int_ge(child, 0);
        for (unsigned i = 0; i < 300; i++) {
                PidLock *lock = NULL;
                int r = pidlock_acquire(t.root, child ? 1 : 2, &lock, &other);

                if (!child && r < 0)
                        _exit(1);
                ck_assert_int_ge(r, 0);
                if (r == 0 && child)
                        assert_content(&t, "1\n");
                *(r == 0 ? &n_taken : &n_held) += 1;
                pidlock_release(lock);
        }
        if (!child)
                _exit(0);
        ck_assert_int_eq(waitpid(child, &status, 0), child);
        ck_assert_int_eq(status, 0);
        ck_assert_uint_eq(n_taken + n_held, 300);
        ck_assert_uint_gt(n_taken, 0);
}
END_TEST

START_TEST(test_not_a_file)
{
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();
        _cleanup_free_ char *fifo = root_path(t.root, PIDLOCK_PATH);
        PidLock *lock = NULL;
        pid_t other = -1;

        tmproot_link(&t, "/etc/passwd", PIDLOCK_PATH);
        ck_assert_int_eq(pidlock_acquire(t.root, 1, &lock, &other), -ELOOP);
        tmproot_rm(&t, PIDLOCK_PATH);
        ck_assert_int_eq(mkfifo(fifo, 0600), 0);
        ck_assert_int_eq(pidlock_acquire(t.root, 1, &lock, &other), -EINVAL);
        tmproot_rm(&t, PIDLOCK_PATH);
        tmproot_mkdir(&t, PIDLOCK_PATH);
        ck_assert_int_eq(pidlock_acquire(t.root, 1, &lock, &other), -EISDIR);
        ck_assert_ptr_null(lock);
}
END_TEST

START_TEST(test_no_directory)
{
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();
        PidLock *lock = NULL;
        pid_t other = -1;

        tmproot_write(&t, "run", "in the way\n");
        ck_assert_int_lt(pidlock_acquire(t.root, 1, &lock, &other), 0);
        ck_assert_ptr_null(lock);
}
END_TEST

/* A full or read-only file system: /dev/full's kin cannot be had here, a file size limit can. */
START_TEST(test_cannot_write)
{
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();
        PidLock *lock = NULL;
        pid_t other = -1, child;
        int status;

        child = fork();
        ck_assert_int_ge(child, 0);
        if (child == 0) {
                const struct rlimit none = {};

                (void)signal(SIGXFSZ, SIG_IGN);
                (void)setrlimit(RLIMIT_FSIZE, &none);
                _exit(pidlock_acquire(t.root, 1, &lock, &other) == -EFBIG && !lock ? 0 : 1);
        }
        ck_assert_int_eq(waitpid(child, &status, 0), child);
        ck_assert_int_eq(status, 0);
        ck_assert(!root_exists(t.root, PIDLOCK_PATH)); /* not left behind empty */
        ck_assert_int_eq(pidlock_acquire(t.root, 1, &lock, &other), 0);
        pidlock_release(lock);
}
END_TEST

/* The holder died in fork(2): its child has the lock for a moment more, and nobody is called a second
 * instance. */
START_TEST(test_dying)
{
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();
        PidLock *lock = NULL;
        pid_t holder, other = -1;
        int status;

        holder = fork();
        if (holder == 0) {
                if (pidlock_acquire(t.root, getpid(), &lock, &other))
                        _exit(1);
                if (fork() == 0)
                        (void)poll(NULL, 0, 100);
                _exit(0);
        }
        ck_assert_int_eq(waitpid(holder, &status, 0), holder);
        ck_assert_int_eq(status, 0);
        ck_assert_int_eq(pidlock_acquire(t.root, 4712, &lock, &other), 0);
        assert_content(&t, "4712\n");
        pidlock_release(lock);
}
END_TEST

UNIT_MAIN("pidlock", UNIT_TEST(test_life), UNIT_TEST(test_held), UNIT_TEST(test_dying),
                UNIT_LOOP(test_held_by_another_program, ELEMENTSOF(foreign)), UNIT_TEST(test_stale),
                UNIT_TEST(test_replaced), UNIT_LOOP(test_restore, ELEMENTSOF(removed)),
                UNIT_TEST(test_restore_too_late), UNIT_LOOP(test_lockers, ELEMENTSOF(lockers)),
                UNIT_TEST(test_directory_gone), UNIT_TEST(test_race), UNIT_TEST(test_not_a_file),
                UNIT_TEST(test_no_directory), UNIT_TEST(test_cannot_write))
