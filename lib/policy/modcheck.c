/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The rules are those of kernel/module/ in Linux 6.1 to 6.12:
 *
 *   - vermagic must be the kernel's own (same_magic()); a module linked without
 *     .module-common.o has none (trap T1);
 *   - a symbol that is not weak must be exported by the kernel, by one of its
 *     modules, or by a module of the same build;
 *   - where both sides have a CRC they must agree (check_version()). A kernel
 *     with MODVERSIONS wants a module to have CRCs at all;
 *   - GPL-only symbols are hidden from a module under another licence, so to
 *     that module they do not exist;
 *   - the retpoline tag is only missed with a warning, and the machine is then
 *     reported as vulnerable. It is a defect here, because it means the same
 *     as a missing vermagic: the module was linked in the wrong way.
 */

#include "base/result.h"
#include "base/str.h"
#include "policy/modcheck.h"
#include "policy/vermagic.h"

enum {
        DEFECTS_SHOWN = 4,
        DEFECTS_MAX = 1000, /* lines that are kept; a module for quite another kernel has hundreds */
};

void module_symbols_done(ModuleSymbols *s)
{
        for (size_t i = 0; i < s->n_needs; i++)
                free(s->needs[i].name);
        for (size_t i = 0; i < s->n_exports; i++)
                free((char *)s->exports[i].name);
        free(s->needs);
        free(s->exports);
        *s = (ModuleSymbols){};
}

/* Grows by powers of two: the array is full when its length is one. */
static void *grow(void *items, size_t n, size_t size)
{
        return (n & (n - 1)) == 0 ? reallocarray(items, n ? 2 * n : 1, size) : items;
}

int module_symbols_add_need(ModuleSymbols *s, const char *name, uint32_t crc, bool weak)
{
        ModuleNeed *grown = grow(s->needs, s->n_needs, sizeof(*grown));

        if (!grown)
                return err_origin(-ENOMEM);
        s->needs = grown;
        grown[s->n_needs] = (ModuleNeed){ .name = strdup(name), .crc = crc, .weak = weak };
        if (!grown[s->n_needs].name)
                return err_origin(-ENOMEM);
        s->n_needs++;
        return 0;
}

int module_symbols_add_export(ModuleSymbols *s, const char *name, uint32_t crc)
{
        SymversEntry *grown = grow(s->exports, s->n_exports, sizeof(*grown));

        if (!grown)
                return err_origin(-ENOMEM);
        s->exports = grown;
        grown[s->n_exports] = (SymversEntry){ .name = strdup(name), .crc = crc };
        if (!grown[s->n_exports].name)
                return err_origin(-ENOMEM);
        s->n_exports++;
        return 0;
}

void modcheck_result_done(ModcheckResult *r)
{
        free(r->detail);
        strv_free(r->defects);
        *r = (ModcheckResult){};
}

typedef struct Check {
        const ModcheckKernel *kernel;
        Symvers *siblings;
        ModcheckResult result;
        size_t n_defects;
} Check;

/* The first code wins: the checks go from what explains most to what explains least. */
static int defect(Check *c, Code code, char *text)
{
        if (!text)
                return err_origin(-ENOMEM);
        if (c->result.code == CODE_OK)
                c->result.code = code;
        if (c->n_defects++ < DEFECTS_MAX)
                return err_trace(strv_push_consume(&c->result.defects, text));
        free(text);
        return 0;
}

static int check_vermagic(Check *c, const ModcheckModule *m)
{
        _cleanup_free_ char *why = NULL;

        if (!c->kernel->vermagic || vermagic_compare(c->kernel->vermagic, m->vermagic) == VERMAGIC_SAME)
                return 0;
        why = vermagic_explain(c->kernel->vermagic, m->vermagic);
        if (!why)
                return err_origin(-ENOMEM);
        return err_trace(defect(c, CODE_BUILD_MISMATCH,
                        str_format("%s: %s (its vermagic is '%s', the kernel's '%s')", m->file, why,
                                        strempty(m->vermagic), c->kernel->vermagic)));
}

static int check_retpoline(Check *c, const ModcheckModule *m)
{
        if (!c->kernel->retpoline || streq_ptr(m->retpoline, "Y"))
                return 0;
        return err_trace(defect(c, CODE_BUILD_MISMATCH,
                        str_format("%s: it does not carry the retpoline tag that this kernel's modules have",
                                        m->file)));
}

