/* SPDX-License-Identifier: Apache-2.0 */

#include <fcntl.h>
#include <limits.h>

#include "base/result.h"
#include "base/str.h"
#include "sys/digest.h"
#include "sys/treecopy.h"

/* Of 6.12: 14000 files with 75 MB. */
enum { FILES_MAX = 200 * 1000, DEPTH_MAX = 64, BLOCK = 256 * 1024 };
#define BYTES_MAX (2ULL * 1024 * 1024 * 1024)

typedef struct Copying {
        const Root *root;
        const char *directory; /* that all paths are relative to */
        const TreecopyRules *rules;
        const char *allowed;
        Treecopy *copy;
        char **reterr;
} Copying;

static int copy_bytes(int from, int to, uint64_t *ret_size)
{
        _cleanup_free_ char *buffer = malloc(BLOCK);
        ssize_t n;

        if (!buffer)
                return err_origin(-ENOMEM);
        *ret_size = 0;
        while ((n = read(from, buffer, BLOCK)) != 0) {
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return err_origin(-errno);
                for (ssize_t done = 0; done < n;) {
                        ssize_t written = write(to, buffer + done, (size_t)(n - done));

                        if (written < 0 && errno != EINTR)
                                return err_origin(-errno);
                        done += MAX(written, 0);
                }
                *ret_size += (uint64_t)n;
                if (*ret_size > BYTES_MAX)
                        return TREECOPY_E_TOO_BIG;
        }
        return 0;
}

/* Whether the open file, which a link led to, is below @allowed. */
static bool is_allowed(const Copying *c, int fd)
{
        _cleanup_free_ char *path = NULL;
        const char *rest;

        if (fd_path(fd, &path))
                return false;
        rest = startswith(path, c->allowed);
        return rest && *rest == '/';
}

static int write_copy(Copying *c, int target, const char *name, const char *path, int from, bool executable)
{
        char xxh64[DIGEST_FAST_HEX_SIZE];
        _cleanup_close_ int fd = -EBADF;
        uint64_t size = 0;
        int r;

        if (c->copy->files->n >= FILES_MAX)
                return TREECOPY_E_TOO_BIG;
        fd = openat(target, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                        executable ? 0755 : 0644);
        if (fd < 0)
                return errno == EEXIST ? 0 : err_origin(-errno);
        r = copy_bytes(from, fd, &size);
        if (r)
                return r < 0 ? err_trace(r) : r;
        c->copy->bytes += size;
        if (c->copy->bytes > BYTES_MAX)
                return TREECOPY_E_TOO_BIG;
        if (lseek(fd, 0, SEEK_SET) < 0)
                return err_origin(-errno);
        r = digest_fast_fd(fd, xxh64, NULL);
        return r ? err_trace(r) : err_trace(kept_files_add(c->copy->files, path, size, executable, xxh64));
}

static int copy_file(Copying *c, int target, const char *name, const char *path, bool is_link)
{
        _cleanup_free_ char *full = str_format("%s/%s", c->directory, path);
        _cleanup_close_ int fd = -EBADF;
        struct stat st;
        int r;

        if (!full)
                return err_origin(-ENOMEM);
        r = root_open(c->root, full, O_RDONLY | O_NONBLOCK | O_NOCTTY | (is_link ? 0 : O_NOFOLLOW), &fd);
        /* A link to nowhere; a file that went away. */
        if (r > 0)
                return 0;
        if (r < 0 || fstat(fd, &st) < 0)
                return r < 0 ? err_trace(r) : err_origin(-errno);
        if (!S_ISREG(st.st_mode))
                return 0;
        if (is_link && !is_allowed(c, fd))
                return err_trace(strv_push(&c->copy->left_out, path));
        if (!c->rules->is_plain(path)) {
                *c->reterr = strdup(path);
                return TREECOPY_E_NAME;
        }
        r = write_copy(c, target, name, path, fd, st.st_mode & S_IXUSR);
        if (r && !*c->reterr)
                *c->reterr = strdup(path);
        return r < 0 ? err_trace(r) : r;
}

static int copy_directory(Copying *c, const char *path, int target, unsigned depth);

static int enter(Copying *c, int target, const char *name, const char *path, unsigned depth)
{
        _cleanup_close_ int fd = -EBADF;

        if (depth == DEPTH_MAX)
                return TREECOPY_E_TOO_BIG;
        if (mkdirat(target, name, 0755) < 0 && errno != EEXIST)
                return err_origin(-errno);
        fd = openat(target, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0)
                return err_origin(-errno);
        return copy_directory(c, path, fd, depth + 1);
}

static int copy_entry(Copying *c, int from, const char *path, const char *name, int target, unsigned depth)
{
        _cleanup_free_ char *below = *path ? str_format("%s/%s", path, name) : strdup(name);
        struct stat st;

        if (!below)
                return err_origin(-ENOMEM);
        if (fstatat(from, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return errno == ENOENT ? 0 : err_origin(-errno);
        if (S_ISDIR(st.st_mode))
                return c->rules->enters(c->rules->part, below) ? enter(c, target, name, below, depth) : 0;
        if ((S_ISREG(st.st_mode) || S_ISLNK(st.st_mode)) && c->rules->wants(c->rules->part, below))
                return copy_file(c, target, name, below, S_ISLNK(st.st_mode));
        return 0;
}

static int copy_directory(Copying *c, const char *path, int target, unsigned depth)
{
        _cleanup_free_ char *full = str_format("%s/%s", c->directory, path);
        _cleanup_closedir_ DIR *d = NULL;
        struct dirent *entry;
        int r;

        r = full ? root_opendir(c->root, full, &d) : err_origin(-ENOMEM);
        if (r)
                return r < 0 ? err_trace(r) : err_origin(-ENOENT);
        for (errno = 0; r == 0 && (entry = readdir(d)); errno = 0)
                if (!streq(entry->d_name, ".") && !streq(entry->d_name, ".."))
                        r = copy_entry(c, dirfd(d), path, entry->d_name, target, depth);
        if (r == 0 && errno > 0)
                r = err_origin(-errno);
        return r < 0 ? err_trace(r) : r;
}

int treecopy(const Root *root, const char *directory, const TreecopyRules *rules, const char *allowed,
                int target, Treecopy *copy, char **reterr)
{
        Copying c = { .root = root,
                .directory = directory,
                .rules = rules,
                .allowed = allowed,
                .copy = copy,
                .reterr = reterr };

        *reterr = NULL;
        return copy_directory(&c, "", target, 0);
}
