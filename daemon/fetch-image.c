/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The cache of developer containers: in STORE/toolchain
 *
 *   NAME.part       a file as it lies on the server, perhaps not all of it
 *   NAME.new        an image that is being decompressed
 *   NAME.manifest   of the image: where it is from, how large, its digest
 *   NAME.img        the image; it gets this name as the last step
 *
 * NAME contains the digest of the server's file, so that what is continued
 * after an interruption is always the same file, whichever server it is on.
 */

#include <fcntl.h>

#include "base/result.h"
#include "base/str.h"
#include "fetch.h"
#include "sys/decompress.h"
#include "sys/digest.h"

enum { MANIFEST_MAX = 16 * 1024 };

/* "NAME.img" without its end, or NULL. */
static char *name_of(const char *file, const char *suffix)
{
        size_t n = strlen(file), end = strlen(suffix);

        return n > end && streq(file + n - end, suffix) ? strndup(file, n - end) : NULL;
}

static char *path_of(const Fetch *f, const char *name, const char *suffix)
{
        return str_format("%s/%s%s", f->directory, name, suffix);
}

static int unlink_in(const Fetch *f, const char *name, const char *suffix)
{
        _cleanup_free_ char *file = str_format("%s%s", name, suffix);

        if (!file)
                return err_origin(-ENOMEM);
        return unlinkat(f->directory_fd, file, 0) < 0 && errno != ENOENT ? err_origin(-errno) : 0;
}

static int open_image(const Fetch *f, const char *name, int *ret)
{
        _cleanup_free_ char *file = str_format("%s" DEVCONTAINER_IMAGE, name);
        struct stat st;
        int fd;

        if (!file)
                return err_origin(-ENOMEM);
        fd = openat(f->directory_fd, file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        if (fd < 0)
                return err_origin(-errno);
        if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
                safe_close(fd);
                return err_origin(-EINVAL);
        }
        *ret = fd;
        return 0;
}

/* NULL if it is good, else why not; the whole image is read. */
static const char *check_image(const Fetch *f, const char *name, const DevImage *i)
{
        char digest[DIGEST_FAST_HEX_SIZE];
        _cleanup_close_ int fd = -EBADF;
        struct stat st;
        uint64_t size;

        if (open_image(f, name, &fd) || fstat(fd, &st) < 0)
                return "it cannot be opened";
        if ((uint64_t)st.st_size != i->size)
                return "its size has changed";
        if (digest_fast_fd(fd, digest, &size))
                return "it cannot be read";
        return streq(digest, i->digest) ? NULL : "its content has changed";
}

static int read_manifest(const Fetch *f, const char *name, DevImage *ret)
{
        _cleanup_free_ char *path = path_of(f, name, DEVCONTAINER_MANIFEST), *text = NULL;
        size_t size;
        int r;

        if (!path)
                return err_origin(-ENOMEM);
        r = root_read_file(f->root, path, MANIFEST_MAX, &text, &size);
        if (r == -ENOMEM)
                return err_trace(r);
        return r ? 1 : devimage_parse(text, ret);
}

static int try_image(Fetch *f, const char *name)
{
        DevImage i = {};
        const char *why;
        int r;

        r = read_manifest(f, name, &i);
        if (r < 0)
                return err_trace(r);
        if (r == 0 && f->pinned && !checksum_equal(&i.checksum, &f->checksum)) {
                devimage_done(&i);
                return 0;
        }
        why = r ? "its manifest cannot be read" : check_image(f, name, &i);
        devimage_done(&i);
        if (!why) {
                f->image = path_of(f, name, DEVCONTAINER_IMAGE);
                return f->image ? 0 : err_origin(-ENOMEM);
        }
        helper_say(HELPER_KEY_NOTE, "%s/%s" DEVCONTAINER_IMAGE " is damaged (%s), removing it", f->directory,
                        name, why);
        r = unlink_in(f, name, DEVCONTAINER_IMAGE);
        return r ? err_trace(r) : err_trace(unlink_in(f, name, DEVCONTAINER_MANIFEST));
}

int fetch_find_image(Fetch *f)
{
        _cleanup_free_ char *prefix = devcontainer_cache_prefix(&f->container);
        _cleanup_strv_ char **files = NULL;
        int r;

        if (!prefix)
                return err_origin(-ENOMEM);
        r = root_list(f->root, f->directory, &files);
        if (r)
                return r < 0 ? err_trace(r) : err_fold(r);
        STRV_FOREACH (file, files) {
                _cleanup_free_ char *name = startswith(*file, prefix) ? name_of(*file, DEVCONTAINER_IMAGE)
                                                                      : NULL;

                if (!name || f->image)
                        continue;
                r = try_image(f, name);
                if (r)
                        return err_trace(r);
        }
        return 0;
}

