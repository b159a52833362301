/* SPDX-License-Identifier: Apache-2.0 */

#include "unit.h"

#include "base/str.h"
#include "policy/xid.h"

#define A "0000:01:00.0"

/* Lines as drivers of several branches print them. */
static const struct {
        const char *line;
        XidKind kind;
        const char *address;
        unsigned number;
        const char *text;
} lines[] = {
        { "NVRM: Xid (PCI:0000:01:00): 79, pid=1234, name=python3, GPU has fallen off the bus.", XID_LOST, A,
                        79, "GPU has fallen off the bus" },
        { "NVRM: Xid (PCI:0000:01:00): 79, GPU has fallen off the bus.", XID_LOST, A, 79,
                        "GPU has fallen off the bus" },
        { "NVRM: Xid (PCI:0000:01:00): 79, pid='<unknown>', name=<unknown>, GPU has fallen off the bus.",
                        XID_LOST, A, 79, "GPU has fallen off the bus" },
        { "NVRM: Xid (PCI:0000:01:00.0): 48, pid=7, An uncorrectable double bit error (DBE) has been detected.",
                        XID_FAULT, A, 48, "An uncorrectable double bit error (DBE) has been detected" },
        { "NVRM: Xid (0000:01:00): 31, Ch 0000001b, engmask 00000101, intr 10000000", XID_APPLICATION, A, 31,
                        "Ch 0000001b, engmask 00000101, intr 10000000" },
        { "NVRM: Xid (PCI:0000:3B:00 GPU-I:05): 94, pid=8, name=a, Contained: SM (0x1).", XID_FAULT,
                        "0000:3b:00.0", 94, "Contained: SM (0x1)" },
        { "NVRM: Xid (PCI:00010000:c1:00): 119, pid=1, name=nvidia-smi, Timeout after 6s of waiting for RPC",
                        XID_FAULT, "10000:c1:00.0", 119, "Timeout after 6s of waiting for RPC" },
        { "NVRM: Xid (PCI:0000:01:00): 13, pid=1, name=x, Graphics SM Warp Exception on (GPC 0, TPC 1)",
                        XID_APPLICATION, A, 13, "Graphics SM Warp Exception on (GPC 0, TPC 1)" },
        { "NVRM: Xid (PCI:0000:01:00): 43, pid=1, name=x, Ch 00000008", XID_APPLICATION, A, 43,
                        "Ch 00000008" },
        { "NVRM: Xid (PCI:0000:01:00): 45, pid=1, name=x, Ch 00000008", XID_APPLICATION, A, 45,
                        "Ch 00000008" },
        { "NVRM: Xid (PCI:0000:01:00): 63, Row Remapper: New row marked for remapping", XID_NOTICE, A, 63,
                        "Row Remapper: New row marked for remapping" },
        { "NVRM: Xid (PCI:0000:01:00): 62, 2229(2a68) 00000000 00000000", XID_FAULT, A, 62,
                        "2229(2a68) 00000000 00000000" },
        { "NVRM: Xid (PCI:0000:01:00): 154, GPU recovery action changed from 0x0 (None) to 0x1 (GPU Reset Required)",
                        XID_FAULT, A, 154,
                        "GPU recovery action changed from 0x0 (None) to 0x1 (GPU Reset Required)" },
        { "NVRM: Xid (PCI:0000:01:00): 154, GPU recovery action changed from 0x1 (GPU Reset Required) to 0x0 (None)",
                        XID_NOTICE, A, 154,
                        "GPU recovery action changed from 0x1 (GPU Reset Required) to 0x0 (None)" },
        { "NVRM: Xid (PCI:0000:01:00): 9999, something new", XID_FAULT, A, 9999, "something new" },
        { "NVRM: Xid (PCI:0000:01:00): 74", XID_FAULT, A, 74, "" },
        { "NVRM: Xid (PCI:0000:01:00): 74, pid=12, name=x", XID_FAULT, A, 74, "" },
        { "NVRM: GPU 0000:01:00.0: GPU has fallen off the bus.", XID_LOST, A, 0,
                        "GPU has fallen off the bus" },
        { "NVRM: GPU at PCI:0000:01:00 has fallen off the bus.", XID_LOST, A, 0,
                        "GPU has fallen off the bus" },
        { "NVRM: The NVIDIA GPU 0000:01:00.0 NVRM: (PCI ID: 10de:1eb8) installed in this system has NVRM: fallen off "
          "the bus and is not responding to commands.",
                        XID_LOST, A, 0, "GPU has fallen off the bus" },
        { "NVRM: fallen off the bus and is not responding to commands.", XID_LOST, "", 0,
                        "GPU has fallen off the bus" },
        { "NVRM: The NVIDIA GPU 0000:01:00.0", XID_NAMED, A, 0, "" },
        { "NVRM: GPU at PCI:0000:01:00: GPU-7d4e7c4e-1111-2222-3333-444444444444", XID_NAMED, A, 0, "" },
        { "NVRM: GPU 0000:01:00.0: RmInitAdapter failed! (0x24:0x65:1457)", XID_FAULT, A, 0,
                        "RmInitAdapter failed! (0x24:0x65:1457)" },
        { "NVRM: RmInitAdapter failed! (0x24:0x65:1457)", XID_FAULT, "", 0,
                        "RmInitAdapter failed! (0x24:0x65:1457)" },
        { "NVRM: GPU at 0000:01:00.0 has fallen off the bus.", XID_LOST, A, 0,
                        "GPU has fallen off the bus" },
        /* A command name has up to 15 bytes, and may be anything. */
        { "NVRM: Xid (PCI:0000:01:00): 48, pid=8, name=My, Prog, text", XID_FAULT, A, 48, "text" },
        { "NVRM: Xid (PCI:0000:01:00): 48, pid=8, name=a, name=b, pid, DBE", XID_FAULT, A, 48, "DBE" },
        { "NVRM: Xid (PCI:0000:01:00): 48, pid=8, name=,,,,,,,,,,,,,,, DBE", XID_FAULT, A, 48, "DBE" },
        { "NVRM: Xid (PCI:0000:01:00): 31, pid=8, name=python3, Ch 0000001b, engmask 00000101",
                        XID_APPLICATION, A, 31, "Ch 0000001b, engmask 00000101" },
        { "NVRM: Xid (PCI:0000:01:00): 31, pid=8, name= Xid (PCI:0000, Ch 00000008", XID_APPLICATION, A, 31,
                        "Ch 00000008" },
        { "NVRM: Xid (PCI:0000:01:00): 154, pid=8, name=x, (None), GPU recovery action changed from 0x0 (None) to "
          "0x1 (GPU Reset Required)",
                        XID_FAULT, A, 154,
                        "GPU recovery action changed from 0x0 (None) to 0x1 (GPU Reset Required)" },
        /* The first line of the complaint about a client, when each line is a record. */
        { "NVRM: API mismatch: the client 'x' (pid 77)", XID_QUOTES, "", 0, "" },
        { "NVRM: API mismatch: the client has the version 535.261.03, but", XID_QUOTES, "", 0, "" },
        { "NVRM: API mismatch: the client has the version 0000:01:00.0 fallen off the bus, but", XID_QUOTES,
                        "", 0, "" },
        { "NVRM: API mismatch: the client has the version have the same version., but", XID_QUOTES, "", 0,
                        "" },
        { "NVRM: loading NVIDIA UNIX x86_64 Kernel Module  535.261.03  Mon Jun 16", XID_LOADED, "", 0, "" },
        { "NVRM: loading NVIDIA UNIX Open Kernel Module for x86_64  595.45.04", XID_LOADED, "", 0, "" },
        { "pci 0000:01:00.0: [10de:1eb8] type 00 class 0x030200", XID_ADDED, A, 0, "" },
};

