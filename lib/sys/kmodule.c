/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The module tree by libkmod. It knows two things well that we do not want to
 * know: how modules.dep, aliases and /etc/modprobe.d hang together, and
 * modprobe's order of soft dependencies.
 *
 * libkmod takes the module directory and the configuration directories as
 * arguments, but has /sys/module, /proc/modules and /proc/cmdline
 * (modprobe.blacklist=) written into it. So whether a module is there is asked
 * of our own reader, which honours the root; only the command line's blacklist
 * remains the host's when a fixture is replayed.
 */

#include <libkmod.h>

#include "base/result.h"
#include "base/str.h"
#include "sys/kmodctx.h"
#include "sys/kmodule.h"
#include "sys/moduletree.h"
#include "sys/sysmod.h"

enum {
        CONFIG_PATHS = 5,
};

/* In modprobe.d(5)'s order; the first file of a name wins. */
static const char *const config_directories[CONFIG_PATHS] = {
        "etc/modprobe.d",
        "run/modprobe.d",
        "usr/local/lib/modprobe.d",
        "usr/lib/modprobe.d",
        "lib/modprobe.d",
};

static void list_unrefp(struct kmod_list **l)
{
        if (*l)
                (void)kmod_module_unref_list(*l);
}

static int directory_open(const Root *root, const char *relative, struct kmod_ctx **ret)
{
        _cleanup_free_ char *directory = root_path(root, relative);
        _cleanup_strv_ char **config = NULL;
        int r;

        if (!directory)
                return err_origin(-ENOMEM);
        for (size_t i = 0; i < CONFIG_PATHS; i++) {
                r = strv_push_consume(&config, root_path(root, config_directories[i]));
                if (r)
                        return err_trace(r);
        }

        r = kmodctx_new(directory, (const char *const *)config, ret);
        return r ? err_trace(r) : 0;
}

/*
 * The next tree of the search that libkmod can use, which reads the binary
 * index only. Returns 0, KMODULE_E_NO_TREE or negative.
 */
static int tree_open(const Root *root, const char *release, size_t *place, struct kmod_ctx **ret)
{
        for (;;) {
                _cleanup_free_ char *tree = NULL, *index = NULL;
                int r;

                r = moduletree_next(root, release, place, &tree);
                if (r)
                        return r < 0 ? err_trace(r) : KMODULE_E_NO_TREE;
                index = str_format("%s/modules.dep.bin", tree);
                if (!index)
                        return err_origin(-ENOMEM);
                if (root_exists(root, index))
                        return err_trace(directory_open(root, tree, ret));
        }
}

/*
 * Finds a module by name or alias. Returns 0, KMODULE_E_ABSENT,
 * KMODULE_E_BLACKLISTED or negative. An alias may stand for several modules;
 * the first is taken. The blacklist is about aliases: a module called by its
 * own name is not subject to it (modprobe.d(5)).
 */
static int lookup(struct kmod_ctx *ctx, const char *name, struct kmod_module **ret)
{
        _cleanup_(list_unrefp) struct kmod_list *list = NULL, *allowed = NULL;
        _cleanup_(kmodctx_module_unrefp) struct kmod_module *mod = NULL;
        int r;

        r = kmod_module_new_from_lookup(ctx, name, &list);
        if (r == -ENOMEM)
                return err_origin(r);
        if (r < 0 || !list)
                return KMODULE_E_ABSENT;

        mod = kmod_module_get_module(list);
        if (!modname_eq(kmod_module_get_name(mod), name)) {
                r = kmod_module_apply_filter(ctx, KMOD_FILTER_BLACKLIST, list, &allowed);
                if (r < 0)
                        return err_origin(r);
                if (!allowed)
                        return KMODULE_E_BLACKLISTED;
                (void)kmod_module_unref(mod);
                mod = kmod_module_get_module(allowed);
        }

        *ret = TAKE_PTR(mod);
        return 0;
}

void kmodule_plan_done(KmodulePlan *plan)
{
        strv_free(plan->paths);
        strv_free(plan->names);
        strv_free(plan->missing);
        strv_free(plan->builtin);
        strv_free(plan->blacklisted);
        *plan = (KmodulePlan){};
}

/* The walk in modprobe's order; libkmod does not export its own (kmod_module_get_probe_list()). */
typedef struct Resolve {
        const Root *root;
        struct kmod_ctx *ctx;
        char **visited;  /* modules whose dependencies were walked */
        char **appended; /* modules that are in the plan, or need not be */
        KmodulePlan plan;
} Resolve;

static void resolve_done(Resolve *res)
{
        strv_free(res->visited);
        strv_free(res->appended);
        kmodule_plan_done(&res->plan);
}

static int append(Resolve *res, struct kmod_module *mod)
{
        const char *name = kmod_module_get_name(mod), *path = kmod_module_get_path(mod);
        _cleanup_(module_fact_done) ModuleFact fact = {};
        int r;

        if (strv_contains(res->appended, name))
                return 0;
        r = strv_push(&res->appended, name);
        if (r == 0)
                r = sysmod_read(res->root, name, &fact);
        if (r)
                return err_trace(r);

        /* No path: built in. A module on its way in or out is in the plan; the insertion waits for it. */
        if (!path || fact.state == MOD_LIVE || fact.state == MOD_BUILTIN)
                return 0;
        r = strv_push(&res->plan.paths, path);
        if (r == 0)
                r = strv_push(&res->plan.names, name);
        return r ? err_trace(r) : 0;
}

