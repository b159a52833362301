/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The kernel (drivers/base/firmware_loader/main.c, fw_path[]) looks for a file
 * in firmware_class.path, then in updates/RELEASE, updates, RELEASE and . of
 * /lib/firmware, each time from the root directory of init
 * (kernel_read_file_from_path_initns()): what a container or a service's
 * sandbox mounts for itself does not count. So init's root is looked through
 * with its own links, /proc/1/root being the root of its own Root.
 *
 * In a pid namespace of our own, pid 1 is not init, and init's view is not to
 * be seen. Then only the public place is left, which is believed in.
 */

#include <fcntl.h>
#include <limits.h>

#include "base/result.h"
#include "base/str.h"
#include "sys/firmware.h"

#define PARAMETER "sys/module/firmware_class/parameters/path"
/* PROC_PID_INIT_INO of include/linux/proc_ns.h, part of the interface since 3.8. */
#define FIRST_PID_NAMESPACE "pid:[4026531836]"

enum {
        FILES_MAX = 64, /* there are two or three */
        SIZE_MAX_ALL = 512 * 1024 * 1024,
        BLOCK = 1024 * 1024,
};

/* How init sees the file system. @ret is NULL if that cannot be known. */
static int open_view(const Root *root, Root **ret)
{
        _cleanup_free_ char *path = root_path(root, "proc/1/root"), *namespace = NULL;
        int r;

        if (!path)
                return err_origin(-ENOMEM);
        *ret = NULL;
        r = root_readlink(root, "proc/self/ns/pid", &namespace);
        if (r == 0 && !streq(namespace, FIRST_PID_NAMESPACE))
                return 0;
        /* Without CAP_SYS_PTRACE: our own view is the best guess. */
        if (root_new(path, ret) == 0)
                return 0;
        return err_trace(root_new(isempty(root->prefix) ? "/" : root->prefix, ret));
}

static bool has_files(const Root *root, const char *directory)
{
        _cleanup_closedir_ DIR *d = NULL;

        if (root_opendir(root, directory, &d) != 0)
                return false;
        for (const struct dirent *de = readdir(d); de; de = readdir(d))
                if (startswith(de->d_name, "gsp"))
                        return true;
        return false;
}

/* A directory in the kernel's search that has the files: @base/nvidia/@version. */
static int look_in(const Root *view, const char *base, const char *version, char **ret)
{
        _cleanup_free_ char *directory = str_format("%s/nvidia/%s", base, version);

        if (!directory)
                return err_origin(-ENOMEM);
        if (!*ret && has_files(view, directory + strspn(directory, "/"))) {
                *ret = str_format("/%s", directory + strspn(directory, "/"));
                if (!*ret)
                        return err_origin(-ENOMEM);
        }
        return 0;
}

static int find_visible(const Root *view, const char *parameter, const char *release, const char *version,
                char **ret)
{
        _cleanup_free_ char *updates = str_format("lib/firmware/updates/%s", release),
                            *own = str_format("lib/firmware/%s", release);
        int r = 0;

        if (!updates || !own)
                return err_origin(-ENOMEM);
        if (!isempty(parameter))
                r = look_in(view, parameter, version, ret);
        if (r == 0)
                r = look_in(view, updates, version, ret);
        if (r == 0)
                r = look_in(view, "lib/firmware/updates", version, ret);
        if (r == 0)
                r = look_in(view, own, version, ret);
        if (r == 0)
                r = look_in(view, "lib/firmware", version, ret);
        return err_trace(r);
}

static int find_source(const Root *root, const char *version, char *const *sources, char **ret)
{
        int r;

        STRV_FOREACH (source, sources)
                if (!*ret && has_files(root, *source + strspn(*source, "/"))) {
                        *ret = str_format("/%s", *source + strspn(*source, "/"));
                        if (!*ret)
                                return err_origin(-ENOMEM);
                }
        r = look_in(root, "lib/firmware", version, ret);
        if (r == 0)
                r = look_in(root, FIRMWARE_PUBLIC, version, ret);
        return err_trace(r);
}

static int read_parameter(const Root *root, char **ret)
{
        int r;

        r = root_read_line(root, PARAMETER, PATH_MAX, ret);
        return r < 0 ? err_trace(r) : 0;
}

