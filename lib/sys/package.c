/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The only file that knows libarchive. A package may come from anywhere, so
 * nothing of a member is believed: its path is used only after it was found to
 * be a name that the manifest lists, files are made anew (O_EXCL) below a
 * directory handle, and no more is written than was announced.
 */

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/result.h"
#include "base/str.h"
#include "sys/manifestjson.h"
#include "sys/package.h"

enum { CHUNK = 64 * 1024 };

struct PackageWriter {
        struct archive *archive;
};

/* libarchive has errno values for what the system said, and -1 or 0 for what is its own. */
static int error_of(struct archive *a)
{
        int e = archive_errno(a);

        return e > 0 && e < 4096 ? -e : -EIO;
}

int package_writer_new(int fd, PackageWriter **ret)
{
        _cleanup_(package_writer_freep) PackageWriter *w = calloc(1, sizeof(*w));

        if (!w)
                return err_origin(-ENOMEM);
        w->archive = archive_write_new();
        if (!w->archive)
                return err_origin(-ENOMEM);
        if (archive_write_add_filter_zstd(w->archive) != ARCHIVE_OK ||
                        archive_write_set_format_ustar(w->archive) != ARCHIVE_OK ||
                        archive_write_open_fd(w->archive, fd) != ARCHIVE_OK)
                return err_origin(error_of(w->archive));
        *ret = TAKE_PTR(w);
        return 0;
}

PackageWriter *package_writer_free(PackageWriter *w)
{
        if (!w)
                return NULL;
        if (w->archive)
                (void)archive_write_free(w->archive);
        free(w);
        return NULL;
}

/* No time, owner or mode of this machine goes into it. */
static int begin(PackageWriter *w, const char *name, uint64_t size)
{
        struct archive_entry *entry = archive_entry_new();
        int r;

        if (!entry)
                return err_origin(-ENOMEM);
        archive_entry_set_pathname(entry, name);
        archive_entry_set_filetype(entry, AE_IFREG);
        archive_entry_set_perm(entry, 0644);
        archive_entry_set_mtime(entry, 0, 0);
        archive_entry_set_size(entry, (la_int64_t)size);
        r = archive_write_header(w->archive, entry);
        archive_entry_free(entry);
        return r == ARCHIVE_OK ? 0 : err_origin(error_of(w->archive));
}

static int put(PackageWriter *w, const char *data, size_t size)
{
        la_ssize_t n = archive_write_data(w->archive, data, size);

        return n == (la_ssize_t)size ? 0 : err_origin(n < 0 ? error_of(w->archive) : -EIO);
}

int package_write_data(PackageWriter *w, const char *name, const char *data, size_t size)
{
        int r = begin(w, name, size);

        return r ? err_trace(r) : err_trace(put(w, data, size));
}

int package_write_fd(PackageWriter *w, const char *name, int fd, uint64_t size)
{
        _cleanup_free_ char *buffer = malloc(CHUNK);
        int r;

        if (!buffer)
                return err_origin(-ENOMEM);
        r = begin(w, name, size);
        while (r == 0 && size > 0) {
                ssize_t n = read(fd, buffer, MIN((uint64_t)CHUNK, size));

                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0)
                        return err_origin(n < 0 ? -errno : -EIO);
                r = put(w, buffer, (size_t)n);
                size -= (uint64_t)n;
        }
        return err_trace(r);
}

int package_writer_finish(PackageWriter *w)
{
        return archive_write_close(w->archive) == ARCHIVE_OK ? 0 : err_origin(error_of(w->archive));
}

static int invalid(char **reterr, char *why)
{
        if (!why)
                return err_origin(-ENOMEM);
        free(*reterr);
        *reterr = why;
        return PACKAGE_E_INVALID;
}

