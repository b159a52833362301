/* SPDX-License-Identifier: Apache-2.0 */

/* The reader (lib/sys/treefacts) and the judge (lib/policy/kerneltree) on small trees of every shape that is
 * known. */

#include "unit.h"

#include <elf.h>

#include "base/str.h"
#include "sys/packedfile.h"
#include "sys/treefacts.h"
#include "sys/treesupply.h"
#include "tmproot.h"

#define RELEASE "6.1.0-56-amd64"
#define UTS     "#1 SMP PREEMPT_DYNAMIC Debian 6.1.192-2 (2026-11-16)"
#define CONFIG                                                                                              \
        "CONFIG_CC_VERSION_TEXT=\"gcc-12 (Debian 12.2.0-14+deb12u1) 12.2.0\"\nCONFIG_SMP=y\n"               \
        "CONFIG_PREEMPT_BUILD=y\nCONFIG_MODULE_UNLOAD=y\nCONFIG_MODVERSIONS=y\nCONFIG_OBJTOOL=y\n"
#define MAKEFILE "# SPDX\nVERSION = 6\nPATCHLEVEL = 1\nSUBLEVEL = 192\nEXTRAVERSION =\n"
#define VERMAGIC RELEASE " SMP preempt mod_unload modversions"

#if defined(__x86_64__)
#define ARCH    "x86"
#define MACHINE EM_X86_64
#define FOREIGN EM_AARCH64
#else
#define ARCH    "arm64"
#define MACHINE EM_AARCH64
#define FOREIGN EM_X86_64
#endif

static void put(TmpRoot *t, const char *base, const char *name, const char *text)
{
        _cleanup_free_ char *path = str_format("%s/%s", base, name);

        tmproot_write(t, path, text);
}

static void rm(TmpRoot *t, const char *base, const char *name)
{
        _cleanup_free_ char *path = str_format("%s/%s", base, name);

        tmproot_rm(t, path);
}

/* The first bytes of an ELF program; little endian, as both of our machines are. */
static void put_tool(TmpRoot *t, const char *base, const char *name, unsigned machine, mode_t mode)
{
        _cleanup_free_ char *path = str_format("%s/%s", base, name);
        char head[64] = ELFMAG;

        head[18] = (char)(machine & 0xff);
        tmproot_mkdir_above(t, path);
        ck_assert_int_eq(root_write_file(t->root, path, head, sizeof(head), mode), 0);
}

static void put_tools(TmpRoot *t, const char *base)
{
        put_tool(t, base, "scripts/mod/modpost", MACHINE, 0755);
        put_tool(t, base, "scripts/basic/fixdep", MACHINE, 0755);
        put_tool(t, base, "tools/objtool/objtool", MACHINE, 0755);
}

/* What building leaves in a tree, shared by all ready kinds. */
static void put_generated(TmpRoot *t, const char *base)
{
        put(t, base, ".config", CONFIG);
        put(t, base, "Module.symvers", "0x1\tprintk\tvmlinux\tEXPORT_SYMBOL\t\n");
        put(t, base, "include/generated/autoconf.h", "");
        put(t, base, "include/config/auto.conf", "");
        put(t, base, "include/generated/utsrelease.h", "#define UTS_RELEASE \"" RELEASE "\"\n");
        put(t, base, "include/generated/utsversion.h", "#define UTS_VERSION \"" UTS "\"\n");
        put(t, base, "include/config/kernel.release", "6.1.192\n"); /* as Debian has it: not the release */
        put_tools(t, base);
}

#define BUILD  "usr/src/linux-headers-" RELEASE
#define COMMON "usr/src/linux-headers-6.1.0-56-common"
#define LINK   "lib/modules/" RELEASE "/build"

/* Debian's headers: a split tree, module.lds below arch. */
static void debian(TmpRoot *t)
{
        put_generated(t, BUILD);
        put(t, BUILD, "Makefile", "include /" COMMON "/Makefile\n");
        put(t, BUILD, "arch/" ARCH "/module.lds", "");
        put(t, COMMON, "Makefile", MAKEFILE);
        put(t, COMMON, "scripts/Makefile.build", "");
        put(t, COMMON, "include/linux/module.h", "");
        tmproot_link(t, "/" BUILD, LINK);
        tmproot_link(t, "/" COMMON, "lib/modules/" RELEASE "/source");
}

