/* SPDX-License-Identifier: Apache-2.0 */

#include "unit.h"

#include "policy/buildlog.h"

/* Real output of make: 535.309.01 against 6.12.95, cut short. */
static const char real[] =
                "make: Entering directory '/tmp/w'\n"
                " CONFTEST: cc_sanity_check\n"
                " CONFTEST: linux/printk.h\n"
                "#undef NV_LINUX_PRINTK_H_PRESENT\n"
                "  SYMLINK /tmp/w/nvidia/nv-kernel.o\n"
                "  CC [M]  /tmp/w/nvidia/nv.o\n"
                "  CC [M]  /tmp/w/nvidia-uvm/uvm_pascal_host.o\n"
                "  LD [M]  /tmp/w/nvidia-uvm.o\n"
                "/tmp/w/nvidia.o: warning: objtool: _nv039057rm+0x53: 'naked' return found in MITIGATION_RETHUNK build\n"
                "  MODPOST /tmp/w/Module.symvers\n"
                "  CC [M]  /tmp/w/nvidia-drm.mod.o\n"
                "  CC [M]  /tmp/w/.module-common.o\n"
                "Skipping BTF generation for /tmp/w/nvidia-drm.ko due to unavailability of vmlinux\n"
                "  CC      scripts/mod/empty.o\n"
                "make: Leaving directory '/tmp/w'\n";

static void feed(BuildLog *log, const char *text)
{
        ck_assert_int_eq(buildlog_feed(log, text, strlen(text), NULL), 0);
}

START_TEST(test_progress)
{
        _cleanup_(buildlog_done) BuildLog log;
        _cleanup_free_ char *text = NULL, *open = NULL;
        bool changed = false;

        buildlog_init(&log, BUILD_STAGE_COMPILE, 190);
        ck_assert_int_eq(buildlog_feed(&log, real, strlen(real), &changed), 0);
        ck_assert(changed);
        ck_assert_uint_eq(log.n_objects, 3); /* neither .module-common.o nor the host's empty.o */
        ck_assert_uint_eq(log.n_tests, 2);
        ck_assert_uint_eq(log.n_errors, 0);
        ck_assert_int_eq(log.code, CODE_OK);
        text = buildlog_progress(&log);
        ck_assert_str_eq(text, "3/190, nvidia-drm");
        log.n_expected = 0;
        open = buildlog_progress(&log);
        ck_assert_str_eq(open, "3, nvidia-drm");
}
END_TEST

/* Any split of the same bytes gives the same result. */
START_TEST(test_split)
{
        _cleanup_(buildlog_done) BuildLog log;
        bool changed = false;
        size_t step = (size_t)_i + 1;

        buildlog_init(&log, BUILD_STAGE_COMPILE, 190);
        for (size_t at = 0; at < strlen(real); at += step)
                ck_assert_int_eq(buildlog_feed(&log, real + at, MIN(step, strlen(real) - at), &changed), 0);
        ck_assert_uint_eq(log.n_objects, 3);
        ck_assert_uint_eq(log.n_tests, 2);
        ck_assert_str_eq(log.module, "nvidia-drm");
}
END_TEST

START_TEST(test_progress_steps)
{
        _cleanup_(buildlog_done) BuildLog log;
        _cleanup_free_ char *nothing = NULL, *tests = NULL, *beyond = NULL;
        bool changed = true;

        buildlog_init(&log, BUILD_STAGE_COMPILE, 1);
        nothing = buildlog_progress(&log);
        ck_assert_str_eq(nothing, "0/1");
        ck_assert_int_eq(buildlog_feed(&log, "make: x\n", 8, &changed), 0);
        ck_assert(!changed);
        ck_assert_int_eq(buildlog_feed(&log, " CONFTEST: drm_init\n", 20, &changed), 0);
        ck_assert(changed);
        tests = buildlog_progress(&log);
        ck_assert_str_eq(tests, "kernel test 1");
        /* 6.13 and later: paths relative to the staging directory, even without a directory */
        feed(&log, "  CC [M]  nvidia-modeset/nv-kthread-q.o\n");
        ck_assert_str_eq(log.module, "nvidia-modeset");
        feed(&log, "  CC [M]  nvidia.mod.o\n");
        ck_assert_str_eq(log.module, "nvidia");
        feed(&log, "  CXX [M]  other/x.o\n");
        ck_assert_str_eq(log.module, "nvidia");
        feed(&log, "  CC [M]  nvidia-with-a-name-that-is-much-longer-than-fits/x.o\n");
        ck_assert_uint_eq(strlen(log.module), sizeof(log.module) - 1);
        beyond = buildlog_progress(&log);
        ck_assert(startswith(beyond, "4/4, "));
}
END_TEST