/* Name and size of the next member; 0 with *@ret_name NULL at the end. */
static int next(struct archive *a, const char **ret_name, uint64_t *ret_size, char **reterr)
{
        struct archive_entry *entry;
        const char *name;
        int r;

        *ret_name = NULL;
        r = archive_read_next_header(a, &entry);
        if (r == ARCHIVE_EOF)
                return 0;
        if (r != ARCHIVE_OK)
                return invalid(reterr, str_format("it cannot be read: %s", strna(archive_error_string(a))));
        name = archive_entry_pathname(entry);
        if (!name)
                return invalid(reterr, strdup("a member has no name"));
        if (archive_entry_filetype(entry) != AE_IFREG || archive_entry_hardlink(entry) ||
                        archive_entry_symlink(entry))
                return invalid(reterr, str_format("\"%s\" is not a regular file", name));
        if (strchr(name, '/') || *name == '.')
                return invalid(reterr, str_format("\"%s\" is not a plain file name", name));
        if (!archive_entry_size_is_set(entry) || archive_entry_size(entry) < 0)
                return invalid(reterr, str_format("\"%s\" does not say its size", name));
        *ret_name = name;
        *ret_size = (uint64_t)archive_entry_size(entry);
        return 0;
}

static int read_manifest(struct archive *a, BuildManifest *m, char **reterr)
{
        _cleanup_free_ char *text = NULL, *why = NULL;
        const char *name = NULL;
        uint64_t size = 0;
        int r;

        r = next(a, &name, &size, reterr);
        if (r)
                return r;
        if (!name || !streq(name, MANIFEST_NAME) || size > MANIFEST_SIZE_MAX)
                return invalid(reterr, strdup("it does not begin with " MANIFEST_NAME));
        text = malloc((size_t)size + 1);
        if (!text)
                return err_origin(-ENOMEM);
        if (archive_read_data(a, text, (size_t)size) != (la_ssize_t)size)
                return invalid(reterr, strdup(MANIFEST_NAME " is cut off"));
        r = manifest_parse(text, (size_t)size, m, &why);
        if (r > 0)
                return invalid(reterr, str_format(MANIFEST_NAME ": %s", strna(why)));
        return err_trace(r);
}

static int unpack_one(struct archive *a, int directory_fd, const char *name, uint64_t size, char **reterr)
{
        _cleanup_free_ char *buffer = malloc(CHUNK);
        _cleanup_close_ int fd = -EBADF;
        uint64_t left = size;
        int r;

        if (!buffer)
                return err_origin(-ENOMEM);
        fd = openat(directory_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
        if (fd < 0)
                return errno == EEXIST ? invalid(reterr, str_format("\"%s\" is in it twice", name))
                                       : err_origin(-errno);
        while (left > 0) {
                la_ssize_t n = archive_read_data(a, buffer, (size_t)MIN((uint64_t)CHUNK, left));

                if (n <= 0)
                        return invalid(reterr, str_format("\"%s\" is cut off or damaged", name));
                r = fd_write(fd, buffer, (size_t)n);
                if (r)
                        return err_trace(r);
                left -= (uint64_t)n;
        }
        return 0;
}

static int unpack(struct archive *a, int directory_fd,
                uint64_t (*allow)(const BuildManifest *m, const char *name), BuildManifest *m, char **reterr)
{
        int r;

        r = read_manifest(a, m, reterr);
        while (r == 0) {
                const char *name = NULL;
                uint64_t size = 0;

                r = next(a, &name, &size, reterr);
                if (r || !name)
                        return r;
                if (allow(m, name) == 0)
                        return invalid(reterr, str_format("\"%s\" has no business in it", name));
                if (size > allow(m, name))
                        return invalid(reterr, str_format("\"%s\" is larger than its manifest says", name));
                r = unpack_one(a, directory_fd, name, size, reterr);
        }
        return r;
}

int package_unpack(int fd, int directory_fd, uint64_t (*allow)(const BuildManifest *m, const char *name),
                BuildManifest *ret, char **reterr)
{
        struct archive *a = archive_read_new();
        BuildManifest m = {};
        int r;

        if (!a)
                return err_origin(-ENOMEM);
        if (archive_read_support_filter_zstd(a) != ARCHIVE_OK ||
                        archive_read_support_format_tar(a) != ARCHIVE_OK)
                r = err_origin(-EOPNOTSUPP);
        else if (archive_read_open_fd(a, fd, CHUNK) != ARCHIVE_OK)
                r = invalid(reterr, str_format("it cannot be read: %s", strna(archive_error_string(a))));
        else
                r = unpack(a, directory_fd, allow, &m, reterr);
        (void)archive_read_free(a);
        if (r) {
                build_manifest_done(&m);
                return r < 0 ? err_trace(r) : r;
        }
        *ret = m;
        return 0;
}
