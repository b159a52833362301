/* SPDX-License-Identifier: Apache-2.0 */

/* Symbols and sections of small modules made by the compiler, and of files that are none. */

#include <sys/mman.h>

#include "unit.h"

#include "base/str.h"
#include "sys/elfsections.h"
#include "sys/kmodsymbols.h"
#include "tmproot.h"

/* As modpost makes them: 64 bytes for each version, CRCs of exports as absolute symbols or in a section. */
static const char module_source[] =
                "struct version { unsigned long crc; char name[56]; };\n"
                "static const struct version v[] __attribute__((section(\"__versions\"), used)) = {\n"
                "        { 0x11111111, \"module_layout\" }, { 0x22222222, \"printk\" }, { 0x33333333, \"maybe\" } };\n"
                "extern int printk(void); extern int maybe(void) __attribute__((weak)); extern int bare(void);\n"
                "static const char s[] __attribute__((section(\"__ksymtab_strings\"), used)) = \"mine\\0other\";\n"
                "__asm__(\".globl __crc_mine\\n.set __crc_mine, 0x44444444\\n\"\n"
                "        \".section __kcrctab, \\\"a\\\"\\n.globl __crc_other\\n__crc_other: .long 0x55555555\\n.text\\n\");\n"
                "static const char i[] __attribute__((section(\".modinfo\"), used)) = \"license=GPL\";\n"
                "int mine(void) { return printk() + (maybe ? maybe() : 0) + bare(); }\n";

static void compile(TmpRoot *t, const char *source, const char *options)
{
        _cleanup_free_ char *command = str_format(
                        "${CC:-cc} -w -fno-pic %s -c -o %s/m.ko %s/m.c", options, t->path, t->path);

        tmproot_write(t, "m.c", source);
        ck_assert_int_eq(system(command), 0);
}

static int open_module(TmpRoot *t)
{
        int fd = -EBADF;

        ck_assert_int_eq(root_open(t->root, "m.ko", O_RDONLY, &fd), 0);
        return fd;
}

static const ModuleNeed *find_need(const ModuleSymbols *s, const char *name)
{
        for (size_t i = 0; i < s->n_needs; i++)
                if (streq(s->needs[i].name, name))
                        return &s->needs[i];
        return NULL;
}

static uint32_t crc_of_export(const ModuleSymbols *s, const char *name)
{
        for (size_t i = 0; i < s->n_exports; i++)
                if (streq(s->exports[i].name, name))
                        return s->exports[i].crc;
        return 0;
}

START_TEST(test_symbols)
{
        _cleanup_(module_symbols_done) ModuleSymbols s = {};
        TmpRoot t = tmproot_new();
        _cleanup_close_ int fd = -EBADF;

        compile(&t, module_source, "");
        fd = open_module(&t);
        ck_assert_int_eq(kmodsymbols_read(fd, &s), 0);
        ck_assert(s.has_versions);
        ck_assert_uint_eq(s.n_needs, 4);
        ck_assert_uint_eq(find_need(&s, "printk")->crc, 0x22222222);
        ck_assert(!find_need(&s, "printk")->weak);
        ck_assert_uint_eq(find_need(&s, "maybe")->crc, 0x33333333);
        ck_assert(find_need(&s, "maybe")->weak);
        ck_assert_uint_eq(find_need(&s, "bare")->crc, 0);
        /* No symbol of the module, yet the most important CRC of all: the shape of struct module. */
        ck_assert_uint_eq(find_need(&s, "module_layout")->crc, 0x11111111);
        ck_assert_uint_eq(s.n_exports, 2);
        ck_assert_uint_eq(crc_of_export(&s, "mine"), 0x44444444);
        ck_assert_uint_eq(crc_of_export(&s, "other"), 0x55555555);
        tmproot_done(&t);
}
END_TEST