#define SOURCE      "usr/src/linux"
#define BOOT_CONFIG "boot/config-" RELEASE

/* A full source as it was unpacked. */
static void full_source(TmpRoot *t)
{
        put(t, SOURCE, "Makefile", MAKEFILE);
        put(t, SOURCE, "Kconfig", "");
        put(t, SOURCE, "init/main.c", "");
        put(t, SOURCE, "scripts/Makefile.build", "");
        put(t, SOURCE, "include/linux/module.h", "");
        put(t, SOURCE, "Module.symvers", "0x1\tprintk\tvmlinux\tEXPORT_SYMBOL\t\n");
        tmproot_write(t, BOOT_CONFIG, "#\n# Linux/" ARCH " 6.1.192 Kernel Configuration\n#\n" CONFIG);
}

static TreeFacts get(TmpRoot *t, const char *path)
{
        TreeFacts f = {};

        ck_assert_int_eq(treefacts_read(t->root, path, &f), 0);
        ck_assert_int_eq(treesupply_complete(t->root, RELEASE, true, &f), 0);
        ck_assert_int_eq(tree_facts_derive(&f), 0);
        return f;
}

static const KernelFact kernel = {
        .release = (char *)RELEASE, .version = (char *)UTS, .vermagic = (char *)VERMAGIC
};

static TreeJudgement judge(TmpRoot *t, const char *path, const KernelFact *k)
{
        _cleanup_(tree_facts_done) TreeFacts f = get(t, path);
        TreeJudgement j = {};

        ck_assert_int_eq(tree_judge(&f, k, &j), 0);
        return j;
}

START_TEST(test_debian_facts)
{
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();
        _cleanup_(tree_facts_done) TreeFacts f = {};

        debian(&t);
        f = get(&t, "/" LINK);
        ck_assert_str_eq(f.path, LINK);
        ck_assert_str_eq(f.source, COMMON);
        ck_assert_str_eq(f.release, RELEASE);
        ck_assert_str_eq(f.config_release, "6.1.192");
        ck_assert_str_eq(f.version, UTS);
        ck_assert_str_eq(f.makefile_version, "6.1.192");
        ck_assert_str_eq(f.lds, "arch/" ARCH "/module.lds");
        ck_assert_str_eq(f.compiler, "gcc-12 (Debian 12.2.0-14+deb12u1) 12.2.0");
        ck_assert_str_eq(f.vermagic, VERMAGIC);
        ck_assert(f.modversions && f.needs_objtool && !f.dirty && !f.foreign_tools);
        for (TreePart p = 0; p < _TREE_PART_MAX; p++)
                ck_assert_msg(f.parts[p] == (p != TREE_PART_FULL_SOURCE), "%s", tree_part_to_string(p));
}
END_TEST

START_TEST(test_debian_ready)
{
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();
        _cleanup_(tree_judgement_done) TreeJudgement j = {};

        debian(&t);
        j = judge(&t, LINK, &kernel);
        ck_assert_int_eq(j.verdict, TREE_READY);
        ck_assert_int_eq(j.code, CODE_OK);
        ck_assert_ptr_null(j.missing);
        ck_assert_ptr_null(j.notes);
        ck_assert_ptr_null(j.evidence);
}
END_TEST

/* Each way in which a tree leads to its source. */
static const char *const includes[] = {
        "include $(dir $(lastword $(MAKEFILE_LIST)))../linux-headers-6.1.0-56-common/Makefile\n",
        "# Automatically generated\nexport KBUILD_OUTPUT = .\ninclude  ../linux-headers-6.1.0-56-common/Makefile \n",
        "include /usr/src/linux-headers-6.1.0-56-common/Makefile",
        "include $(KERNELSRC)/Makefile\n",               /* not understood: then the source link */
        "include /usr/src/other.mk\ninclude Makefile\n", /* no tree's Makefile */
};

