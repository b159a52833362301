/* SPDX-License-Identifier: Apache-2.0 */

/*
 * keeptree copies a prepared kernel tree into the store. Order matters for a
 * power cut as for builds: everything is on the disk before the rename, and
 * until the rename there is no tree.
 */

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "base/result.h"
#include "base/str.h"
#include "helper.h"
#include "kept.h"
#include "sys/digest.h"
#include "sys/store.h"
#include "sys/treecopy.h"
#include "worker-store.h"

enum { LEFT_OUT_TOLD = 3 };

typedef struct Keeping {
        const char *store, *staged; /* of this machine */
        usec_t wait;
        Root *machine, *source_root, *host;
        const char *source, *allowed; /* in source_root */
        const char *output;           /* of this machine */
        KeptOrigin origin;
        KeptFiles files;
        Treecopy copy;
        int fd; /* staged */
} Keeping;

static void keeping_done(Keeping *k)
{
        strv_free(k->copy.left_out);
        kept_files_done(&k->files);
        kept_origin_done(&k->origin);
        root_free(k->machine);
        root_free(k->source_root);
        root_free(k->host);
        safe_close(k->fd);
}

static char *physical(const Root *root, const char *path)
{
        _cleanup_close_ int fd = -EBADF;
        char *found = NULL;

        if (root_open(root, path, O_PATH | O_DIRECTORY, &fd) || fd_path(fd, &found))
                return NULL;
        return found;
}

/* What has to be the same the next time, if it is still there then. */
static int note_input(Keeping *k, KeptInputKind kind, const char *path)
{
        KeptInput *input = &k->origin.inputs[kind];
        char hex[DIGEST_HEX_SIZE];
        _cleanup_close_ int fd = -EBADF;
        int r;

        path += strspn(path, "/");
        if (!kepttree_path_is_plain(path))
                return 0;
        r = root_open(k->machine, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, &fd);
        if (r)
                return r < 0 ? err_trace(r) : 0;
        r = digest_fd(fd, hex, NULL);
        if (r == 0)
                r = str_replace(&input->path, path);
        return r ? err_trace(r) : err_trace(str_replace(&input->sha256, hex));
}

static Code copy_part(Keeping *k, const Root *root, const char *directory, KeptPart part,
                const char *allowed, int target)
{
        const TreecopyRules rules = { .part = part,
                .wants = kepttree_wants,
                .enters = kepttree_enters,
                .is_plain = kepttree_path_is_plain };
        _cleanup_free_ char *name = NULL;
        int r;

        r = treecopy(root, directory, &rules, allowed, target, &k->copy, &name);
        if (r == TREECOPY_E_TOO_BIG) {
                helper_say(HELPER_KEY_DETAIL, "%s has more than a kernel tree has", directory);
                return CODE_STORE_FAILED;
        }
        if (r == TREECOPY_E_NAME) {
                helper_say(HELPER_KEY_DETAIL, "%s: the file '%s' has a name that cannot be listed",
                                directory, strna(name));
                return CODE_STORE_FAILED;
        }
        return r ? worker_store_error(name ? name : directory, r) : CODE_OK;
}

