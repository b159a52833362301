/* SPDX-License-Identifier: Apache-2.0 */

/*
 * checktree tells whether a kept kernel tree is still what it was, and sets
 * one aside that is not. Nothing is compiled in a tree before.
 */

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/result.h"
#include "base/str.h"
#include "helper.h"
#include "kept.h"
#include "sys/digest.h"
#include "sys/treesupply.h"
#include "worker-store.h"

#define LOCK_LIMIT (10 * USEC_PER_SEC)

/* Any error of the system that is no proof of damage is negative. */
static int proof(int error)
{
        return error == -ENOENT || error == -ELOOP || error == -ENOTDIR ? 1 : error;
}

static int find_damage_of(const Root *root, const char *tree, const KeptFile *f, char **ret_why)
{
        char xxh64[DIGEST_FAST_HEX_SIZE];
        _cleanup_close_ int fd = -EBADF;
        uint64_t size = 0;
        struct stat st;
        int r;

        r = worker_store_open(root, tree, f->name, &fd);
        if (r == 0)
                r = fstat(fd, &st) < 0 ? err_origin(-errno) : 0;
        if (r == 0 && S_ISREG(st.st_mode) && (bool)(st.st_mode & S_IXUSR) == f->executable)
                r = digest_fast_fd(fd, xxh64, &size);
        else if (r == 0)
                r = 1;
        if (r == 0 && size == f->size && streq(xxh64, f->xxh64))
                return 0;
        r = r < 0 ? proof(r) : 1;
        if (r < 0)
                return err_trace(r);
        *ret_why = str_format("%s is not as it was kept", f->name);
        return *ret_why ? 1 : err_origin(-ENOMEM);
}

/* How many files there are; links and the like count as well. */
static int count_files(int parent, const char *name, size_t *n, unsigned depth)
{
        _cleanup_closedir_ DIR *d = NULL;
        struct dirent *entry;
        int fd, r = 0;

        fd = depth < 100 ? openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC) : -1;
        if (fd < 0)
                return err_origin(depth < 100 ? -errno : -ELOOP);
        d = fdopendir(fd);
        if (!d) {
                safe_close(fd);
                return err_origin(-ENOMEM);
        }
        while (r == 0 && (entry = readdir(d))) {
                struct stat st;

                if (streq(entry->d_name, ".") || streq(entry->d_name, ".."))
                        continue;
                if (fstatat(fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                        return err_origin(-errno);
                if (S_ISDIR(st.st_mode))
                        r = count_files(fd, entry->d_name, n, depth + 1);
                else
                        (*n)++;
        }
        return err_trace(r);
}

static int find_foreign(const char *tree, size_t expected, char **ret_why)
{
        size_t n = 0;
        int r = count_files(AT_FDCWD, tree, &n, 0);

        if (r == 0 && n == expected)
                return 0;
        r = r < 0 ? proof(r) : 1;
        if (r < 0)
                return err_trace(r);
        *ret_why = str_format("it has %zu files, not %zu", n, expected);
        return *ret_why ? 1 : err_origin(-ENOMEM);
}

/*
 * Where an input is still to be seen, it has to be the same: another one makes another tree. What the
 * running kernel says of itself is about another kernel after the next boot, and counts with @running only.
 */
static int find_change(const Root *machine, const KeptInput *input, bool running, char **ret_why)
{
        char hex[DIGEST_HEX_SIZE];
        _cleanup_close_ int fd = -EBADF;
        int r;

        if (!input->path || (!running && streq(input->path, TREESUPPLY_RUNNING_CONFIG)))
                return 0;
        r = root_open(machine, input->path, O_RDONLY | O_NONBLOCK | O_NOCTTY, &fd);
        if (r == 0)
                r = digest_fd(fd, hex, NULL);
        if (r == ROOT_E_ABSENT || (r == 0 && streq(hex, input->sha256)))
                return 0;
        if (r < 0)
                return err_trace(r);
        *ret_why = str_format("/%s has changed since", input->path);
        return *ret_why ? 1 : err_origin(-ENOMEM);
}

static int find_in_files(const Root *host, const char *kept, const KeptOrigin *origin, char **ret_why)
{
        _cleanup_free_ char *tree = str_format("%s/" KEPTTREE_TREE, kept);
        char xxh64[DIGEST_FAST_HEX_SIZE];
        KeptFiles files = {};
        int r;

        if (!tree)
                return err_origin(-ENOMEM);
        r = kept_read_files(host, kept, &files, xxh64);
        if (r > 0 || (r == 0 && !streq(xxh64, origin->files_xxh64))) {
                *ret_why = strdup("the list of its files is damaged");
                r = *ret_why ? 1 : err_origin(-ENOMEM);
        }
        for (size_t i = 0; r == 0 && i < files.n; i++)
                r = find_damage_of(host, tree, &files.items[i], ret_why);
        if (r == 0)
                r = find_foreign(tree, files.n, ret_why);
        kept_files_done(&files);
        return r < 0 ? err_trace(r) : r;
}

/* Returns 0, 1 with *@ret_why (the caller's), or a negative errno. */
static int find_damage(const Root *host, const Root *machine, const char *kept, bool running, char **ret_why)
{
        KeptOrigin origin = {};
        int r;

        r = kept_read_origin(host, kept, &origin);
        if (r > 0) {
                *ret_why = strdup("what it was made of cannot be read");
                return *ret_why ? 1 : err_origin(-ENOMEM);
        }
        if (r < 0)
                return err_trace(r);
        for (size_t i = 0; r == 0 && i < _KEPT_INPUT_MAX; i++)
                r = find_change(machine, &origin.inputs[i], running, ret_why);
        if (r == 0)
                r = find_in_files(host, kept, &origin, ret_why);
        kept_origin_done(&origin);
        return r < 0 ? err_trace(r) : r;
}

static void retire(const Root *host, const char *store, const char *kept)
{
        _cleanup_close_ int lock = -EBADF;
        int r;

        if (worker_store_lock(host, store, LOCK_LIMIT, &lock))
                return;
        r = kept_retire(host, store, kept);
        if (r)
                helper_say(HELPER_KEY_NOTE, "%s could not be set aside: %s", kept,
                                r > 0 ? "somebody builds in it" : strerror(-r));
}

Code worker_checktree(char **arguments)
{
        _cleanup_(root_freep) Root *host = NULL, *machine = NULL;
        _cleanup_free_ char *why = NULL;
        int r;

        r = root_new("/", &host);
        if (r == 0)
                r = root_new(arguments[0], &machine);
        if (r == 0)
                r = find_damage(host, machine, arguments[2], streq(arguments[3], HELPER_RUNNING), &why);
        if (r < 0)
                return worker_store_error(arguments[2], r);
        if (r == 0)
                return CODE_OK;
        retire(host, arguments[1], arguments[2]);
        helper_say(HELPER_KEY_DETAIL, "%s: %s", arguments[2], why);
        return CODE_TREE_UNUSABLE;
}
