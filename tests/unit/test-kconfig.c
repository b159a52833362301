/* SPDX-License-Identifier: Apache-2.0 */

#include "unit.h"

#include "base/str.h"
#include "policy/kconfig.h"

static Kconfig *parse(const char *text)
{
        Kconfig *config = NULL;

        ck_assert_int_eq(kconfig_parse(text, strlen(text), &config), 0);
        return config;
}

/* The beginning of Debian's 6.1 configuration, with one symbol that is named twice. */
static const char debian[] = "#\n"
                             "# Automatically generated file; DO NOT EDIT.\n"
                             "# Linux/x86 6.1.192 Kernel Configuration\n"
                             "#\n"
                             "CONFIG_CC_VERSION_TEXT=\"gcc-12 (Debian 12.2.0-14+deb12u1) 12.2.0\"\n"
                             "CONFIG_CC_IS_GCC=y\n"
                             "CONFIG_GCC_VERSION=120200\n"
                             "CONFIG_LOCALVERSION=\"\"\n"
                             "CONFIG_DRM=m\n"
                             "# CONFIG_PREEMPT_NONE is not set\n"
                             "CONFIG_EXT4_FS=n\n"
                             "CONFIG_SMP=n\n"
                             "CONFIG_SMP=y\r\n"
                             "# CONFIG_ODD but no statement\n"
                             "CONFIG_ALSO_ODD\n"
                             "CONFIG_=y\n"
                             "nonsense\n"
                             "CONFIG_QUOTED=\"a \\\"b\\\" \\\\c\"\n"
                             "CONFIG_OPEN=\"never closed\n"
                             "CONFIG_LAST=y";

START_TEST(test_lookup)
{
        _cleanup_(kconfig_freep) Kconfig *c = parse(debian);

        ck_assert_str_eq(kconfig_get(c, "CC_VERSION_TEXT"), "gcc-12 (Debian 12.2.0-14+deb12u1) 12.2.0");
        ck_assert_str_eq(kconfig_get(c, "GCC_VERSION"), "120200");
        ck_assert_str_eq(kconfig_get(c, "LOCALVERSION"), "");
        ck_assert_str_eq(kconfig_get(c, "DRM"), "m");
        ck_assert(!kconfig_enabled(c, "DRM"));
        ck_assert(kconfig_enabled(c, "SMP")); /* the last mention counts */
        ck_assert(kconfig_enabled(c, "LAST"));
        ck_assert_str_eq(kconfig_get(c, "QUOTED"), "a \"b\" \\c");
        ck_assert_str_eq(kconfig_get(c, "OPEN"), "never closed");
        ck_assert_ptr_null(kconfig_get(c, "EXT4_FS"));
        ck_assert_ptr_null(kconfig_get(c, "PREEMPT_NONE"));
        ck_assert_ptr_null(kconfig_get(c, "NO_SUCH"));
}
END_TEST

START_TEST(test_names)
{
        _cleanup_(kconfig_freep) Kconfig *c = parse(debian);

        ck_assert(kconfig_names(c, "PREEMPT_NONE"));
        ck_assert(kconfig_names(c, "EXT4_FS"));
        ck_assert(!kconfig_names(c, "ODD"));
        ck_assert(!kconfig_names(c, "ALSO_ODD"));
        ck_assert(!kconfig_names(c, ""));
        ck_assert(!kconfig_names(c, "CONFIG_SMP"));
        ck_assert_uint_eq(c->n, 11);
}
END_TEST

START_TEST(test_refused)
{
        _cleanup_(kconfig_freep) Kconfig *c = NULL;
        char *big = malloc(KCONFIG_SIZE_MAX + 1);

        ck_assert_ptr_nonnull(big);
        memset(big, '\n', KCONFIG_SIZE_MAX + 1);
        ck_assert_int_eq(kconfig_parse(big, KCONFIG_SIZE_MAX + 1, &c), KCONFIG_E_TOO_BIG);
        ck_assert_int_eq(kconfig_parse(big, KCONFIG_SIZE_MAX, &c), KCONFIG_E_EMPTY);
        free(big);
        ck_assert_int_eq(kconfig_parse("", 0, &c), KCONFIG_E_EMPTY);
        ck_assert_int_eq(kconfig_parse("# a comment\n", 12, &c), KCONFIG_E_EMPTY);
        ck_assert_ptr_null(c);
        ck_assert_ptr_null(kconfig_free(NULL));
}
END_TEST

/* The text need not end with a NUL, and NULs in it end a line's text. */
START_TEST(test_bounds)
{
        static const char raw[] = { 'C', 'O', 'N', 'F', 'I', 'G', '_', 'A', '=', 'y', '\n', 'C', 'O', 'N',
                'F', 'I', 'G', '_', 'B', '=', 'y', '\0', 'z', 'z', '\n', 'C', 'O', 'N', 'F', 'I', 'G', '_',
                'C', '=', 'm' };
        _cleanup_(kconfig_freep) Kconfig *c = NULL;

        ck_assert_int_eq(kconfig_parse(raw, sizeof(raw), &c), 0);
        ck_assert_str_eq(kconfig_get(c, "A"), "y");
        ck_assert_str_eq(kconfig_get(c, "B"), "y");
        ck_assert_str_eq(kconfig_get(c, "C"), "m");
}
END_TEST

/* What "make listnewconfig" says between make's own lines. */
START_TEST(test_listnew)
{
        _cleanup_free_ char *name = NULL, *value = NULL, *name2 = NULL, *value2 = NULL;

        ck_assert_int_eq(kconfig_parse_listnew("CONFIG_PREEMPT_DYNAMIC=y\n", &name, &value), 0);
        ck_assert_str_eq(name, "PREEMPT_DYNAMIC");
        ck_assert_str_eq(value, "y");
        ck_assert_int_eq(kconfig_parse_listnew("CONFIG_DEFAULT_HOSTNAME=\"(none)\"", &name2, &value2), 0);
        ck_assert_str_eq(value2, "(none)");
        ck_assert_int_eq(kconfig_parse_listnew("make[1]: Entering directory '/tmp/o'", &name2, &value2),
                        KCONFIG_E_OTHER);
        ck_assert_int_eq(kconfig_parse_listnew("CONFIG_=y", &name2, &value2), KCONFIG_E_OTHER);
        ck_assert_int_eq(kconfig_parse_listnew("CONFIG_X y", &name2, &value2), KCONFIG_E_OTHER);
        ck_assert_int_eq(kconfig_parse_listnew("", &name2, &value2), KCONFIG_E_OTHER);
}
END_TEST

UNIT_MAIN("kconfig", UNIT_TEST(test_lookup), UNIT_TEST(test_names), UNIT_TEST(test_refused),
                UNIT_TEST(test_bounds), UNIT_TEST(test_listnew))
