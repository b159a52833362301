/* SPDX-License-Identifier: Apache-2.0 */

/*
 * libkmod maps the file and reads a few sections of it, so the 65 MB of
 * nvidia.ko cost milliseconds. An absent section is -ENOENT or -ENODATA to it:
 * a module that exports nothing, or a kernel without MODVERSIONS.
 */

#include <libkmod.h>

#include "base/result.h"
#include "base/str.h"
#include "sys/elfsections.h"
#include "sys/kmodctx.h"
#include "sys/kmodsymbols.h"

static void needs_freep(struct kmod_list **l)
{
        if (*l)
                kmod_module_dependency_symbols_free_list(*l);
}

static void exports_freep(struct kmod_list **l)
{
        if (*l)
                kmod_module_symbols_free_list(*l);
}

static void versions_freep(struct kmod_list **l)
{
        if (*l)
                kmod_module_versions_free_list(*l);
}

/* Of libkmod's errors: what stands for "there are none", and what for a file that cannot be read. */
static int judge(int r)
{
        if (r >= 0 || r == -ENOENT || r == -ENODATA)
                return 0;
        return r == -ENOMEM ? err_origin(r) : KMODSYMBOLS_E_FORMAT;
}

static int read_needs(struct kmod_module *module, ModuleSymbols *s)
{
        _cleanup_(needs_freep) struct kmod_list *list = NULL;
        struct kmod_list *l;
        int r;

        r = judge(kmod_module_get_dependency_symbols(module, &list));
        if (r)
                return r;
        kmod_list_foreach(l, list)
        {
                if (s->n_needs == KMODSYMBOLS_MAX)
                        return KMODSYMBOLS_E_FORMAT;
                r = module_symbols_add_need(s, kmod_module_dependency_symbol_get_symbol(l),
                                (uint32_t)kmod_module_dependency_symbol_get_crc(l),
                                kmod_module_dependency_symbol_get_bind(l) == KMOD_SYMBOL_WEAK);
                if (r)
                        return err_trace(r);
        }
        return 0;
}

static int read_exports(struct kmod_module *module, ModuleSymbols *s)
{
        _cleanup_(exports_freep) struct kmod_list *list = NULL;
        struct kmod_list *l;
        int r;

        r = judge(kmod_module_get_symbols(module, &list));
        if (r)
                return r;
        kmod_list_foreach(l, list)
        {
                if (s->n_exports == KMODSYMBOLS_MAX)
                        return KMODSYMBOLS_E_FORMAT;
                r = module_symbols_add_export(s, kmod_module_symbol_get_symbol(l),
                                (uint32_t)kmod_module_symbol_get_crc(l));
                if (r)
                        return err_trace(r);
        }
        return 0;
}

static int read_versions(struct kmod_module *module, ModuleSymbols *s)
{
        _cleanup_(versions_freep) struct kmod_list *list = NULL;
        int r;

        r = judge(kmod_module_get_versions(module, &list));
        s->has_versions = list;
        return r;
}

int kmodsymbols_read(int fd, ModuleSymbols *ret)
{
        _cleanup_(module_symbols_done) ModuleSymbols s = {};
        _cleanup_(kmodctx_unrefp) struct kmod_ctx *ctx = NULL;
        _cleanup_(kmodctx_module_unrefp) struct kmod_module *module = NULL;
        int r;

        r = elfsections_check(fd);
        if (r == 0)
                r = kmodctx_open_file(fd, &ctx, &module);
        if (r == 0)
                r = read_versions(module, &s);
        if (r == 0)
                r = read_needs(module, &s);
        if (r == 0)
                r = read_exports(module, &s);
        if (r)
                return r < 0 ? err_trace(r) : KMODSYMBOLS_E_FORMAT;

        *ret = s;
        s = (ModuleSymbols){};
        return 0;
}
