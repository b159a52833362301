/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The vermagic of the host's own modules: what this kernel really wants, even
 * where no tree of it is at hand. Any module will do, so the first one that
 * modules.dep lists and that can be read is asked.
 *
 * The daemon does this, so .modinfo is read here and not by libkmod, which may
 * abort the process over a damaged file. And libkmod would parse the signature
 * of every module, which starts all of OpenSSL: half the time of an adoption.
 */

#include "base/result.h"
#include "base/str.h"
#include "sys/elfsections.h"
#include "sys/hostvermagic.h"
#include "sys/modsign.h"
#include "sys/modulefile.h"
#include "sys/moduletree.h"

enum {
        MODULES_DEP_MAX = 64 * 1024 * 1024, /* bytes; a distribution's is below 2 MB */
        MODINFO_MAX = 1024 * 1024,
        UNPACKED_MAX = 64 * 1024 * 1024,
        UNREADABLE_MAX = 16, /* each may be unpacked in vain, and the loop waits meanwhile */
};

static int read_modinfo(int fd, char **ret)
{
        _cleanup_free_ char *data = NULL;
        size_t size = 0;
        int r;

        r = elfsections_read(fd, ".modinfo", MODINFO_MAX, &data, &size);
        if (r)
                return r == -ENOMEM ? err_trace(r) : HOSTVERMAGIC_E_ABSENT;
        for (size_t i = 0; i < size; i += strlen(data + i) + 1) {
                const char *value = startswith(data + i, "vermagic=");

                if (value)
                        return err_trace(str_replace(ret, value));
        }
        return HOSTVERMAGIC_E_ABSENT;
}

/* NULL is an answer too: the module is not signed, or in a way that tells nothing. */
static int read_hash(int fd, char **ret)
{
        _cleanup_(signer_done) Signer signer = {};
        _cleanup_free_ char *why = NULL;
        int r;

        r = modsign_inspect(fd, &signer, NULL, &why);
        if (r == 0)
                *ret = TAKE_PTR(signer.hash);
        return r == -ENOMEM ? err_trace(r) : 0;
}

/* "kernel/lib/a.ko.xz: kernel/lib/b.ko.xz": the part before the colon; absolute if depmod saw it so. */
static int vermagic_of_line(const Root *root, const char *tree, char *line, char **ret, char **ret_hash,
                unsigned *n_unreadable)
{
        _cleanup_free_ char *path = NULL;
        _cleanup_close_ int fd = -EBADF;
        int r;

        line[strcspn(line, ":")] = '\0';
        if (!*line)
                return HOSTVERMAGIC_E_ABSENT;
        path = *line == '/' ? strdup(line) : str_format("%s/%s", tree, line);
        if (!path)
                return err_origin(-ENOMEM);

        r = modulefile_open(root, path, UNPACKED_MAX, &fd);
        if (r == -ENOMEM)
                return err_trace(r);
        if (r) {
                *n_unreadable += r != MODULEFILE_E_ABSENT;
                return HOSTVERMAGIC_E_ABSENT;
        }
        r = read_modinfo(fd, ret);
        if (r == 0 && ret_hash)
                r = read_hash(fd, ret_hash);
        return r < 0 ? err_trace(r) : r;
}

int hostvermagic_read(const Root *root, const char *release, char **ret, char **ret_hash)
{
        _cleanup_free_ char *tree = NULL, *path = NULL, *data = NULL;
        char *rest, *line;
        unsigned n_unreadable = 0;
        int r;

        r = moduletree_find(root, release, &tree);
        if (r)
                return r < 0 ? err_trace(r) : HOSTVERMAGIC_E_ABSENT;
        path = str_format("%s/modules.dep", tree);
        if (!path)
                return err_origin(-ENOMEM);
        r = root_read_file(root, path, MODULES_DEP_MAX, &data, NULL);
        if (r)
                return r < 0 ? err_trace(r) : HOSTVERMAGIC_E_ABSENT;

        for (rest = data; n_unreadable < UNREADABLE_MAX && (line = strsep(&rest, "\n"));) {
                r = vermagic_of_line(root, tree, line, ret, ret_hash, &n_unreadable);
                if (r != HOSTVERMAGIC_E_ABSENT)
                        return r ? err_trace(r) : 0;
        }
        return HOSTVERMAGIC_E_ABSENT;
}
