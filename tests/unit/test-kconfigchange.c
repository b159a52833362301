/* SPDX-License-Identifier: Apache-2.0 */

#include "unit.h"

#include "base/str.h"
#include "policy/kconfigchange.h"

static Kconfig *parse(const char *text)
{
        Kconfig *c = NULL;

        ck_assert_int_eq(kconfig_parse(text, strlen(text), &c), 0);
        return c;
}

/* What olddefconfig makes of Debian's configurations on a machine with other tools, measured. */
static const struct {
        const char *before, *after;
        size_t abi;
        const char *names, *cause; /* NULL: none */
} measured[] = {
        { /* 6.1.192, gcc instead of gcc-12, everything else is there */
                        "CONFIG_CC_VERSION_TEXT=\"gcc-12 (Debian 12.2.0-14+deb12u1) 12.2.0\"\nCONFIG_SMP=y\n",
                        "CONFIG_CC_VERSION_TEXT=\"gcc (Debian 12.2.0-14+deb12u1) 12.2.0\"\nCONFIG_SMP=y\n",
                        0, "", NULL },
        { /* 6.1.192 without pahole */
                        "CONFIG_DEBUG_INFO_BTF=y\nCONFIG_DEBUG_INFO_BTF_MODULES=y\nCONFIG_MODULE_ALLOW_BTF_MISMATCH=y\n"
                        "CONFIG_PAHOLE_HAS_LANG_EXCLUDE=y\nCONFIG_PAHOLE_HAS_SPLIT_BTF=y\nCONFIG_PAHOLE_VERSION=124\n",
                        "CONFIG_DEBUG_INFO_BTF=y\nCONFIG_PAHOLE_VERSION=0\n", 2,
                        "DEBUG_INFO_BTF_MODULES, MODULE_ALLOW_BTF_MISMATCH",
                        "pahole is not installed (package dwarves)" },
        { /* 6.12.117 without pahole; SCHED_CLASS_EXT was not set and is not there any more: the same */
                        "# CONFIG_SCHED_CLASS_EXT is not set\nCONFIG_DEBUG_INFO_BTF=y\nCONFIG_DEBUG_INFO_BTF_MODULES=y\n"
                        "CONFIG_MODULE_ALLOW_BTF_MISMATCH=y\nCONFIG_PAHOLE_HAS_LANG_EXCLUDE=y\nCONFIG_PAHOLE_VERSION=124\n"
                        "CONFIG_PROBE_EVENTS_BTF_ARGS=y\n",
                        "CONFIG_PAHOLE_VERSION=0\n", 4,
                        "DEBUG_INFO_BTF, DEBUG_INFO_BTF_MODULES, MODULE_ALLOW_BTF_MISMATCH and 1 more",
                        "pahole is not installed (package dwarves)" },
        { /* 5.15 and older: no PAHOLE_VERSION */
                        "CONFIG_DEBUG_INFO_BTF_MODULES=y\nCONFIG_PAHOLE_HAS_SPLIT_BTF=y\n", "CONFIG_SMP=y\n",
                        1, "DEBUG_INFO_BTF_MODULES", "pahole is missing or too old (package dwarves)" },
        { /* 6.12.117 by clang, cut short */
                        "CONFIG_AS_IS_GNU=y\nCONFIG_AS_VERSION=24000\nCONFIG_CALL_PADDING=y\nCONFIG_CC_IS_GCC=y\n"
                        "CONFIG_CC_HAS_SLS=y\nCONFIG_CC_VERSION_TEXT=\"gcc (Debian 12.2.0-14+deb12u1) 12.2.0\"\n"
                        "CONFIG_GCC_VERSION=120200\nCONFIG_GCC_ASM_GOTO_OUTPUT_BROKEN=y\nCONFIG_MITIGATION_RETHUNK=y\n"
                        "CONFIG_USE_X86_SEG_SUPPORT=y\n",
                        "CONFIG_AS_IS_LLVM=y\nCONFIG_AS_VERSION=140006\nCONFIG_CC_IS_CLANG=y\n"
                        "CONFIG_CC_VERSION_TEXT=\"Debian clang version 14.0.6\"\nCONFIG_CLANG_VERSION=140006\n"
                        "CONFIG_GCC_VERSION=0\n# CONFIG_KMSAN is not set\nCONFIG_HAVE_KMSAN_COMPILER=y\n",
                        3, "CALL_PADDING, MITIGATION_RETHUNK, USE_X86_SEG_SUPPORT",
                        "the compiler is \"Debian clang version 14.0.6\", the kernel's is \"gcc (Debian 12.2.0-14+deb12u1) "
                        "12.2.0\" (see Compiler=); linker and assembler (binutils) are of another version than the "
                        "kernel's" },
        { /* 7.3 without Rust */
                        "CONFIG_RUST=y\nCONFIG_RUSTC_VERSION=108500\nCONFIG_RUST_IS_AVAILABLE=y\n"
                        "CONFIG_RUSTC_VERSION_TEXT=\"rustc 1.85.0\"\nCONFIG_BINDGEN_VERSION_TEXT=\"bindgen 0.71.1\"\n"
                        "CONFIG_AX88796B_RUST_PHY=y\nCONFIG_DRM_PANIC_SCREEN_QR_CODE=y\nCONFIG_AMCC_QT2025_PHY=m\n"
                        "CONFIG_HAVE_CFI_ICALL_NORMALIZE_INTEGERS_RUSTC=y\nCONFIG_RUST_FW_LOADER_ABSTRACTIONS=y\n",
                        "CONFIG_RUSTC_VERSION=0\n", 0, "", NULL },
        { /* plugins */
                        "CONFIG_GCC_PLUGINS=y\nCONFIG_GCC_PLUGIN_STACKLEAK=y\n", "CONFIG_SMP=y\n", 1,
                        "GCC_PLUGIN_STACKLEAK",
                        "the compiler's plugin headers are missing (package gcc-N-plugin-dev)" },
        { "CONFIG_GCC_PLUGINS=y\n", "CONFIG_SMP=y\n", 0, "", NULL },
        { /* a cause that nobody knows, and pahole is as it was */
                        "CONFIG_DEBUG_INFO_BTF=y\nCONFIG_TRUST_ME=y\nCONFIG_PAHOLE_VERSION=124\n",
                        "CONFIG_PAHOLE_VERSION=124\n# CONFIG_TRUST_ME is not set\n", 2,
                        "DEBUG_INFO_BTF, TRUST_ME", NULL },
        { /* only what is taken away or changed counts, not what is new */
                        "CONFIG_SMP=y\nCONFIG_DRM=m\nCONFIG_FRAME=1\n# CONFIG_OFF is not set\nCONFIG_NO=n\n",
                        "CONFIG_SMP=y\nCONFIG_DRM=y\nCONFIG_FRAME=2\nCONFIG_OFF=m\nCONFIG_ALPHA=y\n# CONFIG_B is not set\n",
                        3, "DRM, FRAME, OFF", NULL },
        { "CONFIG_DEBUG_INFO_DWARF5=y\nCONFIG_BPF_PRELOAD_UMD=m\nCONFIG_UAPI_HEADER_TEST=y\n",
                        "CONFIG_DEBUG_INFO_DWARF_TOOLCHAIN_DEFAULT=y\n", 0, "", NULL },
};