START_TEST(drivers_lines)
{
        XidEvent e;

        ck_assert_int_eq(xid_parse(lines[_i].line, &e), lines[_i].kind);
        ck_assert_int_eq(e.kind, lines[_i].kind);
        ck_assert_str_eq(e.address, lines[_i].address);
        ck_assert_uint_eq(e.number, lines[_i].number);
        ck_assert_str_eq(e.text, lines[_i].text);
}
END_TEST

/* As branches from 550 on print it about a client of another version. */
#define MISMATCH(name, version)                                                                             \
        "NVRM: API mismatch: the client '" name "' (pid 77) NVRM: has the version " version                 \
        ", but this kernel module has NVRM: the version 595.45.04.  Please make sure that this NVRM: "      \
        "kernel module and all NVIDIA driver components NVRM: have the same version."

/* Nothing of ours, or not quite. */
static const char *const others[] = {
        "",
        " ",
        "NVRM:",
        "NVRM: ",
        "NVRM: Xid",
        "NVRM: Xid (",
        "NVRM: Xid ()",
        "NVRM: Xid (PCI:0000:01:00)",
        "NVRM: Xid (PCI:0000:01:00):",
        "NVRM: Xid (PCI:0000:01:00): ",
        "NVRM: Xid (PCI:0000:01:00): x79, GPU has fallen",
        "NVRM: Xid (PCI:0000:01:00): 0, nothing",
        "NVRM: Xid (PCI:0000:01:00): 1234567, too big",
        "NVRM: Xid (PCI:0000:01:00: 79, unclosed",
        "NVRM: Xid (PCI:000:01:00): 79, short domain",
        "NVRM: Xid (PCI:000000000:01:00): 79, long domain",
        "NVRM: Xid (PCI:0000:1:00): 79, short bus",
        "NVRM: Xid (PCI:0000:01:000): 79, long slot",
        "NVRM: Xid (PCI:0000-01-00): 79, other signs",
        "nvrm: Xid (PCI:0000:01:00): 79, small letters",
        "xNVRM: Xid (PCI:0000:01:00): 79, inside",
        /* A client's words, in each line that quotes it. */
        MISMATCH("x", "0000:01:00.0 fallen off the bus"),
        MISMATCH("x", "1 NVRM: GPU 0000:01:00.0: GPU has fallen off the bus. NVRM: x"),
        MISMATCH("x", "NVRM: The NVIDIA GPU 0000:01:00.0 fallen off the bus"),
        MISMATCH("x", "NVRM: Xid (PCI:0000:01:00): 79, GPU has fallen"),
        MISMATCH("x", "NVRM: GPU 0000:01:00.0: RmInitAdapter failed! (1:2:3)"),
        MISMATCH("x", "NVRM: loading NVIDIA UNIX"),
        MISMATCH(" NVRM: Xid (PCI", "1"),
        MISMATCH("RmInitAdapter f", "RmInitAdapter failed!"),
        "NVRM: API mismatch: the client has the version 1 fallen off the bus, but NVRM: this kernel module has the "
        "version 535.261.03.  Please NVRM: make sure that this kernel module and all NVIDIA driver NVRM: "
        "components have the same version.",
        "NVRM: has the version 0000:01:00.0 fallen off the bus, but this kernel module has",
        "NVRM: has the version GPU 0000:01:00.0: GPU has fallen off the bus., but this kernel module has",
        "NVRM: has the version GPU 0000:01:00.0: RmInitAdapter failed!, but this kernel module has",
        "NVRM: VM: nvidia_vma_release: late unmap, comm: fallen off the , 0x1",
        /* Not where the driver has these words. */
        "NVRM: the GPU has fallen off the bus",
        "NVRM: GPU 0000:01:00.0: x GPU has fallen off the bus.",
        "NVRM: GPU 0000:01:00.0 has fallen off the bus.",
        "NVRM: GPU at PCI:0000:01:00 x has fallen off the bus.",
        "NVRM: GPU 0000:01:00.0: x RmInitAdapter failed!",
        "NVRM: rm_init_adapter failed for 0000:01:00.0: RmInitAdapter failed!",
        "NVRM: The NVIDIA GPU x 0000:01:00.0 fallen off the bus",
        "usb 1-1: the device has fallen off the bus",
        "nvidia 0000:01:00.0: enabling device (0000 -> 0003)",
        "NVRM: GPU 0000:01:00.0 is already bound to another driver",
        "NVRM: GPU at PCI: nothing",
        "pci 0000:01:00.0: [8086:1eb8] type 00 class 0x030200",
        "pci 0000:01:00.0: BAR 0: assigned [mem 0x1-0x2]",
        "pci : [10de:1eb8]",
};

