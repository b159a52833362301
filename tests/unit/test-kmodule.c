/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What we ask libkmod for (kmodinfo, hostvermagic, kmodule), with a host tree made on the spot: small object
 * files with a .modinfo, exports and undefined symbols by the compiler, the indexes by depmod. No kernel, no
 * headers. Inserting is the only thing that is not real: libkmod's function is replaced by the one below.
 */

#include <elf.h>

#include "unit.h"

#include "base/str.h"
#include "sys/hostvermagic.h"
#include "sys/kmodinfo.h"
#include "sys/kmodule.h"
#include "tmproot.h"

#define RELEASE  "6.1.0-56-amd64"
#define TREE     "lib/modules/" RELEASE
#define VERMAGIC RELEASE " SMP preempt mod_unload modversions "

struct kmod_module;
int kmod_module_probe_insert_module(struct kmod_module *m, unsigned flags, const char *options,
                int (*run_install)(struct kmod_module *, const char *, void *), const void *data,
                void (*print)(struct kmod_module *, bool, const char *));
const char *kmod_module_get_name(const struct kmod_module *m);

static int probe_result;
static char probed[64];

int kmod_module_probe_insert_module(struct kmod_module *m, unsigned flags, const char *options,
                int (*run_install)(struct kmod_module *, const char *, void *), const void *data,
                void (*print)(struct kmod_module *, bool, const char *))
{
        (void)snprintf(probed, sizeof(probed), "%s", kmod_module_get_name(m));
        return probe_result;
}

static void run(const char *format, ...) _printf_(1, 2);

/* The commands see nothing of the test's preload or sanitizer settings. */
static void run(const char *format, ...)
{
        char command[4096];
        va_list ap;

        va_start(ap, format);
        (void)vsnprintf(command, sizeof(command), format, ap);
        va_end(ap);
        ck_assert_msg(system(command) == 0, "failed: %s", command);
}

/* A module file. @exports and @needs are a symbol or NULL; @modinfo is C text: "key=value\\0"... */
static void add_module(
                TmpRoot *t, const char *path, const char *modinfo, const char *exports, const char *needs)
{
        _cleanup_free_ char *source = str_format(
                        "static const char i[] __attribute__((section(\".modinfo\"), used)) = \"%s\";\n"
                        "static const char e[] __attribute__((section(\"__ksymtab_strings\"), used)) = \"%s\";\n"
                        "extern char %s;\n%schar *p = &%s;\n",
                        modinfo, exports ? exports : "", needs ? needs : "own", needs ? "" : "char own;\n",
                        needs ? needs : "own");

        tmproot_write(t, "tmp/module.c", source);
        tmproot_mkdir_above(t, path);
        run("${CC:-cc} -w -fno-pic -c -o %s/%s %s/tmp/module.c", t->path, path, t->path);
}

static void add_host_module(TmpRoot *t, const char *name, const char *exports, const char *needs)
{
        _cleanup_free_ char *path = str_format(TREE "/kernel/%s.ko", name);
        _cleanup_free_ char *modinfo = str_format("name=%s\\0vermagic=" VERMAGIC "\\0license=GPL", name);

        add_module(t, path, modinfo, exports, needs);
}

static void depmod(TmpRoot *t)
{
        tmproot_write(t, TREE "/modules.order", "");
        tmproot_write(t, TREE "/modules.builtin.modinfo", "");
        if (!root_exists(t->root, TREE "/modules.builtin"))
                tmproot_write(t, TREE "/modules.builtin", "");
        run("PATH=$PATH:/usr/sbin:/sbin depmod -b %s " RELEASE, t->path);
}

/* drm_kms_helper needs drm needs drm_panel_orientation_quirks, as on Debian; backlight stands alone. */
static void add_host(TmpRoot *t)
{
        add_host_module(t, "quirks", "quirk", NULL);
        add_host_module(t, "drm", "drm_open", "quirk");
        add_host_module(t, "drm_kms_helper", "helper", "drm_open");
        add_host_module(t, "backlight", NULL, NULL);
        add_host_module(t, "i2c-core", "i2c", NULL);
        tmproot_write(t, TREE "/modules.builtin", "kernel/drivers/video/fb.ko\n");
        depmod(t);
}