START_TEST(test_without_versions)
{
        _cleanup_(module_symbols_done) ModuleSymbols s = {};
        TmpRoot t = tmproot_new();
        _cleanup_close_ int fd = -EBADF;

        compile(&t, "extern int printk(void); int f(void) { return printk(); }\n", "");
        fd = open_module(&t);
        ck_assert_int_eq(kmodsymbols_read(fd, &s), 0);
        ck_assert(!s.has_versions);
        ck_assert_ptr_nonnull(find_need(&s, "printk"));
        ck_assert_uint_eq(s.n_exports, 0);
        tmproot_done(&t);
}
END_TEST

static const char *const no_modules[] = { "", "text", "\177ELF",
        "\177ELF\2\1\1 and then nothing of the kind" };

START_TEST(test_no_module)
{
        _cleanup_(module_symbols_done) ModuleSymbols s = {};
        TmpRoot t = tmproot_new();
        _cleanup_close_ int fd = -EBADF;
        bool has = true;

        tmproot_write(&t, "m.ko", no_modules[_i]);
        fd = open_module(&t);
        ck_assert_int_eq(kmodsymbols_read(fd, &s), KMODSYMBOLS_E_FORMAT);
        ck_assert_int_eq(elfsections_has(fd, ".text", &has), ELFSECTIONS_E_FORMAT);
        ck_assert(has); /* set on success only */
        tmproot_done(&t);
}
END_TEST

START_TEST(test_sections)
{
        static const char *const options[] = { "-g0", "-g" };
        TmpRoot t = tmproot_new();
        _cleanup_free_ char *data = NULL;
        _cleanup_close_ int fd = -EBADF;
        bool has = false;
        size_t size = 0;

        compile(&t, module_source, options[_i]);
        fd = open_module(&t);
        ck_assert_int_eq(elfsections_has(fd, ".debug_info", &has), 0);
        ck_assert_int_eq(has, _i);
        ck_assert_int_eq(elfsections_has(fd, "__versions", &has), 0);
        ck_assert(has);
        ck_assert_int_eq(elfsections_has(fd, "__version", &has), 0);
        ck_assert(!has);
        ck_assert_int_eq(elfsections_has(fd, ".bss", &has), 0);
        ck_assert(!has); /* there, but empty */
        ck_assert_int_eq(elfsections_read(fd, "__version", 100, &data, &size), ELFSECTIONS_E_ABSENT);
        ck_assert_int_eq(elfsections_read(fd, ".modinfo", 1, &data, &size), ELFSECTIONS_E_FORMAT);
        ck_assert_int_eq(elfsections_read(fd, ".bss", 100, &data, &size), ELFSECTIONS_E_FORMAT);
        ck_assert_int_eq(elfsections_read(fd, ".modinfo", 100, &data, &size), 0);
        ck_assert_uint_eq(size, strlen(data) + 1);
        ck_assert_ptr_nonnull(startswith(data, "license="));
        tmproot_done(&t);
}
END_TEST

/* The headers of an object cut short or with bytes turned: an answer or a refusal, never a crash. */
START_TEST(test_sections_damaged)
{
        _cleanup_free_ char *data = NULL;
        TmpRoot t = tmproot_new();
        size_t size;
        bool has;

        compile(&t, "int f(void) { return 1; }\n", "-g0");
        ck_assert_int_eq(root_read_file(t.root, "m.ko", 1024 * 1024, &data, &size), 0);
        for (size_t i = 0; i < size; i += i < 64 || i > size - 1024 ? 1 : 16) {
                _cleanup_close_ int fd = memfd_create("m", MFD_CLOEXEC);
                char saved = data[i];

                data[i] = (char)~saved;
                ck_assert_int_eq(write(fd, data, size), (ssize_t)size);
                data[i] = saved;
                ck_assert_int_ge(elfsections_has(fd, ".text", &has), 0);
                ck_assert_int_eq(ftruncate(fd, (off_t)i), 0);
                ck_assert_int_ge(elfsections_has(fd, ".text", &has), 0);
        }
        tmproot_done(&t);
}
END_TEST

UNIT_MAIN("kmodsymbols", UNIT_TEST(test_symbols), UNIT_TEST(test_without_versions),
                UNIT_LOOP(test_no_module, ELEMENTSOF(no_modules)), UNIT_LOOP(test_sections, 2),
                UNIT_TEST(test_sections_damaged))