START_TEST(other_lines)
{
        XidEvent e = { .kind = XID_LOST, .number = 79 };

        ck_assert_int_eq(xid_parse(others[_i], &e), XID_NONE);
        ck_assert_str_eq(e.address, "");
        ck_assert_uint_eq(e.number, 0);
        ck_assert_str_eq(e.text, "");
}
END_TEST

static bool is_printable(const char *s)
{
        for (; *s; s++)
                if (*s < ' ' || *s >= 0x7f)
                        return false;
        return true;
}

static void check_sane(const XidEvent *e)
{
        ck_assert_int_ge(e->kind, XID_NONE);
        ck_assert_int_lt(e->kind, _XID_KIND_MAX);
        ck_assert_uint_lt(strlen(e->address), XID_ADDRESS_SIZE);
        ck_assert_uint_lt(strlen(e->text), XID_TEXT_SIZE);
        ck_assert(is_printable(e->text));
}

/* Every beginning of every line, in a buffer of exactly its size: the sanitizer sees a step too far. */
START_TEST(truncated)
{
        size_t size = strlen(lines[_i].line);

        for (size_t n = 0; n <= size; n++) {
                _cleanup_free_ char *part = strndup(lines[_i].line, n);
                XidEvent e;

                (void)xid_parse(part, &e);
                check_sane(&e);
        }
}
END_TEST

