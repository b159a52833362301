/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Stores of others. "shared" tells what one has, "take" copies a build into our
 * own store. Both may hang for ever on a dead mount; who starts them lets go of
 * them then. So no lock of ours is held while anything of theirs is read: the
 * copy is complete and checked before the own store is locked to publish it.
 */

#include <fcntl.h>

#include "base/result.h"
#include "base/root.h"
#include "base/str.h"
#include "helper.h"
#include "sys/manifestjson.h"
#include "sys/sharedstore.h"
#include "sys/store.h"
#include "worker-store.h"

static void say_text(char *text)
{
        for (char *line = text, *end; *line; line = end) {
                end = line + strcspn(line, "\n");
                if (*end)
                        *end++ = '\0';
                helper_say(HELPER_KEY_TEXT, "%s", line);
        }
}

/* What it was made of makes its id; under another name it would be taken for another build. */
static int read_build(
                int fd, const char *name, BuildManifest *ret, char **ret_text, int *ret_fd, char **reterr)
{
        _cleanup_free_ char *id = NULL;
        int r;

        r = sharedstore_read(fd, name, ret, ret_text, ret_fd, reterr);
        if (r)
                return r < 0 ? err_trace(r) : r;
        r = worker_build_id(ret, &id);
        if (r < 0 && r != -EINVAL)
                return err_trace(r);
        if (id && streq(id, strempty(ret->id)) && streq(id, name))
                return 0;
        *reterr = str_format(MANIFEST_NAME ": it describes build %s", id ? id : "of no name");
        return *reterr ? SHAREDSTORE_E_INVALID : err_origin(-ENOMEM);
}

static Code tell(int fd, const char *directory, const char *name, const char *release)
{
        _cleanup_free_ char *text = NULL, *why = NULL;
        BuildManifest m = {};
        int r;

        r = read_build(fd, name, &m, &text, NULL, &why);
        if (r == SHAREDSTORE_E_INVALID)
                helper_say(HELPER_KEY_DEFECT, "%s/%s: %s", directory, name, strna(why));
        else if (r == 0 && (!*release || streq(release, m.kernel_release))) {
                helper_say(HELPER_KEY_BUILD, "%s/%s", directory, name);
                say_text(text);
        }
        build_manifest_done(&m);
        return r < 0 ? worker_store_error(name, r) : CODE_OK;
}

static Code open_shared(Root **root, const char *directory, int *ret)
{
        int r;

        r = root_new("/", root);
        if (r == 0)
                r = sharedstore_open(*root, directory, ret);
        if (r == SHAREDSTORE_E_ABSENT)
                helper_say(HELPER_KEY_DETAIL, "%s is not there", directory);
        else if (r)
                return worker_store_error(directory, r);
        return r ? CODE_STORE_FAILED : CODE_OK;
}

Code worker_shared(char **arguments)
{
        const char *directory = arguments[0], *release = arguments[1];
        _cleanup_(root_freep) Root *root = NULL;
        _cleanup_strv_ char **names = NULL;
        _cleanup_close_ int fd = -EBADF;
        Code code;
        int r;

        code = open_shared(&root, directory, &fd);
        if (code)
                return code;
        r = sharedstore_names(fd, &names);
        if (r < 0)
                return worker_store_error(directory, r);
        STRV_FOREACH (name, names)
                if (code == CODE_OK)
                        code = tell(fd, directory, *name, release);
        return code;
}

static int write_manifest(const Root *root, const char *build, const char *text)
{
        _cleanup_free_ char *path = str_format("%s/" MANIFEST_NAME, build);

        if (!path)
                return err_origin(-ENOMEM);
        return err_trace(root_write_file(root, path, text, strlen(text), 0644));
}

/* The whole of the build, into the empty directory @build. */
static Code copy(const Root *root, int fd, const char *directory, const char *id, const char *build)
{
        _cleanup_close_ int from = -EBADF, to = -EBADF;
        _cleanup_free_ char *text = NULL, *why = NULL;
        BuildManifest m = {};
        int r;

        r = read_build(fd, id, &m, &text, &from, &why);
        if (r == SHAREDSTORE_E_ABSENT)
                why = strdup("it is gone");
        if (r == 0)
                r = root_open(root, build, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, &to);
        for (size_t i = 0; r == 0 && i < m.n_files; i++)
                r = sharedstore_copy(from, &m.files[i], to, &why);
        build_manifest_done(&m);
        if (r == 0)
                r = write_manifest(root, build, text);
        if (r < 0)
                return worker_store_error(build, r);
        if (r == 0)
                return CODE_OK;
        helper_say(HELPER_KEY_DETAIL, "%s/%s: %s", directory, id, strna(why));
        return CODE_BUILD_DAMAGED;
}

static Code take(const Root *root, int fd, char **arguments, const char *staging)
{
        _cleanup_free_ char *build = str_format("%s/build", staging),
                            *builds = str_format("%s/" STORE_BUILDS, arguments[0]);
        Code code;
        int r;

        r = build && builds ? root_mkdirs(root, build, 0755) : -ENOMEM;
        if (r == 0)
                r = root_mkdirs(root, builds, 0755);
        if (r)
                return worker_store_error(staging, r);
        code = copy(root, fd, arguments[2], arguments[3], build);
        if (code)
                return code;
        /* Sealing takes all digests once more and looks into the modules, as for a build of our own. */
        return worker_publish((char *[]){ arguments[0], arguments[1], build, builds, NULL });
}

Code worker_take(char **arguments)
{
        _cleanup_(root_freep) Root *root = NULL;
        _cleanup_close_ int fd = -EBADF, lock = -EBADF;
        _cleanup_free_ char *staging = NULL;
        Code code;
        int r;

        code = open_shared(&root, arguments[2], &fd);
        if (code)
                return code;
        r = store_stage(root, arguments[0], &staging, &lock);
        if (r < 0)
                return worker_store_error(arguments[0], r);
        code = take(root, fd, arguments, staging);
        lock = safe_close(lock);
        (void)worker_discard((char *[]){ staging, NULL });
        return code;
}
