/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The single-instance lock. flock(2) belongs to the open file description, so
 * the kernel gives it back however the process ends, and a file that a killed
 * daemon left behind is no obstacle.
 *
 * What is locked is a file that only root can open: whoever can open a file
 * can lock it. The pid file is for readers. It is locked too, because the
 * script that came before us does that, but a lock on it is believed only if a
 * process of root's has it.
 *
 * Two races are closed here. Between our open() and our flock() the holder may
 * remove the file: we would then hold a lock on a file without a name, and the
 * next process would lock another one; so after locking, the name must still
 * lead to our inode, or we begin again. And on release the file is removed
 * before the lock goes, or we might remove the file of the next one.
 *
 * The lock is inherited over fork(); O_CLOEXEC ends that at the exec.
 */

#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/random.h>

#include "base/result.h"
#include "base/str.h"
#include "sys/lockfile.h"
#include "sys/lockowner.h"
#include "sys/pidlock.h"

enum { ACQUIRE_ATTEMPTS = 16, WAIT_MSEC = 20, WAIT_MAX_MSEC = 1000 };

struct PidLock {
        pid_t pid;
        int directory_fd;
        int lock_fd;
        int pid_fd;
};

static int pidlock_new(pid_t pid, PidLock **ret)
{
        PidLock *lock = calloc(1, sizeof(*lock));

        if (!lock)
                return err_origin(-ENOMEM);
        *lock = (PidLock){ .pid = pid, .directory_fd = -EBADF, .lock_fd = -EBADF, .pid_fd = -EBADF };
        *ret = lock;
        return 0;
}

static int open_directory(const Root *root, int *ret_fd)
{
        int r;

        r = root_mkdirs(root, PIDLOCK_DIRECTORY, 0755);
        if (r)
                return err_trace(r);
        r = root_open(root, PIDLOCK_DIRECTORY, O_RDONLY | O_DIRECTORY, ret_fd);
        return r ? err_fold(r) : 0;
}

static bool holds_lock(const PidLock *lock)
{
        return lock->lock_fd >= 0 && lockfile_is_named(lock->directory_fd, PIDLOCK_LOCK_NAME, lock->lock_fd);
}

static bool has_pid_file(const PidLock *lock)
{
        return lock->pid_fd >= 0 && lockfile_is_named(lock->directory_fd, PIDLOCK_NAME, lock->pid_fd);
}

/* It is written after the lock is taken, so for a moment there may be none. */
static pid_t read_pid(int fd)
{
        char text[32] = {};
        uint64_t pid;

        if (pread(fd, text, sizeof(text) - 1, 0) < 0)
                return 0;
        return str_to_u64(str_strip(text), 10, 1, INT32_MAX, &pid) == 0 ? (pid_t)pid : 0;
}

static int write_pid(int fd, pid_t pid)
{
        char text[32];
        int n;

        n = snprintf(text, sizeof(text), "%d\n", (int)pid);
        if (ftruncate(fd, 0) < 0)
                return err_origin(-errno);
        return err_trace(fd_write_at(fd, text, (size_t)n, 0));
}

/* Opens and locks once; *@ret_ours is false if the file was taken away under us. */
static int try_lock(const PidLock *lock, pid_t *reterr_pid, int *ret_fd, bool *ret_ours)
{
        _cleanup_close_ int fd = -EBADF;
        int r;

        r = lockfile_open_private(lock->directory_fd, PIDLOCK_LOCK_NAME, &fd);
        if (r)
                return err_trace(r);
        if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
                if (errno != EWOULDBLOCK)
                        return err_origin(-errno);
                *reterr_pid = read_pid(fd);
                return PIDLOCK_E_HELD;
        }
        *ret_ours = lockfile_is_named(lock->directory_fd, PIDLOCK_LOCK_NAME, fd);
        *ret_fd = TAKE_FD(fd);
        return 0;
}

/* A process that was killed in fork(2) leaves a child that has the lock for a moment more, until its exec.
 */
static bool is_about_to_end(pid_t holder)
{
        return holder > 0 && kill(holder, 0) < 0 && errno == ESRCH;
}

/* try_lock(), waiting for the child of a dead holder. */
static int lock_once(const PidLock *lock, pid_t *reterr_pid, int *ret_fd, bool *ret_ours)
{
        for (unsigned waited = 0;; waited += WAIT_MSEC) {
                int r = try_lock(lock, reterr_pid, ret_fd, ret_ours);

                if (r != PIDLOCK_E_HELD || waited >= WAIT_MAX_MSEC || !is_about_to_end(*reterr_pid))
                        return r < 0 ? err_trace(r) : r;
                (void)poll(NULL, 0, WAIT_MSEC);
        }
}

static int take_lock(PidLock *lock, pid_t *reterr_pid)
{
        for (unsigned i = 0; i < ACQUIRE_ATTEMPTS; i++) {
                bool ours = false;
                int fd = -EBADF, r;

                r = lock_once(lock, reterr_pid, &fd, &ours);
                if (r)
                        return r < 0 ? err_trace(r) : PIDLOCK_E_HELD;
                if (!ours) {
                        safe_close(fd);
                        continue;
                }
                safe_close(lock->lock_fd);
                lock->lock_fd = fd;
                /* Only for the message of the next one: a full disk is no reason not to run. */
                (void)write_pid(fd, lock->pid);
                return 0;
        }
        return err_origin(-ESTALE);
}

