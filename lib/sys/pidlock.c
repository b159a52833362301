/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The single-instance lock. flock(2) belongs to the open file description, so
 * the kernel gives it back however the process ends, and a file that a killed
 * daemon left behind is no obstacle.
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
#include <poll.h>
#include <signal.h>
#include <sys/file.h>

#include "base/result.h"
#include "base/str.h"
#include "sys/lockfile.h"
#include "sys/pidlock.h"

enum { ACQUIRE_ATTEMPTS = 16, WAIT_MSEC = 20, WAIT_MAX_MSEC = 1000 };

struct PidLock {
        int directory_fd;
        int fd;
};

static PidLock *pidlock_free(PidLock *lock)
{
        if (!lock)
                return NULL;
        safe_close(lock->fd);
        safe_close(lock->directory_fd);
        free(lock);
        return NULL;
}
DEFINE_CLEANUP(PidLock, pidlock_free);

static int pidlock_new(PidLock **ret)
{
        PidLock *lock = calloc(1, sizeof(*lock));

        if (!lock)
                return err_origin(-ENOMEM);
        lock->directory_fd = -EBADF;
        lock->fd = -EBADF;
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

/* Whether the name still leads to the file that we hold. */
static bool is_ours(const PidLock *lock)
{
        return lockfile_is_named(lock->directory_fd, PIDLOCK_NAME, lock->fd);
}

/* The script writes its number after it has the lock, so for a moment there may be none. */
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
        if (pwrite(fd, text, (size_t)n, 0) != n)
                return err_origin(-EIO);
        return 0;
}

/* Opens and locks once; *@ret_ours is false if the file was taken away under us. */
static int try_lock(PidLock *lock, pid_t *reterr_pid, bool *ret_ours)
{
        int r;

        lock->fd = safe_close(lock->fd);
        r = lockfile_open(lock->directory_fd, PIDLOCK_NAME, O_RDWR | O_CREAT, 0644, &lock->fd);
        if (r)
                return err_trace(r);

        if (flock(lock->fd, LOCK_EX | LOCK_NB) < 0) {
                if (errno != EWOULDBLOCK)
                        return err_origin(-errno);
                *reterr_pid = read_pid(lock->fd);
                return PIDLOCK_E_HELD;
        }
        *ret_ours = is_ours(lock);
        return 0;
}

/* A process that was killed in fork(2) leaves a child that has the lock for a moment more, until its exec.
 */
static bool is_about_to_end(pid_t holder)
{
        return holder > 0 && kill(holder, 0) < 0 && errno == ESRCH;
}

/* try_lock(), waiting for the child of a dead holder. */
static int lock_once(PidLock *lock, pid_t *reterr_pid, bool *ret_ours)
{
        for (unsigned waited = 0;; waited += WAIT_MSEC) {
                int r = try_lock(lock, reterr_pid, ret_ours);

                if (r != PIDLOCK_E_HELD || waited >= WAIT_MAX_MSEC || !is_about_to_end(*reterr_pid))
                        return r < 0 ? err_trace(r) : r;
                (void)poll(NULL, 0, WAIT_MSEC);
        }
}

int pidlock_acquire(const Root *root, pid_t pid, PidLock **ret, pid_t *reterr_pid)
{
        _cleanup_(pidlock_freep) PidLock *lock = NULL;
        bool ours = false;
        int r;

        r = pidlock_new(&lock);
        if (r == 0)
                r = open_directory(root, &lock->directory_fd);
        if (r)
                return err_trace(r);

        for (unsigned i = 0; i < ACQUIRE_ATTEMPTS && !ours; i++) {
                r = lock_once(lock, reterr_pid, &ours);
                if (r)
                        return r < 0 ? err_trace(r) : PIDLOCK_E_HELD;
        }
        if (!ours)
                return err_origin(-ESTALE);

        r = write_pid(lock->fd, pid);
        if (r)
                return err_trace(r);
        *ret = TAKE_PTR(lock);
        return 0;
}

PidLock *pidlock_release(PidLock *lock)
{
        if (lock && is_ours(lock))
                (void)unlinkat(lock->directory_fd, PIDLOCK_NAME, 0);
        return pidlock_free(lock);
}
