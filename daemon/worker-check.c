/* SPDX-License-Identifier: Apache-2.0 */

/*
 * check: would the kernel of this tree take these modules? All .ko files of a
 * directory are held against the tree and against each other. Reads only.
 */

#include <fcntl.h>

#include "base/result.h"
#include "base/root.h"
#include "base/str.h"
#include "helper.h"
#include "policy/kconfig.h"
#include "policy/kerneltree.h"
#include "policy/modcheck.h"
#include "sys/elfsections.h"
#include "sys/kmodinfo.h"
#include "sys/kmodsymbols.h"
#include "sys/treefacts.h"

enum { MODULES_MAX = 64 };

/* A module and what its ModcheckModule borrows from. */
typedef struct Subject {
        char *file;
        KmodInfo info;
} Subject;

typedef struct Check {
        Root *root;
        Root *tree_root; /* of the tree, which may be in a toolchain root */
        TreeFacts tree;
        ModcheckKernel kernel;
        Symvers *symvers;
        Subject subjects[MODULES_MAX];
        ModcheckModule modules[MODULES_MAX];
        size_t n;
} Check;

static void check_done(Check *c)
{
        for (size_t i = 0; i < c->n; i++) {
                free(c->subjects[i].file);
                kmodinfo_done(&c->subjects[i].info);
                module_symbols_done(&c->modules[i].symbols);
        }
        symvers_free(c->symvers);
        tree_facts_done(&c->tree);
        root_free(c->tree_root);
        root_free(c->root);
}

static Code internal(const char *what, int r)
{
        helper_say(HELPER_KEY_DETAIL, "%s: %s", what, r < 0 ? strerror(-r) : "unexpected answer");
        return CODE_INTERNAL;
}

static Code read_symvers(Check *c, const char *tree)
{
        _cleanup_free_ char *path = str_format("%s/Module.symvers", tree), *text = NULL, *why = NULL;
        size_t size = 0;
        int r;

        if (!path)
                return internal(tree, -ENOMEM);
        r = root_read_file(c->tree_root, path, SYMVERS_SIZE_MAX, &text, &size);
        if (r == ROOT_E_ABSENT) {
                helper_say(HELPER_KEY_NOTE, "%s is not there, so the modules' symbols cannot be checked",
                                path);
                return CODE_OK;
        }
        if (r < 0)
                return internal(path, r);
        r = r ? SYMVERS_E_INVALID : symvers_parse(text, size, &c->symvers, &why);
        if (r < 0)
                return internal(path, r);
        if (r > 0) {
                helper_say(HELPER_KEY_DETAIL, "%s: %s", path, why ? why : "it is too large");
                return CODE_TREE_UNUSABLE;
        }
        c->kernel.symvers = c->symvers;
        return CODE_OK;
}

/* What the configuration says of modules; a kernel before 6.9 calls the mitigation CONFIG_RETPOLINE. */
static int read_config(Check *c)
{
        _cleanup_(kconfig_freep) Kconfig *config = NULL;
        int r;

        r = c->tree.config ? kconfig_parse(c->tree.config, c->tree.config_size, &config) : KCONFIG_E_EMPTY;
        if (r < 0)
                return err_trace(r);
        if (r > 0)
                return 0;
        c->kernel.retpoline = kconfig_enabled(config, "RETPOLINE") ||
                              kconfig_enabled(config, "MITIGATION_RETPOLINE");
        /* From 6.14 on the CRCs may be in the extended form alone. */
        c->kernel.modversions = kconfig_enabled(config, "MODVERSIONS") &&
                                (!kconfig_enabled(config, "EXTENDED_MODVERSIONS") ||
                                                kconfig_enabled(config, "BASIC_MODVERSIONS"));
        return 0;
}