int fetch_check_file(int fd, const Checksum *checksum)
{
        char hex[CHECKSUM_HEX_SIZE];
        int r;

        if (lseek(fd, 0, SEEK_SET) < 0)
                return err_origin(-errno);
        r = digest_checksum_fd(fd, checksum->kind, hex, NULL);
        if (r)
                return err_trace(r);
        if (!streq(hex, checksum->hex))
                return 1;
        return lseek(fd, 0, SEEK_SET) < 0 ? err_origin(-errno) : 0;
}

static void on_read(void *userdata, uint64_t read)
{
        fetch_progress(userdata, read, 0);
}

/* The image is on the disk before its manifest, and the manifest before the image has its name. */
static int publish(Fetch *f, const char *name, int fd, DevImage *i)
{
        _cleanup_free_ char *manifest = path_of(f, name, DEVCONTAINER_MANIFEST), *text = NULL,
                            *from = str_format("%s" DEVCONTAINER_NEW, name),
                            *to = str_format("%s" DEVCONTAINER_IMAGE, name);
        char digest[DIGEST_FAST_HEX_SIZE];
        uint64_t size;
        int r;

        if (!manifest || !from || !to)
                return err_origin(-ENOMEM);
        if (fsync(fd) < 0 || lseek(fd, 0, SEEK_SET) < 0)
                return err_origin(-errno);
        r = digest_fast_fd(fd, digest, &size);
        if (r == 0)
                r = str_replace(&i->digest, digest);
        if (r)
                return err_trace(r);
        text = devimage_format(i, &f->container);
        if (!text)
                return err_origin(-ENOMEM);
        r = root_write_file(f->root, manifest, text, strlen(text), 0644);
        if (r)
                return err_trace(r);
        if (renameat(f->directory_fd, from, f->directory_fd, to) < 0 || fsync(f->directory_fd) < 0)
                return err_origin(-errno);
        return 0;
}

static int install(Fetch *f, int from, const char *name, DevImage *i, char **reterr)
{
        _cleanup_free_ char *new = str_format("%s" DEVCONTAINER_NEW, name);
        _cleanup_close_ int fd = -EBADF;
        struct stat st;
        int r;

        if (!new)
                return err_origin(-ENOMEM);
        r = unlink_in(f, name, DEVCONTAINER_NEW);
        if (r)
                return err_trace(r);
        fd = openat(f->directory_fd, new, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
        if (fd < 0 || fstat(from, &st) < 0)
                return err_origin(-errno);
        fetch_begin(f, "decompressing the developer container", (uint64_t)st.st_size);
        r = decompress(from, fd, FETCH_IMAGE_MAX, on_read, f, &i->size, reterr);
        if (r == 0)
                r = publish(f, name, fd, i);
        if (r)
                (void)unlink_in(f, name, DEVCONTAINER_NEW);
        return r < 0 ? err_trace(r) : r;
}

FetchOutcome fetch_install(Fetch *f, int fd, const Checksum *checksum, const char *source, Code *ret_code)
{
        _cleanup_free_ char *name = devcontainer_cache_name(&f->container, checksum), *why = NULL;
        DevImage i = { .checksum = *checksum };
        int r;

        r = name ? str_replace(&i.source, source) : -ENOMEM;
        if (r == 0)
                r = install(f, fd, name, &i, &why);
        devimage_done(&i);
        if (r > 0) {
                fetch_reason(f, "%s is what its checksum says, but %s", source, why);
                return FETCH_NOT_HERE;
        }
        if (r == 0) {
                f->image = path_of(f, name, DEVCONTAINER_IMAGE);
                r = f->image ? unlink_in(f, name, DEVCONTAINER_PART) : -ENOMEM;
        }
        return r ? fetch_fatal(f, f->directory, r, ret_code) : FETCH_GOT;
}

/* Failing to is no failure: the next one tries again. */
void fetch_collect(const Fetch *f)
{
        static const char *const suffixes[] = { DEVCONTAINER_IMAGE, DEVCONTAINER_MANIFEST, DEVCONTAINER_PART,
                DEVCONTAINER_NEW };
        const char *kept = strrchr(f->image, '/') + 1;
        _cleanup_free_ char *ours = name_of(kept, DEVCONTAINER_IMAGE);
        _cleanup_strv_ char **files = NULL;

        root_sweep(f->root, f->directory);
        if (!ours || root_list(f->root, f->directory, &files))
                return;
        STRV_FOREACH (file, files)
                for (size_t i = 0; i < ELEMENTSOF(suffixes); i++) {
                        _cleanup_free_ char *name = name_of(*file, suffixes[i]);
                        bool current = name && streq(name, ours) && i < 2;

                        if (name && !current)
                                (void)unlinkat(f->directory_fd, *file, 0);
                }
}