static const struct {
        BuildStage stage;
        const char *text;
        unsigned n_errors;
        Code code;
} failures[] = {
        { BUILD_STAGE_COMPILE, "/w/nvidia/nv.c:12:5: error: too few arguments to function 'x'\n", 1,
                        CODE_DRIVER_TOO_OLD },
        { BUILD_STAGE_COMPILE, "/w/nvidia/nv.c:12:5: error: expected ';' before 'x'\n", 1,
                        CODE_COMPILE_FAILED },
        { BUILD_STAGE_COMPILE, "a.c:1:2: error: 'struct vm_area_struct' has no member named 'vm_x'\n", 1,
                        CODE_DRIVER_TOO_OLD },
        { BUILD_STAGE_COMPILE, "a.c:1:2: error: call to undeclared function 'f'; ISO C99 and later do not\n",
                        1, CODE_DRIVER_TOO_OLD },
        { BUILD_STAGE_COMPILE, "a.c:1:2: error: macro \"access_ok\" passed 3 arguments, but takes just 2\n",
                        1, CODE_DRIVER_TOO_OLD },
        { BUILD_STAGE_COMPILE, "a.c:1:2: error: macro \"x\" requires 3 arguments, but only 2 given\n", 1,
                        CODE_DRIVER_TOO_OLD },
        { BUILD_STAGE_COMPILE, "a.c:1:2: warning: implicit declaration of function 'f'\n", 0,
                        CODE_COMPILE_FAILED },
        { BUILD_STAGE_COMPILE,
                        "ERROR: modpost: GPL-incompatible module nvidia.ko uses GPL-only symbol 'rcu_read_lock'\n",
                        1, CODE_DRIVER_TOO_OLD },
        { BUILD_STAGE_PREPARE, "scripts/sign.c:1:2: error: unknown type name 'x'\n", 1,
                        CODE_PREPARE_FAILED },
        { BUILD_STAGE_COMPILE, "a.c:1:10: fatal error: 'drm/drmP.h' file not found\n", 1,
                        CODE_HEADER_MISSING },
        /* the missing header is why the functions are not declared */
        { BUILD_STAGE_COMPILE,
                        "a.c:9:2: error: implicit declaration of function 'f'\n"
                        "b.c:1:10: fatal error: linux/x.h: No such file or directory\n"
                        "a.c:9:3: error: unknown type name 'x'\n",
                        3, CODE_HEADER_MISSING },
        { BUILD_STAGE_COMPILE,
                        "a.c:9:2: error: 'x' undeclared (first use in this function)\n"
                        "as: BFD: x.o: No space left on device\n",
                        2, CODE_NO_SPACE },
        { BUILD_STAGE_COMPILE,
                        "/w/nvidia-drm/a.c:1:10: fatal error: drm/drmP.h: No such file or directory\n"
                        "compilation terminated.\n"
                        "make[3]: *** [/s/scripts/Makefile.build:250: /w/nvidia-drm/a.o] Error 1\n",
                        2, CODE_HEADER_MISSING },
        { BUILD_STAGE_PREPARE, "make: *** No rule to make target 'modules_prepare'.  Stop.\n", 1,
                        CODE_PREPARE_FAILED },
        { BUILD_STAGE_LINK, "ld: cannot find nv-linux.o: No such file or directory\n", 1, CODE_LINK_FAILED },
        { BUILD_STAGE_LINK, "ld: a.o: in function `f':\na.c:(.text+0x1): undefined reference to `g'\n", 1,
                        CODE_LINK_FAILED },
        { BUILD_STAGE_LINK, "ld: cannot open linker script file /x/module.lds: No such file or directory\n",
                        1, CODE_TREE_UNUSABLE },
        { BUILD_STAGE_COMPILE, "ERROR: modpost: \"x\" [/w/nvidia.ko] undefined!\n", 1, CODE_COMPILE_FAILED },
        { BUILD_STAGE_COMPILE, "/tmp/cc.s: fatal error: write error: No space left on device\n", 1,
                        CODE_NO_SPACE },
        { BUILD_STAGE_COMPILE, "fixdep: not all data was written to the output\n", 1, CODE_NO_SPACE },
        { BUILD_STAGE_COMPILE, "a.o: warning: objtool: elf_update: cannot write data to file\n", 1,
                        CODE_NO_SPACE },
        { BUILD_STAGE_COMPILE,
                        "/tmp/c.s: Fatal error: can't write 3887 bytes to section .text of a.o: 'No space left on device'\n",
                        1, CODE_NO_SPACE },
        { BUILD_STAGE_COMPILE, "cc1: out of memory allocating 65536 bytes after a total of 1000 bytes\n", 1,
                        CODE_OUT_OF_MEMORY },
        { BUILD_STAGE_PREPARE, "scripts/Kconfig.include:39: C compiler 'gcc-99' not found\n", 1,
                        CODE_TOOLCHAIN_MISSING },
        { BUILD_STAGE_LINK, "ld: final link failed: Disk quota exceeded\n", 1, CODE_NO_SPACE },
        { BUILD_STAGE_COMPILE,
                        "gcc-12: fatal error: Killed signal terminated program cc1\ncompilation terminated.\n",
                        1, CODE_OUT_OF_MEMORY },
        { BUILD_STAGE_COMPILE, "virtual memory exhausted: Cannot allocate memory\n", 1, CODE_OUT_OF_MEMORY },
        { BUILD_STAGE_COMPILE, "make[2]: *** [x.mk:3: nvidia.o] Killed\n", 1, CODE_OUT_OF_MEMORY },
        { BUILD_STAGE_COMPILE, "make[2]: *** [x.mk:3: nvidia.o] Error 137\n", 1, CODE_OUT_OF_MEMORY },
        { BUILD_STAGE_COMPILE, "make[1]: gcc-12: No such file or directory\n", 1, CODE_TOOLCHAIN_MISSING },
        { BUILD_STAGE_COMPILE, "/bin/sh: 1: x86_64-linux-gnu-gcc-12: not found\n", 1,
                        CODE_TOOLCHAIN_MISSING },
        { BUILD_STAGE_COMPILE, "cc: not found\n", 1, CODE_TOOLCHAIN_MISSING },
        { BUILD_STAGE_PREPARE, "sh: line 1: flex: command not found\n", 1, CODE_TOOLCHAIN_MISSING },
        { BUILD_STAGE_PREPARE, "  HOSTCC x\nfatal error: libelf.h: No such file or directory\n", 1,
                        CODE_TOOLCHAIN_MISSING },
        { BUILD_STAGE_PREPARE, "/bin/sh: 1: ./missing-script: not found\n", 1, CODE_PREPARE_FAILED },
        { BUILD_STAGE_PREPARE,
                        "***\n*** The source tree is not clean, please run 'make mrproper'\n*** in /usr/src/linux\n"
                        "make: *** [Makefile:564: outputmakefile] Error 1\n",
                        2, CODE_TREE_DIRTY },
        { BUILD_STAGE_COMPILE, "  ERROR: Kernel configuration is invalid.\n", 1, CODE_TREE_UNUSABLE },
        { BUILD_STAGE_COMPILE,
                        "/s/include/linux/a.h:4:10: fatal error: generated/bounds.h: No such file or directory\n",
                        1, CODE_TREE_UNUSABLE },
        { BUILD_STAGE_COMPILE, "/bin/sh: 1: scripts/mod/modpost: not found\n", 1, CODE_TREE_UNUSABLE },
        { BUILD_STAGE_COMPILE, "/bin/sh: 1: scripts/basic/fixdep: Exec format error\n", 1,
                        CODE_TREE_UNUSABLE },
        { BUILD_STAGE_COMPILE, "The Module.symvers file is missing, or does not contain any\n", 1,
                        CODE_TREE_UNUSABLE },
        /* the stronger class wins, whatever comes first */
        { BUILD_STAGE_COMPILE,
                        "a.c:1:1: fatal error: asm/types.h: No such file or directory\n"
                        "as: BFD: x.o: No space left on device\n",
                        2, CODE_NO_SPACE },
        { BUILD_STAGE_COMPILE,
                        "as: BFD: x.o: No space left on device\n"
                        "a.c:1:1: fatal error: asm/types.h: No such file or directory\n",
                        2, CODE_NO_SPACE },
        /* no error lines at all */
        { BUILD_STAGE_COMPILE,
                        "x.c:1:2: warning: unused 'error: not one'\nWARNING: modpost: x\nld: warning: cannot find y\n",
                        0, CODE_COMPILE_FAILED },
        { BUILD_STAGE_COMPILE, "  CC [M]  /w/nvidia/nv-report-error.o\n", 0, CODE_COMPILE_FAILED },
        { BUILD_STAGE_PREPARE, "", 0, CODE_PREPARE_FAILED },
        { _BUILD_STAGE_INVALID, "", 0, CODE_INTERNAL },
};