START_TEST(test_measured)
{
        _cleanup_(kconfig_freep) Kconfig *before = parse(measured[_i].before),
                                         *after = parse(measured[_i].after);
        _cleanup_(kconfig_changes_done) KconfigChanges changes = {};
        _cleanup_free_ char *names = NULL, *cause = NULL;

        ck_assert_int_eq(kconfig_compare(before, after, &changes), 0);
        ck_assert_uint_eq(changes.count[KCONFIG_CHANGE_ABI], measured[_i].abi);
        names = kconfig_changes_names(&changes, KCONFIG_CHANGE_ABI, 3);
        ck_assert_str_eq(names, measured[_i].names);
        ck_assert_int_eq(kconfig_changes_cause(&changes, before, after, &cause), 0);
        if (measured[_i].cause)
                ck_assert_str_eq(cause, measured[_i].cause);
        else
                ck_assert_ptr_null(cause);
}
END_TEST

static const struct {
        const char *name;
        KconfigChangeKind kind;
} kinds[] = {
        { "CC_HAS_X", KCONFIG_CHANGE_TOOLCHAIN },
        { "CC_VERSION_TEXT", KCONFIG_CHANGE_TOOLCHAIN },
        { "GCC12_NO_ARRAY_BOUNDS", KCONFIG_CHANGE_TOOLCHAIN },
        { "AS_WRUSS", KCONFIG_CHANGE_TOOLCHAIN },
        { "LD_VERSION", KCONFIG_CHANGE_TOOLCHAIN },
        { "TOOLS_SUPPORT_RELR", KCONFIG_CHANGE_TOOLCHAIN },
        { "RUSTC_VERSION", KCONFIG_CHANGE_TOOLCHAIN },
        { "SAMPLES_RUST", KCONFIG_CHANGE_HARMLESS },
        { "RUST", KCONFIG_CHANGE_HARMLESS },
        { "SECONDARY_TRUSTED_KEYRING", KCONFIG_CHANGE_ABI },
        { "TRUSTED_KEYS", KCONFIG_CHANGE_ABI },
        { "RUSTY", KCONFIG_CHANGE_ABI },
        { "ASYMMETRIC_KEY_TYPE", KCONFIG_CHANGE_ABI },
        { "GCC_PLUGIN_RANDSTRUCT", KCONFIG_CHANGE_ABI },
        { "X86_USER_SHADOW_STACK", KCONFIG_CHANGE_ABI },
        { "KASAN", KCONFIG_CHANGE_ABI },
        { "SCHED_CLASS_EXT", KCONFIG_CHANGE_ABI },
        { "ARCH_HAS_X", KCONFIG_CHANGE_ABI },
};

