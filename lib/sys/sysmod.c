/* SPDX-License-Identifier: Apache-2.0 */

/*
 * /sys/module, read so that a module may come or go at any point in between.
 *
 * What tells the states apart (kernel/module/sysfs.c, kernel/params.c, 6.1):
 * the directory appears first, empty; then holders/, then the attributes with
 * initstate among them; on the way out the attributes go before holders/, and
 * that before the directory. A built-in module has a directory only if it has
 * parameters or a version, and never an initstate or holders/. So a directory
 * that is empty, or has holders/ but no initstate, is a module on its way; to
 * call it built in would make "loaded" of "about to vanish".
 *
 * A read of an attribute that has just been removed gives ENODEV, which
 * base/root.h counts as absence.
 */

#include "base/result.h"
#include "base/str.h"
#include "sys/sysmod.h"

enum {
        ATTRIBUTE_MAX = 4096, /* sysfs never gives more than a page */
        READ_ATTEMPTS = 4,
};

/* Modules of the kernel itself that are named like the driver's. */
static const char *const in_tree[] = {
        "nvidiafb",                /* drivers/video/fbdev/nvidia */
        "nvidia_cspmu",            /* drivers/perf */
        "nvidia_wmi_ec_backlight", /* drivers/platform/x86 */
};

/* An attribute's text; NULL if there is none. */
static int read_attribute(const Root *root, const char *name, const char *attribute, char **ret)
{
        _cleanup_free_ char *path = NULL;
        int r;

        path = str_format("sys/module/%s/%s", name, attribute);
        if (!path)
                return err_origin(-ENOMEM);

        r = root_read_line(root, path, ATTRIBUTE_MAX, ret);
        if (r < 0)
                return err_trace(r);
        if (r > 0)
                *ret = NULL;
        return 0;
}

/* A directory's entries; *@ret_exists is false if there is no directory. */
static int list_directory(
                const Root *root, const char *name, const char *directory, char ***ret, bool *ret_exists)
{
        _cleanup_free_ char *path = NULL;
        char **entries = NULL;
        int r;

        path = str_format("sys/module/%s/%s", name, directory);
        if (!path)
                return err_origin(-ENOMEM);

        r = root_list(root, path, &entries);
        if (r < 0)
                return err_trace(r);
        *ret = entries;
        *ret_exists = r == 0;
        return 0;
}

static int read_state_without_initstate(const Root *root, const char *name, ModState *ret)
{
        _cleanup_strv_ char **entries = NULL;
        bool exists;
        int r;

        r = list_directory(root, name, "", &entries, &exists);
        if (r)
                return err_trace(r);

        if (!exists)
                *ret = MOD_ABSENT;
        else if (!entries || strv_contains(entries, "holders"))
                *ret = MOD_COMING; /* or going: the two cannot be told apart here */
        else
                *ret = MOD_BUILTIN;
        return 0;
}

static int read_state(const Root *root, const char *name, ModState *ret)
{
        _cleanup_free_ char *text = NULL;
        ModState state;
        int r;

        r = read_attribute(root, name, "initstate", &text);
        if (r)
                return err_trace(r);
        if (!text)
                return read_state_without_initstate(root, name, ret);

        state = mod_state_from_string(text);
        *ret = state < 0 ? MOD_COMING : state;
        return 0;
}

static int read_refcnt(const Root *root, const char *name, int *ret)
{
        _cleanup_free_ char *text = NULL;
        uint64_t value;
        int r;

        r = read_attribute(root, name, "refcnt", &text);
        if (r)
                return err_trace(r);
        *ret = text && str_to_u64(text, 10, 0, INT32_MAX, &value) == 0 ? (int)value : -1;
        return 0;
}

static int read_once(const Root *root, const char *name, ModuleFact *m)
{
        bool exists;
        int r;

        r = read_state(root, name, &m->state);
        if (r)
                return err_trace(r);
        if (m->state == MOD_ABSENT)
                return 0;

        r = read_refcnt(root, name, &m->refcnt);
        if (r == 0)
                r = list_directory(root, name, "holders", &m->holders, &exists);
        if (r == 0)
                r = read_attribute(root, name, "version", &m->version);
        if (r == 0)
                r = read_attribute(root, name, "srcversion", &m->srcversion);
        if (r == 0)
                r = read_attribute(root, name, "taint", &m->taint);
        return r ? err_trace(r) : 0;
}

/* A fresh fact with nothing but the name, as the kernel writes it. */
static int reset(ModuleFact *m, const char *name)
{
        int r;

        module_fact_done(m);
        m->refcnt = -1;
        r = str_replace(&m->name, name);
        if (r)
                return err_trace(r);
        str_underscore(m->name);
        return 0;
}

