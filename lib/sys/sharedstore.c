/* SPDX-License-Identifier: Apache-2.0 */

/* Stores of others. Everything is opened by the descriptor of the directory that it is in. */

#include <fcntl.h>

#include "base/result.h"
#include "base/str.h"
#include "sys/digest.h"
#include "sys/manifestjson.h"
#include "sys/sharedstore.h"
#include "sys/store.h"

/* Larger than any module with debugging information. */
#define FILE_SIZE_MAX ((uint64_t)1024 * 1024 * 1024)

static int invalid(char **reterr, char *text)
{
        if (!text)
                return err_origin(-ENOMEM);
        *reterr = text;
        return SHAREDSTORE_E_INVALID;
}

int sharedstore_open(const Root *root, const char *directory, int *ret_fd)
{
        _cleanup_close_ int fd = -EBADF, builds = -EBADF;
        int r;

        r = root_open(root, directory, O_RDONLY | O_DIRECTORY, &fd);
        if (r)
                return r < 0 ? err_trace(r) : SHAREDSTORE_E_ABSENT;
        builds = openat(fd, STORE_BUILDS, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (builds < 0 && errno != ENOENT)
                return err_origin(-errno);
        *ret_fd = builds >= 0 ? TAKE_FD(builds) : TAKE_FD(fd);
        return 0;
}

static bool may_be_build(const char *name)
{
        return *name != '.' && !streq(name, STORE_STAGING) && !streq(name, STORE_GOOD) &&
               !streq(name, STORE_DAMAGED);
}

int sharedstore_names(int fd, char ***ret)
{
        _cleanup_strv_ char **names = NULL;
        _cleanup_closedir_ DIR *d = NULL;
        _cleanup_close_ int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        struct dirent *e;
        size_t n = 0;
        int r;

        d = copy >= 0 ? fdopendir(copy) : NULL;
        if (!d)
                return err_origin(-errno);
        (void)TAKE_FD(copy);
        while ((errno = 0, e = readdir(d)) && n < SHAREDSTORE_NAMES_MAX) {
                if (!may_be_build(e->d_name))
                        continue;
                r = strv_push(&names, e->d_name);
                if (r)
                        return err_trace(r);
                n++;
        }
        if (errno)
                return err_origin(-errno);
        *ret = TAKE_PTR(names);
        return 0;
}

static int open_file(int directory, const char *name, int *ret, char **reterr)
{
        _cleanup_close_ int fd = -EBADF;
        struct stat st;

        /* O_NONBLOCK: a FIFO is found out, not waited for. */
        fd = openat(directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
        if (fd < 0 && errno == ENOENT)
                return SHAREDSTORE_E_ABSENT;
        if (fd < 0)
                return invalid(reterr, str_format("%s: %s", name,
                                                       errno == ELOOP ? "it is a link" : strerror(errno)));
        if (fstat(fd, &st) < 0)
                return invalid(reterr, str_format("%s: %s", name, strerror(errno)));
        if (!S_ISREG(st.st_mode))
                return invalid(reterr, str_format("%s: it is no regular file", name));
        *ret = TAKE_FD(fd);
        return 0;
}

static int parse(int fd, BuildManifest *ret, char **ret_text, char **reterr)
{
        _cleanup_free_ char *text = NULL, *why = NULL;
        size_t size = 0;
        int r;

        r = fd_read_file(fd, MANIFEST_SIZE_MAX, &text, &size);
        if (r == ROOT_E_TOO_BIG)
                return invalid(reterr,
                                str_format(MANIFEST_NAME ": it is larger than %d bytes", MANIFEST_SIZE_MAX));
        if (r)
                return invalid(reterr, str_format(MANIFEST_NAME ": %s", strerror(r < 0 ? -r : ENOENT)));
        r = manifest_parse(text, size, ret, &why);
        if (r > 0)
                return invalid(reterr, str_format(MANIFEST_NAME ": %s", strna(why)));
        if (r == 0 && ret_text)
                *ret_text = TAKE_PTR(text);
        return err_trace(r);
}

int sharedstore_read(
                int fd, const char *name, BuildManifest *ret, char **ret_text, int *ret_fd, char **reterr)
{
        _cleanup_close_ int directory = -EBADF, file = -EBADF;
        BuildManifest m = {};
        int r;

        directory = openat(fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        /* A link gives ENOTDIR, too: it is a stranger's file like the others. */
        if (directory < 0 && (errno == ENOENT || errno == ENOTDIR || errno == ELOOP))
                return SHAREDSTORE_E_ABSENT;
        if (directory < 0)
                return invalid(reterr, strdup(strerror(errno)));
        r = open_file(directory, MANIFEST_NAME, &file, reterr);
        if (r)
                return r < 0 ? err_trace(r) : r;
        r = parse(file, &m, ret_text, reterr);
        if (r)
                return r < 0 ? err_trace(r) : r;

        *ret = m;
        if (ret_fd)
                *ret_fd = TAKE_FD(directory);
        return 0;
}

static int transfer(int from, int to, const BuildFile *f, char **reterr)
{
        static char buffer[128 * 1024];
        uint64_t left = f->size;

        for (;;) {
                ssize_t n = read(from, buffer, sizeof(buffer));
                int r;

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return invalid(reterr, str_format("%s: %s", f->name, strerror(errno)));
                if (n == 0 && left == 0)
                        return 0;
                if (n == 0 || (uint64_t)n > left)
                        return invalid(reterr, str_format("%s has not the %llu bytes that its manifest says",
                                                               f->name, (unsigned long long)f->size));
                r = fd_write(to, buffer, (size_t)n);
                if (r)
                        return err_trace(r);
                left -= (uint64_t)n;
        }
}

int sharedstore_copy(int build_fd, const BuildFile *f, int to_fd, char **reterr)
{
        _cleanup_close_ int from = -EBADF, to = -EBADF;
        char hex[DIGEST_HEX_SIZE] = "";
        int r;

        if (f->size > FILE_SIZE_MAX)
                return invalid(reterr, str_format("%s would have %llu bytes", f->name,
                                                       (unsigned long long)f->size));
        r = open_file(build_fd, f->name, &from, reterr);
        if (r == SHAREDSTORE_E_ABSENT)
                return invalid(reterr, str_format("%s is gone", f->name));
        if (r)
                return r < 0 ? err_trace(r) : r;
        to = openat(to_fd, f->name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
        if (to < 0)
                return err_origin(-errno);
        r = transfer(from, to, f, reterr);
        if (r)
                return r < 0 ? err_trace(r) : r;
        /* Of the copy: that is what will be loaded. */
        if (lseek(to, 0, SEEK_SET) < 0)
                return err_origin(-errno);
        r = digest_fd(to, hex, NULL);
        if (r)
                return err_trace(r);
        if (!streq(hex, strempty(f->sha256)))
                return invalid(reterr, str_format("%s is not what was built (SHA-256 %s, not %s)", f->name,
                                                       hex, strna(f->sha256)));
        return 0;
}
