/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Rooted paths. On "/" plain openat(2) is used, so magic links such as
 * /proc/1/root keep working; on any other root openat2(2) with RESOLVE_IN_ROOT
 * makes sure that a fixture never leads out into the real machine.
 */

#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <sys/random.h>
#include <sys/syscall.h>

#include "base/result.h"
#include "base/root.h"
#include "base/str.h"

/* So many renames in a row at just the wrong time do not happen; an end there must be all the same. */
#define OPEN_ATTEMPTS 1000

void closedirp(DIR **d)
{
        if (*d)
                (void)closedir(*d);
        *d = NULL;
}

int root_new(const char *path, Root **ret)
{
        _cleanup_(root_freep) Root *root = NULL;
        size_t n;

        root = calloc(1, sizeof(*root));
        if (!root)
                return err_origin(-ENOMEM);
        root->fd = -EBADF;

        root->prefix = strdup(path);
        if (!root->prefix)
                return err_origin(-ENOMEM);
        n = strlen(root->prefix);
        while (n > 0 && root->prefix[n - 1] == '/')
                root->prefix[--n] = '\0';

        root->fd = open(n > 0 ? root->prefix : "/", O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (root->fd < 0)
                return err_origin(-errno);

        *ret = TAKE_PTR(root);
        return 0;
}

Root *root_free(Root *root)
{
        if (!root)
                return NULL;

        safe_close(root->fd);
        free(root->prefix);
        free(root);
        return NULL;
}

bool root_is_host(const Root *root)
{
        return isempty(root->prefix);
}

char *root_path(const Root *root, const char *path)
{
        return str_format("%s/%s", root->prefix, path + strspn(path, "/"));
}

static int open_below(const Root *root, const char *path, int flags, mode_t mode)
{
        struct open_how how = {
                .flags = (unsigned)flags | O_CLOEXEC,
                .mode = (flags & O_CREAT) ? mode : 0,
                .resolve = RESOLVE_IN_ROOT,
        };

        path += strspn(path, "/");
        if (!*path)
                path = ".";
        if (root_is_host(root))
                return openat(root->fd, path, flags | O_CLOEXEC, mode);

        /* EAGAIN: something was renamed, anywhere on the machine, just when the kernel followed a "..", see
         * openat2(2). The next attempt has nothing to do with it; on a busy machine one in a thousand fails.
         */
        for (unsigned attempt = 1;; attempt++) {
                int fd = (int)syscall(SYS_openat2, root->fd, path, &how, sizeof(how));

                if (fd >= 0 || errno != EAGAIN || attempt == OPEN_ATTEMPTS)
                        return fd;
        }
}

static int absent_or_error(int error)
{
        /* ENODEV and ENXIO: attributes of a device that went away while we looked. */
        if (error == ENOENT || error == ENOTDIR || error == ENODEV || error == ENXIO)
                return ROOT_E_ABSENT;
        return err_origin(-error);
}

int root_open(const Root *root, const char *path, int flags, int *ret_fd)
{
        int fd;

        fd = open_below(root, path, flags, 0);
        if (fd < 0)
                return absent_or_error(errno);

        *ret_fd = fd;
        return 0;
}

int root_opendir(const Root *root, const char *path, DIR **ret)
{
        _cleanup_close_ int fd = -EBADF;
        DIR *d;
        int r;

        r = root_open(root, path, O_RDONLY | O_DIRECTORY, &fd);
        if (r)
                return r;

        d = fdopendir(fd);
        if (!d)
                return err_origin(-errno);

        (void)TAKE_FD(fd);
        *ret = d;
        return 0;
}

int root_stat(const Root *root, const char *path, struct stat *ret)
{
        _cleanup_close_ int fd = -EBADF;
        int r;

        r = root_open(root, path, O_PATH, &fd);
        if (r)
                return r;
        if (fstat(fd, ret) < 0)
                return err_origin(-errno);
        return 0;
}

bool root_exists(const Root *root, const char *path)
{
        struct stat st;

        return root_stat(root, path, &st) == 0;
}

int fd_read_file(int fd, size_t max, char **ret, size_t *ret_size)
{
        _cleanup_free_ char *data = NULL;
        size_t size = 0, allocated = 0;

        for (;;) {
                ssize_t n;

                if (allocated - size < 2) {
                        char *grown;

                        allocated = MIN(MAX(allocated * 2, (size_t)4096), max + 2);
                        grown = realloc(data, allocated);
                        if (!grown)
                                return err_origin(-ENOMEM);
                        data = grown;
                }

                n = read(fd, data + size, allocated - size - 1);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return absent_or_error(errno);
                if (n == 0)
                        break;
                size += (size_t)n;
                if (size > max)
                        return ROOT_E_TOO_BIG;
        }

        data[size] = '\0';
        *ret = TAKE_PTR(data);
        if (ret_size)
                *ret_size = size;
        return 0;
}

int root_read_file(const Root *root, const char *path, size_t max, char **ret, size_t *ret_size)
{
        _cleanup_close_ int fd = -EBADF;
        int r;

        /* O_NONBLOCK: a FIFO in an untrusted tree must not stop us; files do not care. */
        r = root_open(root, path, O_RDONLY | O_NOCTTY | O_NONBLOCK, &fd);
        if (r)
                return r;

        r = fd_read_file(fd, max, ret, ret_size);
        return r < 0 ? err_trace(r) : r;
}

int root_read_line(const Root *root, const char *path, size_t max, char **ret)
{
        _cleanup_free_ char *data = NULL;
        char *line;
        int r;

        r = root_read_file(root, path, max, &data, NULL);
        if (r)
                return r < 0 ? err_trace(r) : r;

        data[strcspn(data, "\n")] = '\0';
        line = strdup(str_strip(data));
        if (!line)
                return err_origin(-ENOMEM);

        *ret = line;
        return 0;
}

int root_readlink(const Root *root, const char *path, char **ret)
{
        _cleanup_close_ int fd = -EBADF;
        char buffer[PATH_MAX];
        char *text;
        ssize_t n;
        int r;

        r = root_open(root, path, O_PATH | O_NOFOLLOW, &fd);
        if (r)
                return r;

        n = readlinkat(fd, "", buffer, sizeof(buffer) - 1);
        if (n < 0)
                return absent_or_error(errno);

        text = strndup(buffer, (size_t)n);
        if (!text)
                return err_origin(-ENOMEM);
        *ret = text;
        return 0;
}

int root_list(const Root *root, const char *path, char ***ret)
{
        _cleanup_closedir_ DIR *d = NULL;
        _cleanup_strv_ char **names = NULL;
        int r;

        r = root_opendir(root, path, &d);
        if (r)
                return r;

        for (;;) {
                const struct dirent *de;

                errno = 0;
                de = readdir(d);
                if (!de && errno)
                        return err_origin(-errno);
                if (!de)
                        break;
                if (de->d_name[0] == '.')
                        continue;
                r = strv_push(&names, de->d_name);
                if (r)
                        return err_trace(r);
        }

        strv_sort(names);
        *ret = TAKE_PTR(names);
        return 0;
}

/* Splits off the last component and opens its directory. */
static int open_parent(const Root *root, const char *path, int *ret_fd, const char **ret_name)
{
        _cleanup_free_ char *parent = NULL;
        const char *slash;
        int fd;

        slash = strrchr(path, '/');
        parent = slash ? strndup(path, (size_t)(slash - path)) : strdup(".");
        if (!parent)
                return err_origin(-ENOMEM);

        fd = open_below(root, parent, O_RDONLY | O_DIRECTORY, 0);
        if (fd < 0)
                return absent_or_error(errno);

        *ret_fd = fd;
        *ret_name = slash ? slash + 1 : path;
        return 0;
}

int root_mkdirs(const Root *root, const char *path, mode_t mode)
{
        _cleanup_free_ char *copy = NULL;

        path += strspn(path, "/");
        copy = strdup(path);
        if (!copy)
                return err_origin(-ENOMEM);

        for (char *p = copy;;) {
                _cleanup_close_ int parent = -EBADF;
                const char *name;
                char saved;
                int r;

                p += strcspn(p, "/");
                saved = *p;
                *p = '\0';
                r = open_parent(root, copy, &parent, &name);
                if (r)
                        return r < 0 ? err_trace(r) : err_origin(-ENOENT);
                if (*name && mkdirat(parent, name, mode) < 0 && errno != EEXIST)
                        return err_origin(-errno);
                *p = saved;
                if (!saved)
                        return 0;
                p++;
        }
}

int fd_path(int fd, char **ret)
{
        char link[64], path[PATH_MAX];
        ssize_t n;

        (void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
        n = readlink(link, path, sizeof(path) - 1);
        if (n < 0)
                return err_origin(-errno);
        *ret = strndup(path, (size_t)n);
        return *ret ? 0 : err_origin(-ENOMEM);
}

int fd_write(int fd, const void *data, size_t size)
{
        for (const char *p = data; size > 0;) {
                ssize_t n = write(fd, p, size);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return err_origin(-errno);
                p += n;
                size -= (size_t)n;
        }
        return 0;
}

int fd_write_at(int fd, const void *data, size_t size, uint64_t offset)
{
        for (const char *p = data; size > 0;) {
                ssize_t n = pwrite(fd, p, size, (off_t)offset);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return err_origin(-errno);
                p += n;
                offset += (uint64_t)n;
                size -= (size_t)n;
        }
        return 0;
}

#define TEMPORARY_PREFIX ".#"
enum { TEMPORARY_DIGITS = 16 };

static bool is_temporary(const char *name)
{
        const char *digits = startswith(name, TEMPORARY_PREFIX);

        return digits && strlen(digits) == TEMPORARY_DIGITS &&
               strspn(digits, "0123456789abcdef") == TEMPORARY_DIGITS;
}

void root_sweep(const Root *root, const char *directory)
{
        _cleanup_closedir_ DIR *d = NULL;

        if (root_opendir(root, directory, &d))
                return;
        for (const struct dirent *de = readdir(d); de; de = readdir(d))
                if (is_temporary(de->d_name))
                        (void)unlinkat(dirfd(d), de->d_name, 0);
}

static int write_in_one_step(
                const Root *root, const char *path, const char *data, size_t size, mode_t mode, bool sync)
{
        _cleanup_close_ int parent = -EBADF, fd = -EBADF;
        char temporary[64];
        uint64_t random;
        const char *name;
        int r;

        r = open_parent(root, path, &parent, &name);
        if (r)
                return r < 0 ? err_trace(r) : err_origin(-ENOENT);

        if (getrandom(&random, sizeof(random), 0) != sizeof(random))
                return err_origin(-errno);
        (void)snprintf(temporary, sizeof(temporary), TEMPORARY_PREFIX "%0*llx", TEMPORARY_DIGITS,
                        (unsigned long long)random);

        fd = openat(parent, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
        if (fd < 0)
                return err_origin(-errno);

        r = fd_write(fd, data, size);
        if (r == 0 && (fchmod(fd, mode) < 0 || (sync && fsync(fd) < 0) ||
                                      renameat(parent, temporary, parent, name) < 0))
                r = err_origin(-errno);
        if (r) {
                (void)unlinkat(parent, temporary, 0);
                return err_trace(r);
        }

        /* The rename itself must survive a power cut too. */
        if (sync)
                (void)fsync(parent);
        return 0;
}

int root_write_file(const Root *root, const char *path, const char *data, size_t size, mode_t mode)
{
        return err_trace(write_in_one_step(root, path, data, size, mode, /* sync= */ true));
}

int root_write_volatile(const Root *root, const char *path, const char *data, size_t size, mode_t mode)
{
        return err_trace(write_in_one_step(root, path, data, size, mode, /* sync= */ false));
}

int root_unlink(const Root *root, const char *path)
{
        _cleanup_close_ int parent = -EBADF;
        const char *name;
        int r;

        r = open_parent(root, path, &parent, &name);
        if (r)
                return r == ROOT_E_ABSENT ? 0 : err_trace(r);
        if (unlinkat(parent, name, 0) < 0 && errno != ENOENT)
                return err_origin(-errno);
        return 0;
}
