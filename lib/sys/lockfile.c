/* SPDX-License-Identifier: Apache-2.0 */

#include <fcntl.h>
#include <sys/stat.h>

#include "base/result.h"
#include "sys/lockfile.h"

int lockfile_open(int directory_fd, const char *name, int flags, mode_t mode, int *ret_fd)
{
        _cleanup_close_ int fd = -EBADF;
        struct stat st;

        fd = openat(directory_fd, name, flags | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, mode);
        if (fd < 0)
                return err_origin(-errno);
        if (fstat(fd, &st) < 0)
                return err_origin(-errno);
        if (!S_ISREG(st.st_mode))
                return err_origin(-EINVAL);
        *ret_fd = TAKE_FD(fd);
        return 0;
}

int lockfile_open_private(int directory_fd, const char *name, int *ret_fd)
{
        _cleanup_close_ int fd = -EBADF;
        int r;

        r = lockfile_open(directory_fd, name, O_RDWR | O_CREAT, 0600, &fd);
        if (r)
                return err_trace(r);
        if (lockfile_is_open_to_others(fd) && fchmod(fd, 0600) < 0)
                return err_origin(-errno);
        *ret_fd = TAKE_FD(fd);
        return 0;
}

bool lockfile_is_open_to_others(int fd)
{
        struct stat st;

        return fstat(fd, &st) == 0 && (st.st_mode & (S_IRWXG | S_IRWXO) & ~(mode_t)(S_IXGRP | S_IXOTH));
}

bool lockfile_is_named(int directory_fd, const char *name, int fd)
{
        struct stat held, named;

        return fstat(fd, &held) == 0 && fstatat(directory_fd, name, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
               held.st_dev == named.st_dev && held.st_ino == named.st_ino;
}
