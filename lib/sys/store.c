/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Directories and manifests of the store. The heavy work on it (digests,
 * syncing, removing trees) blocks and is done by the helper program.
 */

#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/random.h>
#include <time.h>

#include "base/result.h"
#include "base/str.h"
#include "sys/digest.h"
#include "sys/lockowner.h"
#include "sys/manifestjson.h"
#include "sys/store.h"

static int below(const char *directory, const char *name, char **ret)
{
        *ret = str_format("%s/%s", directory, name);
        return *ret ? 0 : err_origin(-ENOMEM);
}

int store_read(const Root *root, const char *build, BuildManifest *ret, char **reterr)
{
        _cleanup_free_ char *path = NULL, *text = NULL;
        size_t size;
        int r;

        r = below(build, MANIFEST_NAME, &path);
        if (r)
                return err_trace(r);
        r = root_read_file(root, path, MANIFEST_SIZE_MAX, &text, &size);
        if (r == ROOT_E_ABSENT)
                return STORE_E_ABSENT;
        if (r == ROOT_E_TOO_BIG) {
                *reterr = str_format("it is larger than %d bytes", MANIFEST_SIZE_MAX);
                return *reterr ? STORE_E_INVALID : err_origin(-ENOMEM);
        }
        if (r) {
                /* One unreadable file is not to hide all the other builds. */
                *reterr = str_format("it cannot be read: %s", strerror(-r));
                return *reterr ? STORE_E_UNREADABLE : err_origin(-ENOMEM);
        }

        r = manifest_parse(text, size, ret, reterr);
        if (r)
                return r < 0 ? err_trace(r) : r == MANIFEST_E_NEWER ? STORE_E_NEWER : STORE_E_INVALID;
        return err_trace(str_replace(&ret->directory, build));
}

int store_build_id(const BuildManifest *m, const char *identity, char **ret)
{
        _cleanup_free_ char *id = NULL;
        char hex[DIGEST_HEX_SIZE];
        int r;

        r = digest_text(identity, strlen(identity), hex);
        if (r)
                return err_trace(r);
        id = str_format("%s-%s-%s-%.12s", m->driver_version, driver_type_to_string(m->driver_type),
                        m->kernel_release, hex);
        if (!id)
                return err_origin(-ENOMEM);
        if (strchr(id, '/') || *id == '.')
                return err_origin(-EINVAL);
        *ret = TAKE_PTR(id);
        return 0;
}

static int note_problem(char ***problems, const char *build, int r, const char *reason)
{
        if (r == STORE_E_ABSENT)
                reason = "there is none";
        return err_trace(strv_pushf(problems, "%s/" MANIFEST_NAME ": %s", build, strna(reason)));
}

/* A link that leads nowhere is one. */
static bool has_entry(const Root *root, const char *path)
{
        _cleanup_close_ int fd = -EBADF;

        return root_open(root, path, O_PATH | O_NOFOLLOW, &fd) == 0;
}

int store_list(const Root *root, const char *directory, BuildManifests *ret, char ***ret_problems)
{
        _cleanup_free_ char *builds = NULL;
        _cleanup_strv_ char **names = NULL, **problems = NULL;
        BuildManifests list = {};
        int r;

        r = below(directory, STORE_BUILDS, &builds);
        if (r)
                return err_trace(r);
        r = root_list(root, builds, &names);
        if (r < 0)
                return err_trace(r);

        r = 0;
        STRV_FOREACH (name, names) {
                _cleanup_free_ char *path = NULL, *reason = NULL;
                BuildManifest m = {};

                r = below(builds, *name, &path);
                if (r)
                        break;
                r = store_read(root, path, &m, &reason);
                if (r == 0)
                        r = build_manifests_add(&list, &m);
                else if (r == STORE_E_ABSENT && !has_entry(root, path))
                        r = 0; /* retired since the directory was read */
                else if (r > 0)
                        r = note_problem(&problems, path, r, reason);
                build_manifest_done(&m);
                if (r)
                        break;
        }
        if (r) {
                build_manifests_done(&list);
                return err_trace(r);
        }

        *ret = list;
        *ret_problems = TAKE_PTR(problems);
        return 0;
}

static bool is_directory(const Root *root, const char *path)
{
        _cleanup_close_ int fd = -EBADF;

        return root_open(root, path, O_PATH | O_DIRECTORY | O_NOFOLLOW, &fd) == 0;
}