START_TEST(test_source_pointer)
{
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();
        _cleanup_(tree_facts_done) TreeFacts f = {};

        debian(&t);
        put(&t, BUILD, "Makefile", includes[_i]);
        if (_i >= 3)
                tmproot_link(&t, "../linux-headers-6.1.0-56-common", BUILD "/source");
        f = get(&t, LINK);
        ck_assert_str_eq(f.source, COMMON);
}
END_TEST

START_TEST(test_source_beside)
{
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();
        _cleanup_(tree_facts_done) TreeFacts f = {};

        debian(&t);
        put(&t, "lib/modules/r/build", "Makefile", "all:\n");
        tmproot_link(&t, "/" COMMON, "lib/modules/r/source");
        f = get(&t, "lib/modules/r/build");
        ck_assert_str_eq(f.source, COMMON);
}
END_TEST

START_TEST(test_source_dangles)
{
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();
        _cleanup_(tree_facts_done) TreeFacts f = {};
        _cleanup_(tree_judgement_done) TreeJudgement j = {};

        debian(&t);
        tmproot_rm(&t, COMMON);
        f = get(&t, LINK);
        ck_assert_ptr_null(f.source);
        ck_assert_int_eq(tree_judge(&f, &kernel, &j), 0);
        ck_assert_int_eq(j.verdict, TREE_UNUSABLE);
        ck_assert_int_eq(j.code, CODE_TREE_UNUSABLE);
        ck_assert_str_eq(j.evidence, "/" LINK " lacks scripts/Makefile.build, include/linux/module.h");
}
END_TEST

/* Without any one of these, a header package is of no use, and the name says which. */
static const char *const needed[] = { "Makefile", ".config", "Module.symvers",
        "include/generated/autoconf.h", "include/config/auto.conf", "scripts/mod/modpost",
        "scripts/basic/fixdep", "arch/" ARCH "/module.lds", "tools/objtool/objtool",
        "include/generated/utsrelease.h" };

START_TEST(test_missing_part)
{
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();
        _cleanup_(tree_judgement_done) TreeJudgement j = {};
        const char *name = strstr(needed[_i], "module.lds") ? "scripts/module.lds" : needed[_i];

        debian(&t);
        rm(&t, BUILD, needed[_i]);
        if (streq(name, "Makefile"))
                tmproot_link(&t, "../linux-headers-6.1.0-56-common", BUILD "/source");
        if (streq(name, "include/generated/utsrelease.h"))
                rm(&t, BUILD, "include/config/kernel.release");
        j = judge(&t, LINK, &kernel);
        if (streq(name, ".config")) /* which then says nothing about objtool */
                ck_assert_uint_eq(strv_length(j.missing), 1);
        ck_assert_int_eq(j.verdict, TREE_UNUSABLE);
        ck_assert(strv_contains(j.missing, name));
}
END_TEST

START_TEST(test_not_needed)
{
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();
        _cleanup_(tree_judgement_done) TreeJudgement j = {};
        _cleanup_(tree_facts_done) TreeFacts f = {};

        debian(&t);
        put(&t, BUILD, ".config", "CONFIG_SMP=y\n");
        rm(&t, BUILD, "tools/objtool/objtool");
        rm(&t, BUILD, "include/generated/utsrelease.h"); /* kernel.release must do */
        f = get(&t, LINK);
        ck_assert_str_eq(f.release, "6.1.192");
        put(&t, BUILD, "include/generated/utsrelease.h", "#define UTS_RELEASE \"6.1.192\"\n");
        j = judge(&t, LINK, &(KernelFact){ .release = (char *)"6.1.192" });
        ck_assert_int_eq(j.verdict, TREE_READY);
}
END_TEST

START_TEST(test_bad_config)
{
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();
        _cleanup_(tree_judgement_done) TreeJudgement j = {};

        debian(&t);
        put(&t, BUILD, ".config", "<html>404</html>\n");
        j = judge(&t, LINK, &kernel);
        ck_assert_int_eq(j.verdict, TREE_UNUSABLE);
        ck_assert_str_eq(j.missing[0], ".config");
}
END_TEST