int sysmod_read(const Root *root, const char *name, ModuleFact *ret)
{
        _cleanup_(module_fact_done) ModuleFact m = {};
        ModState again = _MOD_STATE_INVALID;
        int r;

        /* If the state changed while we read, what we read may be of two lives: once more. */
        for (unsigned i = 0; i < READ_ATTEMPTS && m.state != again; i++) {
                r = reset(&m, name);
                if (r == 0)
                        r = read_once(root, m.name, &m);
                if (r == 0)
                        r = read_state(root, m.name, &again);
                if (r)
                        return err_trace(r);
        }

        if (!m.taint && (r = str_replace(&m.taint, "")))
                return err_trace(r);
        *ret = m;
        m = (ModuleFact){};
        return 0;
}

static int read_into(const Root *root, const char *name, ModuleFacts *facts)
{
        _cleanup_(module_fact_done) ModuleFact m = {};
        int r;

        r = sysmod_read(root, name, &m);
        if (r == 0)
                r = module_facts_add(facts, &m);
        return r ? err_trace(r) : 0;
}

int sysmod_read_set(const Root *root, char *const *names, ModuleFacts *ret)
{
        _cleanup_(module_facts_done) ModuleFacts facts = {};

        STRV_FOREACH (name, names) {
                int r = read_into(root, *name, &facts);

                if (r)
                        return err_trace(r);
        }

        *ret = facts;
        facts = (ModuleFacts){};
        return 0;
}

/* A directory without initstate says "built in" only of names that no module of the kernel has. */
static const char *const may_be_builtin[] = { "nvidia", "nvidia_uvm", "nvidia_modeset", "nvidia_drm" };

static bool is_really_there(const ModuleFact *m)
{
        if (m->state != MOD_BUILTIN)
                return m->state != MOD_ABSENT;
        for (size_t i = 0; i < ELEMENTSOF(may_be_builtin); i++)
                if (streq(m->name, may_be_builtin[i]))
                        return true;
        return false;
}

static bool is_family(const char *name)
{
        for (size_t i = 0; i < ELEMENTSOF(in_tree); i++)
                if (streq(name, in_tree[i]))
                        return false;
        return startswith(name, "nvidia");
}

/* Adds the holders of all names; a vector that grows while it is walked ends by itself. */
static int close_over_holders(const Root *root, char ***names)
{
        for (size_t i = 0; i < strv_length(*names); i++) {
                _cleanup_strv_ char **holders = NULL;
                bool exists;
                int r;

                r = list_directory(root, (*names)[i], "holders", &holders, &exists);
                if (r)
                        return err_trace(r);
                STRV_FOREACH (h, holders) {
                        r = strv_contains(*names, *h) ? 0 : strv_push(names, *h);
                        if (r)
                                return err_trace(r);
                }
        }
        return 0;
}

static int list_names(const Root *root, char ***ret)
{
        _cleanup_strv_ char **all = NULL, **names = NULL;
        int r;

        r = root_list(root, "sys/module", &all);
        if (r < 0)
                return err_trace(r);
        STRV_FOREACH (name, all) {
                if (!is_family(*name))
                        continue;
                r = strv_push(&names, *name);
                if (r)
                        return err_trace(r);
        }

        r = close_over_holders(root, &names);
        if (r)
                return err_trace(r);
        strv_sort(names);
        *ret = TAKE_PTR(names);
        return 0;
}

int sysmod_list_family(const Root *root, ModuleFacts *ret)
{
        _cleanup_(module_facts_done) ModuleFacts facts = {};
        _cleanup_strv_ char **names = NULL;
        int r;

        r = list_names(root, &names);
        if (r)
                return err_trace(r);

        STRV_FOREACH (name, names) {
                _cleanup_(module_fact_done) ModuleFact m = {};

                r = sysmod_read(root, *name, &m);
                if (r == 0 && is_really_there(&m))
                        r = module_facts_add(&facts, &m);
                if (r)
                        return err_trace(r);
        }

        *ret = facts;
        facts = (ModuleFacts){};
        return 0;
}

int sysmod_read_parameters(const Root *root, const char *name, char ***ret)
{
        _cleanup_strv_ char **names = NULL, **parameters = NULL;
        _cleanup_(module_fact_done) ModuleFact m = {};
        bool exists;
        int r;

        r = reset(&m, name);
        if (r == 0)
                r = list_directory(root, m.name, "parameters", &names, &exists);
        if (r)
                return err_trace(r);

        STRV_FOREACH (p, names) {
                _cleanup_free_ char *attribute = NULL, *value = NULL;

                attribute = str_format("parameters/%s", *p);
                if (!attribute)
                        return err_origin(-ENOMEM);
                r = read_attribute(root, m.name, attribute, &value);
                if (r == 0 && value)
                        r = strv_pushf(&parameters, "%s=%s", *p, value);
                if (r)
                        return err_trace(r);
        }

        *ret = TAKE_PTR(parameters);
        return 0;
}