START_TEST(test_failure)
{
        _cleanup_(buildlog_done) BuildLog log;

        buildlog_init(&log, failures[_i].stage, 0);
        feed(&log, failures[_i].text);
        ck_assert_int_eq(buildlog_finish(&log), 0);
        ck_assert_uint_eq(log.n_errors, failures[_i].n_errors);
        ck_assert_str_eq(code_to_string(buildlog_code(&log, false)), code_to_string(failures[_i].code));
        ck_assert_int_eq(buildlog_is_memory(&log, false), failures[_i].code == CODE_OUT_OF_MEMORY);
}
END_TEST

START_TEST(test_killed)
{
        _cleanup_(buildlog_done) BuildLog log;

        buildlog_init(&log, BUILD_STAGE_COMPILE, 0);
        ck_assert_int_eq(buildlog_code(&log, true), CODE_OUT_OF_MEMORY);
        ck_assert(buildlog_is_memory(&log, true));
        feed(&log, "x: No space left on device\n");
        ck_assert_int_eq(buildlog_code(&log, true), CODE_NO_SPACE);
        ck_assert(!buildlog_is_memory(&log, true));
}
END_TEST

START_TEST(test_bounds)
{
        _cleanup_(buildlog_done) BuildLog log;

        buildlog_init(&log, BUILD_STAGE_COMPILE, 0);
        feed(&log, "a.c:1:1: error: ");
        for (int i = 0; i < 500; i++)
                feed(&log, "x");
        feed(&log, "\n");
        ck_assert_uint_eq(strlen(log.errors[0]), BUILDLOG_LINE_MAX);
        for (int i = 0; i < 50; i++)
                feed(&log, "a.c:2:1: error: \x1b[31m\x80t\tx\r\n");
        ck_assert_str_eq(log.errors[1], "a.c:2:1: error: ?[31m?t x");
        ck_assert_uint_eq(log.n_errors, BUILDLOG_ERRORS_MAX);
        ck_assert_uint_eq(log.n_error_lines, 51);
}
END_TEST