static void assert_joined(char *const *l, const char *expected)
{
        _cleanup_free_ char *text = strv_join(l, " ");

        ck_assert_str_eq(text, expected);
}

static void resolve(TmpRoot *t, const char *names, KmodulePlan *ret)
{
        _cleanup_strv_ char **l = NULL;

        ck_assert_int_eq(strv_split(names, " ", &l), 0);
        ck_assert_int_eq(kmodule_resolve(t->root, RELEASE, l, ret), 0);
}

START_TEST(test_info)
{
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();
        _cleanup_(kmodinfo_done) KmodInfo i = {};

        add_module(&t, "m/nvidia-uvm.ko",
                        "name=nvidia-uvm\\0version=535.261.03\\0srcversion=ABC\\0license=Dual MIT/GPL\\0"
                        "license=second\\0parm=first:A text: with a colon\\0parmtype=first:bool\\0parmtype=second:int\\0depends=nvidia,drm\\0flag\\0vermagic=" VERMAGIC,
                        NULL, NULL);
        ck_assert_int_eq(kmodinfo_read(t.root, "m/nvidia-uvm.ko", &i), 0);
        ck_assert_str_eq(i.name, "nvidia_uvm");
        ck_assert_str_eq(i.vermagic, VERMAGIC);
        ck_assert_str_eq(i.version, "535.261.03");
        ck_assert_str_eq(i.srcversion, "ABC");
        ck_assert_str_eq(i.license, "Dual MIT/GPL");
        ck_assert_ptr_null(i.signer);
        assert_joined(i.depends, "nvidia drm");
        assert_joined(i.parameters, "first second");
}
END_TEST

/* T1: a module linked without .module-common.o has no vermagic; an old one has no name either. */
START_TEST(test_info_bare)
{
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();
        _cleanup_(kmodinfo_done) KmodInfo i = {};

        add_module(&t, "nvidia-drm.ko", "license=NVIDIA\\0depends=", NULL, NULL);
        ck_assert_int_eq(kmodinfo_read(t.root, "nvidia-drm.ko", &i), 0);
        ck_assert_str_eq(i.name, "nvidia_drm");
        ck_assert_ptr_null(i.vermagic);
        ck_assert_ptr_null(i.depends);
}
END_TEST

/* gzip too, although Debian's libkmod is built without zlib: it is never given a compressed file. */
START_TEST(test_info_compressed)
{
        static const char *const tools[] = { "xz", "zstd -q --rm", "gzip" };
        static const char *const suffixes[] = { "xz", "zst", "gz" };
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();
        _cleanup_(kmodinfo_done) KmodInfo i = {};
        _cleanup_free_ char *path = str_format("m.ko.%s", suffixes[_i]);

        add_module(&t, "m.ko", "license=GPL\\0vermagic=" VERMAGIC, NULL, NULL);
        run("%s %s/m.ko", tools[_i], t.path);
        ck_assert_int_eq(kmodinfo_read(t.root, path, &i), 0);
        ck_assert_str_eq(i.name, "m");
        ck_assert_str_eq(i.vermagic, VERMAGIC);
}
END_TEST

/* A signature as the kernel's sign-file appends it. */
START_TEST(test_info_signed)
{
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();
        _cleanup_(kmodinfo_done) KmodInfo i = {};

        add_module(&t, "m.ko", "license=GPL", NULL, NULL);
        run("cd %s && exec 2>/dev/null && openssl req -x509 -newkey rsa:2048 -nodes -subj '/CN=Our signer' "
            "-keyout key -out cert && openssl cms -sign -binary -noattr -nocerts -md sha256 -signer cert "
            "-inkey key -outform DER -in m.ko -out sig && cat sig >>m.ko && "
            "python3 -c \"import os,struct;open('tail','wb').write(bytes([0,0,2,0,0,0,0,0])+"
            "struct.pack('>I',os.path.getsize('sig')))\" && "
            "cat tail >>m.ko && echo '~Module signature appended~' >>m.ko",
                        t.path);
        ck_assert_int_eq(kmodinfo_read(t.root, "m.ko", &i), 0);
        ck_assert_str_eq(i.license, "GPL");
        ck_assert_str_eq(i.signer, "Our signer");
}
END_TEST

