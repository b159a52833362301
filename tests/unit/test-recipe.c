/* SPDX-License-Identifier: Apache-2.0 */

#include "unit.h"

#include "policy/recipe.h"

static void check(RecipeStep *s, int r, const char *text)
{
        _cleanup_free_ char *line = NULL;

        ck_assert_int_eq(r, 0);
        line = recipe_step_to_string(s);
        ck_assert_str_eq(line, text);
        recipe_step_done(s);
        recipe_step_done(s);
}

/* Complete, and nothing of ours in it. */
START_TEST(test_environment)
{
        _cleanup_(recipe_step_done) RecipeStep s = {};
        _cleanup_free_ char *joined = NULL;

        ck_assert_int_eq(setenv("MAKEFLAGS", "-k", 1), 0);
        ck_assert_int_eq(recipe_copy("/a", "/b", &s), 0);
        joined = strv_join(s.environment, " ");
        ck_assert_str_eq(joined,
                        "LC_ALL=C HOME=/ PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
}
END_TEST

START_TEST(test_copy)
{
        RecipeStep s = {};

        check(&s, recipe_copy("/usr/src/nvidia-535", "/s/work", &s),
                        "cp -a --reflink=auto -- /usr/src/nvidia-535/. /s/work");
        check(&s, recipe_copy("/a dir/it's", "/b", &s), "cp -a --reflink=auto -- '/a dir/it'\\''s/.' /b");
}
END_TEST

static const struct {
        PrepareStep step;
        const char *text;
} prepares[] = {
        { PREPARE_MRPROPER, "make -C /usr/src/linux CC=gcc-12 LD=ld mrproper" },
        { PREPARE_LISTNEWCONFIG, "make -C /usr/src/linux O=/s/tree CC=gcc-12 LD=ld listnewconfig" },
        { PREPARE_OLDDEFCONFIG, "make -C /usr/src/linux O=/s/tree CC=gcc-12 LD=ld olddefconfig" },
        { PREPARE_MODULES,
                        "make -C /usr/src/linux O=/s/tree -j4 CC=gcc-12 LD=ld KERNELRELEASE=6.1.0-56-amd64 modules_prepare" },
};

START_TEST(test_prepare)
{
        const PrepareInput in = {
                .source = "/usr/src/linux",
                .output = "/s/tree",
                .release = "6.1.0-56-amd64",
                .compiler = "gcc-12",
                .linker = "ld",
                .jobs = 4,
        };
        RecipeStep s = {};

        check(&s, recipe_prepare(prepares[_i].step, &in, &s), prepares[_i].text);
}
END_TEST

START_TEST(test_prepare_plain)
{
        const PrepareInput in = { .source = "/usr/src/linux", .output = "/s/tree" };
        RecipeStep s = {};

        check(&s, recipe_prepare(PREPARE_MODULES, &in, &s),
                        "make -C /usr/src/linux O=/s/tree -j1 modules_prepare");
        ck_assert_str_eq(prepare_step_to_string(_PREPARE_STEP_INVALID), "invalid");
}
END_TEST

#define MAKE "make -C /s/work -j2 SYSSRC=/common SYSOUT=/build "

START_TEST(test_compile)
{
        char *four[] = { (char *)"nvidia", (char *)"nvidia_uvm", (char *)"nvidia_modeset",
                (char *)"nvidia-drm", NULL };
        char *uvm[] = { (char *)"nvidia-uvm", NULL }, *modeset[] = { (char *)"nvidia_modeset", NULL };
        CompileInput in = {
                .staging = "/s/work", .tree_source = "/common", .tree_build = "/build", .jobs = 2
        };
        RecipeStep s = {};

        check(&s, recipe_compile(&in, &s),
                        MAKE "KCFLAGS=-g0 CONFIG_DEBUG_INFO_BTF_MODULES= nv-linux.o nv-modeset-linux.o");
        in.debug_info = true;
        check(&s, recipe_compile(&in, &s), MAKE "nv-linux.o nv-modeset-linux.o");
        in.modules = uvm;
        check(&s, recipe_compile(&in, &s), MAKE "NV_KERNEL_MODULES=nvidia-uvm modules");
        in.modules = modeset;
        check(&s, recipe_compile(&in, &s), MAKE "NV_KERNEL_MODULES=nvidia-modeset nv-modeset-linux.o");
        in.modules = four;
        in.debug_info = false;
        in.compiler = "gcc-12";
        in.linker = "ld";
        check(&s, recipe_compile(&in, &s),
                        MAKE
                        "CC=gcc-12 LD=ld KCFLAGS=-g0 CONFIG_DEBUG_INFO_BTF_MODULES= "
                        "'NV_KERNEL_MODULES=nvidia nvidia-uvm nvidia-modeset nvidia-drm' nv-linux.o nv-modeset-linux.o");
}
END_TEST

START_TEST(test_compile_ignore)
{
        CompileInput in = {
                .staging = "/s", .tree_source = "/c", .tree_build = "/b", .ignore_compiler_mismatch = true
        };
        _cleanup_(recipe_step_done) RecipeStep s = {};

        ck_assert_int_eq(recipe_compile(&in, &s), 0);
        ck_assert(strv_contains(s.environment, "IGNORE_CC_MISMATCH=1"));
        ck_assert(strv_contains(s.argv, "-j1"));
}
END_TEST

#if defined(__x86_64__)
#define LD_FLAGS " -r -m elf_x86_64 -z noexecstack --build-id=sha1 "
#else
#define LD_FLAGS " -r -z noexecstack --build-id=sha1 "
#endif

START_TEST(test_link)
{
        LinkInput in = {
                .script = "/build/arch/x86/module.lds",
                .interface = "nv-linux.o",
                .core = "nvidia/nv-kernel.o_binary",
                .output = "nvidia.ko",
        };
        RecipeStep s = {};

        check(&s, recipe_link(&in, &s),
                        "ld" LD_FLAGS
                        "-T /build/arch/x86/module.lds -o nvidia.ko nv-linux.o nvidia/nv-kernel.o_binary");
        in.linker = "ld.bfd";
        in.module_common = ".module-common.o";
        check(&s, recipe_link(&in, &s),
                        "ld.bfd" LD_FLAGS
                        "-T /build/arch/x86/module.lds -o nvidia.ko nv-linux.o nvidia/nv-kernel.o_binary "
                        ".module-common.o");
        in.strip_debug = true;
        check(&s, recipe_link(&in, &s),
                        "ld.bfd" LD_FLAGS
                        "-T /build/arch/x86/module.lds -o nvidia.ko nv-linux.o nvidia/nv-kernel.o_binary "
                        ".module-common.o --strip-debug");
}
END_TEST

static SourceModule source_modules[] = {
        { (char *)"nvidia", 48, (char *)"nvidia/nv-kernel.o_binary", (char *)"nv-linux.o" },
        { (char *)"nvidia-drm", 18, NULL, NULL },
        { (char *)"nvidia-uvm", 121, NULL, NULL },
};

static const DriverSource source = {
        .modules = source_modules, .n_modules = ELEMENTSOF(source_modules), .exists = true
};

START_TEST(test_modules)
{
        char *wanted[] = { (char *)"nvidia_uvm", (char *)"nvidia", NULL };
        _cleanup_(recipe_modules_done) RecipeModules all = {}, some = {};

        ck_assert_int_eq(recipe_modules(&source, NULL, &all, NULL), 0);
        ck_assert_uint_eq(all.n, 3);
        ck_assert_int_eq(recipe_modules(&source, wanted, &some, NULL), 0);
        ck_assert_uint_eq(some.n, 2);
        ck_assert_str_eq(some.items[0].file, "nvidia-uvm.ko");
        ck_assert_ptr_null(some.items[0].interface);
        ck_assert_str_eq(some.items[1].name, "nvidia");
        ck_assert_str_eq(some.items[1].interface, "nv-linux.o");
        ck_assert_str_eq(some.items[1].core, "nvidia/nv-kernel.o_binary");
}
END_TEST

START_TEST(test_modules_missing)
{
        char *wanted[] = { (char *)"nvidia", (char *)"nvidia-peermem", NULL };
        _cleanup_(recipe_modules_done) RecipeModules m = {};
        _cleanup_free_ char *name = NULL;

        ck_assert_int_eq(recipe_modules(&source, wanted, &m, &name), RECIPE_E_NO_MODULE);
        ck_assert_str_eq(name, "nvidia-peermem");
        ck_assert_int_eq(recipe_modules(&source, wanted, &m, NULL), RECIPE_E_NO_MODULE);
        ck_assert_uint_eq(m.n, 0);
}
END_TEST

UNIT_MAIN("recipe", UNIT_TEST(test_environment), UNIT_TEST(test_copy),
                UNIT_LOOP(test_prepare, ELEMENTSOF(prepares)), UNIT_TEST(test_prepare_plain),
                UNIT_TEST(test_compile), UNIT_TEST(test_compile_ignore), UNIT_TEST(test_link),
                UNIT_TEST(test_modules), UNIT_TEST(test_modules_missing))