/* Tools that cannot run here count as missing, and the sentence says why. */
START_TEST(test_foreign_tools)
{
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();
        _cleanup_(tree_judgement_done) TreeJudgement j = {};

        debian(&t);
        if (_i == 0)
                put_tool(&t, BUILD, "scripts/mod/modpost", FOREIGN, 0755);
        else if (_i == 1)
                put_tool(&t, BUILD, "scripts/mod/modpost", MACHINE, 0644);
        else
                put(&t, BUILD, "scripts/mod/modpost", "text");
        j = judge(&t, LINK, &kernel);
        ck_assert_int_eq(j.verdict, TREE_UNUSABLE);
        ck_assert_str_eq(j.evidence,
                        "/" LINK " lacks scripts/mod/modpost; its build tools do not run on this machine");
}
END_TEST

/* A script runs anywhere. */
START_TEST(test_script_tool)
{
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();
        _cleanup_(tree_judgement_done) TreeJudgement j = {};

        debian(&t);
        rm(&t, BUILD, "scripts/mod/modpost");
        ck_assert_int_eq(root_write_file(t.root, BUILD "/scripts/mod/modpost", "#!/bin/sh\nexit 0\n", 17,
                                         0755),
                        0);
        j = judge(&t, LINK, &kernel);
        ck_assert_int_eq(j.verdict, TREE_READY);
}
END_TEST

START_TEST(test_mismatch)
{
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();
        _cleanup_(tree_judgement_done) TreeJudgement j = {};

        debian(&t);
        j = judge(&t, LINK, &(KernelFact){ .release = (char *)"6.12.95+deb12-amd64" });
        ck_assert_int_eq(j.verdict, TREE_MISMATCH);
        ck_assert_int_eq(j.code, CODE_TREE_MISMATCH);
        ck_assert_str_eq(j.wanted, "6.12.95+deb12-amd64");
        ck_assert_str_eq(j.found, RELEASE);
        ck_assert_str_eq(j.evidence, "/" LINK " is for kernel " RELEASE ", not 6.12.95+deb12-amd64");
}
END_TEST

START_TEST(test_mismatch_vermagic)
{
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();
        _cleanup_(tree_judgement_done) TreeJudgement j = {};

        debian(&t);
        j = judge(&t, LINK,
                        &(KernelFact){ .release = (char *)RELEASE,
                                        .vermagic = (char *)RELEASE " SMP mod_unload " });
        ck_assert_int_eq(j.verdict, TREE_MISMATCH);
        ck_assert_str_eq(j.found, VERMAGIC);
}
END_TEST

START_TEST(test_version_note)
{
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();
        _cleanup_(tree_judgement_done) TreeJudgement j = {};

        debian(&t);
        j = judge(&t, LINK, &(KernelFact){ .release = (char *)RELEASE, .version = (char *)"#2 SMP" });
        ck_assert_int_eq(j.verdict, TREE_READY);
        ck_assert_str_eq(j.notes[0], "version text is \"" UTS "\", the kernel's is \"#2 SMP\"");
}
END_TEST

/* A source tree for @release with version text @version: what comes out? */
static const struct {
        const char *release, *version;
        TreeVerdict verdict;
        bool open;
} sources[] = {
        { RELEASE, UTS, TREE_SOURCE, false },
        { "6.1.192", NULL, TREE_SOURCE, false },
        { "6.1.192-flatcar", "#1 SMP Tue", TREE_SOURCE, false },
        { RELEASE, NULL, TREE_SOURCE, true },
        { RELEASE, "#1 SMP PREEMPT_DYNAMIC Debian 6.1.190-1", TREE_MISMATCH, false },
        { RELEASE, "#1 SMP Debian 16.1.192-1", TREE_MISMATCH, false },
        { RELEASE, "#1 SMP Debian 6.1.1920", TREE_MISMATCH, false },
        { "6.1.1920", NULL, TREE_MISMATCH, false },
        { "6.1.190-flatcar", NULL, TREE_MISMATCH, false },
        { "6.12.0-1-amd64", NULL, TREE_MISMATCH, false },
        { "6.1", NULL, TREE_MISMATCH, false },
        { "odd", NULL, TREE_MISMATCH, false },
};