static const struct {
        const char *content; /* NULL: a directory */
        int result;
} bad_files[] = {
        { "", KMODINFO_E_FORMAT },
        { "no ELF at all, but longer than its header would have to be to be looked at\n",
                        KMODINFO_E_FORMAT },
        { "\177ELF\2\1\1", KMODINFO_E_FORMAT },
        { NULL, KMODINFO_E_FORMAT },
};

START_TEST(test_info_bad)
{
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();
        KmodInfo i = {};

        if (bad_files[_i].content)
                tmproot_write(&t, "m.ko", bad_files[_i].content);
        else
                tmproot_mkdir(&t, "m.ko");
        ck_assert_int_eq(kmodinfo_read(t.root, "m.ko", &i), bad_files[_i].result);
        ck_assert_int_eq(kmodinfo_read(t.root, "other.ko", &i), KMODINFO_E_ABSENT);
        ck_assert_ptr_null(i.name);
}
END_TEST

/* Every cut of a real module file is either refused or read, never a crash. */
START_TEST(test_info_cut)
{
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();
        _cleanup_free_ char *data = NULL;
        size_t size;

        add_module(&t, "m.ko", "license=GPL", "export", "need");
        ck_assert_int_eq(root_read_file(t.root, "m.ko", 1 << 20, &data, &size), 0);
        for (size_t n = 0; n < size; n += 13) {
                _cleanup_(kmodinfo_done) KmodInfo i = {};

                ck_assert_int_eq(root_write_file(t.root, "m.ko", data, n, 0644), 0);
                ck_assert_int_eq(kmodinfo_read(t.root, "m.ko", &i), KMODINFO_E_FORMAT);
        }
}
END_TEST

/* Makes the section @name of a module file begin at @offset and have @size bytes. */
static void move_section(TmpRoot *t, const char *path, const char *name, uint64_t offset, uint64_t size)
{
        _cleanup_free_ char *data = NULL;
        const Elf64_Ehdr *elf;
        Elf64_Shdr *headers;
        bool found = false;
        size_t n;

        ck_assert_int_eq(root_read_file(t->root, path, 1 << 20, &data, &n), 0);
        elf = (const Elf64_Ehdr *)data;
        headers = (Elf64_Shdr *)(data + elf->e_shoff);
        for (size_t i = 0; i < elf->e_shnum; i++) {
                if (!streq(data + headers[elf->e_shstrndx].sh_offset + headers[i].sh_name, name))
                        continue;
                headers[i].sh_offset = offset;
                headers[i].sh_size = size;
                found = true;
        }
        ck_assert(found);
        ck_assert_int_eq(root_write_file(t->root, path, data, n, 0644), 0);
}

static const struct {
        const char *section;
        uint64_t offset, size;
} damages[] = {
        { ".comment", 1 << 20, 1 },
        { ".comment", 64, 1 << 20 },
        { ".comment", 64, UINT64_MAX },
        { ".comment", UINT64_MAX, 64 },
        { ".strtab", 0, 7 }, /* no NUL at its end */
        { ".symtab", 64, 25 },
};

/* Refused before libkmod sees it, compressed or not. */
START_TEST(test_info_damaged)
{
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();
        _cleanup_(kmodinfo_done) KmodInfo i = {};

        add_module(&t, "m.ko", "license=GPL", "export", "need");
        move_section(&t, "m.ko", damages[_i].section, damages[_i].offset, damages[_i].size);
        ck_assert_int_eq(kmodinfo_read(t.root, "m.ko", &i), KMODINFO_E_FORMAT);
        run("xz -k %s/m.ko", t.path);
        ck_assert_int_eq(kmodinfo_read(t.root, "m.ko.xz", &i), KMODINFO_E_FORMAT);
}
END_TEST

