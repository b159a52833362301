/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Signatures: of the modules that LINK has made, and of a build that is in the
 * store already and lacks nothing but a signature. Such a base is verified,
 * copied into staging, signed there and published as a build of its own; the
 * base stays as it is.
 *
 * What is signed is bytes, so the modules are complete and checked before.
 */

#include "base/result.h"
#include "base/str.h"
#include "build-internal.h"
#include "helper.h"
#include "policy/kconfig.h"
#include "signing.h"
#include "sys/manifestjson.h"
#include "sys/store.h"

/* What the kernel signs its own modules with can be verified by it; sha256 is what nearly all of them use.
 */
static int choose_hash(Build *b)
{
        const TreeFacts *tree = build_tree(b);
        _cleanup_(kconfig_freep) Kconfig *config = NULL;
        const char *hash = b->request.config->signing_hash;
        int r;

        if (!hash && tree && tree->config) {
                r = kconfig_parse(tree->config, tree->config_size, &config);
                if (r < 0)
                        return err_trace(r);
                hash = r == 0 ? kconfig_get(config, "MODULE_SIG_HASH") : NULL;
        }
        if (isempty(hash))
                hash = b->request.kernel->module_hash;
        return err_trace(str_replace(&b->hash, isempty(hash) ? "sha256" : hash));
}

int build_signer(const Build *b, Signer *ret)
{
        int r;

        *ret = (Signer){};
        if (!b->request.signer)
                return 0;
        r = signer_copy(b->request.signer, ret);
        return r ? err_trace(r) : err_trace(str_replace(&ret->hash, b->hash));
}

static void on_signed(Build *b, const JobResult *result)
{
        if (result->timed_out)
                build_fail(b, CODE_BUILD_TIMEOUT, "The key did not answer in time.");
        else if (!build_worker_failed(b, result, CODE_SIGN_FAILED))
                build_succeed(b);
}

void build_sign(Build *b)
{
        _cleanup_strv_ char **keys = NULL;
        _cleanup_free_ char *modules = build_path(b, "build");
        int r;

        if (!b->request.signer) {
                build_succeed(b);
                return;
        }
        r = modules ? choose_hash(b) : err_origin(-ENOMEM);
        if (r == 0)
                r = signing_arguments(b->request.root, b->request.config, &keys);
        if (r)
                build_fatal(b, r, "signing");
        else
                build_worker(b, on_signed, keys, "sign", modules, b->hash, NULL);
}

static void on_copied(Build *b, const JobResult *result)
{
        if (!build_step_failed(b, result))
                build_sign(b);
}

/* cp -a: build.log, which is open and appended to, keeps its inode and gets the base's text. */
static int copy_step(Build *b, RecipeStep *ret)
{
        const BuildManifest *base = b->request.base;
        _cleanup_free_ char *to = build_path(b, "build"),
                            *from = root_path(b->request.root, base->directory);
        int r;

        if (!to || !from)
                return err_origin(-ENOMEM);
        r = recipe_environment(&ret->environment);
        for (const char *const *word = (const char *const[]){ "cp", "-a", "--reflink=auto", "--", NULL };
                        r == 0 && *word; word++)
                r = strv_push(&ret->argv, *word);
        for (size_t i = 0; r == 0 && i < base->n_files; i++)
                r = strv_pushf(&ret->argv, "%s/%s", from, base->files[i].name);
        if (r == 0)
                r = strv_push(&ret->argv, to);
        return r ? err_trace(r) : 0;
}

static void on_verified(Build *b, const JobResult *result)
{
        RecipeStep step = {};
        int r;

        if (build_worker_failed(b, result, CODE_STORE_FAILED))
                return;
        r = copy_step(b, &step);
        if (r) {
                recipe_step_done(&step);
                build_fatal(b, r, "copying the build");
        } else {
                build_step(b, &step, NULL, on_copied);
        }
}

void build_run_base(Build *b)
{
        _cleanup_free_ char *base = root_path(b->request.root, b->request.base->directory),
                            *in_root = str_format("%s/" STORE_STAGING, b->request.store),
                            *aside = in_root ? build_host_path(b, in_root) : NULL;

        if (base && aside)
                build_worker(b, on_verified, NULL, "verify", base, aside, NULL);
        else
                build_fatal(b, -ENOMEM, "verify");
}

int build_base_draft(Build *b, char **ret)
{
        BuildManifest m = *b->request.base;
        Signer signer = {};
        int r;

        r = build_signer(b, &signer);
        if (r)
                return err_trace(r);
        /* A shallow copy: only what is new is ours. */
        m.id = m.created = NULL;
        m.signer = signer;
        r = manifest_format(&m, ret);
        signer_done(&signer);
        return err_trace(r);
}