START_TEST(test_source)
{
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();
        _cleanup_(tree_judgement_done) TreeJudgement j = {};
        const KernelFact k = { .release = (char *)sources[_i].release,
                .version = (char *)sources[_i].version };

        full_source(&t);
        j = judge(&t, SOURCE, &k);
        ck_assert_str_eq(tree_verdict_to_string(j.verdict), tree_verdict_to_string(sources[_i].verdict));
        ck_assert_int_eq(j.code, j.verdict == TREE_SOURCE ? CODE_OK : CODE_TREE_MISMATCH);
        if (j.verdict == TREE_SOURCE) {
                ck_assert(strv_contains(j.missing, ".config"));
                ck_assert_uint_eq(strv_length(j.notes), sources[_i].open ? 2 : 1);
                ck_assert_str_eq(j.notes[strv_length(j.notes) - 1],
                                "/" SOURCE " has no .config, /" BOOT_CONFIG " is used");
        } else {
                ck_assert_str_eq(j.found, "6.1.192");
        }
}
END_TEST

START_TEST(test_source_without_version)
{
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();
        _cleanup_(tree_judgement_done) TreeJudgement j = {};

        full_source(&t);
        put(&t, SOURCE, "Makefile", "VERSION = x\nPATCHLEVEL\n");
        j = judge(&t, SOURCE, &kernel);
        ck_assert_int_eq(j.verdict, TREE_SOURCE);
        ck_assert(strstr(j.notes[0], "nothing in /usr/src/linux tells"));
}
END_TEST

/* What only the kernel's own build can tell is not invented: the sentence names what is missing. */
START_TEST(test_source_incomplete)
{
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();
        _cleanup_(tree_judgement_done) TreeJudgement j = {};
        static const char *const lacks[] = { ".config,", ".config and Module.symvers,", "Module.symvers," };

        full_source(&t);
        if (_i < 2)
                rm(&t, "boot", "config-" RELEASE);
        if (_i > 0)
                rm(&t, SOURCE, "Module.symvers");
        j = judge(&t, SOURCE, &kernel);
        ck_assert_int_eq(j.verdict, TREE_UNUSABLE);
        ck_assert_int_eq(j.code, CODE_TREE_UNUSABLE);
        ck_assert_msg(strstr(j.evidence, lacks[_i]) && strstr(j.evidence, RELEASE), "%s", j.evidence);
        ck_assert_int_eq(strstr(j.evidence, " and Module") != NULL, _i == 1);
}
END_TEST

/* Of another series: refused with both. Of another point release: a note. Without a word about it: fine. */
START_TEST(test_source_other_config)
{
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();
        _cleanup_(tree_judgement_done) TreeJudgement other = {}, beside = {}, own = {}, silent = {};

        full_source(&t);
        tmproot_write(&t, BOOT_CONFIG, "#\n# Linux/" ARCH " 6.12.95 Kernel Configuration\n#\n" CONFIG);
        other = judge(&t, SOURCE, &kernel);
        ck_assert_int_eq(other.verdict, TREE_MISMATCH);
        ck_assert_int_eq(other.code, CODE_TREE_MISMATCH);
        ck_assert_str_eq(other.found, "6.12.95");
        ck_assert_str_eq(other.wanted, "6.1.192");
        ck_assert_str_eq(other.evidence,
                        "/" BOOT_CONFIG " is the configuration of Linux 6.12.95, the source /" SOURCE
                        " is Linux 6.1.192");
        put(&t, SOURCE, ".config", "# Linux/" ARCH " 6.6.9 Kernel Configuration\n" CONFIG);
        own = judge(&t, SOURCE, &kernel);
        ck_assert_str_eq(own.evidence,
                        "/" SOURCE
                        "/.config is the configuration of Linux 6.6.9, the source is Linux 6.1.192");
        put(&t, SOURCE, ".config", "# Linux/" ARCH " 6.1.190 Kernel Configuration\n" CONFIG);
        beside = judge(&t, SOURCE, &kernel);
        ck_assert_int_eq(beside.verdict, TREE_DIRTY);
        ck_assert(strstr(beside.notes[0], "of Linux 6.1.190, the source /" SOURCE " is Linux 6.1.192"));
        put(&t, SOURCE, ".config", CONFIG);
        silent = judge(&t, SOURCE, &kernel);
        ck_assert_int_eq(silent.verdict, TREE_DIRTY);
        ck_assert_ptr_null(silent.notes);
}
END_TEST