/* A damaged module of the host is passed over, and too many of them are not read one after the other. */
START_TEST(test_host_vermagic_damaged)
{
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();
        _cleanup_free_ char *vermagic = NULL, *packed = NULL, *many = NULL;
        char dep[1024] = "";

        add_module(&t, TREE "/bad.ko", "license=GPL\\0vermagic=damaged", NULL, NULL);
        move_section(&t, TREE "/bad.ko", ".comment", 1 << 20, 1);
        run("cd %s/" TREE " && xz -k bad.ko", t.path);
        add_module(&t, TREE "/good.ko", "license=GPL\\0vermagic=" VERMAGIC, NULL, NULL);
        tmproot_write(&t, TREE "/modules.dep", "bad.ko:\nbad.ko.xz:\ngood.ko:\n");
        ck_assert_int_eq(hostvermagic_read(t.root, RELEASE, &vermagic, NULL), 0);
        ck_assert_str_eq(vermagic, VERMAGIC);

        run("cd %s/" TREE " && gzip good.ko", t.path);
        tmproot_write(&t, TREE "/modules.dep", "bad.ko.xz:\ngood.ko.gz:\n");
        ck_assert_int_eq(hostvermagic_read(t.root, RELEASE, &packed, NULL), 0);
        ck_assert_str_eq(packed, VERMAGIC);

        for (unsigned i = 0; i < 16; i++)
                strcat(dep, "bad.ko:\n");
        strcat(dep, "good.ko.gz:\n");
        tmproot_write(&t, TREE "/modules.dep", dep);
        ck_assert_int_eq(hostvermagic_read(t.root, RELEASE, &many, NULL), HOSTVERMAGIC_E_ABSENT);
}
END_TEST

/* An absolute link in a fixture leads into the fixture, not to this machine. */
START_TEST(test_info_link)
{
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();
        _cleanup_(kmodinfo_done) KmodInfo i = {};

        add_module(&t, "real/m.ko", "license=GPL", NULL, NULL);
        tmproot_link(&t, "/real/m.ko", "link.ko");
        ck_assert_int_eq(kmodinfo_read(t.root, "link.ko", &i), 0);
        ck_assert_str_eq(i.license, "GPL");
}
END_TEST

START_TEST(test_host_vermagic)
{
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();
        _cleanup_free_ char *vermagic = NULL, *again = NULL, *elsewhere = NULL, *by_kmod = NULL,
                            *hash = NULL;

        ck_assert_int_eq(hostvermagic_read(t.root, RELEASE, &vermagic, NULL), HOSTVERMAGIC_E_ABSENT);
        tmproot_write(&t, TREE "/modules.dep", "");
        ck_assert_int_eq(hostvermagic_read(t.root, RELEASE, &vermagic, NULL), HOSTVERMAGIC_E_ABSENT);
        tmproot_write(&t, TREE "/modules.dep", ":\n\nkernel/gone.ko:\n");
        ck_assert_int_eq(hostvermagic_read(t.root, RELEASE, &vermagic, NULL), HOSTVERMAGIC_E_ABSENT);

        add_host(&t);
        ck_assert_int_eq(hostvermagic_read(t.root, RELEASE, &vermagic, NULL), 0);
        ck_assert_str_eq(vermagic, VERMAGIC);
        ck_assert_int_eq(hostvermagic_read(t.root, RELEASE, &by_kmod, &hash), 0);
        ck_assert_str_eq(by_kmod, VERMAGIC);
        ck_assert_ptr_null(hash);
        tmproot_write(&t, TREE "/modules.dep", "kernel/gone.ko: kernel/drm.ko\nkernel/drm.ko:\n");
        ck_assert_int_eq(hostvermagic_read(t.root, RELEASE, &again, NULL), 0);
        ck_assert_str_eq(again, VERMAGIC);
        tmproot_write(&t, TREE "/modules.dep", "/" TREE "/kernel/drm.ko:");
        ck_assert_int_eq(hostvermagic_read(t.root, RELEASE, &elsewhere, NULL), 0);
}
END_TEST