static bool is_shown(const Root *view, const char *version)
{
        _cleanup_free_ char *found = NULL;

        return look_in(view, FIRMWARE_PUBLIC, version, &found) == 0 && found;
}

bool firmware_is_shown(const Root *root, const char *version)
{
        _cleanup_(root_freep) Root *view = NULL;

        return open_view(root, &view) == 0 && is_shown(view ? view : root, version);
}

int firmware_read(const Root *root, const char *release, const char *version, char *const *sources,
                FirmwareFacts *ret)
{
        _cleanup_(firmware_facts_done) FirmwareFacts f = {};
        _cleanup_(root_freep) Root *view = NULL;
        int r;

        r = open_view(root, &view);
        if (r == 0)
                r = read_parameter(root, &f.parameter);
        if (r == 0 && view)
                r = find_visible(view, f.parameter, release, version, &f.visible);
        else if (r == 0 && f.parameter && streq(f.parameter, "/" FIRMWARE_PUBLIC))
                r = look_in(root, FIRMWARE_PUBLIC, version, &f.visible);
        if (r == 0 && !f.visible)
                r = find_source(root, version, sources, &f.source);
        if (r)
                return err_trace(r);
        f.is_public = f.source && startswith(f.source, "/" FIRMWARE_PUBLIC "/");
        f.init_sees = f.is_public && is_shown(view ? view : root, version);

        *ret = f;
        f = (FirmwareFacts){};
        return 0;
}

int firmware_point(const Root *root, const char *expected, const char *path)
{
        _cleanup_free_ char *current = NULL;
        _cleanup_close_ int fd = -EBADF;
        size_t size = MAX(strlen(path), (size_t)1); /* nothing written changes nothing: "" is its NUL */
        int r;

        r = read_parameter(root, &current);
        if (r)
                return err_trace(r);
        if (!current)
                return FIRMWARE_E_ABSENT;
        if (!streq(current, expected))
                return FIRMWARE_E_TAKEN;

        r = root_open(root, PARAMETER, O_WRONLY | O_TRUNC, &fd);
        if (r == -EROFS)
                return FIRMWARE_E_READ_ONLY;
        if (r)
                return r < 0 ? err_trace(r) : FIRMWARE_E_ABSENT;
        /* Without a newline: kernels before 6.1 take it for part of the path. */
        return write(fd, path, size) == (ssize_t)size ? 0 : err_origin(-errno);
}

static int copy_data(int from, int to, uint64_t *left)
{
        _cleanup_free_ char *block = malloc(BLOCK);

        if (!block)
                return err_origin(-ENOMEM);
        for (;;) {
                ssize_t n = read(from, block, BLOCK);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0)
                        return n < 0 ? err_origin(-errno) : 0;
                if ((uint64_t)n > *left)
                        return err_origin(-EFBIG);
                *left -= (uint64_t)n;
                for (ssize_t done = 0; done < n;) {
                        ssize_t k = write(to, block + done, (size_t)(n - done));

                        if (k < 0 && errno == EINTR)
                                continue;
                        if (k < 0)
                                return err_origin(-errno);
                        done += k;
                }
        }
}