START_TEST(test_kinds)
{
        _cleanup_free_ char *text = str_format("CONFIG_%s=y\n", kinds[_i].name);
        _cleanup_(kconfig_freep) Kconfig *with = parse(text),
                                         *without = parse("# CONFIG_OTHER is not set\n");
        _cleanup_(kconfig_changes_done) KconfigChanges lost = {}, found = {};

        ck_assert_int_eq(kconfig_compare(with, without, &lost), 0);
        ck_assert_uint_eq(lost.n, 1);
        ck_assert_int_eq(lost.items[0].kind, kinds[_i].kind);
        ck_assert_int_eq(kconfig_compare(without, with, &found), 0);
        ck_assert_uint_eq(found.n, 1);
        ck_assert_int_eq(found.items[0].kind,
                        kinds[_i].kind == KCONFIG_CHANGE_ABI ? KCONFIG_CHANGE_NEW : kinds[_i].kind);
}
END_TEST

START_TEST(test_text)
{
        char name[256];
        const KconfigChange lost = { "SMP", "y", NULL, KCONFIG_CHANGE_ABI },
                            control = { "X", "a\x1b[31m", "\xc3\xa4", KCONFIG_CHANGE_ABI };
        KconfigChange longer = { "X", NULL, name, KCONFIG_CHANGE_ABI };
        _cleanup_free_ char *a = kconfig_change_to_string(&lost), *b = kconfig_change_to_string(&control),
                            *c = NULL;

        memset(name, 'x', sizeof(name) - 1);
        name[sizeof(name) - 1] = '\0';
        ck_assert_str_eq(a, "SMP: y, now n");
        ck_assert_str_eq(b, "X: a?[31m, now ??");
        c = kconfig_change_to_string(&longer);
        ck_assert_uint_lt(strlen(c), 80);
}
END_TEST

UNIT_MAIN("kconfigchange", UNIT_LOOP(test_measured, ELEMENTSOF(measured)),
                UNIT_LOOP(test_kinds, ELEMENTSOF(kinds)), UNIT_TEST(test_text))