static int visit(Resolve *res, struct kmod_module *mod);

static int visit_list(Resolve *res, struct kmod_list *list)
{
        struct kmod_list *l;

        kmod_list_foreach(l, list)
        {
                _cleanup_(kmodctx_module_unrefp) struct kmod_module *mod = kmod_module_get_module(l);
                int r = visit(res, mod);

                if (r)
                        return err_trace(r);
        }
        return 0;
}

/* A module between its soft dependencies. Those are wishes: blacklisted ones are dropped. */
static int append_with_soft(Resolve *res, struct kmod_module *mod)
{
        _cleanup_(list_unrefp) struct kmod_list *pre = NULL, *post = NULL, *pre_ok = NULL, *post_ok = NULL;
        int r;

        r = kmod_module_get_softdeps(mod, &pre, &post);
        if (r >= 0)
                r = kmod_module_apply_filter(res->ctx, KMOD_FILTER_BLACKLIST, pre, &pre_ok);
        if (r >= 0)
                r = kmod_module_apply_filter(res->ctx, KMOD_FILTER_BLACKLIST, post, &post_ok);
        if (r < 0)
                return err_origin(r);

        r = visit_list(res, pre_ok);
        if (r == 0)
                r = append(res, mod);
        if (r == 0)
                r = visit_list(res, post_ok);
        return r ? err_trace(r) : 0;
}

static int visit(Resolve *res, struct kmod_module *mod)
{
        _cleanup_(list_unrefp) struct kmod_list *dependencies = NULL;
        const char *name = kmod_module_get_name(mod);
        struct kmod_list *l;
        int r;

        if (strv_contains(res->visited, name))
                return 0;
        r = strv_push(&res->visited, name);
        if (r)
                return err_trace(r);

        /* modules.dep has the whole depth of them already, libkmod gives them in insertion order. */
        dependencies = kmod_module_get_dependencies(mod);
        kmod_list_foreach(l, dependencies)
        {
                _cleanup_(kmodctx_module_unrefp) struct kmod_module *d = kmod_module_get_module(l);

                r = append_with_soft(res, d);
                if (r)
                        return err_trace(r);
        }

        r = append_with_soft(res, mod);
        return r ? err_trace(r) : 0;
}

static int resolve_name(Resolve *res, const char *name)
{
        _cleanup_(kmodctx_module_unrefp) struct kmod_module *mod = NULL;
        int r;

        r = lookup(res->ctx, name, &mod);
        if (r == KMODULE_E_ABSENT)
                r = strv_push(&res->plan.missing, name);
        else if (r == KMODULE_E_BLACKLISTED)
                r = strv_push(&res->plan.blacklisted, name);
        else if (r == 0 && !kmod_module_get_path(mod))
                r = strv_push(&res->plan.builtin, name);
        else if (r == 0)
                r = visit(res, mod);
        return r ? err_trace(r) : 0;
}

int kmodule_resolve(const Root *root, const char *release, char *const *names, KmodulePlan *ret)
{
        _cleanup_(kmodctx_unrefp) struct kmod_ctx *ctx = NULL;
        _cleanup_(resolve_done) Resolve res = { .root = root };
        size_t place = 0;
        int r;

        r = tree_open(root, release, &place, &ctx);
        if (r)
                return r < 0 ? err_trace(r) : KMODULE_E_ABSENT;

        res.ctx = ctx;
        STRV_FOREACH (name, names) {
                r = resolve_name(&res, *name);
                if (r)
                        return err_trace(r);
        }

        *ret = res.plan;
        res.plan = (KmodulePlan){};
        return 0;
}

/* In the first tree that has it: one that was mounted may have a part of the host's modules only. */
static int find_in_trees(const Root *root, const char *release, const char *name, struct kmod_ctx **ret_ctx,
                struct kmod_module **ret)
{
        bool found_tree = false;
        size_t place = 0;

        for (;;) {
                _cleanup_(kmodctx_unrefp) struct kmod_ctx *ctx = NULL;
                int r;

                r = tree_open(root, release, &place, &ctx);
                if (r == KMODULE_E_NO_TREE)
                        return found_tree ? KMODULE_E_ABSENT : KMODULE_E_NO_TREE;
                if (r < 0)
                        return err_trace(r);
                found_tree = true;
                r = lookup(ctx, name, ret);
                if (r != KMODULE_E_ABSENT) {
                        *ret_ctx = TAKE_PTR(ctx);
                        return r < 0 ? err_trace(r) : r;
                }
        }
}

int kmodule_probe(const Root *root, const char *release, const char *name, int *reterr_errno)
{
        _cleanup_(kmodctx_unrefp) struct kmod_ctx *ctx = NULL;
        _cleanup_(kmodctx_module_unrefp) struct kmod_module *mod = NULL;
        int r;

        r = find_in_trees(root, release, name, &ctx, &mod);
        if (r)
                return r < 0 ? err_trace(r) : r;

        /* lookup() has applied the blacklist as modprobe does by default. */
        r = kmod_module_probe_insert_module(mod, /* flags= */ 0, /* extra_options= */ NULL,
                        /* run_install= */ NULL, /* data= */ NULL, /* print_action= */ NULL);
        if (r < 0) {
                *reterr_errno = -r;
                return KMODULE_E_FAILED;
        }
        return 0;
}