START_TEST(test_finish)
{
        _cleanup_(buildlog_done) BuildLog log;

        buildlog_init(&log, BUILD_STAGE_LINK, 0);
        feed(&log, "ld: error: no newline");
        ck_assert_uint_eq(log.n_errors, 0);
        ck_assert_int_eq(buildlog_finish(&log), 0);
        ck_assert_int_eq(buildlog_finish(&log), 0);
        ck_assert_uint_eq(log.n_errors, 1);
        buildlog_done(&log);
        buildlog_done(&log);
}
END_TEST

/* Excerpts of builds of drivers that were too old for Linux 7.x. */
static const struct {
        const char *text;
        Code code;
        const char *telling; /* NULL: no error line */
} first[] = {
        /* NVIDIA's conftest tries a tool that is optional, long before the compiler complains. */
        { " CONFTEST: drm_available\n"
          "sh: 1: pahole: not found\n"
          "  CC [M]  nvidia/nv-acpi.o\n"
          "In file included from common/inc/nv-linux.h:21,\n"
          "common/inc/nv-mm.h:312:25: error: 'struct vm_area_struct' has no member named '__vm_flags'\n"
          "common/inc/nv-time.h:145:9: error: implicit declaration of function 'in_irq'\n"
          "make[4]: *** [scripts/Makefile.build:289: nvidia/nv-acpi.o] Error 1\n",
                        CODE_DRIVER_TOO_OLD,
                        "common/inc/nv-mm.h:312:25: error: 'struct vm_area_struct' has no member named '__vm_flags'" },
        { "sh: 1: pahole: not found\n"
          "a.c:3:1: error: implicit declaration of function 'strncpy'\n"
          "common/inc/nv-linux.h:1730:10: fatal error: linux/of_gpio.h: No such file or directory\n"
          "b.c:9:10: fatal error: linux/other.h: No such file or directory\n",
                        CODE_HEADER_MISSING,
                        "common/inc/nv-linux.h:1730:10: fatal error: linux/of_gpio.h: No such file or directory" },
        /* No class at all: a compiler still tells more than a shell, and a shell more than make. */
        { "make[2]: *** [x.o] Error 127\n"
          "sh: 1: pahole: not found\n"
          "a.c:1:2: error: expected ';' before 'x'\n"
          "a.c:9:2: error: expected ')' before 'y'\n",
                        CODE_COMPILE_FAILED, "a.c:1:2: error: expected ';' before 'x'" },
        { "make[2]: *** [x.o] Error 127\nsh: 1: pahole: not found\n", CODE_COMPILE_FAILED,
                        "sh: 1: pahole: not found" },
        { "make[2]: *** [x.o] Error 2\nmake[1]: *** [y] Error 2\n", CODE_COMPILE_FAILED,
                        "make[2]: *** [x.o] Error 2" },
        { "make: *** No rule to make target 'x'.  Stop.\n", CODE_COMPILE_FAILED,
                        "make: *** No rule to make target 'x'.  Stop." },
        { "sh: 1: pahole: not found\nerror: it broke\n", CODE_COMPILE_FAILED, "error: it broke" },
        { "all is well\n", CODE_COMPILE_FAILED, NULL },
};

