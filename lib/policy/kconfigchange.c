/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The rule: an option that changed can change the layout of a structure,
 * unless it is known to be harmless. Measured on Debian's kernels: without
 * pahole 6.1 loses DEBUG_INFO_BTF_MODULES, 6.12 DEBUG_INFO_BTF as well, 7.3
 * also SCHED_CLASS_EXT, which makes task_struct 256 bytes smaller; built by
 * clang, 6.12 loses CALL_PADDING, MITIGATION_RETHUNK and USE_X86_SEG_SUPPORT.
 *
 * Harmless are descriptions of the tools (what depends on them has a name of
 * its own and is judged by that), options for Rust code, which no C structure
 * depends on, the format of debugging information, and helper programs that
 * are built only where programs can be linked.
 */

#include "base/result.h"
#include "base/str.h"
#include "policy/compiler.h"
#include "policy/kconfigchange.h"

enum { VALUE_SHOWN = 60 };

static bool has_prefix(const char *name, const char *const *prefixes, size_t n)
{
        for (size_t i = 0; i < n; i++)
                if (startswith(name, prefixes[i]))
                        return true;
        return false;
}

static bool is_one_of(const char *name, const char *const *names, size_t n)
{
        for (size_t i = 0; i < n; i++)
                if (streq(name, names[i]))
                        return true;
        return false;
}

static bool describes_toolchain(const char *name)
{
        static const char *const prefixes[] = { "CC_", "GCC_", "CLANG_", "AS_", "LD_", "LLD_", "PAHOLE_",
                "RUSTC_", "RUST_IS_", "BINDGEN_", "TOOLCHAIN_", "TOOLS_SUPPORT_" };

        /* A plugin changes code and structures; that plugins could be built does not. */
        if (startswith(name, "GCC_PLUGIN_"))
                return false;
        /* GCC12_NO_ARRAY_BOUNDS */
        return has_prefix(name, prefixes, ELEMENTSOF(prefixes)) || streq(name, "GCC_PLUGINS") ||
               (startswith(name, "GCC") && name[3] >= '0' && name[3] <= '9');
}

/* RUST itself, what has it in its name, and drivers written in Rust that have not. */
static bool is_for_rust(const char *name)
{
        static const char *const drivers[] = { "AMCC_QT2025_PHY", "DRM_NOVA", "NOVA_CORE", "DRM_TYR" };

        for (const char *p = name; (p = strstr(p, "RUST")); p += 4)
                if ((p == name || p[-1] == '_') && (p[4] == '\0' || p[4] == '_' || startswith(p, "RUSTC")))
                        return true;
        return startswith(name, "DRM_PANIC_SCREEN_QR_CODE") || is_one_of(name, drivers, ELEMENTSOF(drivers));
}

static bool is_harmless(const char *name)
{
        static const char *const prefixes[] = { "DEBUG_INFO_DWARF", "DEBUG_INFO_COMPRESSED" };
        static const char *const programs[] = { "BPFILTER_UMH", "BPF_PRELOAD_UMD", "UAPI_HEADER_TEST" };

        return is_for_rust(name) || has_prefix(name, prefixes, ELEMENTSOF(prefixes)) ||
               is_one_of(name, programs, ELEMENTSOF(programs));
}

static KconfigChangeKind judge(const char *name, bool is_new)
{
        if (describes_toolchain(name))
                return KCONFIG_CHANGE_TOOLCHAIN;
        if (is_harmless(name))
                return KCONFIG_CHANGE_HARMLESS;
        return is_new ? KCONFIG_CHANGE_NEW : KCONFIG_CHANGE_ABI;
}

static void add(KconfigChanges *changes, const char *name, const char *before, const char *after,
                bool is_new)
{
        KconfigChangeKind kind;

        /* "is not set" and a line that is missing are one value. */
        if (streq_ptr(before, after))
                return;
        kind = judge(name, is_new);
        changes->items[changes->n++] = (KconfigChange){ name, before, after, kind };
        changes->count[kind]++;
}

