/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The store's operations that take time: digests over tens of megabytes,
 * fsync(2), removing trees.
 *
 * seal turns a staged directory with a draft manifest into a published build.
 * Order matters for a power cut: contents are synced before the manifest, the
 * manifest before the rename, the rename's directory last. Until the rename
 * the build does not exist, after it it is complete.
 */

#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <time.h>

#include "base/result.h"
#include "base/root.h"
#include "base/str.h"
#include "helper.h"
#include "policy/manifest.h"
#include "policy/vermagic.h"
#include "sys/digest.h"
#include "sys/kmodinfo.h"
#include "sys/lockowner.h"
#include "sys/manifestjson.h"
#include "sys/store.h"
#include "sys/storelock.h"
#include "sys/treeremove.h"
#include "worker-signature.h"
#include "worker-store.h"

Code worker_store_error(const char *what, int r)
{
        helper_say(HELPER_KEY_DETAIL, "%s: %s", what, r < 0 ? strerror(-r) : "unexpected answer");
        return code_of_write(r, CODE_STORE_FAILED);
}

/* The host's root: paths on the helper's command line are the machine's own. */
static int host_root(Root **ret)
{
        return root_new("/", ret);
}

int worker_store_open(const Root *root, const char *directory, const char *name, int *ret)
{
        _cleanup_free_ char *path = str_format("%s/%s", directory, name);
        int r;

        if (!path)
                return err_origin(-ENOMEM);
        /* O_NONBLOCK: a FIFO in its place is found to be empty, not waited for. */
        r = root_open(root, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, ret);
        return r == ROOT_E_ABSENT ? err_origin(-ENOENT) : err_trace(r);
}

static int digest_file(const Root *root, const char *directory, BuildFile *f)
{
        char hex[DIGEST_HEX_SIZE], fast[DIGEST_FAST_HEX_SIZE];
        _cleanup_close_ int fd = -EBADF;
        int r;

        r = worker_store_open(root, directory, f->name, &fd);
        if (r)
                return err_trace(r);
        if (fsync(fd) < 0)
                return err_origin(-errno);
        r = digest_fd(fd, hex, &f->size);
        if (r == 0 && lseek(fd, 0, SEEK_SET) < 0)
                r = err_origin(-errno);
        if (r == 0)
                r = digest_fast_fd(fd, fast, NULL);
        if (r == 0)
                r = str_replace(&f->sha256, hex);
        return r ? err_trace(r) : err_trace(str_replace(&f->xxh64, fast));
}

/* Every module must carry the vermagic of the kernel it was made for (trap T1: it may have none). */
static Code check_module(const Root *root, BuildManifest *m, BuildFile *f)
{
        _cleanup_free_ char *path = str_format("%s/%s", m->directory, f->name), *why = NULL;
        KmodInfo info = {};
        Code code = CODE_OK;
        int r;

        if (!path)
                return worker_store_error(f->name, -ENOMEM);
        r = kmodinfo_read(root, path, &info);
        if (r < 0)
                return worker_store_error(path, r);
        if (r > 0) {
                helper_say(HELPER_KEY_DETAIL, "%s is no kernel module, or a damaged module file", f->name);
                return CODE_LINK_FAILED;
        }

        if (m->kernel_vermagic && vermagic_compare(m->kernel_vermagic, info.vermagic) != VERMAGIC_SAME) {
                why = vermagic_explain(m->kernel_vermagic, info.vermagic);
                helper_say(HELPER_KEY_DETAIL, "%s: %s (its vermagic is '%s', the kernel's '%s')", f->name,
                                strna(why), strempty(info.vermagic), m->kernel_vermagic);
                code = CODE_BUILD_MISMATCH;
        } else if (!m->kernel_vermagic && str_replace(&m->kernel_vermagic, info.vermagic) < 0) {
                code = worker_store_error(f->name, -ENOMEM);
        }

        free(f->srcversion);
        strv_free(f->depends);
        strv_free(f->parameters);
        f->parameters = TAKE_PTR(info.parameters);
        f->srcversion = TAKE_PTR(info.srcversion);
        f->depends = TAKE_PTR(info.depends);
        kmodinfo_done(&info);
        return code;
}

