/* SPDX-License-Identifier: Apache-2.0 */

#include "unit.h"

#include "base/str.h"
#include "policy/objtool.h"

static Kconfig *parse(const char *text)
{
        Kconfig *c = NULL;

        ck_assert_int_eq(kconfig_parse(text, strlen(text), &c), 0);
        return c;
}

/* The configurations of Debian's kernels, as far as scripts/Makefile.lib asks for them. */
static const struct {
        const char *config;
        bool late;
        const char *command; /* without the program and the object */
} kernels[] = {
        { /* 6.1.0-57-amd64 */
                        "CONFIG_OBJTOOL=y\n# CONFIG_X86_KERNEL_IBT is not set\nCONFIG_HAVE_JUMP_LABEL_HACK=y\n"
                        "CONFIG_HAVE_NOINSTR_HACK=y\nCONFIG_UNWINDER_ORC=y\nCONFIG_RETPOLINE=y\nCONFIG_RETHUNK=y\n"
                        "CONFIG_SLS=y\nCONFIG_HAVE_STATIC_CALL_INLINE=y\nCONFIG_HAVE_UACCESS_VALIDATION=y\n"
                        "CONFIG_HAVE_STACK_VALIDATION=y\n",
                        false,
                        "--hacks=jump_label --hacks=noinstr --orc --retpoline --rethunk --sls --static-call --uaccess --link "
                        "--module" },
        { /* 6.12.95+deb12-amd64 */
                        "CONFIG_OBJTOOL=y\nCONFIG_X86_KERNEL_IBT=y\nCONFIG_HAVE_JUMP_LABEL_HACK=y\nCONFIG_FINEIBT=y\n"
                        "CONFIG_HAVE_NOINSTR_HACK=y\nCONFIG_MITIGATION_CALL_DEPTH_TRACKING=y\nCONFIG_UNWINDER_ORC=y\n"
                        "CONFIG_MITIGATION_RETPOLINE=y\nCONFIG_MITIGATION_RETHUNK=y\nCONFIG_MITIGATION_SLS=y\n"
                        "CONFIG_HAVE_STATIC_CALL_INLINE=y\nCONFIG_HAVE_UACCESS_VALIDATION=y\nCONFIG_CALL_PADDING=y\n"
                        "CONFIG_PREFIX_SYMBOLS=y\nCONFIG_FUNCTION_PADDING_BYTES=16\nCONFIG_HAVE_OBJTOOL_NOP_MCOUNT=y\n"
                        "CONFIG_OBJTOOL_WERROR=y\n",
                        true,
                        "--hacks=jump_label --hacks=noinstr --hacks=skylake --orc --retpoline --rethunk --sls --static-call "
                        "--uaccess --prefix=16 --link --module" },
        { /* 7.2.13+deb14-amd64: PREFIX_SYMBOLS is gone */
                        "CONFIG_OBJTOOL=y\nCONFIG_KLP_BUILD=y\nCONFIG_HAVE_JUMP_LABEL_HACK=y\nCONFIG_HAVE_NOINSTR_HACK=y\n"
                        "CONFIG_MITIGATION_CALL_DEPTH_TRACKING=y\nCONFIG_UNWINDER_ORC=y\nCONFIG_MITIGATION_RETPOLINE=y\n"
                        "CONFIG_MITIGATION_RETHUNK=y\nCONFIG_HAVE_STATIC_CALL_INLINE=y\n"
                        "CONFIG_HAVE_UACCESS_VALIDATION=y\nCONFIG_FUNCTION_PADDING_BYTES=16\n",
                        true,
                        "--hacks=jump_label --hacks=noinstr --hacks=skylake --orc --retpoline --rethunk --static-call "
                        "--uaccess --link --module" },
        { /* clang with link time optimization, all the rest */
                        "CONFIG_OBJTOOL=y\nCONFIG_LTO_CLANG=y\nCONFIG_FTRACE_MCOUNT_USE_OBJTOOL=y\nCONFIG_KCOV=y\n"
                        "CONFIG_HAVE_OBJTOOL_NOP_MCOUNT=y\nCONFIG_STACK_VALIDATION=y\nCONFIG_CALL_DEPTH_TRACKING=y\n",
                        true,
                        "--hacks=skylake --mcount --stackval --no-unreachable --mnop --link --module" },
        { "CONFIG_X86_KERNEL_IBT=y\n# CONFIG_OBJTOOL is not set\n", false, "--link --module" },
};

START_TEST(test_kernels)
{
        _cleanup_(kconfig_freep) Kconfig *config = parse(kernels[_i].config);
        _cleanup_(recipe_step_done) RecipeStep step = {};
        _cleanup_free_ char *command = NULL, *expected = NULL;

        ck_assert_int_eq(objtool_is_late(config), kernels[_i].late);
        ck_assert_int_eq(recipe_objtool(config, "/t/tools/objtool/objtool", "/s/objtool.o", &step), 0);
        command = recipe_step_to_string(&step);
        expected = str_format("/t/tools/objtool/objtool %s /s/objtool.o", kernels[_i].command);
        ck_assert_str_eq(command, expected);
        ck_assert(strv_contains(step.environment, "LC_ALL=C"));
#if defined(__x86_64__)
        ck_assert(strv_contains(step.environment, "SRCARCH=x86"));
#endif
}
END_TEST

UNIT_MAIN("objtool", UNIT_LOOP(test_kernels, ELEMENTSOF(kernels)))
