/* SPDX-License-Identifier: Apache-2.0 */

/*
 * LINK and PUBLISH. nvidia.ko and nvidia-modeset.ko are made of NVIDIA's core
 * object and the interface that was compiled here, after objtool if the kernel
 * wants that (build-objtool.c); the other modules come whole
 * from make. Everything that belongs to the build is then moved to
 * staging/build, a draft of the manifest is written there, and the worker seals
 * it: digests, vermagic check, fsync, rename into the store.
 */

#include <fcntl.h>

#include "base/result.h"
#include "base/str.h"
#include "build-internal.h"
#include "policy/objtool.h"
#include "sys/digest.h"
#include "sys/manifestjson.h"
#include "sys/store.h"

static void link_next(Build *b);

/* Moves staging/source/@name to staging/build/@name. */
static int collect(Build *b, const char *name)
{
        _cleanup_free_ char *source = str_format("source/%s", name), *target = str_format("build/%s", name),
                            *from = NULL, *to = NULL;

        from = source ? build_path(b, source) : NULL;
        to = target ? build_path(b, target) : NULL;
        if (!from || !to)
                return err_origin(-ENOMEM);
        return rename(from, to) < 0 ? err_origin(-errno) : 0;
}

static void on_linked(Build *b, const JobResult *result)
{
        if (build_step_failed(b, result))
                return;
        b->module_at++;
        link_next(b);
}

static int make_link_step(Build *b, const RecipeModule *m, RecipeStep *ret)
{
        _cleanup_free_ char *interface = NULL, *core = NULL, *common = build_module_common(b),
                            *output = NULL, *script = NULL, *tree = build_tree_path(b), *a = NULL, *c = NULL,
                            *o = NULL;
        LinkInput in;

        a = str_format("build/%s", m->interface);
        c = str_format("%s/%s", build_source(b)->path, m->core);
        o = str_format("build/%s", m->file);
        if (!a || !c || !o || !tree)
                return err_origin(-ENOMEM);
        interface = build_path(b, a);
        core = build_host_path(b, c);
        output = build_path(b, o);
        script = str_format("%s/%s", tree, build_tree(b)->lds);
        if (!interface || !core || !output || !script)
                return err_origin(-ENOMEM);

        in = (LinkInput){
                .script = script,
                .interface = interface,
                .core = core,
                .module_common = common,
                .output = output,
                /* The open core comes with ten times its size in them. The proprietary one has none, and is
                 * linked again, to the same bytes, by whoever imports it. */
                .strip_debug = !b->request.config->build_debug_info && build_source(b)->type == DRIVER_OPEN,
        };
        return err_trace(recipe_link(&in, ret));
}

static void link_module(Build *b)
{
        RecipeStep step = {};
        int r = make_link_step(b, &b->modules.items[b->module_at], &step);

        if (r)
                build_fatal(b, r, "ld");
        else
                build_step(b, &step, NULL, on_linked);
}

static void link_next(Build *b)
{
        const RecipeModule *m;
        int r;

        for (; b->module_at < b->modules.n; b->module_at++) {
                m = &b->modules.items[b->module_at];
                r = collect(b, m->interface ? m->interface : m->file);
                if (r) {
                        build_fail(b, r == -ENOENT ? CODE_COMPILE_FAILED : CODE_STORE_FAILED,
                                        "make did not leave %s: %s.", m->interface ? m->interface : m->file,
                                        strerror(-r));
                        return;
                }
                if (!m->interface)
                        continue;
                build_run_objtool(b, m->interface, link_module);
                return;
        }

        r = build_keep_link_inputs(b);
        if (r)
                build_fatal(b, r, "keeping what was linked with");
        else
                build_check(b);
}

static void on_linker_line(Build *b, const char *line)
{
        if (!b->linker_text)
                (void)str_replace(&b->linker_text, line);
}

static void on_linker_version(Build *b, const JobResult *result)
{
        if (result->status != 0)
                build_fail(b, CODE_TOOLCHAIN_MISSING, "The linker ld was not found.");
        else
                link_next(b);
}

