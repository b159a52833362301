/* SPDX-License-Identifier: Apache-2.0 */

/* Module.symvers of all ages, and texts that only look like one. */

#include "unit.h"

#include "base/str.h"
#include "policy/symvers.h"

static Symvers *parse(const char *text)
{
        _cleanup_free_ char *why = NULL;
        Symvers *s = NULL;
        int r = symvers_parse(text, strlen(text), &s, &why);

        ck_assert_msg(r == 0, "%s", strna(why));
        return s;
}

/* One line of each layout there has been, all of the same symbol. */
static const char *const layouts[] = {
        "0x7e3277f8\t___drm_dbg\tdrivers/gpu/drm/drm\tEXPORT_SYMBOL_GPL\n",        /* to 5.3 */
        "0x7e3277f8\t___drm_dbg\tDRM\tdrivers/gpu/drm/drm\tEXPORT_SYMBOL_GPL\n",   /* 5.4 to 5.7 */
        "0x7e3277f8\t___drm_dbg\t\tdrivers/gpu/drm/drm\tEXPORT_SYMBOL_GPL\n",      /* no namespace */
        "0x7e3277f8\t___drm_dbg\tdrivers/gpu/drm/drm\tEXPORT_SYMBOL_GPL\t\n",      /* from 5.8 */
        "0x7e3277f8\t___drm_dbg\tdrivers/gpu/drm/drm\tEXPORT_SYMBOL_GPL\tDRM\n",   /* with one */
        "\n0x7e3277f8\t___drm_dbg\tdrivers/gpu/drm/drm\tEXPORT_UNUSED_SYMBOL_GPL", /* no newline at the end
                                                                                    */
};

START_TEST(test_layout)
{
        _cleanup_(symvers_freep) Symvers *s = parse(layouts[_i]);
        const SymversEntry *e = symvers_find(s, "___drm_dbg");

        ck_assert_uint_eq(symvers_count(s), 1);
        ck_assert_ptr_nonnull(e);
        ck_assert_uint_eq(e->crc, 0x7e3277f8);
        ck_assert_str_eq(e->owner, "drivers/gpu/drm/drm");
        ck_assert(e->gpl_only);
        ck_assert_ptr_null(symvers_find(s, "__drm_dbg"));
        ck_assert_ptr_null(symvers_find(s, ""));
}
END_TEST

START_TEST(test_kinds)
{
        _cleanup_(symvers_freep) Symvers *s = parse("0xffffffff\tb\tvmlinux\tEXPORT_SYMBOL\t\n"
                                                    "0x00000000\ta\tvmlinux\tEXPORT_SYMBOL_GPL_FUTURE\t\n"
                                                    "0x00000001\tb\tlate\tEXPORT_SYMBOL_GPL\t\n"
                                                    "0x00000002\tb\tlater\tEXPORT_SYMBOL_GPL\t\n");

        ck_assert_uint_eq(symvers_count(s), 4);
        ck_assert_uint_eq(symvers_find(s, "b")->crc, UINT32_MAX); /* the first of equal ones */
        ck_assert(!symvers_find(s, "b")->gpl_only);
        ck_assert_uint_eq(symvers_find(s, "a")->crc, 0);
        ck_assert(!symvers_find(s, "a")->gpl_only);
}
END_TEST

static const struct {
        const char *text, *why;
} invalid[] = {
        { "", "it lists no symbols" },
        { "\n\n\n", "it lists no symbols" },
        { "hello\n", "line 1: fewer than four fields" },
        { "0x01 printk vmlinux EXPORT_SYMBOL\n", "line 1: fewer than four fields" },
        { "0x01\tprintk\tvmlinux\tEXPORT_SYMBOL\n0x02\tcut\tvml", "line 2: fewer than four fields" },
        { "01\tprintk\tvmlinux\tEXPORT_SYMBOL\n", "line 1: no CRC" },
        { "0x\tprintk\tvmlinux\tEXPORT_SYMBOL\n", "line 1: no CRC" },
        { "0x123456789\tprintk\tvmlinux\tEXPORT_SYMBOL\n", "line 1: no CRC" },
        { "0xgg\tprintk\tvmlinux\tEXPORT_SYMBOL\n", "line 1: no CRC" },
        { "0x-1\tprintk\tvmlinux\tEXPORT_SYMBOL\n", "line 1: no CRC" },
        { "0x01\t\tvmlinux\tEXPORT_SYMBOL\n", "line 1: no symbol" },
        { "0x01\tprintk\tvmlinux\tIMPORT_SYMBOL\n", "line 1: no kind of export" },
        { "0x01\tprintk\ta\tb\tc\tEXPORT_SYMBOL\n", "line 1: no kind of export" },
        { "\n\n\n0x01\tprintk\tvmlinux\t\n", "line 4: no kind of export" },
};

