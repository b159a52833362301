/* SPDX-License-Identifier: Apache-2.0 */

#include "unit.h"

#include <sys/utsname.h>

#include "base/str.h"
#include "sys/clock.h"
#include "sys/kernel.h"
#include "tmproot.h"

/* The claim that sys/kernel.c rests on: /proc has what uname(2) says. */
START_TEST(test_host)
{
        _cleanup_(kernel_fact_done) KernelFact k = {};
        _cleanup_(root_freep) Root *root = NULL;
        _cleanup_free_ char *id = NULL;
        _cleanup_strv_ char **words = NULL;
        struct utsname u;

        ck_assert_int_eq(root_new("/", &root), 0);
        ck_assert_int_eq(kernel_read(root, &k), 0);
        ck_assert_int_eq(uname(&u), 0);
        ck_assert_str_eq(k.release, u.release);
        ck_assert_str_eq(k.version, u.version);
        ck_assert_ptr_null(k.vermagic);
        ck_assert_int_eq(kernel_boot_id(root, &id), 0);
        ck_assert_uint_eq(strlen(id), 36);
        ck_assert_int_eq(kernel_cmdline(root, &words), 0);
}
END_TEST

START_TEST(test_absent)
{
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();
        KernelFact k = {};
        char **words = NULL, *id = NULL;

        ck_assert_int_eq(kernel_read(t.root, &k), KERNEL_E_ABSENT);
        ck_assert_int_eq(kernel_boot_id(t.root, &id), KERNEL_E_ABSENT);
        ck_assert_int_eq(kernel_cmdline(t.root, &words), KERNEL_E_ABSENT);

        tmproot_write(&t, "proc/sys/kernel/osrelease", "6.1.0-56-amd64\n");
        ck_assert_int_eq(kernel_read(t.root, &k), KERNEL_E_ABSENT);
        tmproot_write(&t, "proc/sys/kernel/version", "#1 SMP\n");
        tmproot_write(&t, "proc/sys/kernel/osrelease", "\n");
        ck_assert_int_eq(kernel_read(t.root, &k), KERNEL_E_ABSENT);
        tmproot_write(&t, "proc/sys/kernel/random/boot_id", "too short\n");
        ck_assert_int_eq(kernel_boot_id(t.root, &id), KERNEL_E_ABSENT);
        ck_assert_ptr_null(k.release);
}
END_TEST

START_TEST(test_unreadable)
{
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();
        KernelFact k = {};
        char **words = NULL, *id = NULL;

        tmproot_mkdir(&t, "proc/sys/kernel/osrelease");
        tmproot_mkdir(&t, "proc/sys/kernel/random/boot_id");
        tmproot_mkdir(&t, "proc/cmdline");
        ck_assert_int_eq(kernel_read(t.root, &k), -EISDIR);
        ck_assert_int_eq(kernel_boot_id(t.root, &id), -EISDIR);
        ck_assert_int_eq(kernel_cmdline(t.root, &words), -EISDIR);
}
END_TEST

static const struct {
        const char *text;
        const char *words; /* joined by '|' */
} cmdlines[] = {
        { "", "" },
        { "\n", "" },
        { " quiet  mem=1792M\n", "quiet|mem=1792M" },
        { "a=\"b c\" \"d e\"=f g\n", "a=b c|d e=f|g" },
        { "dyndbg=\"file a.c +p; file b.c +p\"", "dyndbg=file a.c +p; file b.c +p" },
        { "open=\"no end here\n", "open=no end here\n" },
        { "\"\" x", "x" },
};

START_TEST(test_cmdline)
{
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();
        _cleanup_strv_ char **words = NULL;
        _cleanup_free_ char *text = NULL;

        tmproot_write(&t, "proc/cmdline", cmdlines[_i].text);
        ck_assert_int_eq(kernel_cmdline(t.root, &words), 0);
        text = strv_join(words, "|");
        ck_assert_str_eq(text, cmdlines[_i].words);
}
END_TEST

START_TEST(test_clock)
{
        usec_t before = now_usec(), year_2020 = (usec_t)1577836800 * USEC_PER_SEC;

        ck_assert_uint_gt(before, 0);
        ck_assert_uint_ge(now_usec(), before);
        ck_assert_uint_lt(now_usec() - before, USEC_PER_MINUTE);
        ck_assert_uint_gt(now_realtime_usec(), year_2020);
}
END_TEST

UNIT_MAIN("kernel", UNIT_TEST(test_host), UNIT_TEST(test_absent), UNIT_TEST(test_unreadable),
                UNIT_LOOP(test_cmdline, ELEMENTSOF(cmdlines)), UNIT_TEST(test_clock))