static Code copy_all(Keeping *k)
{
        _cleanup_free_ char *allowed = physical(k->source_root, k->allowed);
        _cleanup_close_ int tree = -EBADF;
        Code code;

        if (!allowed)
                return worker_store_error(k->allowed, -ENOENT);
        if (mkdirat(k->fd, KEPTTREE_TREE, 0755) < 0)
                return worker_store_error(k->staged, -errno);
        tree = openat(k->fd, KEPTTREE_TREE, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (tree < 0)
                return worker_store_error(k->staged, -errno);
        k->copy.files = &k->files;
        code = copy_part(k, k->host, k->output, KEPT_OF_OUTPUT, k->output, tree);
        if (code == CODE_OK)
                code = copy_part(k, k->source_root, k->source, KEPT_OF_SOURCE, allowed, tree);
        for (size_t i = 0; code == CODE_OK && i < MIN(strv_length(k->copy.left_out), (size_t)LEFT_OUT_TOLD);
                        i++)
                helper_say(HELPER_KEY_NOTE, "%s leads out of the kernel source, it is not kept",
                                k->copy.left_out[i]);
        return code;
}

static int write_text(Keeping *k, const char *name, const char *text)
{
        _cleanup_free_ char *path = str_format("%s/%s", k->staged, name);

        return path ? err_trace(root_write_file(k->host, path, text, strlen(text), 0644))
                    : err_origin(-ENOMEM);
}

/* *@ret: its name in the store. */
static int describe(Keeping *k, char **ret)
{
        _cleanup_free_ char *files = kept_files_format(&k->files), *origin = NULL, *both = NULL;
        char xxh64[DIGEST_FAST_HEX_SIZE], hex[DIGEST_HEX_SIZE];
        int r;

        if (!files)
                return err_origin(-ENOMEM);
        digest_fast_text(files, strlen(files), xxh64);
        r = str_replace(&k->origin.files_xxh64, xxh64);
        if (r)
                return err_trace(r);
        origin = kept_origin_format(&k->origin);
        both = origin ? str_format("%s%s", origin, files) : NULL;
        if (!both)
                return err_origin(-ENOMEM);
        r = digest_text(both, strlen(both), hex);
        if (r == 0)
                r = write_text(k, KEPTTREE_FILES, files);
        if (r == 0)
                r = write_text(k, KEPTTREE_ORIGIN, origin);
        if (r)
                return err_trace(r);
        *ret = kepttree_name(k->origin.release, hex);
        return *ret ? 0 : err_origin(-EINVAL);
}

/* There is one for each kernel: the newest is from what is there now. */
static void retire_others(const Keeping *k, const char *name)
{
        _cleanup_strv_ char **list = NULL;

        if (kept_list(k->host, k->store, k->origin.release, &list) < 0)
                return;
        STRV_FOREACH (other, list)
                if (!streq(strrchr(*other, '/') + 1, name))
                        (void)kept_retire(k->host, k->store, *other);
}

static Code publish(Keeping *k, const char *name)
{
        _cleanup_free_ char *trees = str_format("%s/" STORE_TREES, k->store),
                            *target = str_format("%s/" STORE_TREES "/%s", k->store, name);
        _cleanup_close_ int lock = -EBADF, directory = -EBADF;
        Code code;
        int r;

        if (!trees || !target)
                return worker_store_error(k->store, -ENOMEM);
        if (syncfs(k->fd) < 0)
                return worker_store_error(k->staged, -errno);
        code = worker_store_lock(k->host, k->store, k->wait, &lock);
        if (code)
                return code;
        r = root_mkdirs(k->host, trees, 0755);
        if (r)
                return worker_store_error(trees, r);
        directory = open(trees, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        /* Of the same name is of the same content. */
        if (directory < 0 || (renameat2(AT_FDCWD, k->staged, AT_FDCWD, target, RENAME_NOREPLACE) < 0 &&
                                             errno != EEXIST && errno != ENOTEMPTY))
                return worker_store_error(target, -errno);
        if (fsync(directory) < 0)
                return worker_store_error(trees, -errno);
        retire_others(k, name);
        helper_say(HELPER_KEY_KEPT, "%s", target);
        return CODE_OK;
}

static Code prepare(Keeping *k, char **a)
{
        int r;

        r = root_new("/", &k->host);
        if (r == 0)
                r = root_new(a[0], &k->machine);
        if (r == 0)
                r = root_new(a[4], &k->source_root);
        if (r == 0)
                r = str_replace(&k->origin.release, a[8]);
        if (r == 0)
                r = str_replace(&k->origin.source, a[9]);
        for (KeptInputKind kind = 0; r == 0 && kind < _KEPT_INPUT_MAX; kind++)
                r = note_input(k, kind, a[10 + kind]);
        if (r)
                return worker_store_error(a[0], r);
        if (!kepttree_path_is_plain(k->origin.source)) {
                helper_say(HELPER_KEY_DETAIL, "%s: the name cannot be written down", k->origin.source);
                return CODE_STORE_FAILED;
        }
        if (mkdir(k->staged, KEPT_MODE) < 0)
                return worker_store_error(k->staged, -errno);
        k->fd = open(k->staged, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        return k->fd < 0 ? worker_store_error(k->staged, -errno) : CODE_OK;
}

Code worker_keeptree(char **a)
{
        _cleanup_(keeping_done) Keeping k = { .fd = -EBADF };
        _cleanup_free_ char *name = NULL;
        Code code;
        int r;

        if (str_to_u64(a[2], 10, 0, UINT64_MAX, &k.wait) < 0)
                return CODE_USAGE;
        k.store = a[1];
        k.staged = a[3];
        k.source = a[5];
        k.allowed = a[6];
        k.output = a[7];
        code = prepare(&k, a);
        if (code == CODE_OK)
                code = copy_all(&k);
        if (code)
                return code;
        r = describe(&k, &name);
        return r ? worker_store_error(k.staged, r) : publish(&k, name);
}
