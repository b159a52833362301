/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Modules by libkmod. It knows three things well that we do
 * not want to know: what is in a module file (compressed or not), how
 * modules.dep, aliases and /etc/modprobe.d hang together, and modprobe's order
 * of soft dependencies.
 *
 * libkmod takes the module directory and the configuration directories as
 * arguments, but has /sys/module, /proc/modules and /proc/cmdline
 * (modprobe.blacklist=) written into it. So whether a module is there is asked
 * of our own reader, which honours the root; only the command line's blacklist
 * remains the host's when a fixture is replayed.
 *
 * libkmod is silent here: its log function is replaced by one that does nothing.
 */

#include <fcntl.h>
#include <libkmod.h>

#include "base/result.h"
#include "base/str.h"
#include "sys/kmodule.h"
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

static void ctx_unrefp(struct kmod_ctx **c)
{
        if (*c)
                (void)kmod_unref(*c);
}

static void module_unrefp(struct kmod_module **m)
{
        if (*m)
                (void)kmod_module_unref(*m);
}

static void list_unrefp(struct kmod_list **l)
{
        if (*l)
                (void)kmod_module_unref_list(*l);
}

static void info_list_freep(struct kmod_list **l)
{
        if (*l)
                kmod_module_info_free_list(*l);
}

static void log_nothing(void *data, int priority, const char *file, int line, const char *function,
                const char *format, va_list args)
{
}

/* @directory NULL: for single files only, without a module tree and configuration. */
static int ctx_new(const char *directory, const char *const *config_paths, struct kmod_ctx **ret)
{
        static const char *const no_config[] = { NULL };
        struct kmod_ctx *ctx;

        errno = 0;
        ctx = kmod_new(directory ? directory : "/", config_paths ? config_paths : no_config);
        if (!ctx)
                return err_origin(errno > 0 ? -errno : -ENOMEM);
        kmod_set_log_fn(ctx, log_nothing, /* data= */ NULL);
        *ret = ctx;
        return 0;
}

/* lib/modules/RELEASE below the root. Returns 0, KMODULE_E_ABSENT if it has no modules.dep, or negative. */
static int tree_open(const Root *root, const char *release, struct kmod_ctx **ret)
{
        _cleanup_free_ char *relative = NULL, *index = NULL, *directory = NULL;
        _cleanup_strv_ char **config = NULL;
        int r;

        relative = str_format("lib/modules/%s", release);
        index = str_format("lib/modules/%s/modules.dep", release);
        directory = relative ? root_path(root, relative) : NULL;
        if (!index || !directory)
                return err_origin(-ENOMEM);
        if (!root_exists(root, index))
                return KMODULE_E_ABSENT;

        for (size_t i = 0; i < CONFIG_PATHS; i++) {
                r = strv_push_consume(&config, root_path(root, config_directories[i]));
                if (r)
                        return err_trace(r);
        }

        r = ctx_new(directory, (const char *const *)config, ret);
        return r ? err_trace(r) : 0;
}

void kmodule_info_done(KmoduleInfo *info)
{
        free(info->name);
        free(info->vermagic);
        free(info->version);
        free(info->srcversion);
        free(info->license);
        free(info->retpoline);
        free(info->signer);
        free(info->hash);
        strv_free(info->depends);
        strv_free(info->parameters);
        *info = (KmoduleInfo){};
}

/* "NVreg_EnableMSI:int" is there for every parameter, a description ("parm") only for some. */
static int take_parameter(KmoduleInfo *info, const char *value)
{
        _cleanup_free_ char *name = strndup(value, strcspn(value, ":"));

        if (!name)
                return err_origin(-ENOMEM);
        return strv_contains(info->parameters, name) ? 0 : err_trace(strv_push(&info->parameters, name));
}

/* One line of .modinfo, or of the signature, which libkmod lists in the same way. */
static int take_info(KmoduleInfo *info, const char *key, const char *value)
{
        const struct {
                const char *key;
                char **target;
        } keys[] = {
                { "name", &info->name },
                { "vermagic", &info->vermagic },
                { "version", &info->version },
                { "srcversion", &info->srcversion },
                { "license", &info->license },
                { "retpoline", &info->retpoline },
                { "signer", &info->signer },
                { "sig_hashalgo", &info->hash },
        };

        if (streq(key, "parmtype") || streq(key, "parm"))
                return err_trace(take_parameter(info, value));
        if (streq(key, "depends") && !info->depends)
                return strv_split(value, ",", &info->depends);
        for (size_t i = 0; i < ELEMENTSOF(keys); i++)
                /* Of several licences the first counts, as for the kernel (get_modinfo()). */
                if (streq(key, keys[i].key) && !*keys[i].target)
                        return str_replace(keys[i].target, value);
        return 0;
}