/* "NAME=FILE": something the modules were linked with that is not part of the build. */
static Code add_input(const Root *root, BuildManifest *m, char *argument)
{
        char hex[DIGEST_HEX_SIZE], *file = strchr(argument, '=');
        _cleanup_close_ int fd = -EBADF;
        int r;

        if (!file)
                return worker_store_error(argument, -EINVAL);
        *file++ = '\0';
        r = root_open(root, file, O_RDONLY | O_NONBLOCK, &fd);
        if (r == 0)
                r = digest_fd(fd, hex, NULL);
        if (r == 0)
                r = build_manifest_add_input(m, argument, hex);
        return r ? worker_store_error(file, r == ROOT_E_ABSENT ? -ENOENT : r) : CODE_OK;
}

int worker_build_id(const BuildManifest *m, char **ret)
{
        _cleanup_free_ char *identity = build_manifest_identity(m);

        return identity ? err_trace(store_build_id(m, identity, ret)) : err_origin(-ENOMEM);
}

static Code fill_manifest(const Root *root, BuildManifest *m)
{
        char created[32];
        time_t now = time(NULL);
        struct tm tm;
        Code signatures;
        int r;

        for (size_t i = 0; i < m->n_files; i++) {
                Code code = m->files[i].module ? check_module(root, m, &m->files[i]) : CODE_OK;

                if (code == CODE_OK && m->files[i].module)
                        code = worker_note_signature(root, m, &m->files[i]);
                if (code)
                        return code;
                r = digest_file(root, m->directory, &m->files[i]);
                if (r)
                        return worker_store_error(m->files[i].name, r);
        }

        signatures = worker_check_signatures(m);
        if (signatures)
                return signatures;
        m->id = (free(m->id), NULL);
        (void)strftime(created, sizeof(created), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &tm));
        r = worker_build_id(m, &m->id);
        if (r == 0)
                r = str_replace(&m->created, created);
        return r ? worker_store_error("id", r) : CODE_OK;
}

static int write_manifest(const Root *root, const BuildManifest *m)
{
        _cleanup_free_ char *path = str_format("%s/" MANIFEST_NAME, m->directory), *text = NULL;
        int r;

        if (!path)
                return err_origin(-ENOMEM);
        r = manifest_format(m, &text);
        if (r)
                return err_trace(r);
        return err_trace(root_write_file(root, path, text, strlen(text), 0644));
}

/*
 * A build of the same id may be there already, perhaps a damaged one. The two
 * change places in one step, so there is a complete build at every instant;
 * the old one is then in the staging directory, which the caller discards.
 */
static int rename_build(const char *from, const char *to)
{
        if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0)
                return 0;
        if (errno != EEXIST && errno != ENOTEMPTY)
                return err_origin(-errno);
        if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_EXCHANGE) < 0)
                return err_origin(-errno);
        return 0;
}

static int sync_directory(const char *path)
{
        _cleanup_close_ int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        if (fd < 0 || fsync(fd) < 0)
                return err_origin(-errno);
        return 0;
}

static Code publish(const Root *root, const BuildManifest *m, const char *builds)
{
        _cleanup_free_ char *target = str_format("%s/%s", builds, m->id);
        int r;

        if (!target)
                return worker_store_error(builds, -ENOMEM);
        r = write_manifest(root, m);
        if (r == 0 && chmod(m->directory, 0755) < 0)
                r = -errno;
        if (r == 0)
                r = sync_directory(m->directory);
        if (r == 0)
                r = rename_build(m->directory, target);
        if (r == 0)
                r = sync_directory(builds);
        if (r)
                return worker_store_error(target, r);

        helper_say(HELPER_KEY_BUILD, "%s", target);
        return CODE_OK;
}

Code worker_seal(char **arguments)
{
        _cleanup_(root_freep) Root *root = NULL;
        _cleanup_free_ char *reason = NULL;
        BuildManifest m = {};
        Code code = CODE_OK;
        int r;

        r = host_root(&root);
        if (r)
                return worker_store_error("/", r);
        r = store_read(root, arguments[0], &m, &reason);
        if (r) {
                helper_say(HELPER_KEY_DETAIL, "%s/" MANIFEST_NAME ": %s", arguments[0],
                                r < 0    ? strerror(-r)
                                : reason ? reason
                                         : "there is none");
                return CODE_STORE_FAILED;
        }

        for (char **input = arguments + 2; code == CODE_OK && *input; input++)
                code = add_input(root, &m, *input);
        if (code == CODE_OK)
                code = fill_manifest(root, &m);
        if (code == CODE_OK)
                code = publish(root, &m, arguments[1]);
        build_manifest_done(&m);
        return code;
}