/* What is no regular file is left out. */
static int copy_file(int from_directory, int to_directory, const char *name, uint64_t *left)
{
        _cleanup_close_ int from = -EBADF, to = -EBADF;
        struct stat st;

        from = openat(from_directory, name, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
        if (from < 0 || fstat(from, &st) < 0)
                return err_origin(-errno);
        if (!S_ISREG(st.st_mode))
                return 0;
        if ((uint64_t)st.st_size > *left)
                return err_origin(-EFBIG);
        to = openat(to_directory, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
        if (to < 0 || fchmod(to, 0644) < 0)
                return err_origin(-errno);
        return err_trace(copy_data(from, to, left));
}

static int copy_all(const Root *root, const char *source, const char *target, char **reterr)
{
        _cleanup_close_ int from = -EBADF, to = -EBADF;
        _cleanup_strv_ char **names = NULL;
        uint64_t left = SIZE_MAX_ALL;
        int r;

        r = root_list(root, source, &names);
        if (r == 0)
                r = root_open(root, source, O_RDONLY | O_DIRECTORY, &from);
        if (r == 0)
                r = root_open(root, target, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, &to);
        if (r)
                return r < 0 ? err_trace(r) : err_origin(-ENOENT);
        if (fchmod(to, 0755) < 0)
                return err_origin(-errno);
        if (strv_length(names) > FILES_MAX)
                return err_origin(-E2BIG);

        STRV_FOREACH (name, names) {
                r = copy_file(from, to, *name, &left);
                if (r < 0) {
                        (void)str_replace(reterr, *name);
                        return err_trace(r);
                }
        }
        return 0;
}

/* A directory of files. Others below it keep it. */
static int remove_flat(const Root *root, const char *path)
{
        _cleanup_close_ int fd = -EBADF;
        _cleanup_strv_ char **names = NULL;
        _cleanup_free_ char *full = root_path(root, path);
        int r;

        if (!full)
                return err_origin(-ENOMEM);
        r = root_open(root, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, &fd);
        if (r == 0)
                r = root_list(root, path, &names);
        if (r)
                return r < 0 ? err_trace(r) : 0;
        STRV_FOREACH (name, names)
                if (unlinkat(fd, *name, 0) < 0 && errno != ENOENT)
                        return err_origin(-errno);
        return rmdir(full) < 0 && errno != ENOENT ? err_origin(-errno) : 0;
}

/* ".../nvidia/535.261.03" is prepared as ".../nvidia/.535.261.03", which the kernel never asks for. */
static char *staging_of(const char *target)
{
        const char *slash = strrchr(target, '/');

        return slash ? str_format("%.*s/.%s", (int)(slash - target), target, slash + 1) : NULL;
}

static int swap_in(const Root *root, const char *staging, const char *target)
{
        _cleanup_free_ char *from = root_path(root, staging), *to = root_path(root, target);

        if (!from || !to)
                return err_origin(-ENOMEM);
        if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0)
                return 0;
        if (errno != EEXIST)
                return err_origin(-errno);
        if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_EXCHANGE) < 0)
                return err_origin(-errno);
        return err_trace(remove_flat(root, staging));
}

int firmware_copy(const Root *root, const char *source, const char *target, char **reterr)
{
        _cleanup_free_ char *staging = staging_of(target);
        int r;

        if (!staging)
                return err_origin(-EINVAL);
        /* What a killed copy left. */
        r = remove_flat(root, staging);
        if (r == 0)
                r = root_mkdirs(root, staging, 0755);
        if (r == 0)
                r = copy_all(root, source, staging, reterr);
        if (r == 0)
                r = swap_in(root, staging, target);
        if (r) {
                (void)remove_flat(root, staging);
                return err_trace(r);
        }
        return 0;
}

/* Directories that are empty now, unless the public place is somebody's root file system. */
static void remove_parents(const Root *root)
{
        static const char *const parents[] = { FIRMWARE_PUBLIC "/nvidia", FIRMWARE_PUBLIC,
                "run/nvidia/driver/lib", "run/nvidia/driver" };
        struct stat run, driver;

        if (root_stat(root, "run/nvidia", &run) != 0 || root_stat(root, "run/nvidia/driver", &driver) != 0 ||
                        run.st_dev != driver.st_dev)
                return;
        for (size_t i = 0; i < ELEMENTSOF(parents); i++) {
                _cleanup_free_ char *path = root_path(root, parents[i]);

                if (!path || rmdir(path) < 0)
                        return;
        }
}

int firmware_remove(const Root *root, const char *version)
{
        _cleanup_free_ char *target = str_format(FIRMWARE_PUBLIC "/nvidia/%s", version), *staging = NULL;
        int r;

        if (!target)
                return err_origin(-ENOMEM);
        if (isempty(version) || *version == '.' || strchr(version, '/'))
                return err_origin(-EINVAL);
        staging = staging_of(target);
        if (!staging)
                return err_origin(-ENOMEM);
        r = remove_flat(root, staging);
        if (r == 0)
                r = remove_flat(root, target);
        if (r)
                return err_trace(r);
        remove_parents(root);
        return 0;
}