/* As license_is_gpl_compatible() in include/linux/license.h. */
static bool is_gpl_compatible(const char *license)
{
        static const char *const compatible[] = { "GPL", "GPL v2", "GPL and additional rights",
                "Dual BSD/GPL", "Dual MIT/GPL", "Dual MPL/GPL" };

        for (size_t i = 0; license && i < ELEMENTSOF(compatible); i++)
                if (streq(license, compatible[i]))
                        return true;
        return false;
}

/* What linkers leave undefined on purpose, and the kernel's loader passes over. */
static bool is_ignored(const char *symbol)
{
        return streq(symbol, "_GLOBAL_OFFSET_TABLE_") || streq(symbol, "__this_module");
}

static int check_need(Check *c, const ModcheckModule *m, const ModuleNeed *need)
{
        const SymversEntry *sibling = symvers_find(c->siblings, need->name), *entry = sibling;

        if (!entry)
                entry = symvers_find(c->kernel->symvers, need->name);
        if (is_ignored(need->name))
                return 0;
        c->result.n_checked++;

        if (!entry)
                return need->weak ? 0
                                  : err_trace(defect(c, CODE_SYMBOL_MISMATCH,
                                                    str_format("%s: neither the kernel nor another module "
                                                               "of the build exports %s",
                                                                    m->file, need->name)));
        if (!sibling && entry->gpl_only && !need->weak && !is_gpl_compatible(m->license))
                return err_trace(defect(c, CODE_SYMBOL_MISMATCH,
                                str_format("%s: %s is for modules under the GPL only, the licence of this "
                                           "one is '%s'",
                                                m->file, need->name, strna(m->license))));
        if (!c->kernel->modversions || need->crc == 0 || entry->crc == 0 || need->crc == entry->crc)
                return 0;
        return err_trace(defect(c, CODE_SYMBOL_MISMATCH,
                        str_format("%s: %s has CRC 0x%08x, that of %s has 0x%08x", m->file, need->name,
                                        need->crc, entry->owner, entry->crc)));
}

static int check_symbols(Check *c, const ModcheckModule *m)
{
        int r;

        if (!c->kernel->symvers)
                return 0;
        if (c->kernel->modversions && !m->symbols.has_versions && m->symbols.n_needs > 0) {
                r = defect(c, CODE_SYMBOL_MISMATCH,
                                str_format("%s: its symbols carry no CRCs, which this kernel wants",
                                                m->file));
                if (r)
                        return err_trace(r);
        }
        for (size_t i = 0; i < m->symbols.n_needs; i++) {
                r = check_need(c, m, &m->symbols.needs[i]);
                if (r)
                        return err_trace(r);
        }
        return 0;
}

static int collect_exports(Check *c, const ModcheckModule *m)
{
        for (size_t i = 0; i < m->symbols.n_exports; i++) {
                SymversEntry e = m->symbols.exports[i];
                int r;

                e.owner = m->file;
                r = symvers_add(c->siblings, &e);
                if (r)
                        return err_trace(r);
        }
        return 0;
}

/* "A; B; and 7 more" */
static int sum_up(Check *c)
{
        _cleanup_strv_ char **shown = NULL;
        int r = 0;

        if (c->n_defects == 0)
                return 0;
        for (size_t i = 0; r == 0 && i < DEFECTS_SHOWN && c->result.defects[i]; i++)
                r = strv_push(&shown, c->result.defects[i]);
        if (r == 0 && c->n_defects > DEFECTS_SHOWN)
                r = strv_pushf(&shown, "and %zu more", c->n_defects - DEFECTS_SHOWN);
        if (r)
                return err_trace(r);
        c->result.detail = strv_join(shown, "; ");
        return c->result.detail ? 0 : err_origin(-ENOMEM);
}

static int judge(Check *c, const ModcheckModule *modules, size_t n)
{
        static int (*const checks[])(Check *, const ModcheckModule *) = { collect_exports, check_vermagic,
                check_retpoline, check_symbols };
        int r;

        r = symvers_new(&c->siblings);
        for (size_t k = 0; r == 0 && k < ELEMENTSOF(checks); k++)
                for (size_t i = 0; r == 0 && i < n; i++)
                        r = checks[k](c, &modules[i]);
        return r ? err_trace(r) : err_trace(sum_up(c));
}

int modcheck_judge(
                const ModcheckKernel *kernel, const ModcheckModule *modules, size_t n, ModcheckResult *ret)
{
        Check c = { .kernel = kernel };
        int r;

        r = judge(&c, modules, n);
        symvers_free(c.siblings);
        if (r) {
                modcheck_result_done(&c.result);
                return err_trace(r);
        }
        *ret = c.result;
        return 0;
}
