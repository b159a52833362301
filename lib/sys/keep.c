/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What must not happen is a second instance of a service. A keeper starts it
 * only while it holds both locks on the file that the name leads to; as with
 * the pid file, a file that was removed in between is noticed after locking.
 */

#include <fcntl.h>
#include <sys/file.h>
#include <sys/pidfd.h>

#include "base/result.h"
#include "base/str.h"
#include "sys/keep.h"
#include "sys/lockfile.h"

enum {
        LOCK_ATTEMPTS = 16,
        FDINFO_MAX = 4096,
};

/* Names are checked when the configuration is read, and have no colon; here they are only put together. */
typedef char EntryName[64];

static const char *entry(const char *name, const char *suffix, EntryName to)
{
        (void)snprintf(to, sizeof(EntryName), "%s%s", name, suffix);
        return to;
}

int keep_open_directory(const Root *root, int *ret_fd)
{
        _cleanup_close_ int fd = -EBADF;
        int r;

        r = root_mkdirs(root, "run/nvidia-driverd", 0755);
        if (r == 0)
                r = root_mkdirs(root, KEEP_DIRECTORY, 0700);
        if (r)
                return err_trace(r);
        r = root_open(root, KEEP_DIRECTORY, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, &fd);
        if (r)
                return r < 0 ? err_trace(r) : err_fold(r);
        /* One of an older version: whoever can reach a file can have it open, in a way. */
        if (fchmod(fd, 0700) < 0)
                return err_origin(-errno);
        *ret_fd = TAKE_FD(fd);
        return 0;
}

int keep_list(const Root *root, char ***ret)
{
        _cleanup_strv_ char **entries = NULL, **names = NULL;
        int r;

        r = root_list(root, KEEP_DIRECTORY, &entries);
        if (r == -EACCES)
                return 0; /* only root may know */
        if (r)
                return r < 0 ? err_trace(r) : 0;
        STRV_FOREACH (e, entries) {
                char *colon = strrchr(*e, ':');

                if (!colon || colon == *e || !streq(colon, ":lock") || strlen(*e) > sizeof(EntryName) / 2)
                        continue;
                *colon = '\0';
                r = strv_push(&names, *e);
                if (r)
                        return err_trace(r);
        }
        *ret = TAKE_PTR(names);
        return 0;
}

int keep_lock(int directory_fd, const char *name, int *ret_fd)
{
        _cleanup_close_ int fd = -EBADF;
        EntryName path;
        int r;

        (void)entry(name, ":lock", path);
        for (unsigned i = 0; i < LOCK_ATTEMPTS; i++) {
                struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

                fd = safe_close(fd);
                r = lockfile_open(directory_fd, path, O_RDWR | O_CREAT, 0600, &fd);
                if (r)
                        return err_trace(r);
                if (fcntl(fd, F_SETLK, &lock) < 0)
                        return errno == EACCES || errno == EAGAIN ? KEEP_E_HELD : err_origin(-errno);
                if (flock(fd, LOCK_EX | LOCK_NB) < 0)
                        return errno == EWOULDBLOCK ? KEEP_E_FAMILY : err_origin(-errno);
                if (!lockfile_is_named(directory_fd, path, fd))
                        continue;
                *ret_fd = TAKE_FD(fd);
                return 0;
        }
        return err_origin(-ESTALE);
}

/* Returns 0 with the owner's pid, or 0 for one that has none here; KEEP_E_ABSENT. */
static int owner_of(int fd, pid_t *ret)
{
        struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

        if (fcntl(fd, F_GETLK, &lock) < 0)
                return err_origin(-errno);
        if (lock.l_type == F_UNLCK)
                return KEEP_E_ABSENT;
        *ret = lock.l_pid;
        return 0;
}

int keep_find(int directory_fd, const char *name, pid_t *ret_pid, int *ret_pidfd)
{
        _cleanup_close_ int fd = -EBADF, pidfd = -EBADF;
        pid_t pid = 0, again = 0;
        EntryName path;
        int r;

        if (faccessat(directory_fd, entry(name, ":lock", path), F_OK, AT_SYMLINK_NOFOLLOW) < 0 &&
                        errno == ENOENT)
                return KEEP_E_ABSENT;
        r = lockfile_open(directory_fd, path, O_RDONLY, 0, &fd);
        if (r == 0)
                r = owner_of(fd, &pid);
        if (r)
                return r < 0 ? err_trace(r) : r;
        if (pid <= 0)
                return KEEP_E_HIDDEN;

        pidfd = pidfd_open(pid, 0);
        if (pidfd < 0)
                return errno == ESRCH ? KEEP_E_ABSENT : err_origin(-errno);
        /* The owner lives, and had that number before and after: then it is whom we have opened. */
        r = owner_of(fd, &again);
        if (r)
                return r < 0 ? err_trace(r) : r;
        if (again != pid)
                return KEEP_E_ABSENT;

        *ret_pid = pid;
        *ret_pidfd = TAKE_FD(pidfd);
        return 0;
}