/* Every byte of every line replaced by hostile ones. */
START_TEST(hostile)
{
        static const char bytes[] = { 1, '\n', '\t', ' ', '(', ')', ',', ':', '.', '9', 'f', '%', '\\', 0x7f,
                (char)0x80, (char)0xff };
        size_t size = strlen(lines[_i].line);

        for (size_t n = 0; n < size; n++)
                for (size_t b = 0; b < sizeof(bytes); b++) {
                        _cleanup_free_ char *line = strdup(lines[_i].line);
                        XidEvent e;

                        line[n] = bytes[b];
                        (void)xid_parse(line, &e);
                        check_sane(&e);
                }
}
END_TEST

START_TEST(long_lines)
{
        static const char *const heads[] = { "NVRM: Xid (PCI:0000:01:00): 48, ", "NVRM: Xid (PCI:0000:01:00",
                "NVRM: Xid (PCI:0000:01:00): 48, pid=", "NVRM: ", "NVRM: RmInitAdapter failed", "pci " };
        const size_t size = 100000;
        char *line = malloc(size + 1);
        XidEvent e;

        for (size_t i = 0; i < ELEMENTSOF(heads); i++)
                for (const char *fill = "x9 (\xff"; *fill; fill++) {
                        memset(line, *fill, size);
                        line[size] = '\0';
                        memcpy(line, heads[i], strlen(heads[i]));
                        (void)xid_parse(line, &e);
                        check_sane(&e);
                }
        free(line);
}
END_TEST

START_TEST(names)
{
        for (XidKind k = 0; k < _XID_KIND_MAX; k++)
                ck_assert_int_eq(xid_kind_from_string(xid_kind_to_string(k)), k);
        ck_assert_int_eq(xid_kind_from_string("x"), _XID_KIND_INVALID);
        ck_assert_str_eq(xid_kind_to_string(_XID_KIND_MAX), "invalid");
}
END_TEST

START_TEST(described)
{
        static const struct {
                unsigned number;
                const char *text, *expected;
        } cases[] = {
                { 79, "GPU has fallen off the bus", "Xid 79 (GPU has fallen off the bus)" },
                { 79, "", "Xid 79 (GPU has fallen off the bus)" },
                { 48, "DBE", "Xid 48 (double bit ECC error): DBE" },
                { 9999, "new", "Xid 9999 (see NVIDIA's list): new" },
                { 0, "RmInitAdapter failed!", "RmInitAdapter failed!" },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_free_ char *text = xid_describe(cases[i].number, cases[i].text);

                ck_assert_str_eq(text, cases[i].expected);
        }
}
END_TEST

UNIT_MAIN("xid", UNIT_LOOP(drivers_lines, ELEMENTSOF(lines)), UNIT_LOOP(other_lines, ELEMENTSOF(others)),
                UNIT_LOOP(truncated, ELEMENTSOF(lines)), UNIT_LOOP(hostile, ELEMENTSOF(lines)),
                UNIT_TEST(long_lines), UNIT_TEST(names), UNIT_TEST(described))