void build_run_link(Build *b)
{
        RecipeStep step = {};
        int r;

        r = recipe_modules(build_source(b), b->request.config->modules, &b->modules, NULL);
        if (r == 0)
                r = recipe_environment(&step.environment);
        if (r == 0)
                r = strv_push(&step.argv, "ld");
        if (r == 0)
                r = strv_push(&step.argv, "--version");
        if (r) {
                recipe_step_done(&step);
                build_fatal(b, r < 0 ? r : -ENOENT, "listing the modules");
        } else {
                build_step(b, &step, on_linker_line, on_linker_version);
        }
}

static int add_input(Build *b, BuildManifest *m, const char *directory, const char *file)
{
        _cleanup_free_ char *path = str_format("%s/%s", directory, file);
        _cleanup_close_ int fd = -EBADF;
        char hex[DIGEST_HEX_SIZE];
        int r;

        if (!path)
                return err_origin(-ENOMEM);
        r = root_open(build_tree_root(b), path, O_RDONLY, &fd);
        if (r)
                return r < 0 ? err_trace(r) : 0;
        r = digest_fd(fd, hex, NULL);
        if (r)
                return err_trace(r);
        return err_trace(build_manifest_add_input(m, file, hex));
}

static int fill_draft(Build *b, BuildManifest *m)
{
        const TreeFacts *tree = build_tree(b);
        int r;

        m->driver_type = build_source(b)->type;
        m->debug_info = b->request.config->build_debug_info;
        r = str_replace(&m->driver_version, build_source(b)->version);
        if (r == 0)
                r = str_replace(&m->kernel_release, b->request.kernel->release);
        if (r == 0)
                r = str_replace(&m->kernel_version,
                                b->request.kernel->version ? b->request.kernel->version : tree->version);
        if (r == 0)
                r = str_replace(&m->kernel_vermagic, tree->vermagic);
        if (r == 0)
                r = str_replace(&m->compiler, b->compiler_text);
        if (r == 0)
                r = str_replace(&m->linker, b->linker_text);
        if (r == 0)
                r = add_input(b, m, tree->path, ".config");
        if (r == 0)
                r = add_input(b, m, tree->path, "Module.symvers");
        if (r == 0)
                r = add_input(b, m, tree->path, tree->lds);
        if (r == 0 && b->objtool_used)
                r = add_input(b, m, tree->path, OBJTOOL_PROGRAM);
        if (r == 0 && b->source_digest)
                r = build_manifest_add_input(m, MANIFEST_SOURCE_INPUT, b->source_digest);
        if (r == 0)
                r = build_signer(b, &m->signer);
        return r ? err_trace(r) : err_trace(build_add_files(b, m));
}

static int write_draft(Build *b)
{
        _cleanup_free_ char *path = build_root_path(b, "build/" MANIFEST_NAME), *text = NULL;
        BuildManifest m = {};
        int r;

        if (!path)
                return err_origin(-ENOMEM);
        if (b->request.base) {
                r = build_base_draft(b, &text);
        } else {
                r = fill_draft(b, &m);
                if (r == 0)
                        r = manifest_format(&m, &text);
        }
        if (r == 0)
                r = root_write_file(b->request.root, path, text, strlen(text), 0644);
        build_manifest_done(&m);
        return err_trace(r);
}

static void on_sealed(Build *b, const JobResult *result)
{
        if (build_worker_failed(b, result, CODE_STORE_FAILED))
                return;
        if (b->result)
                build_keep_tree(b);
        else
                build_fail(b, CODE_STORE_FAILED, "The worker does not say where the build is.");
}

void build_run_publish(Build *b)
{
        _cleanup_free_ char *staged = build_path(b, "build"),
                            *builds = build_host_path(b, b->request.builds),
                            *store = build_host_path(b, b->request.store),
                            *wait = str_format("%llu",
                                            (unsigned long long)b->request.config->store_lock_timeout);
        _cleanup_strv_ char **cores = NULL;
        int r;

        r = staged && builds && store && wait ? write_draft(b) : err_origin(-ENOMEM);
        if (r == 0)
                r = root_mkdirs(b->request.root, b->request.builds, 0755);
        if (r == 0)
                r = build_list_cores(b, &cores);
        if (r) {
                build_fatal(b, r, "writing the manifest");
                return;
        }
        /* The log is part of the build: nothing may be added to it once its digest is taken. */
        b->log_fd = safe_close(b->log_fd);
        if (b->request.locked)
                build_worker(b, on_sealed, cores, "publish", store, wait, staged, builds, NULL);
        else
                build_worker(b, on_sealed, cores, "seal", staged, builds, NULL);
}
