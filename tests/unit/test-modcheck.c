/* SPDX-License-Identifier: Apache-2.0 */

/* Modules against a kernel: what it would refuse, and in which words. */

#include "unit.h"

#include "base/str.h"
#include "policy/modcheck.h"

#define MAGIC "6.12.95 SMP preempt mod_unload modversions"

static const char kernel_symbols[] = "0x0000000a\tprintk\tvmlinux\tEXPORT_SYMBOL\t\n"
                                     "0x0000000b\tmodule_layout\tvmlinux\tEXPORT_SYMBOL\t\n"
                                     "0x0000000c\tdrm_open\tdrivers/gpu/drm/drm\tEXPORT_SYMBOL\t\n"
                                     "0x0000000d\tgpl_thing\tvmlinux\tEXPORT_SYMBOL_GPL\t\n"
                                     "0x00000000\tno_crc\tvmlinux\tEXPORT_SYMBOL\t\n";

/* "name=crc" words, hexadecimal; '?' in front: weak. */
static void add_needs(ModuleSymbols *s, const char *text)
{
        _cleanup_strv_ char **words = NULL;

        ck_assert_int_eq(strv_split(text, " ", &words), 0);
        STRV_FOREACH (w, words) {
                bool weak = **w == '?';
                char *name = *w + weak, *equals = strchr(name, '=');
                uint64_t crc = 0;

                if (equals) {
                        *equals = '\0';
                        ck_assert_int_eq(str_to_u64(equals + 1, 16, 0, UINT32_MAX, &crc), 0);
                        s->has_versions = true;
                }
                ck_assert_int_eq(module_symbols_add_need(s, name, (uint32_t)crc, weak), 0);
        }
}

typedef struct Case {
        const char *vermagic, *retpoline, *license, *needs;
        bool modversions, wants_retpoline;
        Code code;
        const char *detail; /* NULL: no defect */
} Case;

/* The module is nvidia-drm.ko beside an nvidia.ko that exports nv_open with CRC 0x55. */
static const Case cases[] = {
        { MAGIC, "Y", "NVIDIA", "printk=a module_layout=b drm_open=c nv_open=55", true, true, CODE_OK,
                        NULL },
        { MAGIC " ", NULL, "NVIDIA", "printk=a", true, false, CODE_OK, NULL },
        { MAGIC, "Y", "NVIDIA", "printk=a gone=1", true, true, CODE_SYMBOL_MISMATCH,
                        "nvidia-drm.ko: neither the kernel nor another module of the build exports gone" },
        { MAGIC, "Y", "NVIDIA", "printk=b", true, true, CODE_SYMBOL_MISMATCH,
                        "nvidia-drm.ko: printk has CRC 0x0000000b, that of vmlinux has 0x0000000a" },
        { MAGIC, "Y", "NVIDIA", "nv_open=56", true, true, CODE_SYMBOL_MISMATCH,
                        "nvidia-drm.ko: nv_open has CRC 0x00000056, that of nvidia.ko has 0x00000055" },
        { MAGIC, "Y", "NVIDIA", "drm_open=1 module_layout=2", true, true, CODE_SYMBOL_MISMATCH,
                        "nvidia-drm.ko: drm_open has CRC 0x00000001, that of drivers/gpu/drm/drm has 0x0000000c; "
                        "nvidia-drm.ko: module_layout has CRC 0x00000002, that of vmlinux has 0x0000000b" },
        { MAGIC, "Y", "NVIDIA", "a=1 b=1 c=1 d=1 e=1 f=1", true, true, CODE_SYMBOL_MISMATCH,
                        "nvidia-drm.ko: neither the kernel nor another module of the build exports a; "
                        "nvidia-drm.ko: neither the kernel nor another module of the build exports b; "
                        "nvidia-drm.ko: neither the kernel nor another module of the build exports c; "
                        "nvidia-drm.ko: neither the kernel nor another module of the build exports d; and 2 more" },
        /* weak ones may be missing, but not be of another shape */
        { MAGIC, "Y", "NVIDIA", "printk=a ?gone=1", true, true, CODE_OK, NULL },
        { MAGIC, "Y", "NVIDIA", "?printk=b", true, true, CODE_SYMBOL_MISMATCH,
                        "nvidia-drm.ko: printk has CRC 0x0000000b, that of vmlinux has 0x0000000a" },
        /* GPL only */
        { MAGIC, "Y", "Dual MIT/GPL", "gpl_thing=d", true, true, CODE_OK, NULL },
        { MAGIC, "Y", "NVIDIA", "gpl_thing=d", true, true, CODE_SYMBOL_MISMATCH,
                        "nvidia-drm.ko: gpl_thing is for modules under the GPL only, the licence of this one is "
                        "'NVIDIA'" },
        { MAGIC, "Y", NULL, "gpl_thing=d", true, true, CODE_SYMBOL_MISMATCH,
                        "nvidia-drm.ko: gpl_thing is for modules under the GPL only, the licence of this one is "
                        "'n/a'" },
        { MAGIC, "Y", "NVIDIA", "?gpl_thing=d", true, true, CODE_OK, NULL },
        /* a side without CRC, the linker's own symbols, a kernel without CRCs */
        { MAGIC, "Y", "NVIDIA", "printk=a no_crc=7", true, true, CODE_OK, NULL },
        { MAGIC, "Y", "NVIDIA", "module_layout=b printk _GLOBAL_OFFSET_TABLE_ __this_module", true, true,
                        CODE_OK, NULL },
        { MAGIC, "Y", "NVIDIA", "printk=b", false, true, CODE_OK, NULL },
        { MAGIC, "Y", "NVIDIA", "printk gone", false, true, CODE_SYMBOL_MISMATCH,
                        "nvidia-drm.ko: neither the kernel nor another module of the build exports gone" },
        { MAGIC, "Y", "NVIDIA", "printk", true, true, CODE_SYMBOL_MISMATCH,
                        "nvidia-drm.ko: its symbols carry no CRCs, which this kernel wants" },
        { MAGIC, "Y", "NVIDIA", "", true, true, CODE_OK, NULL },
        /* linked without .module-common.o */
        { NULL, NULL, "NVIDIA", "printk=a", true, true, CODE_BUILD_MISMATCH,
                        "nvidia-drm.ko: the module carries no vermagic at all (its vermagic is '', the kernel's "
                        "'" MAGIC
                        "'); nvidia-drm.ko: it does not carry the retpoline tag that this kernel's modules "
                        "have" },
        { MAGIC, NULL, "NVIDIA", "printk=a", true, true, CODE_BUILD_MISMATCH,
                        "nvidia-drm.ko: it does not carry the retpoline tag that this kernel's modules have" },
        { "6.12.94 SMP preempt mod_unload modversions", "Y", "NVIDIA", "printk=b", true, true,
                        CODE_BUILD_MISMATCH,
                        "nvidia-drm.ko: release is 6.12.94, not 6.12.95 (its vermagic is '6.12.94 SMP preempt "
                        "mod_unload modversions', the kernel's '" MAGIC "'); "
                        "nvidia-drm.ko: printk has CRC 0x0000000b, that of vmlinux has 0x0000000a" },
};