START_TEST(test_resolve)
{
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();
        _cleanup_(kmodule_plan_done) KmodulePlan plan = {};
        _cleanup_free_ char *last = root_path(t.root, TREE "/kernel/i2c-core.ko");

        add_host(&t);
        resolve(&t, "drm-kms-helper fb drm no_such_module i2c_core", &plan);
        assert_joined(plan.names, "quirks drm drm_kms_helper i2c_core");
        ck_assert_uint_eq(strv_length(plan.paths), 4);
        ck_assert_str_eq(plan.paths[3], last);
        assert_joined(plan.missing, "no_such_module");
        assert_joined(plan.builtin, "fb");
        ck_assert_ptr_null(plan.blacklisted);
}
END_TEST

START_TEST(test_resolve_loaded)
{
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();
        _cleanup_(kmodule_plan_done) KmodulePlan plan = {}, none = {};

        add_host(&t);
        tmproot_write(&t, "sys/module/quirks/initstate", "live\n");
        tmproot_write(&t, "sys/module/drm/initstate", "coming\n");
        resolve(&t, "drm_kms_helper", &plan);
        assert_joined(plan.names, "drm drm_kms_helper");
        tmproot_write(&t, "sys/module/drm/initstate", "live\n");
        tmproot_write(&t, "sys/module/drm_kms_helper/initstate", "live\n");
        resolve(&t, "drm_kms_helper drm", &none);
        ck_assert_ptr_null(none.paths);
        ck_assert_ptr_null(none.missing);
}
END_TEST

/* Soft dependencies stand around their module, also those of a dependency; a circle of them ends. */
START_TEST(test_resolve_soft)
{
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();
        _cleanup_(kmodule_plan_done) KmodulePlan plan = {}, without = {};

        add_host(&t);
        tmproot_write(&t, "etc/modprobe.d/a.conf",
                        "softdep drm pre: backlight no_such_module post: i2c-core\n"
                        "softdep backlight pre: drm\n");
        resolve(&t, "drm_kms_helper", &plan);
        ck_assert(strv_contains(plan.names, "backlight"));
        ck_assert(strv_contains(plan.names, "i2c_core"));
        ck_assert_str_eq(plan.names[strv_length(plan.names) - 1], "drm_kms_helper");
        ck_assert_ptr_null(plan.missing);

        tmproot_write(&t, "run/modprobe.d/b.conf", "blacklist backlight\nblacklist i2c_core\n");
        resolve(&t, "drm_kms_helper", &without);
        assert_joined(without.names, "quirks drm drm_kms_helper");
}
END_TEST

/* The blacklist is for aliases: called by its own name a module is loaded. */
START_TEST(test_resolve_blacklist)
{
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();
        _cleanup_(kmodule_plan_done) KmodulePlan plan = {}, twice = {};

        add_host(&t);
        tmproot_write(&t, "usr/lib/modprobe.d/a.conf",
                        "blacklist backlight\nalias light backlight\nalias graphics drm\n"
                        "alias both backlight\nalias both drm\n");
        resolve(&t, "light graphics backlight", &plan);
        assert_joined(plan.blacklisted, "light");
        assert_joined(plan.names, "quirks drm backlight");
        resolve(&t, "both", &twice);
        assert_joined(twice.names, "quirks drm");
}
END_TEST

START_TEST(test_resolve_no_tree)
{
        char *const names[] = { (char *)"drm", NULL };
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();
        _cleanup_(kmodule_plan_done) KmodulePlan plan = {};

        ck_assert_int_eq(kmodule_resolve(t.root, RELEASE, names, &plan), KMODULE_E_ABSENT);
        tmproot_mkdir(&t, TREE);
        ck_assert_int_eq(kmodule_resolve(t.root, RELEASE, names, &plan), KMODULE_E_ABSENT);
        add_host(&t);
        ck_assert_int_eq(kmodule_resolve(t.root, RELEASE, NULL, &plan), 0);
        ck_assert_ptr_null(plan.paths);
        tmproot_mkdir(&t, "sys/module/drm/initstate");
        ck_assert_int_lt(kmodule_resolve(t.root, RELEASE, names, &plan), 0);
}
END_TEST

