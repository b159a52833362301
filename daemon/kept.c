/* SPDX-License-Identifier: Apache-2.0 */

#include <fcntl.h>
#include <sys/file.h>

#include "base/result.h"
#include "base/str.h"
#include "kept.h"
#include "sys/digest.h"
#include "sys/lockfile.h"
#include "sys/store.h"

int kept_list(const Root *root, const char *store, const char *release, char ***ret)
{
        _cleanup_free_ char *directory = str_format("%s/" STORE_TREES, store);
        _cleanup_strv_ char **names = NULL, **list = NULL;
        int r;

        *ret = NULL;
        r = directory ? root_list(root, directory, &names) : err_origin(-ENOMEM);
        if (r)
                return r < 0 ? err_trace(r) : 0;
        STRV_FOREACH (name, names)
                if (r == 0 && kepttree_is_for(*name, release))
                        r = strv_pushf(&list, "%s/%s", directory, *name);
        if (r)
                return err_trace(r);
        *ret = TAKE_PTR(list);
        return 0;
}

int kept_list_surplus(
                const Root *root, const char *store, bool keep, const BuildManifests *builds, char ***ret)
{
        _cleanup_strv_ char **list = NULL, **surplus = NULL;
        int r;

        r = kept_list(root, store, NULL, &list);
        STRV_FOREACH (kept, list)
                if (r == 0 && !(keep && kepttree_is_needed(strrchr(*kept, '/') + 1, builds)))
                        r = strv_push(&surplus, *kept);
        if (r)
                return err_trace(r);
        *ret = TAKE_PTR(surplus);
        return 0;
}

int kept_retire(const Root *root, const char *store, const char *directory)
{
        _cleanup_close_ int fd = -EBADF;
        int r;

        r = root_open(root, directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, &fd);
        if (r)
                return r < 0 ? err_trace(r) : 0;
        /* One of an older version: whoever can open it can keep it from being retired. */
        if (lockfile_is_open_to_others(fd) && fchmod(fd, KEPT_MODE) < 0)
                return err_origin(-errno);
        /* Given back when this returns: it has another place then. */
        if (flock(fd, LOCK_EX | LOCK_NB) < 0)
                return errno == EWOULDBLOCK ? KEPT_E_IN_USE : err_origin(-errno);
        return err_trace(store_retire(root, store, directory));
}

static int read_text(const Root *root, const char *directory, const char *name, char **ret)
{
        _cleanup_free_ char *path = str_format("%s/%s", directory, name);
        _cleanup_close_ int fd = -EBADF;
        struct stat st;
        size_t size;
        int r;

        if (!path)
                return err_origin(-ENOMEM);
        r = root_open(root, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, &fd);
        if (r == 0)
                r = fstat(fd, &st) < 0 ? err_origin(-errno) : !S_ISREG(st.st_mode);
        if (r == 0)
                r = fd_read_file(fd, KEPTTREE_TEXT_MAX, ret, &size);
        if (r == -ELOOP)
                return 1;
        if (r)
                return r < 0 ? err_trace(r) : 1;
        return strlen(*ret) == size ? 0 : 1;
}

int kept_read_origin(const Root *root, const char *directory, KeptOrigin *ret)
{
        _cleanup_free_ char *text = NULL;
        int r;

        r = read_text(root, directory, KEPTTREE_ORIGIN, &text);
        if (r)
                return r < 0 ? err_trace(r) : r;
        r = kept_origin_parse(text, ret);
        return r < 0 ? err_trace(r) : r;
}

int kept_read_files(const Root *root, const char *directory, KeptFiles *ret, char ret_xxh64[static 17])
{
        _cleanup_free_ char *text = NULL;
        int r;

        r = read_text(root, directory, KEPTTREE_FILES, &text);
        if (r)
                return r < 0 ? err_trace(r) : r;
        digest_fast_text(text, strlen(text), ret_xxh64);
        r = kept_files_parse(text, ret);
        return r < 0 ? err_trace(r) : r;
}
