/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A directory is judged by the files that its modules.dep names first. One of
 * this release is enough, since RHEL keeps modules of older kernels among the
 * others (weak-updates). A compressed module is not unpacked here: it counts as
 * one of this release.
 */

#include <fcntl.h>

#include "base/result.h"
#include "base/str.h"
#include "sys/elfsections.h"
#include "sys/moduletree.h"

enum {
        FILES_MAX = 64,         /* how many lines of modules.dep are looked at */
        START_MAX = 128 * 1024, /* bytes of modules.dep that these lines are looked for in */
        MODINFO_MAX = 1024 * 1024,
};

static const char *const places[] = {
        "lib/modules",
        "usr/lib/modules",
        "usr/lib64/modules",
        "proc/1/root/lib/modules",
        "proc/1/root/usr/lib/modules",
        "proc/1/root/usr/lib64/modules",
};

/* What is found out about one file, or about a tree so far. */
typedef enum Kind {
        KIND_NONE,  /* no such file */
        KIND_OTHER, /* of another kernel */
        KIND_FITS,
} Kind;

static bool is_release(const char *vermagic, const char *release)
{
        const char *rest = startswith(vermagic, release);

        return rest && (*rest == '\0' || *rest == ' ');
}

/* Of all errors only a lack of memory counts: what we may not read (/proc/1/root) is not there for us. */
static int judge_file(const Root *root, const char *path, const char *release, Kind *ret)
{
        _cleanup_free_ char *data = NULL;
        _cleanup_close_ int fd = -EBADF;
        size_t size = 0;
        int r;

        *ret = KIND_NONE;
        r = root_open(root, path, O_RDONLY | O_NOCTTY | O_NONBLOCK, &fd);
        if (r)
                return r == -ENOMEM ? err_trace(r) : 0;
        *ret = KIND_FITS;
        r = elfsections_read(fd, ".modinfo", MODINFO_MAX, &data, &size);
        if (r)
                return r == -ENOMEM ? err_trace(r) : 0;
        for (size_t i = 0; i < size; i += strlen(data + i) + 1) {
                const char *vermagic = startswith(data + i, "vermagic=");

                if (vermagic && !is_release(vermagic, release))
                        *ret = KIND_OTHER;
        }
        return 0;
}

/* The first @max bytes of a file; NULL if it cannot be read. */
static int read_start(const Root *root, const char *path, size_t max, char **ret)
{
        _cleanup_close_ int fd = -EBADF;
        _cleanup_free_ char *data = NULL;
        ssize_t n;
        int r;

        r = root_open(root, path, O_RDONLY | O_NOCTTY | O_NONBLOCK, &fd);
        if (r)
                return r == -ENOMEM ? err_trace(r) : 0;
        data = malloc(max + 1);
        if (!data)
                return err_origin(-ENOMEM);
        n = pread(fd, data, max, 0);
        if (n < 0)
                return 0;
        data[n] = '\0';
        *ret = TAKE_PTR(data);
        return 0;
}

static int judge_files(const Root *root, const char *directory, const char *release, char *list, Kind *ret)
{
        char *line;

        for (size_t n = 0; n < FILES_MAX && *ret != KIND_FITS && (line = strsep(&list, "\n")); n++) {
                _cleanup_free_ char *path = NULL;
                Kind kind = KIND_NONE;
                int r;

                line[strcspn(line, ":")] = '\0';
                if (!*line)
                        continue;
                path = *line == '/' ? strdup(line) : str_format("%s/%s", directory, line);
                if (!path)
                        return err_origin(-ENOMEM);
                r = judge_file(root, path, release, &kind);
                if (r)
                        return err_trace(r);
                *ret = MAX(*ret, kind);
        }
        return 0;
}

/* A kernel may have everything built in; its modules.dep is empty then. */
static int judge_builtin(const Root *root, const char *directory, Kind *ret)
{
        _cleanup_free_ char *path = str_format("%s/modules.builtin", directory), *text = NULL;
        int r;

        if (!path)
                return err_origin(-ENOMEM);
        r = read_start(root, path, 1, &text);
        if (r == 0 && !isempty(text))
                *ret = KIND_FITS;
        return err_trace(r);
}

static int judge(const Root *root, const char *directory, const char *release, Kind *ret)
{
        _cleanup_free_ char *path = str_format("%s/modules.dep", directory), *list = NULL;
        int r;

        if (!path)
                return err_origin(-ENOMEM);
        *ret = KIND_NONE;
        r = read_start(root, path, START_MAX, &list);
        if (r || !list)
                return err_trace(r);
        r = judge_files(root, directory, release, list, ret);
        if (r == 0 && *ret == KIND_NONE)
                r = judge_builtin(root, directory, ret);
        return err_trace(r);
}

int moduletree_next(const Root *root, const char *release, size_t *place, char **ret)
{
        if (strchr(release, '/'))
                return MODULETREE_E_ABSENT; /* no kernel is called so, and it would lead the paths astray */
        while (*place < ELEMENTSOF(places)) {
                _cleanup_free_ char *directory = str_format("%s/%s", places[(*place)++], release);
                Kind kind = KIND_NONE;
                int r;

                if (!directory)
                        return err_origin(-ENOMEM);
                r = judge(root, directory, release, &kind);
                if (r)
                        return err_trace(r);
                if (kind == KIND_FITS) {
                        *ret = TAKE_PTR(directory);
                        return 0;
                }
        }
        return MODULETREE_E_ABSENT;
}

int moduletree_find(const Root *root, const char *release, char **ret)
{
        size_t place = 0;
        int r = moduletree_next(root, release, &place, ret);

        return r < 0 ? err_trace(r) : r;
}

char *moduletree_explain_absence(const char *release)
{
        return str_format(
                        "no modules of kernel %s in /lib/modules, /usr/lib/modules, /usr/lib64/modules or the "
                        "same directories below /proc/1/root; in a container, mount the host's /lib/modules or "
                        "use --pid=host",
                        release);
}
