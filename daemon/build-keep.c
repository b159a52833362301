/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What a build keeps so that its modules can be linked once more elsewhere: a
 * package of the proprietary driver goes without the linked modules, and who
 * imports it has NVIDIA's core objects, but perhaps no kernel tree. So the
 * linker script and the kernel's common object lie in the build, and the
 * manifest says which parts make which module.
 */

#include "base/result.h"
#include "base/str.h"
#include "build-internal.h"

enum { KEPT_SIZE_MAX = 1024 * 1024 };

/* Kernels since 6.12 keep the vermagic in an object of its own, made beside the modules (trap T1). */
char *build_module_common(const Build *b)
{
        _cleanup_free_ char *in_root = build_root_path(b, "source/.module-common.o");

        if (!in_root || !root_exists(b->request.root, in_root))
                return NULL;
        return build_path(b, "source/.module-common.o");
}

static int keep(Build *b, const Root *root, const char *from, const char *name)
{
        _cleanup_free_ char *text = NULL, *in_build = str_format("build/%s", name), *to = NULL;
        size_t size;
        int r;

        to = in_build ? build_root_path(b, in_build) : NULL;
        if (!to)
                return err_origin(-ENOMEM);
        r = root_read_file(root, from, KEPT_SIZE_MAX, &text, &size);
        if (r)
                return r < 0 ? err_trace(r) : err_fold(r);
        return err_trace(root_write_file(b->request.root, to, text, size, 0644));
}

int build_keep_link_inputs(Build *b)
{
        const TreeFacts *tree = build_tree(b);
        _cleanup_free_ char *lds = str_format("%s/%s", tree->path, tree->lds), *common = NULL;
        int r;

        common = build_root_path(b, "source/.module-common.o");
        if (!lds || !common)
                return err_origin(-ENOMEM);
        r = keep(b, build_tree_root(b), lds, MANIFEST_LINKER_SCRIPT);
        if (r == 0 && root_exists(b->request.root, common))
                r = keep(b, b->request.root, common, MANIFEST_COMMON_OBJECT);
        return err_trace(r);
}

static int add_file(BuildManifest *m, const char *name, const RecipeModule *module)
{
        BuildFile f = {};
        int r;

        r = str_replace(&f.name, name);
        if (r == 0 && module)
                r = str_replace(&f.module, module->name);
        if (r == 0 && module)
                r = str_replace(&f.interface, module->interface);
        if (r == 0 && module)
                r = str_replace(&f.core, module->core);
        if (r == 0)
                r = build_manifest_add_file(m, &f);
        build_file_done(&f);
        return err_trace(r);
}

int build_add_files(const Build *b, BuildManifest *m)
{
        static const char *const others[] = { MANIFEST_LINKER_SCRIPT, MANIFEST_COMMON_OBJECT, "build.log" };
        int r = 0;

        for (size_t i = 0; r == 0 && i < b->modules.n; i++) {
                const RecipeModule *module = &b->modules.items[i];

                r = add_file(m, module->file, module);
                if (r == 0 && module->interface)
                        r = add_file(m, module->interface, NULL);
        }
        for (size_t i = 0; r == 0 && i < ELEMENTSOF(others); i++) {
                _cleanup_free_ char *in_build = str_format("build/%s", others[i]), *path = NULL;

                path = in_build ? build_root_path(b, in_build) : NULL;
                if (!path)
                        return err_origin(-ENOMEM);
                if (root_exists(b->request.root, path))
                        r = add_file(m, others[i], NULL);
        }
        return err_trace(r);
}

/* "nvidia/nv-kernel.o_binary=/usr/src/...": tens of megabytes, so the worker takes the digests. */
int build_list_cores(const Build *b, char ***ret)
{
        _cleanup_strv_ char **cores = NULL;

        for (size_t i = 0; i < b->modules.n; i++) {
                const char *core = b->modules.items[i].core;
                _cleanup_free_ char *in_root = NULL, *path = NULL;
                int r;

                if (!core)
                        continue;
                in_root = str_format("%s/%s", build_source(b)->path, core);
                path = in_root ? build_host_path(b, in_root) : NULL;
                if (!path)
                        return err_origin(-ENOMEM);
                r = strv_pushf(&cores, "%s=%s", core, path);
                if (r)
                        return err_trace(r);
        }
        *ret = TAKE_PTR(cores);
        return 0;
}