START_TEST(test_probe)
{
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();
        int error = 0;

        ck_assert_int_eq(kmodule_probe(t.root, RELEASE, "drm", &error), KMODULE_E_NO_TREE);
        add_host(&t);
        tmproot_write(&t, "etc/modprobe.d/a.conf", "blacklist backlight\nalias light backlight\n");
        ck_assert_int_eq(kmodule_probe(t.root, RELEASE, "no_such_module", &error), KMODULE_E_ABSENT);
        ck_assert_int_eq(kmodule_probe(t.root, RELEASE, "light", &error), KMODULE_E_BLACKLISTED);
        ck_assert_str_eq(probed, "");
        ck_assert_int_eq(kmodule_probe(t.root, RELEASE, "drm-kms-helper", &error), 0);
        ck_assert_str_eq(probed, "drm_kms_helper");
        ck_assert_int_eq(error, 0);
        probe_result = -ENOKEY;
        ck_assert_int_eq(kmodule_probe(t.root, RELEASE, "drm", &error), KMODULE_E_FAILED);
        ck_assert_int_eq(error, ENOKEY);
}
END_TEST

/* A container: what the host has is found behind what Docker made, each module in the first tree that has
 * it. */
START_TEST(test_probe_elsewhere)
{
        static const char *const above[] = { "usr/lib64", "proc/1/root/lib", "proc/1/root/usr/lib" };
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();
        int error = 0;

        probe_result = 0;
        add_host(&t);
        tmproot_mkdir(&t, above[_i]);
        run("mv %s/lib/modules %s/%s/", t.path, t.path, above[_i]);
        tmproot_mkdir(&t, TREE);
        ck_assert_int_eq(kmodule_probe(t.root, RELEASE, "drm-kms-helper", &error), 0);
        ck_assert_str_eq(probed, "drm_kms_helper");
        ck_assert_int_eq(kmodule_probe(t.root, RELEASE, "no_such_module", &error), KMODULE_E_ABSENT);

        tmproot_rm(&t, TREE);
        add_host_module(&t, "other", NULL, NULL);
        depmod(&t);
        ck_assert_int_eq(kmodule_probe(t.root, RELEASE, "other", &error), 0);
        ck_assert_str_eq(probed, "other");
        ck_assert_int_eq(kmodule_probe(t.root, RELEASE, "drm", &error), 0);
        ck_assert_str_eq(probed, "drm");

        /* libkmod needs the binary index: without it, nothing is known about the modules of a tree. */
        run("find %s -name modules.dep.bin -delete", t.path);
        ck_assert_int_eq(kmodule_probe(t.root, RELEASE, "drm", &error), KMODULE_E_NO_TREE);
}
END_TEST

UNIT_MAIN("kmodule", UNIT_TEST(test_info), UNIT_TEST(test_info_bare), UNIT_LOOP(test_info_compressed, 3),
                UNIT_TEST(test_info_signed), UNIT_LOOP(test_info_bad, ELEMENTSOF(bad_files)),
                UNIT_TEST(test_info_cut), UNIT_LOOP(test_info_damaged, ELEMENTSOF(damages)),
                UNIT_TEST(test_host_vermagic_damaged), UNIT_TEST(test_info_link),
                UNIT_TEST(test_host_vermagic), UNIT_TEST(test_resolve), UNIT_TEST(test_resolve_loaded),
                UNIT_TEST(test_resolve_soft), UNIT_TEST(test_resolve_blacklist),
                UNIT_TEST(test_resolve_no_tree), UNIT_TEST(test_probe), UNIT_LOOP(test_probe_elsewhere, 3))
