/* SPDX-License-Identifier: Apache-2.0 */

#include "tmproot.h"
#include "unit.h"

#include "sys/kmsg.h"

/* A machine whose kernel log is a FIFO; its writing end stays open. */
static Kmsg *open_log(TmpRoot *t, int *ret_writer)
{
        char path[128];
        const char *why;
        Kmsg *k = NULL;

        tmproot_mkdir(t, "dev");
        (void)snprintf(path, sizeof(path), "%s/dev/kmsg", t->path);
        ck_assert_int_eq(mkfifo(path, 0600), 0);
        *ret_writer = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
        ck_assert_int_ge(*ret_writer, 0);
        ck_assert_int_eq(kmsg_open(t->root, &k, &why), 0);
        return k;
}

static void say(int writer, const char *text)
{
        ck_assert_int_eq(write(writer, text, strlen(text)), (ssize_t)strlen(text));
}

static void expect(Kmsg *k, unsigned facility, unsigned level, usec_t stamp, const char *text)
{
        KmsgRecord r;

        ck_assert_int_eq(kmsg_next(k, &r), 0);
        ck_assert_uint_eq(r.facility, facility);
        ck_assert_uint_eq(r.level, level);
        ck_assert_uint_eq(r.stamp, stamp);
        ck_assert_str_eq(r.text, text);
}

START_TEST(records)
{
        TmpRoot t = tmproot_new();
        KmsgRecord r;
        int writer;
        Kmsg *k = open_log(&t, &writer);

        ck_assert_int_eq(kmsg_next(k, &r), KMSG_E_AGAIN);
        say(writer, "6,339,5140900,-;NET: Registered protocol family 10\n"
                    "30,340,5690716,-;udevd[80]: starting version 181\n"
                    "3,341,5690717,c,caller=T1;text; with, signs\n SUBSYSTEM=pci\n DEVICE=+pci:0000:01:00.0\n"
                    "12,342,9,-;\n");
        expect(k, 0, 6, 5140900, "NET: Registered protocol family 10");
        expect(k, 3, 6, 5690716, "udevd[80]: starting version 181");
        expect(k, 0, 3, 5690717, "text; with, signs");
        expect(k, 1, 4, 9, "");
        ck_assert_int_eq(kmsg_next(k, &r), KMSG_E_AGAIN);

        /* In pieces. */
        say(writer, "6,1,2,-;one");
        ck_assert_int_eq(kmsg_next(k, &r), KMSG_E_AGAIN);
        say(writer, " line\n6,2,3,-;x\n");
        expect(k, 0, 6, 2, "one line");
        expect(k, 0, 6, 3, "x");

        kmsg_free(k);
        (void)close(writer);
        tmproot_done(&t);
}
END_TEST

START_TEST(escapes)
{
        TmpRoot t = tmproot_new();
        int writer;
        Kmsg *k = open_log(&t, &writer);

        say(writer, "6,1,2,-;The NVIDIA GPU 0000:01:00.0\\x0aNVRM: (PCI ID) a\\x5cb \\x1b[31m \\xZZ \\x4\\x\n");
        expect(k, 0, 6, 2, "The NVIDIA GPU 0000:01:00.0 NVRM: (PCI ID) a\\b  [31m \\xZZ \\x4\\x");
        say(writer, "6,1,2,-;\\x00\\x0");
        say(writer, "\n6,1,2,-;\t\x7f\xc3\xa4\n");
        expect(k, 0, 6, 2, " \\x0");
        expect(k, 0, 6, 2, "  \xc3\xa4");
        kmsg_free(k);
        (void)close(writer);
        tmproot_done(&t);
}
END_TEST