static void tell_holder(pid_t pid)
{
        helper_say(HELPER_KEY_NOTE, "Waiting for process %d, which writes to the store", (int)pid);
}

Code worker_store_lock(const Root *root, const char *store, usec_t limit, int *ret)
{
        pid_t holder = 0;
        int r;

        r = storelock_wait(root, store, limit, tell_holder, ret, &holder);
        if (r < 0)
                return worker_store_error(store, r);
        if (r == STORELOCK_E_HELD) {
                helper_say(HELPER_KEY_DETAIL, "%s: process %d", store, (int)holder);
                return CODE_STORE_LOCKED;
        }
        return CODE_OK;
}

/* Where several programs may want to write; seal alone is for places that the caller has for itself. */
Code worker_publish(char **arguments)
{
        _cleanup_(root_freep) Root *root = NULL;
        _cleanup_close_ int lock = -EBADF;
        uint64_t limit;
        Code code;
        int r;

        if (str_to_u64(arguments[1], 10, 0, UINT64_MAX, &limit) != 0)
                return CODE_USAGE;
        r = host_root(&root);
        if (r)
                return worker_store_error("/", r);
        code = worker_store_lock(root, arguments[0], limit, &lock);
        return code ? code : worker_seal(arguments + 2);
}

/* Only what lies in a staging area may be removed by this program, whoever asks: /.../staging/NAME. */
static bool may_be_removed(const char *path)
{
        const char *name = strrchr(path, '/');
        size_t n = strlen("/" STORE_STAGING);

        return *path == '/' && (size_t)(name - path) >= n && strncmp(name - n, "/" STORE_STAGING, n) == 0 &&
               name[1] && !streq(name, "/.") && !streq(name, "/..") && !strstr(path, "/../");
}

static void tell_left(void *userdata, const char *name, int error)
{
        helper_say(HELPER_KEY_DETAIL, "%s: %s: %s", (const char *)userdata, name,
                        error == EXDEV || error == EBUSY ? "something is mounted there" : strerror(error));
}

static Code discard(const char *path)
{
        const char *name = strrchr(path, '/') + 1;
        _cleanup_free_ char *parent = strndup(path, (size_t)(name - 1 - path));
        _cleanup_close_ int staging = -EBADF, fd = -EBADF;
        int r;

        staging = parent ? open(parent, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC) : -EBADF;
        if (staging < 0)
                return errno == ENOENT ? CODE_OK : worker_store_error(path, parent ? -errno : -ENOMEM);
        fd = openat(staging, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        /* It was free when the caller looked. Who took it since then keeps it. */
        if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) < 0 && lockowner_is_trusted(fd, 0)) {
                helper_say(HELPER_KEY_DETAIL, "%s is in use, leaving it", path);
                return CODE_OK;
        }
        r = treeremove(staging, name, tell_left, (void *)(uintptr_t)path);
        return r < 0 ? worker_store_error(path, r) : r == 0 ? CODE_OK : CODE_STORE_FAILED;
}

Code worker_discard(char **arguments)
{
        Code code = CODE_OK;

        for (char **path = arguments; *path; path++)
                if (!may_be_removed(*path)) {
                        helper_say(HELPER_KEY_DETAIL, "%s is not in a staging directory", *path);
                        return CODE_USAGE;
                }
        for (char **path = arguments; *path; path++) {
                Code one = discard(*path);

                code = code ? code : one;
        }
        return code;
}

Code worker_good(char **arguments)
{
        _cleanup_(root_freep) Root *root = NULL;
        int r;

        r = host_root(&root);
        if (r == 0)
                r = store_good_mark(root, arguments[0], arguments[1], arguments[2]);
        return r ? worker_store_error(arguments[0], r) : CODE_OK;
}