/* "CONFIG_SMP=y\n", by gzip -n. */
static const unsigned char packed_config[] = { 0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0xff,
        0x73, 0xf6, 0xf7, 0x73, 0xf3, 0x74, 0x8f, 0x0f, 0xf6, 0x0d, 0xb0, 0xad, 0xe4, 0x02, 0x00, 0xff, 0x85,
        0x45, 0x0d, 0x0d, 0x00, 0x00, 0x00 };

static void put_packed(TmpRoot *t, const char *path, size_t size)
{
        tmproot_mkdir_above(t, path);
        ck_assert_int_eq(root_write_file(t->root, path, (const char *)packed_config, size, 0644), 0);
}

/* Each place, alone; the running kernel's own only if it is the running kernel that is asked for. */
static const struct {
        const char *path;
        bool packed, running;
} places[] = {
        { "boot/config-" RELEASE, false, false },
        { "usr/boot/config-" RELEASE, false, false },
        { "usr/lib/modules/" RELEASE "/config", false, false },
        { "lib/modules/" RELEASE "/build/.config", false, false },
        { "proc/config.gz", true, true },
        { "proc/config.gz", true, false },
};

START_TEST(test_config_places)
{
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();
        _cleanup_(tree_facts_done) TreeFacts f = {};
        bool found = !places[_i].packed || places[_i].running;

        full_source(&t);
        rm(&t, "boot", "config-" RELEASE);
        if (places[_i].packed)
                put_packed(&t, places[_i].path, sizeof(packed_config));
        else
                tmproot_write(&t, places[_i].path, "CONFIG_SMP=y\n");
        ck_assert_int_eq(treefacts_read(t.root, SOURCE, &f), 0);
        ck_assert_int_eq(treesupply_complete(t.root, RELEASE, places[_i].running, &f), 0);
        if (found) {
                ck_assert_str_eq(f.config_from, places[_i].path);
                ck_assert_str_eq(f.config, "CONFIG_SMP=y\n");
                ck_assert_uint_eq(f.config_size, strlen("CONFIG_SMP=y\n"));
        } else {
                ck_assert_ptr_null(f.config_from);
                ck_assert_ptr_null(f.config);
        }
        ck_assert_ptr_null(f.symvers_from); /* it has its own */
}
END_TEST

static const char *const symvers_places[] = { "lib/modules/" RELEASE "/build/Module.symvers",
        "boot/symvers-" RELEASE ".gz", "usr/lib/modules/" RELEASE "/symvers.gz" };

START_TEST(test_symvers_places)
{
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();
        _cleanup_(tree_facts_done) TreeFacts f = {}, astray = {};

        full_source(&t);
        rm(&t, SOURCE, "Module.symvers");
        tmproot_write(&t, symvers_places[_i], "0x1\n");
        ck_assert_int_eq(treefacts_read(t.root, SOURCE, &f), 0);
        ck_assert_int_eq(treesupply_complete(t.root, RELEASE, false, &f), 0);
        ck_assert_str_eq(f.symvers_from, symvers_places[_i]);
        ck_assert_int_eq(treefacts_read(t.root, SOURCE, &astray), 0);
        ck_assert_int_eq(treesupply_complete(t.root, "../" RELEASE, false, &astray), 0);
        ck_assert_ptr_null(astray.symvers_from);
}
END_TEST