/* Complete and locked before it gets its name, so nobody sees it empty or locks it before us. */
static int make_pid_file(PidLock *lock)
{
        _cleanup_close_ int fd = -EBADF;
        char temporary[64];
        uint64_t random;
        int r;

        if (getrandom(&random, sizeof(random), 0) != sizeof(random))
                return err_origin(-errno);
        (void)snprintf(temporary, sizeof(temporary), ".#%016" PRIx64, random);
        fd = openat(lock->directory_fd, temporary, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (fd < 0)
                return err_origin(-errno);
        r = flock(fd, LOCK_EX | LOCK_NB) < 0 ? err_origin(-errno) : write_pid(fd, lock->pid);
        if (r == 0 && (fchmod(fd, 0644) < 0 || renameat(lock->directory_fd, temporary, lock->directory_fd,
                                                               PIDLOCK_NAME) < 0))
                r = err_origin(-errno);
        if (r) {
                (void)unlinkat(lock->directory_fd, temporary, 0);
                return err_trace(r);
        }
        safe_close(lock->pid_fd);
        lock->pid_fd = TAKE_FD(fd);
        return 0;
}

/* One that is there is taken over, unless a process of root's has it locked. */
static int take_pid_file(PidLock *lock, pid_t *reterr_pid)
{
        _cleanup_close_ int fd = -EBADF;
        int r;

        if (faccessat(lock->directory_fd, PIDLOCK_NAME, F_OK, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT)
                return err_trace(make_pid_file(lock));
        r = lockfile_open(lock->directory_fd, PIDLOCK_NAME, O_RDWR, 0, &fd);
        if (r)
                return err_trace(r);
        if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
                if (errno != EWOULDBLOCK)
                        return err_origin(-errno);
                *reterr_pid = read_pid(fd);
                return lockowner_is_trusted(fd, *reterr_pid) ? PIDLOCK_E_HELD
                                                             : err_trace(make_pid_file(lock));
        }
        if (!lockfile_is_named(lock->directory_fd, PIDLOCK_NAME, fd))
                return err_trace(make_pid_file(lock));
        r = write_pid(fd, lock->pid);
        if (r) {
                (void)unlinkat(lock->directory_fd, PIDLOCK_NAME, 0);
                return err_trace(r);
        }
        safe_close(lock->pid_fd);
        lock->pid_fd = TAKE_FD(fd);
        return 0;
}

int pidlock_acquire(const Root *root, pid_t pid, PidLock **ret, pid_t *reterr_pid)
{
        _cleanup_(pidlock_releasep) PidLock *lock = NULL;
        int r;

        r = pidlock_new(pid, &lock);
        if (r == 0)
                r = open_directory(root, &lock->directory_fd);
        if (r)
                return err_trace(r);
        r = take_lock(lock, reterr_pid);
        if (r)
                return r < 0 ? err_trace(r) : PIDLOCK_E_HELD;
        r = take_pid_file(lock, reterr_pid);
        if (r)
                return r < 0 ? err_trace(r) : PIDLOCK_E_HELD;
        *ret = TAKE_PTR(lock);
        return 0;
}

/* The directory itself may have been removed and made again. */
static int find_directory(const Root *root, PidLock *lock)
{
        _cleanup_close_ int fd = -EBADF;
        struct stat held, named;
        int r;

        r = open_directory(root, &fd);
        if (r)
                return err_trace(r);
        if (fstat(lock->directory_fd, &held) < 0 || fstat(fd, &named) < 0)
                return err_origin(-errno);
        if (held.st_dev != named.st_dev || held.st_ino != named.st_ino) {
                safe_close(lock->directory_fd);
                lock->directory_fd = TAKE_FD(fd);
        }
        return 0;
}

int pidlock_restore(const Root *root, PidLock *lock, pid_t *reterr_pid)
{
        bool restored = false;
        int r;

        r = find_directory(root, lock);
        if (r)
                return err_trace(r);
        if (!holds_lock(lock)) {
                r = take_lock(lock, reterr_pid);
                if (r)
                        return r < 0 ? err_trace(r) : PIDLOCK_E_HELD;
                restored = true;
        }
        if (!has_pid_file(lock)) {
                r = take_pid_file(lock, reterr_pid);
                if (r)
                        return r < 0 ? err_trace(r) : PIDLOCK_E_HELD;
                restored = true;
        }
        return restored ? PIDLOCK_E_RESTORED : 0;
}

int pidlock_directory_fd(const PidLock *lock)
{
        return lock->directory_fd;
}

PidLock *pidlock_release(PidLock *lock)
{
        if (!lock)
                return NULL;
        if (has_pid_file(lock))
                (void)unlinkat(lock->directory_fd, PIDLOCK_NAME, 0);
        if (holds_lock(lock))
                (void)unlinkat(lock->directory_fd, PIDLOCK_LOCK_NAME, 0);
        safe_close(lock->pid_fd);
        safe_close(lock->lock_fd);
        safe_close(lock->directory_fd);
        free(lock);
        return NULL;
}
