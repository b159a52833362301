/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Which options objtool gets, from Linux 5.19 (the first with CONFIG_OBJTOOL)
 * to 7.x. Symbols were renamed in 6.9 (RETHUNK is MITIGATION_RETHUNK): a kernel
 * has one of the two names. Differences from what the kernel's build does:
 *
 *   - no --ibt, and so none of what needs it (--cfi, --fineibt): it lists the
 *     functions whose address nobody in the object takes, and the kernel takes
 *     their ENDBR away when it loads the module. NVIDIA's core object, which is
 *     linked afterwards, takes the address of functions of the interface;
 *   - no --werror: what it warns of is in the driver's code, and is not ours to
 *     change.
 */

#include "base/result.h"
#include "base/str.h"
#include "policy/objtool.h"

#if defined(__x86_64__)
#define SRCARCH "x86"
#elif defined(__aarch64__)
#define SRCARCH "arm64"
#else
#define SRCARCH "unknown"
#endif

static const struct {
        const char *option;
        const char *symbols[2]; /* any of them */
} options[] = {
        { "--hacks=jump_label", { "HAVE_JUMP_LABEL_HACK" } },
        { "--hacks=noinstr", { "HAVE_NOINSTR_HACK" } },
        { "--hacks=skylake", { "MITIGATION_CALL_DEPTH_TRACKING", "CALL_DEPTH_TRACKING" } },
        { "--mcount", { "FTRACE_MCOUNT_USE_OBJTOOL" } },
        { "--orc", { "UNWINDER_ORC" } },
        { "--retpoline", { "MITIGATION_RETPOLINE", "RETPOLINE" } },
        { "--rethunk", { "MITIGATION_RETHUNK", "RETHUNK" } },
        { "--sls", { "MITIGATION_SLS", "SLS" } },
        { "--stackval", { "STACK_VALIDATION" } },
        { "--static-call", { "HAVE_STATIC_CALL_INLINE" } },
        { "--uaccess", { "HAVE_UACCESS_VALIDATION" } },
        { "--no-unreachable", { "GCOV_KERNEL", "KCOV" } },
};

bool objtool_is_late(const Kconfig *config)
{
        return kconfig_enabled(config, "OBJTOOL") &&
               (kconfig_enabled(config, "X86_KERNEL_IBT") || kconfig_enabled(config, "LTO_CLANG") ||
                               kconfig_enabled(config, "KLP_BUILD"));
}

static bool is_wanted(const Kconfig *config, const char *const *symbols)
{
        return kconfig_enabled(config, symbols[0]) || (symbols[1] && kconfig_enabled(config, symbols[1]));
}

static int push_options(const Kconfig *config, char ***argv)
{
        const char *padding = kconfig_get(config, "FUNCTION_PADDING_BYTES");
        int r = 0;

        for (size_t i = 0; r == 0 && i < ELEMENTSOF(options); i++)
                if (is_wanted(config, options[i].symbols))
                        r = strv_push(argv, options[i].option);
        if (r == 0 && kconfig_enabled(config, "FTRACE_MCOUNT_USE_OBJTOOL") &&
                        kconfig_enabled(config, "HAVE_OBJTOOL_NOP_MCOUNT"))
                r = strv_push(argv, "--mnop");
        if (r == 0 && padding && kconfig_enabled(config, "PREFIX_SYMBOLS"))
                r = strv_pushf(argv, "--prefix=%s", padding);
        return err_trace(r);
}

int recipe_objtool(const Kconfig *config, const char *program, const char *object, RecipeStep *ret)
{
        static const char *const last[] = { "--link", "--module" };
        _cleanup_(recipe_step_done) RecipeStep s = {};
        int r;

        r = recipe_environment(&s.environment);
        /* Debian's is a program that runs the one of this architecture. */
        if (r == 0)
                r = strv_push(&s.environment, "SRCARCH=" SRCARCH);
        if (r == 0)
                r = strv_push(&s.argv, program);
        if (r == 0)
                r = push_options(config, &s.argv);
        for (size_t i = 0; r == 0 && i < ELEMENTSOF(last); i++)
                r = strv_push(&s.argv, last[i]);
        if (r == 0)
                r = strv_push(&s.argv, object);
        if (r)
                return err_trace(r);
        *ret = s;
        s = (RecipeStep){};
        return 0;
}