int kconfig_compare(const Kconfig *before, const Kconfig *after, KconfigChanges *ret)
{
        KconfigChanges changes = {};
        size_t i = 0, k = 0;

        changes.items = calloc(before->n + after->n + 1, sizeof(*changes.items));
        if (!changes.items)
                return err_origin(-ENOMEM);

        while (i < before->n || k < after->n) {
                const KconfigEntry *a = i < before->n ? &before->items[i] : NULL;
                const KconfigEntry *b = k < after->n ? &after->items[k] : NULL;
                int order = !a ? 1 : !b ? -1 : strcmp(a->name, b->name);

                if (order > 0)
                        add(&changes, b->name, NULL, b->value, true);
                else
                        add(&changes, a->name, a->value, order == 0 ? b->value : NULL, false);
                i += order <= 0;
                k += order >= 0;
        }
        *ret = changes;
        return 0;
}

void kconfig_changes_done(KconfigChanges *changes)
{
        free(changes->items);
        *changes = (KconfigChanges){};
}

char *kconfig_change_to_string(const KconfigChange *change)
{
        char *text = str_format("%s: %.*s, now %.*s", change->name, VALUE_SHOWN,
                        change->before ? change->before : "n", VALUE_SHOWN,
                        change->after ? change->after : "n");

        for (char *p = text; p && *p; p++)
                if (*p < ' ' || *p > '~')
                        *p = '?';
        return text;
}

char *kconfig_changes_names(const KconfigChanges *changes, KconfigChangeKind kind, size_t max)
{
        _cleanup_strv_ char **names = NULL;
        _cleanup_free_ char *text = NULL;
        size_t n = changes->count[kind], shown = 0;

        for (size_t i = 0; i < changes->n && shown < max; i++) {
                if (changes->items[i].kind != kind)
                        continue;
                if (strv_push(&names, changes->items[i].name) < 0)
                        return NULL;
                shown++;
        }
        text = strv_join(names, ", ");
        if (!text || n <= shown)
                return TAKE_PTR(text);
        return str_format("%s and %zu more", text, n - shown);
}

static bool lost_one(const KconfigChanges *changes, const char *part)
{
        for (size_t i = 0; i < changes->n; i++)
                if (changes->items[i].kind == KCONFIG_CHANGE_ABI && strstr(changes->items[i].name, part))
                        return true;
        return false;
}

/* Whether a change of this name is among those that describe the tools. */
static bool tool_differs(const KconfigChanges *changes, const char *prefix)
{
        for (size_t i = 0; i < changes->n; i++)
                if (startswith(changes->items[i].name, prefix))
                        return true;
        return false;
}

static int explain_pahole(const KconfigChanges *changes, const Kconfig *after, char ***causes)
{
        const char *version = kconfig_get(after, "PAHOLE_VERSION");

        if (!lost_one(changes, "BTF") || !tool_differs(changes, "PAHOLE_"))
                return 0;
        return strv_push(causes, streq_ptr(version, "0") ? "pahole is not installed (package dwarves)"
                                                         : "pahole is missing or too old (package dwarves)");
}

static int explain_compiler(const Kconfig *before, const Kconfig *after, char ***causes)
{
        const char *theirs = kconfig_get(before, "CC_VERSION_TEXT"),
                   *ours = kconfig_get(after, "CC_VERSION_TEXT");
        CompilerVersion a, b;

        if (!theirs || !ours || compiler_version_parse(theirs, &a) != 0 ||
                        compiler_version_parse(ours, &b) != 0)
                return 0;
        if (a.kind == b.kind && a.major == b.major)
                return 0;
        return strv_pushf(causes, "the compiler is \"%s\", the kernel's is \"%s\" (see Compiler=)", ours,
                        theirs);
}

int kconfig_changes_cause(
                const KconfigChanges *changes, const Kconfig *before, const Kconfig *after, char **ret)
{
        _cleanup_strv_ char **causes = NULL;
        int r;

        r = explain_pahole(changes, after, &causes);
        if (r == 0)
                r = explain_compiler(before, after, &causes);
        if (r == 0 && lost_one(changes, "GCC_PLUGIN_"))
                r = strv_push(&causes,
                                "the compiler's plugin headers are missing (package gcc-N-plugin-dev)");
        if (r == 0 && (tool_differs(changes, "LD_VERSION") || tool_differs(changes, "AS_VERSION")))
                r = strv_push(&causes,
                                "linker and assembler (binutils) are of another version than the kernel's");
        if (r)
                return err_trace(r);

        *ret = NULL;
        if (!causes)
                return 0;
        *ret = strv_join(causes, "; ");
        return *ret ? 0 : err_origin(-ENOMEM);
}