START_TEST(test_first)
{
        _cleanup_(buildlog_done) BuildLog log;

        buildlog_init(&log, BUILD_STAGE_COMPILE, 0);
        feed(&log, first[_i].text);
        ck_assert_str_eq(code_to_string(buildlog_code(&log, false)), code_to_string(first[_i].code));
        if (first[_i].telling)
                ck_assert_str_eq(log.telling, first[_i].telling);
        else
                ck_assert_ptr_null(log.telling);
}
END_TEST

/* The line that decided is known even if it came when no more lines were kept. */
START_TEST(test_first_is_late)
{
        _cleanup_(buildlog_done) BuildLog log;

        buildlog_init(&log, BUILD_STAGE_COMPILE, 0);
        for (int i = 0; i < 2 * BUILDLOG_ERRORS_MAX; i++)
                feed(&log, "sh: 1: pahole: not found\n");
        feed(&log, "a.c:1:2: error: unknown type name 'x'\n");
        ck_assert_str_eq(log.telling, "a.c:1:2: error: unknown type name 'x'");
        ck_assert_int_eq(log.code, CODE_DRIVER_TOO_OLD);
}
END_TEST

/* A compiler that was asked for its version and is not there, then another one that finds an error. */
START_TEST(test_forget)
{
        _cleanup_(buildlog_done) BuildLog log;

        buildlog_init(&log, BUILD_STAGE_COMPILE, 190);
        feed(&log, " CONFTEST: x\n  CC [M]  nvidia/nv.o\n");
        feed(&log, "gcc: No such file or directory\nhalf a line");
        ck_assert_int_eq(buildlog_code(&log, false), CODE_TOOLCHAIN_MISSING);
        buildlog_forget_errors(&log);
        ck_assert_uint_eq(log.n_errors + log.n_error_lines, 0);
        ck_assert_ptr_null(log.telling);
        ck_assert_int_eq(buildlog_code(&log, false), CODE_COMPILE_FAILED);
        ck_assert_uint_eq(log.n_objects, 1);
        feed(&log, "nvidia/os-interface.c:753:5: error: implicit declaration of function 'strncpy'\n");
        ck_assert_int_eq(buildlog_code(&log, false), CODE_DRIVER_TOO_OLD);
        ck_assert_str_eq(log.telling,
                        "nvidia/os-interface.c:753:5: error: implicit declaration of function 'strncpy'");
}
END_TEST

UNIT_MAIN("buildlog", UNIT_TEST(test_progress), UNIT_LOOP(test_split, 40), UNIT_TEST(test_progress_steps),
                UNIT_LOOP(test_failure, ELEMENTSOF(failures)), UNIT_TEST(test_killed),
                UNIT_TEST(test_bounds), UNIT_TEST(test_finish), UNIT_LOOP(test_first, ELEMENTSOF(first)),
                UNIT_TEST(test_first_is_late), UNIT_TEST(test_forget))