START_TEST(test_packedfile)
{
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();
        _cleanup_free_ char *plain = NULL, *unpacked = NULL, *none = NULL;
        size_t size = 0;

        tmproot_write(&t, "plain", "text\n");
        ck_assert_int_eq(packedfile_read(t.root, "plain", 5, &plain, &size), 0);
        ck_assert_str_eq(plain, "text\n");
        ck_assert_int_eq(packedfile_read(t.root, "plain", 4, &none, &size), PACKEDFILE_E_BROKEN);
        put_packed(&t, "packed", sizeof(packed_config));
        ck_assert_int_eq(packedfile_read(t.root, "packed", 13, &unpacked, &size), 0);
        ck_assert_uint_eq(size, 13);
        ck_assert_int_eq(packedfile_read(t.root, "packed", 12, &none, &size), PACKEDFILE_E_BROKEN);
        put_packed(&t, "short", sizeof(packed_config) - 6);
        ck_assert_int_eq(packedfile_read(t.root, "short", 100, &none, &size), PACKEDFILE_E_BROKEN);
        ck_assert_int_eq(packedfile_read(t.root, "none", 100, &none, &size), PACKEDFILE_E_ABSENT);
        tmproot_write(&t, "directory/file", "");
        ck_assert_int_eq(packedfile_read(t.root, "directory", 100, &none, &size), PACKEDFILE_E_ABSENT);
        ck_assert_ptr_null(none);
}
END_TEST

/* The three leftovers that make O= refuses. */
static const char *const dirt[] = { ".config", "include/config/x", "arch/" ARCH "/include/generated/x" };

START_TEST(test_dirty)
{
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();
        _cleanup_(tree_judgement_done) TreeJudgement j = {};

        full_source(&t);
        put(&t, SOURCE, dirt[_i], CONFIG);
        j = judge(&t, SOURCE, &kernel);
        ck_assert_int_eq(j.verdict, TREE_DIRTY);
        ck_assert_int_eq(j.code, CODE_TREE_DIRTY);
        ck_assert(startswith(j.evidence, "/usr/src/linux holds "));
}
END_TEST

/* Built in place under another name: still the source of this kernel. And under this name: ready. */
START_TEST(test_built_in_place)
{
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();
        _cleanup_(tree_judgement_done) TreeJudgement other = {}, ours = {};

        full_source(&t);
        put_generated(&t, SOURCE);
        put(&t, SOURCE, "scripts/module.lds", "");
        ours = judge(&t, SOURCE, &kernel);
        ck_assert_int_eq(ours.verdict, TREE_READY);
        put(&t, SOURCE, "include/generated/utsrelease.h", "#define UTS_RELEASE \"6.1.192-mine\"\n");
        other = judge(&t, SOURCE, &kernel);
        ck_assert_int_eq(other.verdict, TREE_DIRTY);
}
END_TEST

START_TEST(test_odd_files)
{
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();
        _cleanup_(tree_facts_done) TreeFacts f = {}, none = {};

        debian(&t);
        put(&t, BUILD, "include/generated/utsrelease.h", "#define UTS_RELEASE \"unterminated\n");
        put(&t, BUILD, "include/generated/utsversion.h", "#define UTS_VERSION \"\"\n");
        put(&t, BUILD, "include/generated/compile.h", "#define UTS_VERSION \"#7 SMP\"\n");
        put(&t, BUILD, "include/generated/randstruct_hash.h", "#define RANDSTRUCT_HASHED_SEED \"beef\"\n");
        f = get(&t, LINK);
        ck_assert_str_eq(f.release, "6.1.192");
        ck_assert_str_eq(f.version, "#7 SMP");
        ck_assert_str_eq(f.randstruct, "beef");
        ck_assert_int_eq(treefacts_read(t.root, "no/such", &none), TREEFACTS_E_ABSENT);
        ck_assert_int_eq(treefacts_read(t.root, BUILD "/Makefile", &none), TREEFACTS_E_ABSENT);
}
END_TEST

START_TEST(test_search)
{
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();
        _cleanup_(tree_facts_list_done) TreeFactsList all = {}, one = {}, none = {}, astray = {};

        debian(&t);
        full_source(&t);
        ck_assert_int_eq(treefacts_search(t.root, NULL, RELEASE, &all), 0);
        ck_assert_uint_eq(all.n, 3); /* BUILD under its second name counts once */
        ck_assert_str_eq(all.items[0].path, LINK);
        ck_assert_str_eq(all.items[1].path, SOURCE);
        ck_assert_str_eq(all.items[2].path, "lib/modules/" RELEASE "/source");
        ck_assert_int_eq(treefacts_search(t.root, "/" SOURCE, RELEASE, &one), 0);
        ck_assert_uint_eq(one.n, 1);
        ck_assert_str_eq(one.items[0].path, SOURCE);
        ck_assert_int_eq(treefacts_search(t.root, "/no/such", RELEASE, &none), 0);
        ck_assert_uint_eq(none.n, 0);
        ck_assert_int_eq(treefacts_search(t.root, NULL, "x/../../" RELEASE, &astray), 0);
        ck_assert_uint_eq(astray.n, 0);
}
END_TEST

