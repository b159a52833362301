/* SPDX-License-Identifier: Apache-2.0 */

#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>

#include "base/result.h"
#include "base/str.h"
#include "sys/clock.h"
#include "sys/lockfile.h"
#include "sys/storelock.h"

enum { POLL_MSEC = 100 };

int storelock_acquire(const Root *root, const char *directory, int *ret_fd, pid_t *reterr_pid)
{
        _cleanup_close_ int above = -EBADF, fd = -EBADF;
        char text[32] = {};
        uint64_t pid = 0;
        int n, r;

        r = root_mkdirs(root, directory, 0755);
        if (r == 0)
                r = root_open(root, directory, O_RDONLY | O_DIRECTORY, &above);
        if (r)
                return r < 0 ? err_trace(r) : err_fold(r);
        r = lockfile_open_private(above, STORE_LOCK, &fd);
        if (r)
                return err_trace(r);

        if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
                if (errno != EWOULDBLOCK)
                        return err_origin(-errno);
                /* It writes its number after it has the lock, so for a moment there may be none. */
                if (pread(fd, text, sizeof(text) - 1, 0) > 0)
                        (void)str_to_u64(str_strip(text), 10, 1, INT32_MAX, &pid);
                *reterr_pid = (pid_t)pid;
                return STORELOCK_E_HELD;
        }
        n = snprintf(text, sizeof(text), "%d\n", (int)getpid());
        if (ftruncate(fd, 0) < 0 || pwrite(fd, text, (size_t)n, 0) != n)
                (void)0; /* a full disk takes nothing but the name from those who wait */
        *ret_fd = TAKE_FD(fd);
        return 0;
}

/* flock(2) itself can wait, but not with a limit. */
int storelock_wait(const Root *root, const char *directory, usec_t limit, void (*held)(pid_t pid),
                int *ret_fd, pid_t *reterr_pid)
{
        usec_t until = usec_add(now_usec(), limit);
        pid_t told = -1;
        int r;

        for (;;) {
                r = storelock_acquire(root, directory, ret_fd, reterr_pid);
                if (r != STORELOCK_E_HELD || now_usec() >= until)
                        return r < 0 ? err_trace(r) : r;
                if (held && *reterr_pid != told)
                        held(*reterr_pid);
                told = *reterr_pid;
                (void)poll(NULL, 0, POLL_MSEC);
        }
}