int store_broken(const Root *root, const char *directory, char ***ret_paths)
{
        _cleanup_free_ char *builds = NULL;
        _cleanup_strv_ char **names = NULL, **paths = NULL;
        int r;

        r = below(directory, STORE_BUILDS, &builds);
        if (r == 0)
                r = root_list(root, builds, &names);
        if (r < 0)
                return err_trace(r);

        STRV_FOREACH (name, names) {
                _cleanup_(build_manifest_done) BuildManifest m = {};
                _cleanup_free_ char *path = NULL, *reason = NULL;

                r = below(builds, *name, &path);
                if (r == 0)
                        r = store_read(root, path, &m, &reason);
                if ((r == STORE_E_ABSENT || r == STORE_E_INVALID) && is_directory(root, path))
                        r = strv_push(&paths, path);
                if (r < 0)
                        return err_trace(r);
        }
        *ret_paths = TAKE_PTR(paths);
        return 0;
}

enum { STAGE_TRIES = 8, STAGE_E_LOST = 1 };

/*
 * Between the mkdir and the lock another process may take the new directory
 * for a stale one. It then holds the lock or has removed the directory, and
 * this is no place to work in: STAGE_E_LOST.
 */
static int stage_one(const Root *root, const char *staging, char **ret_path, int *ret_lock)
{
        _cleanup_free_ char *path = NULL;
        _cleanup_close_ int fd = -EBADF;
        uint64_t random;
        struct stat st;
        int r;

        if (getrandom(&random, sizeof(random), 0) != sizeof(random))
                return err_origin(-errno);
        path = str_format("%s/%016llx", staging, (unsigned long long)random);
        if (!path)
                return err_origin(-ENOMEM);

        r = root_mkdirs(root, path, 0700);
        if (r)
                return err_trace(r);
        r = root_open(root, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, &fd);
        if (r)
                return r < 0 ? err_trace(r) : STAGE_E_LOST;
        if (flock(fd, LOCK_EX | LOCK_NB) < 0)
                return errno == EWOULDBLOCK ? STAGE_E_LOST : err_origin(-errno);
        if (fstat(fd, &st) < 0)
                return err_origin(-errno);
        if (st.st_nlink == 0)
                return STAGE_E_LOST;

        *ret_path = TAKE_PTR(path);
        *ret_lock = TAKE_FD(fd);
        return 0;
}

int store_stage(const Root *root, const char *directory, char **ret_path, int *ret_lock)
{
        _cleanup_free_ char *staging = NULL;
        int r;

        r = below(directory, STORE_STAGING, &staging);
        if (r)
                return err_trace(r);
        /* Only the random one is private: others may look at the store. */
        r = root_mkdirs(root, staging, 0755);
        if (r)
                return err_trace(r);

        r = STAGE_E_LOST;
        for (unsigned i = 0; r == STAGE_E_LOST && i < STAGE_TRIES; i++)
                r = stage_one(root, staging, ret_path, ret_lock);
        return r < 0 ? err_trace(r) : err_fold(r);
}

int store_stale(const Root *root, const char *directory, char ***ret_paths)
{
        _cleanup_free_ char *staging = NULL;
        _cleanup_strv_ char **names = NULL, **paths = NULL;
        int r;

        r = below(directory, STORE_STAGING, &staging);
        if (r)
                return err_trace(r);
        r = root_list(root, staging, &names);
        if (r < 0)
                return err_trace(r);

        STRV_FOREACH (name, names) {
                _cleanup_free_ char *path = NULL;
                _cleanup_close_ int fd = -EBADF;

                r = below(staging, *name, &path);
                if (r)
                        return err_trace(r);
                if (root_open(root, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, &fd) != 0)
                        continue;
                if (flock(fd, LOCK_EX | LOCK_NB) < 0 && lockowner_is_trusted(fd, 0))
                        continue; /* somebody works in it */
                r = strv_push(&paths, path);
                if (r)
                        return err_trace(r);
        }

        *ret_paths = TAKE_PTR(paths);
        return 0;
}

enum { RETIRED_MAX = 100 };

/* An earlier one of the same name may still wait there to be removed. */
static int move_aside(const Root *root, const char *from, const char *staging, const char *name)
{
        for (unsigned i = 0;; i++) {
                _cleanup_free_ char *target = str_format("%s/retired-%u-%s", staging, i, name),
                                    *to = target ? root_path(root, target) : NULL;

                if (!to)
                        return err_origin(-ENOMEM);
                if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0)
                        return 0;
                if (errno != EEXIST || i == RETIRED_MAX)
                        return err_origin(-errno);
        }
}

int store_retire(const Root *root, const char *directory, const char *build)
{
        _cleanup_free_ char *staging = NULL, *from = NULL;
        const char *name = strrchr(build, '/');
        int r;

        r = below(directory, STORE_STAGING, &staging);
        if (r == 0)
                r = root_mkdirs(root, staging, 0755);
        if (r)
                return err_trace(r);
        from = root_path(root, build);
        if (!from)
                return err_origin(-ENOMEM);
        return err_trace(move_aside(root, from, staging, name ? name + 1 : build));
}

