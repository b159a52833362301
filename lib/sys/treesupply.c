/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The places, first come first served: /boot (Debian, Fedora), /usr/boot
 * (Flatcar), the modules' directory (Fedora, Arch), the build tree that the
 * kernel's own headers are in, and the kernel itself. All but the last have
 * the kernel's release in their name.
 */

#include "base/result.h"
#include "base/str.h"
#include "sys/packedfile.h"
#include "sys/treesupply.h"

static const char *const configs[] = {
        "boot/config-%s",
        "usr/boot/config-%s",
        "usr/lib/modules/%s/config",
        "lib/modules/%s/config",
        "lib/modules/%s/build/.config",
        "proc/1/root/boot/config-%s",
        "proc/1/root/usr/boot/config-%s",
        "proc/1/root/usr/lib/modules/%s/config",
        "proc/1/root/usr/lib/modules/%s/build/.config",
};

static const char *const symvers[] = {
        "lib/modules/%s/build/Module.symvers",
        "usr/lib64/modules/%s/build/Module.symvers",
        "boot/symvers-%s",
        "boot/symvers-%s.gz",
        "usr/lib/modules/%s/symvers.gz",
        "usr/lib/modules/%s/symvers.xz",
        "lib/modules/%s/symvers.gz",
        "lib/modules/%s/symvers.xz",
        "usr/lib/modules/%s/build/Module.symvers",
        "proc/1/root/usr/lib/modules/%s/build/Module.symvers",
        "proc/1/root/boot/symvers-%s",
        "proc/1/root/boot/symvers-%s.gz",
        "proc/1/root/usr/lib/modules/%s/symvers.gz",
        "proc/1/root/usr/lib/modules/%s/symvers.xz",
};

/* Takes @path if it can be read; anything else than a readable file is passed over. */
static int try_config(const Root *root, const char *path, TreeFacts *t)
{
        int r;

        r = packedfile_read(root, path, KCONFIG_SIZE_MAX, &t->config, &t->config_size);
        if (r == 0)
                r = str_replace(&t->config_from, path);
        /* The root of another process is not for everybody, not even for root in every container. */
        if (r == -EACCES || r == -EPERM || r == -ELOOP || r == -EXDEV)
                return 0;
        return r < 0 ? err_trace(r) : 0;
}

static int find_config(const Root *root, const char *release, bool running, TreeFacts *t)
{
        int r;

        for (size_t i = 0; i < ELEMENTSOF(configs) && !t->config_from; i++) {
                _cleanup_free_ char *path = str_format(configs[i], release);

                if (!path)
                        return err_origin(-ENOMEM);
                r = try_config(root, path, t);
                if (r)
                        return err_trace(r);
        }
        return running && !t->config_from ? err_trace(try_config(root, TREESUPPLY_RUNNING_CONFIG, t)) : 0;
}

static int find_symvers(const Root *root, const char *release, TreeFacts *t)
{
        for (size_t i = 0; i < ELEMENTSOF(symvers) && !t->symvers_from; i++) {
                _cleanup_free_ char *path = str_format(symvers[i], release);

                if (!path)
                        return err_origin(-ENOMEM);
                if (root_exists(root, path))
                        t->symvers_from = TAKE_PTR(path);
        }
        return 0;
}

int treesupply_complete(const Root *root, const char *release, bool running, TreeFacts *t)
{
        int r = 0;

        /* No kernel is called so, and it would lead the paths astray. */
        if (!t->parts[TREE_PART_FULL_SOURCE] || strchr(release, '/'))
                return 0;
        if (!t->config)
                r = find_config(root, release, running, t);
        if (r == 0 && !t->parts[TREE_PART_SYMVERS])
                r = find_symvers(root, release, t);
        return err_trace(r);
}