START_TEST(test_case)
{
        const Case *k = &cases[_i];
        _cleanup_(symvers_freep) Symvers *symvers = NULL;
        _cleanup_free_ char *why = NULL;
        ModcheckModule modules[] = {
                { .file = "nvidia-drm.ko",
                                .vermagic = k->vermagic,
                                .retpoline = k->retpoline,
                                .license = k->license },
                { .file = "nvidia.ko", .vermagic = MAGIC, .retpoline = "Y", .license = "NVIDIA" },
        };
        ModcheckKernel kernel = {
                .vermagic = MAGIC, .retpoline = k->wants_retpoline, .modversions = k->modversions
        };
        ModcheckResult result = {};

        ck_assert_int_eq(symvers_parse(kernel_symbols, strlen(kernel_symbols), &symvers, &why), 0);
        kernel.symvers = symvers;
        add_needs(&modules[0].symbols, k->needs);
        ck_assert_int_eq(module_symbols_add_export(&modules[1].symbols, "nv_open", 0x55), 0);

        ck_assert_int_eq(modcheck_judge(&kernel, modules, 2, &result), 0);
        ck_assert_msg(streq_ptr(result.detail, k->detail), "%s", strna(result.detail));
        ck_assert_int_eq(result.code, k->code);
        ck_assert_int_eq(strv_length(result.defects) > 0, k->code != CODE_OK);
        modcheck_result_done(&result);
        module_symbols_done(&modules[0].symbols);
        module_symbols_done(&modules[1].symbols);
}
END_TEST

/* What is not known of a kernel is not held against a module. */
START_TEST(test_unknown_kernel)
{
        ModcheckModule module = { .file = "nvidia.ko" };
        ModcheckKernel kernel = { .modversions = true };
        ModcheckResult result = {};

        add_needs(&module.symbols, "anything=1");
        ck_assert_int_eq(modcheck_judge(&kernel, &module, 1, &result), 0);
        ck_assert_int_eq(result.code, CODE_OK);
        ck_assert_ptr_null(result.detail);
        ck_assert_uint_eq(result.n_checked, 0);
        modcheck_result_done(&result);
        ck_assert_int_eq(modcheck_judge(&kernel, NULL, 0, &result), 0);
        ck_assert_int_eq(result.code, CODE_OK);
        modcheck_result_done(&result);
        module_symbols_done(&module.symbols);
}
END_TEST

/* Thousands of defects are counted, but not all kept. */
START_TEST(test_many)
{
        _cleanup_(symvers_freep) Symvers *symvers = NULL;
        ModcheckModule module = { .file = "nvidia.ko" };
        ModcheckKernel kernel = {};
        ModcheckResult result = {};
        char name[16];

        ck_assert_int_eq(symvers_new(&symvers), 0);
        kernel.symvers = symvers;
        for (unsigned i = 0; i < 5000; i++) {
                (void)snprintf(name, sizeof(name), "s%u", i);
                ck_assert_int_eq(module_symbols_add_need(&module.symbols, name, 1, false), 0);
        }
        ck_assert_int_eq(modcheck_judge(&kernel, &module, 1, &result), 0);
        ck_assert_uint_eq(strv_length(result.defects), 1000);
        ck_assert_uint_eq(result.n_checked, 5000);
        ck_assert_ptr_nonnull(strstr(result.detail, "; and 4996 more"));
        modcheck_result_done(&result);
        module_symbols_done(&module.symbols);
}
END_TEST

UNIT_MAIN("modcheck", UNIT_LOOP(test_case, ELEMENTSOF(cases)), UNIT_TEST(test_unknown_kernel),
                UNIT_TEST(test_many))