START_TEST(nonsense)
{
        static const char *const lines[] = { "\n", ";\n", "6\n", "6;x\n", "6,1;x\n", "6,1,;x\n",
                "6,1,x,-;x\n", "-6,1,2,-;x\n", "6,1,-2,-;x\n", "99999999999999999999,1,2,-;x\n",
                "6,1,99999999999999999999,-;x\n", "70000,1,2,-;x\n", "6x,1,2,-;x\n", "6,1,2x,-;x\n",
                " 6,1,2,-;x\n", "NVRM: Xid (PCI:0000:01:00): 79\n" };
        TmpRoot t = tmproot_new();
        int writer;
        Kmsg *k = open_log(&t, &writer);
        KmsgRecord r;

        for (size_t i = 0; i < ELEMENTSOF(lines); i++) {
                say(writer, lines[i]);
                ck_assert_msg(kmsg_next(k, &r) == KMSG_E_AGAIN, "line %zu", i);
        }
        say(writer, "6,1,2,-;good\n");
        expect(k, 0, 6, 2, "good");
        kmsg_free(k);
        (void)close(writer);
        tmproot_done(&t);
}
END_TEST

/* A line longer than anything the kernel makes is dropped, what follows is not. */
START_TEST(endless_line)
{
        TmpRoot t = tmproot_new();
        int writer;
        Kmsg *k = open_log(&t, &writer);
        char block[4097] = "";
        KmsgRecord r;

        memset(block, 'x', sizeof(block) - 1);
        for (unsigned i = 0; i < 12; i++) {
                say(writer, block);
                ck_assert_int_eq(kmsg_next(k, &r), KMSG_E_AGAIN);
        }
        say(writer, "\n6,1,2,-;good\n");
        expect(k, 0, 6, 2, "good");
        kmsg_free(k);
        (void)close(writer);
        tmproot_done(&t);
}
END_TEST

START_TEST(ended)
{
        TmpRoot t = tmproot_new();
        int writer;
        Kmsg *k = open_log(&t, &writer);
        KmsgRecord r;

        say(writer, "6,1,2,-;last\n6,1,2,-;cut");
        (void)close(writer);
        expect(k, 0, 6, 2, "last");
        ck_assert_int_eq(kmsg_next(k, &r), KMSG_E_END);
        ck_assert_int_eq(kmsg_next(k, &r), KMSG_E_END);
        kmsg_free(k);
        tmproot_done(&t);
}
END_TEST

START_TEST(absent)
{
        TmpRoot t = tmproot_new();
        const char *why = NULL;
        Kmsg *k = NULL;

        ck_assert_int_eq(kmsg_open(t.root, &k, &why), KMSG_E_ABSENT);
        ck_assert_str_eq(why, "there is no /dev/kmsg");
        /* A file, a directory, another device: not opened at all. */
        tmproot_write(&t, "dev/kmsg", "6,1,2,-;x\n");
        ck_assert_int_eq(kmsg_open(t.root, &k, &why), KMSG_E_ABSENT);
        ck_assert_str_eq(why, "/dev/kmsg is something else");
        ck_assert_int_eq(root_unlink(t.root, "dev/kmsg"), 0);
        tmproot_link(&t, "/dev/null", "dev/kmsg");
        ck_assert_int_eq(kmsg_open(t.root, &k, &why), KMSG_E_ABSENT);
        ck_assert_ptr_null(k);
        ck_assert_ptr_null(kmsg_free(NULL));
        tmproot_done(&t);
}
END_TEST

/* This machine's own log: every record parses, and the reader never waits. */
START_TEST(real)
{
        _cleanup_(root_freep) Root *root = NULL;
        const char *why;
        KmsgRecord record;
        Kmsg *k = NULL;
        unsigned n = 0;
        int r;

        ck_assert_int_eq(root_new("/", &root), 0);
        r = kmsg_open(root, &k, &why);
        if (r == KMSG_E_ABSENT)
                return; /* a container without it; the lab has one */
        ck_assert_int_eq(r, 0);
        while (n < 100000 && ((r = kmsg_next(k, &record)) == 0 || r == KMSG_E_LOST))
                n += r == 0;
        ck_assert(r == KMSG_E_AGAIN || n == 100000);
        kmsg_free(k);
}
END_TEST

UNIT_MAIN("kmsg", UNIT_TEST(records), UNIT_TEST(escapes), UNIT_TEST(nonsense), UNIT_TEST(endless_line),
                UNIT_TEST(ended), UNIT_TEST(absent), UNIT_TEST(real))