static int take_info_list(struct kmod_list *list, KmoduleInfo *ret)
{
        _cleanup_(kmodule_info_done) KmoduleInfo info = {};
        struct kmod_list *l;
        int r;

        kmod_list_foreach(l, list)
        {
                r = take_info(&info, kmod_module_info_get_key(l), kmod_module_info_get_value(l));
                if (r)
                        return err_trace(r);
        }

        if (info.name)
                str_underscore(info.name);
        *ret = info;
        info = (KmoduleInfo){};
        return 0;
}

/*
 * libkmod wants a path. The file is opened by our own rules first and handed
 * over through /proc/self/fd, so that a link in a fixture stays in the fixture.
 */
static int info_from_fd(int fd, KmoduleInfo *ret)
{
        _cleanup_(ctx_unrefp) struct kmod_ctx *ctx = NULL;
        _cleanup_(module_unrefp) struct kmod_module *mod = NULL;
        _cleanup_(info_list_freep) struct kmod_list *list = NULL;
        char path[64];
        int r;

        (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        r = ctx_new(NULL, NULL, &ctx);
        if (r)
                return err_trace(r);

        r = kmod_module_new_from_path(ctx, path, &mod);
        if (r >= 0)
                r = kmod_module_get_info(mod, &list);
        if (r == -ENOMEM)
                return err_origin(r);
        /* Too short, no ELF, another machine's, no .modinfo, a compression this libkmod cannot read. */
        if (r < 0)
                return KMODULE_E_FORMAT;

        r = take_info_list(list, ret);
        return r ? err_trace(r) : 0;
}

/* Before 4.x a module did not say its own name: that of the file, up to the first dot. */
static int name_from_path(const char *path, char **ret)
{
        const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
        char *name;

        name = strndup(base, strcspn(base, "."));
        if (!name)
                return err_origin(-ENOMEM);
        *ret = str_underscore(name);
        return 0;
}

int kmodule_info(const Root *root, const char *path, KmoduleInfo *ret)
{
        _cleanup_(kmodule_info_done) KmoduleInfo info = {};
        _cleanup_close_ int fd = -EBADF;
        struct stat st;
        int r;

        r = root_open(root, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, &fd);
        if (r)
                return r < 0 ? err_trace(r) : KMODULE_E_ABSENT;
        if (fstat(fd, &st) < 0)
                return err_origin(-errno);
        if (!S_ISREG(st.st_mode))
                return KMODULE_E_FORMAT;

        r = info_from_fd(fd, &info);
        if (r)
                return r < 0 ? err_trace(r) : KMODULE_E_FORMAT;
        r = info.name ? 0 : name_from_path(path, &info.name);
        if (r)
                return err_trace(r);

        *ret = info;
        info = (KmoduleInfo){};
        return 0;
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
        _cleanup_(module_unrefp) struct kmod_module *mod = NULL;
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
                _cleanup_(module_unrefp) struct kmod_module *mod = kmod_module_get_module(l);
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
                _cleanup_(module_unrefp) struct kmod_module *d = kmod_module_get_module(l);

                r = append_with_soft(res, d);
                if (r)
                        return err_trace(r);
        }

        r = append_with_soft(res, mod);
        return r ? err_trace(r) : 0;
}

static int resolve_name(Resolve *res, const char *name)
{
        _cleanup_(module_unrefp) struct kmod_module *mod = NULL;
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
        _cleanup_(ctx_unrefp) struct kmod_ctx *ctx = NULL;
        _cleanup_(resolve_done) Resolve res = { .root = root };
        int r;

        r = tree_open(root, release, &ctx);
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

int kmodule_probe(const Root *root, const char *release, const char *name, int *reterr_errno)
{
        _cleanup_(ctx_unrefp) struct kmod_ctx *ctx = NULL;
        _cleanup_(module_unrefp) struct kmod_module *mod = NULL;
        int r;

        r = tree_open(root, release, &ctx);
        if (r == 0)
                r = lookup(ctx, name, &mod);
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