static Code read_tree(Check *c, const char *tree)
{
        int r;

        r = treefacts_read(c->tree_root, tree, &c->tree);
        if (r > 0) {
                helper_say(HELPER_KEY_DETAIL, "%s: there is no such kernel tree", tree);
                return CODE_TREE_MISSING;
        }
        if (r == 0)
                r = tree_facts_derive(&c->tree);
        if (r == 0)
                r = read_config(c);
        if (r)
                return internal(tree, r);
        c->kernel.vermagic = c->tree.vermagic;
        return read_symvers(c, tree);
}

static int read_file(Check *c, const char *path, Subject *s, ModcheckModule *m)
{
        _cleanup_close_ int fd = -EBADF;
        int r;

        r = root_open(c->root, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, &fd);
        if (r)
                return r < 0 ? err_trace(r) : err_origin(-ENOENT);
        r = kmodinfo_read(c->root, path, &s->info);
        if (r == 0)
                r = kmodsymbols_read(fd, &m->symbols);
        if (r == 0)
                r = elfsections_has(fd, ".debug_info", &m->debug_info);
        return r < 0 ? err_trace(r) : r;
}

static Code add_module(Check *c, const char *directory, const char *file)
{
        _cleanup_free_ char *path = str_format("%s/%s", directory, file);
        Subject *s = &c->subjects[c->n];
        ModcheckModule *m = &c->modules[c->n];
        int r;

        if (c->n == MODULES_MAX)
                return internal(directory, -E2BIG);
        s->file = strdup(file);
        if (!path || !s->file)
                return internal(file, -ENOMEM);
        c->n++;
        r = read_file(c, path, s, m);
        if (r > 0) {
                helper_say(HELPER_KEY_DETAIL, "%s is no kernel module, or a damaged module file", file);
                return CODE_LINK_FAILED;
        }
        if (r < 0)
                return internal(path, r);

        m->file = s->file;
        m->vermagic = s->info.vermagic;
        m->retpoline = s->info.retpoline;
        m->license = s->info.license;
        return CODE_OK;
}

static bool is_module(const char *name)
{
        size_t n = strlen(name);

        return n > 3 && streq(name + n - 3, ".ko");
}

static Code read_modules(Check *c, const char *directory)
{
        _cleanup_strv_ char **names = NULL;
        Code code = CODE_OK;
        int r;

        r = root_list(c->root, directory, &names);
        if (r)
                return internal(directory, r < 0 ? r : -ENOENT);
        STRV_FOREACH (name, names)
                if (code == CODE_OK && is_module(*name))
                        code = add_module(c, directory, *name);
        if (code == CODE_OK && c->n == 0) {
                helper_say(HELPER_KEY_DETAIL, "%s has no modules", directory);
                return CODE_LINK_FAILED;
        }
        return code;
}

static Code judge(Check *c)
{
        ModcheckResult result = {};
        Code code;
        int r;

        r = modcheck_judge(&c->kernel, c->modules, c->n, &result);
        if (r)
                return internal("modules", r);

        for (size_t i = 0; i < c->n; i++)
                if (c->modules[i].debug_info)
                        helper_say(HELPER_KEY_DEBUG, "%s", c->modules[i].file);
        STRV_FOREACH (defect, result.defects)
                helper_say(HELPER_KEY_DEFECT, "%s", *defect);
        if (result.detail)
                helper_say(HELPER_KEY_DETAIL, "%s", result.detail);
        helper_say(HELPER_KEY_CHECKED, "%zu symbols of %zu modules", result.n_checked, c->n);
        code = result.code;
        modcheck_result_done(&result);
        return code;
}

Code worker_check(char **arguments)
{
        _cleanup_(check_done) Check c = {};
        Code code;
        int r;

        r = root_new("/", &c.root);
        if (r == 0)
                r = root_new(arguments[2] ? arguments[2] : "/", &c.tree_root);
        if (r)
                return internal("/", r);
        code = read_tree(&c, arguments[1]);
        if (code == CODE_OK)
                code = read_modules(&c, arguments[0]);
        return code ? code : judge(&c);
}
