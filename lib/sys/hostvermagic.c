/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The vermagic of the host's own modules: what this kernel really wants, even
 * where no tree of it is at hand. Any module will do, so the first one that
 * modules.dep lists and that can be read is asked.
 *
 * libkmod parses the signature of every module whose vermagic it is asked for,
 * and that starts all of OpenSSL: half the time of an adoption. So where nobody
 * wants to know about the signature, .modinfo of a file that is not compressed
 * is read here.
 */

#include <fcntl.h>

#include "base/result.h"
#include "base/str.h"
#include "sys/elfsections.h"
#include "sys/hostvermagic.h"
#include "sys/kmodinfo.h"

enum {
        MODULES_DEP_MAX = 64 * 1024 * 1024, /* bytes; a distribution's is below 2 MB */
        MODINFO_MAX = 1024 * 1024,
};

/* 0 also if it is not known: *@ret stays NULL then, and libkmod is asked. */
static int read_modinfo(const Root *root, const char *path, char **ret)
{
        _cleanup_free_ char *data = NULL;
        _cleanup_close_ int fd = -EBADF;
        size_t size = 0;
        int r;

        r = root_open(root, path, O_RDONLY | O_NOCTTY | O_NONBLOCK, &fd);
        if (r == 0)
                r = elfsections_read(fd, ".modinfo", MODINFO_MAX, &data, &size);
        if (r)
                return r == -ENOMEM ? err_trace(r) : 0;

        for (size_t i = 0; i < size; i += strlen(data + i) + 1) {
                const char *value = startswith(data + i, "vermagic=");

                if (value)
                        return err_trace(str_replace(ret, value));
        }
        return 0;
}

/* "kernel/lib/a.ko.xz: kernel/lib/b.ko.xz": the part before the colon; absolute if depmod saw it so. */
static int vermagic_of_line(const Root *root, const char *release, char *line, char **ret, char **ret_hash)
{
        _cleanup_(kmodinfo_done) KmodInfo info = {};
        _cleanup_free_ char *path = NULL, *found = NULL;
        int r;

        line[strcspn(line, ":")] = '\0';
        if (!*line)
                return HOSTVERMAGIC_E_ABSENT;
        path = *line == '/' ? strdup(line) : str_format("lib/modules/%s/%s", release, line);
        if (!path)
                return err_origin(-ENOMEM);

        if (!ret_hash) {
                r = read_modinfo(root, path, &found);
                if (r < 0)
                        return err_trace(r);
                if (found) {
                        *ret = TAKE_PTR(found);
                        return 0;
                }
        }
        r = kmodinfo_read(root, path, &info);
        if (r < 0)
                return err_trace(r);
        if (r > 0 || !info.vermagic)
                return HOSTVERMAGIC_E_ABSENT;
        *ret = TAKE_PTR(info.vermagic);
        if (ret_hash)
                *ret_hash = TAKE_PTR(info.hash);
        return 0;
}

int hostvermagic_read(const Root *root, const char *release, char **ret, char **ret_hash)
{
        _cleanup_free_ char *path = NULL, *data = NULL;
        char *rest, *line;
        int r;

        path = str_format("lib/modules/%s/modules.dep", release);
        if (!path)
                return err_origin(-ENOMEM);
        r = root_read_file(root, path, MODULES_DEP_MAX, &data, NULL);
        if (r)
                return r < 0 ? err_trace(r) : HOSTVERMAGIC_E_ABSENT;

        for (rest = data; (line = strsep(&rest, "\n"));) {
                r = vermagic_of_line(root, release, line, ret, ret_hash);
                if (r != HOSTVERMAGIC_E_ABSENT)
                        return r ? err_trace(r) : 0;
        }
        return HOSTVERMAGIC_E_ABSENT;
}