/* O_PATH needs no right to the file, so it makes nobody part of a service. */
static bool is_path_only(const Root *proc, const char *pid, const char *number)
{
        _cleanup_free_ char *path = str_format("proc/%s/fdinfo/%s", pid, number), *text = NULL;
        const char *flags;

        if (!path || root_read_file(proc, path, FDINFO_MAX, &text, NULL) != 0)
                return false;
        flags = strstr(text, "flags:");
        return flags && (strtoul(flags + strlen("flags:"), NULL, 8) & O_PATH);
}

static bool has_open(const Root *proc, const char *pid, const struct stat *wanted)
{
        _cleanup_free_ char *path = str_format("proc/%s/fd", pid);
        _cleanup_closedir_ DIR *directory = NULL;
        struct dirent *e;

        if (!path || root_opendir(proc, path, &directory) != 0)
                return false;
        while ((e = readdir(directory))) {
                struct stat st;

                if (e->d_name[0] != '.' && fstatat(dirfd(directory), e->d_name, &st, 0) == 0 &&
                                st.st_dev == wanted->st_dev && st.st_ino == wanted->st_ino &&
                                !is_path_only(proc, pid, e->d_name))
                        return true;
        }
        return false;
}

int keep_family(int directory_fd, const char *name, const Root *proc, pid_t **ret_pids, size_t *ret_n)
{
        _cleanup_free_ pid_t *pids = NULL;
        _cleanup_strv_ char **entries = NULL;
        EntryName path;
        struct stat wanted;
        size_t n = 0;
        int r;

        if (fstatat(directory_fd, entry(name, ":lock", path), &wanted, AT_SYMLINK_NOFOLLOW) < 0)
                return err_origin(-errno);
        r = root_list(proc, "proc", &entries);
        if (r)
                return r < 0 ? err_trace(r) : err_fold(r);

        pids = calloc(strv_length(entries) + 1, sizeof(*pids));
        if (!pids)
                return err_origin(-ENOMEM);
        STRV_FOREACH (e, entries) {
                uint64_t pid;

                if (str_to_u64(*e, 10, 1, INT32_MAX, &pid) == 0 && (pid_t)pid != getpid() &&
                                has_open(proc, *e, &wanted))
                        pids[n++] = (pid_t)pid;
        }
        *ret_pids = TAKE_PTR(pids);
        *ret_n = n;
        return 0;
}

int keep_open_output(int directory_fd, const char *name, int *ret_fd)
{
        _cleanup_close_ int fd = -EBADF;
        EntryName path;
        struct stat st;

        if (mkfifoat(directory_fd, entry(name, ":output", path), 0600) < 0 && errno != EEXIST)
                return err_origin(-errno);
        fd = openat(directory_fd, path, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        if (fd < 0)
                return err_origin(-errno);
        if (fstat(fd, &st) < 0)
                return err_origin(-errno);
        if (!S_ISFIFO(st.st_mode))
                return err_origin(-EINVAL);
        *ret_fd = TAKE_FD(fd);
        return 0;
}

/* No fsync: what it speaks of does not outlive the boot either. */
int keep_write(int directory_fd, const char *name, const char *text)
{
        _cleanup_close_ int fd = -EBADF;
        size_t size = strlen(text);
        EntryName path;

        fd = openat(directory_fd, entry(name, ":new", path),
                        O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (fd < 0)
                return err_origin(-errno);
        if (write(fd, text, size) != (ssize_t)size)
                return err_origin(-EIO);
        if (renameat(directory_fd, path, directory_fd, name) < 0)
                return err_origin(-errno);
        return 0;
}

int keep_read(int directory_fd, const char *name, size_t max, char **ret)
{
        _cleanup_close_ int fd = -EBADF;
        int r;

        fd = openat(directory_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        if (fd < 0)
                return errno == ENOENT ? KEEP_E_ABSENT : err_origin(-errno);
        r = fd_read_file(fd, max, ret, NULL);
        return r < 0 ? err_trace(r) : err_fold(r);
}

void keep_remove(const Root *root, const char *name)
{
        static const char *const suffixes[] = { "", ":new", ":output", ":lock" };
        _cleanup_close_ int fd = -EBADF;
        EntryName path;

        if (root_open(root, KEEP_DIRECTORY, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, &fd) == 0)
                for (size_t i = 0; i < ELEMENTSOF(suffixes); i++)
                        (void)unlinkat(fd, entry(name, suffixes[i], path), 0);
        (void)unlinkat(root->fd, KEEP_DIRECTORY, AT_REMOVEDIR);
}