START_TEST(test_invalid)
{
        _cleanup_free_ char *why = NULL;
        Symvers *s = NULL;

        ck_assert_int_eq(symvers_parse(invalid[_i].text, strlen(invalid[_i].text), &s, &why),
                        SYMVERS_E_INVALID);
        ck_assert_str_eq(why, invalid[_i].why);
        ck_assert_ptr_null(s);
}
END_TEST

START_TEST(test_nul)
{
        static const char text[] =
                        "0x01\tprintk\tvmlinux\tEXPORT_SYMBOL\n0x01\tp\0k\tvmlinux\tEXPORT_SYMBOL\n";
        _cleanup_free_ char *why = NULL;
        Symvers *s;

        ck_assert_int_eq(symvers_parse(text, sizeof(text) - 1, &s, &why), SYMVERS_E_INVALID);
        ck_assert_str_eq(why, "line 2: a NUL byte");
}
END_TEST

START_TEST(test_bounds)
{
        static const char line[] = "0x1\ta\tv\tEXPORT_SYMBOL\n";
        const size_t n = SYMVERS_SYMBOLS_MAX + 1, size = n * (sizeof(line) - 1);
        _cleanup_free_ char *text = malloc(size), *many = NULL, *large = NULL;
        Symvers *s;

        for (size_t i = 0; i < n; i++)
                memcpy(text + i * (sizeof(line) - 1), line, sizeof(line) - 1);
        ck_assert_int_eq(symvers_parse(text, size, &s, &many), SYMVERS_E_INVALID);
        ck_assert_str_eq(many, "line 1048577: more symbols than any kernel has");
        ck_assert_int_eq(symvers_parse(text, (size_t)SYMVERS_SIZE_MAX + 1, &s, &large), SYMVERS_E_INVALID);
        ck_assert_str_eq(large, "it is larger than 33554432 bytes");
}
END_TEST

/* Whatever happens to the bytes, in a buffer of exactly that size: taken or refused with a reason. */
static void parse_damaged(const char *text, size_t size)
{
        _cleanup_(symvers_freep) Symvers *s = NULL;
        _cleanup_free_ char *copy = malloc(size ? size : 1), *why = NULL;
        int r;

        memcpy(copy, text, size);
        r = symvers_parse(copy, size, &s, &why);
        ck_assert(r == 0 || r == SYMVERS_E_INVALID);
        ck_assert_int_eq(r == 0, why == NULL);
        if (r == 0)
                (void)symvers_find(s, "printk");
}

START_TEST(test_damaged)
{
        char text[] = "0x7e3277f8\tprintk\tvmlinux\tEXPORT_SYMBOL\t\n0x00000001\tb\ta\tEXPORT_SYMBOL_GPL\tNS\n";

        for (size_t size = 0; size < sizeof(text); size++)
                parse_damaged(text, size);
        for (size_t i = 0; i < sizeof(text) - 1; i++)
                for (unsigned bit = 0; bit < 8; bit++) {
                        text[i] = (char)(text[i] ^ (1 << bit));
                        parse_damaged(text, sizeof(text) - 1);
                        text[i] = (char)(text[i] ^ (1 << bit));
                }
}
END_TEST

START_TEST(test_added)
{
        _cleanup_(symvers_freep) Symvers *s = NULL;
        char name[16];

        ck_assert_int_eq(symvers_new(&s), 0);
        ck_assert_ptr_null(symvers_find(s, "a"));
        for (uint32_t i = 0; i < 300; i++) {
                (void)snprintf(name, sizeof(name), "s%u", (i * 7) % 300);
                ck_assert_int_eq(symvers_add(s, &(SymversEntry){ .name = name,
                                                                .owner = "nvidia.ko",
                                                                .crc = i }),
                                0);
                ck_assert_uint_eq(symvers_find(s, name)->crc, i); /* adding and asking take turns */
        }
        ck_assert_uint_eq(symvers_count(s), 300);
        ck_assert_str_eq(symvers_find(s, "s0")->owner, "nvidia.ko");
}
END_TEST

UNIT_MAIN("symvers", UNIT_LOOP(test_layout, ELEMENTSOF(layouts)), UNIT_TEST(test_kinds),
                UNIT_LOOP(test_invalid, ELEMENTSOF(invalid)), UNIT_TEST(test_nul), UNIT_TEST(test_bounds),
                UNIT_TEST(test_damaged), UNIT_TEST(test_added))