START_TEST(test_choose)
{
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();
        _cleanup_(tree_facts_list_done) TreeFactsList l = {};
        _cleanup_(tree_judgement_done) TreeJudgement j = {}, source = {}, dirty = {}, worst = {};
        size_t index = 99;

        ck_assert_int_eq(tree_choose(&l, &kernel, &index, &j), TREE_E_NONE);
        l.items = calloc(3, sizeof(*l.items));
        ck_assert_ptr_nonnull(l.items);
        l.n = 3;

        debian(&t);
        full_source(&t);
        l.items[0] = get(&t, COMMON); /* unusable: only half of a tree */
        l.items[1] = get(&t, SOURCE);
        l.items[2] = get(&t, LINK);
        ck_assert_int_eq(tree_choose(&l, &kernel, &index, &j), 0);
        ck_assert_uint_eq(index, 2);
        ck_assert_int_eq(j.verdict, TREE_READY);

        l.items[2].parts[TREE_PART_LDS] = false;
        ck_assert_int_eq(tree_choose(&l, &kernel, &index, &source), 0);
        ck_assert_uint_eq(index, 1);
        ck_assert_int_eq(source.verdict, TREE_SOURCE);

        l.items[1].dirty = true;
        ck_assert_int_eq(tree_choose(&l, &kernel, &index, &dirty), 0);
        ck_assert_int_eq(dirty.verdict, TREE_DIRTY);

        l.items[1].parts[TREE_PART_FULL_SOURCE] = false;
        ck_assert_int_eq(tree_choose(&l, &kernel, &index, &worst), 0);
        ck_assert_uint_eq(index, 0); /* the first one tells the reason */
        ck_assert_int_eq(worst.verdict, TREE_UNUSABLE);
}
END_TEST

START_TEST(test_names)
{
        for (TreePart p = 0; p < _TREE_PART_MAX; p++)
                ck_assert_ptr_nonnull(tree_part_to_string(p));
        for (TreeVerdict v = 0; v < _TREE_VERDICT_MAX; v++)
                ck_assert_ptr_nonnull(tree_verdict_to_string(v));
        ck_assert_str_eq(tree_part_to_string(_TREE_PART_INVALID), "invalid");
        ck_assert_str_eq(tree_verdict_to_string(_TREE_VERDICT_INVALID), "invalid");
}
END_TEST

UNIT_MAIN("kerneltree", UNIT_TEST(test_debian_facts), UNIT_TEST(test_debian_ready),
                UNIT_LOOP(test_source_pointer, ELEMENTSOF(includes)), UNIT_TEST(test_source_beside),
                UNIT_TEST(test_source_dangles), UNIT_LOOP(test_missing_part, ELEMENTSOF(needed)),
                UNIT_TEST(test_not_needed), UNIT_TEST(test_bad_config), UNIT_LOOP(test_foreign_tools, 3),
                UNIT_TEST(test_script_tool), UNIT_TEST(test_mismatch), UNIT_TEST(test_mismatch_vermagic),
                UNIT_TEST(test_version_note), UNIT_LOOP(test_source, ELEMENTSOF(sources)),
                UNIT_TEST(test_source_without_version), UNIT_LOOP(test_dirty, ELEMENTSOF(dirt)),
                UNIT_LOOP(test_source_incomplete, 3), UNIT_TEST(test_source_other_config),
                UNIT_LOOP(test_config_places, ELEMENTSOF(places)),
                UNIT_LOOP(test_symvers_places, ELEMENTSOF(symvers_places)), UNIT_TEST(test_packedfile),
                UNIT_TEST(test_built_in_place), UNIT_TEST(test_odd_files), UNIT_TEST(test_search),
                UNIT_TEST(test_choose), UNIT_TEST(test_names))