int store_damaged(const Root *root, const char *directory, char ***ret_paths)
{
        _cleanup_free_ char *damaged = NULL;
        _cleanup_strv_ char **names = NULL, **paths = NULL;
        int r;

        r = below(directory, STORE_DAMAGED, &damaged);
        if (r == 0)
                r = root_list(root, damaged, &names);
        if (r < 0)
                return err_trace(r);
        /* The names begin with the time, and are in order. */
        STRV_FOREACH (name, names) {
                r = strv_pushf(&paths, "%s/%s", damaged, *name);
                if (r)
                        return err_trace(r);
        }
        *ret_paths = TAKE_PTR(paths);
        return 0;
}

/* One of the same second has another name. */
static int move_to_damaged(
                const Root *root, const char *from, const char *damaged, const char *name, char **ret)
{
        time_t now = time(NULL);

        for (unsigned i = 0;; i++) {
                char stamp[32] = "";
                time_t at = now + (time_t)i;
                struct tm tm;
                _cleanup_free_ char *path = NULL, *to = NULL;

                if (!gmtime_r(&at, &tm) || strftime(stamp, sizeof(stamp), "%Y%m%dT%H%M%SZ", &tm) == 0)
                        return err_origin(-EOVERFLOW);
                path = str_format("%s/%s-%s", damaged, stamp, name);
                to = path ? root_path(root, path) : NULL;
                if (!to)
                        return err_origin(-ENOMEM);
                if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0) {
                        *ret = TAKE_PTR(path);
                        return 0;
                }
                if (errno != EEXIST || i == RETIRED_MAX)
                        return err_origin(-errno);
        }
}

int store_set_aside(const Root *root, const char *directory, const char *build, char **ret_path)
{
        _cleanup_free_ char *damaged = NULL, *from = root_path(root, build);
        _cleanup_strv_ char **paths = NULL;
        const char *name = strrchr(build, '/');
        size_t n;
        int r;

        r = below(directory, STORE_DAMAGED, &damaged);
        if (r == 0)
                r = root_mkdirs(root, damaged, 0755);
        if (r || !from)
                return r ? err_trace(r) : err_origin(-ENOMEM);
        r = move_to_damaged(root, from, damaged, name ? name + 1 : build, ret_path);
        if (r == 0)
                r = store_damaged(root, directory, &paths);
        n = strv_length(paths);
        for (size_t i = 0; r == 0 && i + STORE_DAMAGED_MAX < n; i++)
                r = store_retire(root, directory, paths[i]);
        return err_trace(r);
}

enum { ID_MAX = 512 };

int store_good_mark(const Root *root, const char *directory, const char *release, const char *id)
{
        _cleanup_free_ char *good = NULL, *path = NULL, *text = str_format("%s\n", id);
        int r;

        if (strchr(release, '/') || *release == '.')
                return err_origin(-EINVAL);
        r = below(directory, STORE_GOOD, &good);
        if (r == 0)
                r = below(good, release, &path);
        if (r || !text)
                return r ? err_trace(r) : err_origin(-ENOMEM);
        r = root_mkdirs(root, good, 0755);
        if (r)
                return err_trace(r);
        /* There is one daemon. */
        root_sweep(root, good);
        return err_trace(root_write_file(root, path, text, strlen(text), 0644));
}

int store_good_read(const Root *root, const char *directory, const char *release, char **ret)
{
        _cleanup_free_ char *path = str_format("%s/" STORE_GOOD "/%s", directory, release), *id = NULL;

        if (!path)
                return err_origin(-ENOMEM);
        /* As below. */
        if (strchr(release, '/') || *release == '.' || root_read_line(root, path, ID_MAX, &id) != 0 || !*id)
                return 0;
        *ret = TAKE_PTR(id);
        return 0;
}

int store_good_list(const Root *root, const char *directory, char ***ret)
{
        _cleanup_free_ char *good = NULL;
        _cleanup_strv_ char **names = NULL, **ids = NULL;
        int r;

        r = below(directory, STORE_GOOD, &good);
        if (r == 0)
                r = root_list(root, good, &names);
        if (r < 0)
                return err_trace(r);
        STRV_FOREACH (name, names) {
                _cleanup_free_ char *path = NULL, *id = NULL;

                r = below(good, *name, &path);
                if (r)
                        return err_trace(r);
                /* What cannot be read protects nothing, and is no reason to fail. */
                if (root_read_line(root, path, ID_MAX, &id) == 0 && *id)
                        r = strv_push(&ids, id);
                if (r)
                        return err_trace(r);
        }
        *ret = TAKE_PTR(ids);
        return 0;
}
