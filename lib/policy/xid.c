/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The driver's messages about a GPU in trouble, as its branches 450 to 595
 * print them:
 *
 *   NVRM: Xid (PCI:0000:01:00): 79, pid=1234, name=python3, GPU has fallen off the bus.
 *   NVRM: Xid (PCI:0000:01:00 GPU-I:05): 94, pid='<unknown>', name=<unknown>, Contained: ...
 *   NVRM: Xid (0000:01:00): 31, Ch 0000001b, engmask 00000101, intr 10000000
 *   NVRM: GPU 0000:01:00.0: GPU has fallen off the bus.
 *   NVRM: GPU at PCI:0000:01:00: GPU-7d4e7c4e-...
 *   NVRM: The NVIDIA GPU 0000:01:00.0
 *   NVRM: (PCI ID: 10de:1eb8) installed in this system has
 *   NVRM: fallen off the bus and is not responding to commands.
 *   NVRM: GPU 0000:01:00.0: RmInitAdapter failed! (0x24:0x65:1457)
 *
 * The table follows the list in NVIDIA's "XID Errors" (GPU deployment and
 * management documentation). An Xid whose causes there are the user's program
 * first of all does not make a GPU unhealthy: for 13, 31, 43, 45, 68 and 109
 * NVIDIA's own Kubernetes device plugin decides the same. One that is not in
 * the table counts as a fault, because that is what most are, and a complaint
 * too many heals by itself.
 *
 * The driver quotes programs. Anybody who may open /dev/nvidiactl can make it
 * print
 *
 *   NVRM: API mismatch: the client 'NAME' (pid 77)
 *   NVRM: has the version TEXT, but this kernel module has
 *   NVRM: the version 595.45.04.  Please make sure that this
 *   NVRM: kernel module and all NVIDIA driver components
 *   NVRM: have the same version.
 *
 * with up to 31 bytes of NAME and 63 of TEXT, newlines included (branches
 * before 550: "NVRM: API mismatch: the client has the version TEXT, but"). It
 * is one record of the log, or one for each line. And the name in a line about
 * an Xid is the command name of a program. So every phrase counts only where
 * the driver itself puts it, and so does the address.
 */

#include <ctype.h>

#include "base/str.h"
#include "policy/xid.h"

typedef struct XidInfo {
        unsigned number;
        XidKind kind;
        const char *meaning;
} XidInfo;

static const XidInfo infos[] = {
        { 8, XID_FAULT, "GPU stopped processing" },
        { 13, XID_APPLICATION, "graphics engine exception" },
        { 25, XID_FAULT, "illegal push buffer stream" },
        { 31, XID_APPLICATION, "GPU memory page fault" },
        { 32, XID_FAULT, "corrupted push buffer stream" },
        { 38, XID_FAULT, "driver firmware error" },
        { 43, XID_APPLICATION, "GPU stopped processing" },
        { 45, XID_APPLICATION, "preemptive cleanup, due to previous errors" },
        { 48, XID_FAULT, "double bit ECC error" },
        { 54, XID_FAULT, "auxiliary power is not connected" },
        { 56, XID_NOTICE, "display engine error" },
        { 61, XID_FAULT, "internal micro-controller breakpoint" },
        { 62, XID_FAULT, "internal micro-controller halt" },
        { 63, XID_NOTICE, "ECC page retirement or row remapping recorded" },
        { 64, XID_FAULT, "ECC page retirement or row remapping failed" },
        { 68, XID_APPLICATION, "video processor exception" },
        { 69, XID_APPLICATION, "graphics engine class error" },
        { 74, XID_FAULT, "NVLink error" },
        { 78, XID_FAULT, "vGPU start error" },
        { 79, XID_LOST, "GPU has fallen off the bus" },
        { 80, XID_FAULT, "corrupted data sent to GPU" },
        { 92, XID_NOTICE, "high single bit ECC error rate" },
        { 93, XID_NOTICE, "wear limit of the InfoROM" },
        { 94, XID_FAULT, "contained ECC error" },
        { 95, XID_FAULT, "uncontained ECC error" },
        { 106, XID_NOTICE, "SMBPBI test message" },
        { 109, XID_APPLICATION, "context switch timeout" },
        { 111, XID_NOTICE, "display bundle error" },
        { 112, XID_NOTICE, "display supervisor error" },
        { 113, XID_NOTICE, "DP link training error" },
        { 114, XID_NOTICE, "display pipeline underflow" },
        { 115, XID_NOTICE, "display core channel error" },
        { 116, XID_NOTICE, "display window channel error" },
        { 117, XID_NOTICE, "display cursor channel error" },
        { 118, XID_NOTICE, "display pixel pipeline error" },
        { 119, XID_FAULT, "GSP does not answer" },
        { 120, XID_FAULT, "GSP error" },
        { 121, XID_FAULT, "C2C link error" },
        { 136, XID_FAULT, "link training failed" },
        { 137, XID_APPLICATION, "NVLink privilege error" },
        { 140, XID_FAULT, "unrecovered ECC error" },
        { 143, XID_FAULT, "GPU initialization failed" },
        { 154, XID_FAULT, "GPU recovery action changed" },
        { 158, XID_FAULT, "GPU fatal timeout" },
};

/* The GPU recovery action that asks for nothing is the end of a fault, not one more. */
enum { XID_RECOVERY_ACTION = 154 };

enum { COMMAND_MAX = 15 }; /* bytes of a command name: TASK_COMM_LEN without the NUL */

#define LOST_TEXT "GPU has fallen off the bus"

static const char *const kinds[_XID_KIND_MAX] = {
        [XID_NONE] = "none",
        [XID_QUOTES] = "quotes",
        [XID_LOADED] = "loaded",
        [XID_ADDED] = "added",
        [XID_NAMED] = "named",
        [XID_APPLICATION] = "application",
        [XID_NOTICE] = "notice",
        [XID_FAULT] = "fault",
        [XID_LOST] = "lost",
};

const char *xid_kind_to_string(XidKind kind)
{
        return kind >= 0 && kind < _XID_KIND_MAX ? kinds[kind] : "invalid";
}

XidKind xid_kind_from_string(const char *name)
{
        for (XidKind k = 0; k < _XID_KIND_MAX; k++)
                if (streq(kinds[k], name))
                        return k;
        return _XID_KIND_INVALID;
}

static const XidInfo *find_info(unsigned number)
{
        for (size_t i = 0; i < ELEMENTSOF(infos); i++)
                if (infos[i].number == number)
                        return &infos[i];
        return NULL;
}

XidKind xid_kind(unsigned number)
{
        const XidInfo *info = find_info(number);

        return info ? info->kind : XID_FAULT;
}

const char *xid_meaning(unsigned number)
{
        const XidInfo *info = find_info(number);

        return info ? info->meaning : "see NVIDIA's list";
}

char *xid_describe(unsigned number, const char *text)
{
        const char *meaning = xid_meaning(number);

        if (number == 0)
                return strdup(text);
        /* The driver often says the very words of the list. */
        if (isempty(text) || strncasecmp(text, meaning, strlen(meaning)) == 0)
                return str_format("Xid %u (%s)", number, isempty(text) ? meaning : text);
        return str_format("Xid %u (%s): %s", number, meaning, text);
}

/* Reads at least @min and at most @max hexadecimal digits. False if there are fewer, or more. */
static bool take_hex(const char **s, size_t min, size_t max, unsigned *ret)
{
        unsigned value = 0;
        size_t n = 0;

        for (; n < max && isxdigit((unsigned char)(*s)[n]); n++) {
                char c = (char)tolower((unsigned char)(*s)[n]);

                value = value * 16 + (unsigned)(c >= 'a' ? c - 'a' + 10 : c - '0');
        }
        if (n < min || isxdigit((unsigned char)(*s)[n]))
                return false;
        *s += n;
        *ret = value;
        return true;
}

static bool take_char(const char **s, char c)
{
        if (**s != c)
                return false;
        (*s)++;
        return true;
}

/* "PCI:0000:01:00", "0000:01:00.0" to "0000:01:00.0"; without a function it is 0. */
static bool take_address(const char **s, char *ret)
{
        const char *p = startswith(*s, "PCI:");
        unsigned domain, bus, slot, function = 0;

        p = p ? p : *s;
        if (!take_hex(&p, 4, 8, &domain) || !take_char(&p, ':') || !take_hex(&p, 2, 2, &bus) ||
                        !take_char(&p, ':') || !take_hex(&p, 2, 2, &slot))
                return false;
        /* "0000:01:00." may also be the end of a sentence. */
        if (p[0] == '.' && p[1] >= '0' && p[1] <= '7' && !isxdigit((unsigned char)p[2])) {
                function = (unsigned)(p[1] - '0');
                p += 2;
        }
        (void)snprintf(ret, XID_ADDRESS_SIZE, "%04x:%02x:%02x.%x", domain, bus & 0xff, slot & 0x1f,
                        function & 7);
        *s = p;
        return true;
}

static bool take_number(const char **s, unsigned *ret)
{
        unsigned value = 0;
        size_t n = 0;

        for (; n < 6 && isdigit((unsigned char)(*s)[n]); n++)
                value = value * 10 + (unsigned)((*s)[n] - '0');
        if (n == 0 || isdigit((unsigned char)(*s)[n]))
                return false;
        *s += n;
        *ret = value;
        return true;
}

/*
 * Over "pid=1234, name=python3, " to the words that follow. A command name may
 * have commas in it, and where it ends cannot be seen then: what may belong to
 * it is left out, although it may be the driver's.
 */
static const char *skip_process(const char *s)
{
        const char *name, *end = NULL;

        if (startswith(s, "pid=")) {
                s += strcspn(s, ",");
                s += strspn(s, ", ");
        }
        name = startswith(s, "name=");
        if (!name)
                return s;
        for (const char *p = strchr(name, ','); p && p - name <= COMMAND_MAX; p = strchr(p + 1, ','))
                end = p;
        if (!end)
                end = name + strcspn(name, ",");
        return end + strspn(end, ", ");
}

static bool ends_with(const char *s, const char *end)
{
        size_t n = strlen(s), m = strlen(end);

        return n >= m && streq(s + n - m, end);
}

static void set_text(XidEvent *e, const char *s)
{
        size_t n = 0;

        for (; *s && n + 1 < sizeof(e->text); s++)
                e->text[n++] = isprint((unsigned char)*s) ? *s : ' ';
        while (n > 0 && (e->text[n - 1] == ' ' || e->text[n - 1] == '.'))
                n--;
        e->text[n] = '\0';
}

/* @s is behind "Xid (". */
static XidKind parse_xid(const char *s, XidEvent *e)
{
        unsigned number;
        const char *text;

        if (!take_address(&s, e->address))
                return XID_NONE;
        s += strcspn(s, ")"); /* the instance of a partitioned GPU */
        if (!take_char(&s, ')'))
                return XID_NONE;
        s += strspn(s, ": ");
        if (!take_number(&s, &number) || number == 0)
                return XID_NONE;

        s += strspn(s, ",: ");
        text = skip_process(s);
        e->number = number;
        set_text(e, text);
        if (number == XID_RECOVERY_ACTION && ends_with(e->text, " (None)"))
                return XID_NOTICE;
        return xid_kind(number);
}

static XidKind lost(XidEvent *e)
{
        set_text(e, LOST_TEXT);
        return XID_LOST;
}

static XidKind failed(XidEvent *e, const char *s)
{
        set_text(e, s);
        return XID_FAULT;
}

/* @s is behind "GPU ". */
static XidKind parse_gpu(const char *s, XidEvent *e)
{
        const char *at = startswith(s, "at ");

        s = at ? at : s;
        if (!take_address(&s, e->address))
                return XID_NONE;
        if (startswith(s, ": " LOST_TEXT) || (at && startswith(s, " has fallen off the bus")))
                return lost(e);
        if (startswith(s, ": RmInitAdapter failed!"))
                return failed(e, s + 2);
        return at && *s == ':' ? XID_NAMED : XID_NONE;
}

/* @s is behind "The NVIDIA GPU ", which begins records that quote nobody. */
static XidKind parse_the_gpu(const char *s, XidEvent *e)
{
        if (!take_address(&s, e->address))
                return XID_NONE;
        return strstr(s, "fallen off the bus") ? lost(e) : XID_NAMED;
}

/*
 * A client's 63 bytes have room for one of these phrases, not for both and a
 * message beside them: with both, it is the whole complaint in one record.
 */
static XidKind parse_mismatch(const char *s)
{
        bool whole = strstr(s, "this kernel module has") && strstr(s, "have the same version.");

        return whole ? XID_NONE : XID_QUOTES;
}

/* @s is behind "NVRM: ". */
static XidKind parse_nvrm(const char *s, XidEvent *e)
{
        const char *rest;

        if ((rest = startswith(s, "API mismatch")))
                return parse_mismatch(rest);
        if ((rest = startswith(s, "Xid (")))
                return parse_xid(rest, e);
        if (startswith(s, "loading NVIDIA UNIX"))
                return XID_LOADED;
        if ((rest = startswith(s, "The NVIDIA GPU ")))
                return parse_the_gpu(rest, e);
        if ((rest = startswith(s, "GPU ")))
                return parse_gpu(rest, e);
        if (startswith(s, "fallen off the bus"))
                return lost(e);
        return startswith(s, "RmInitAdapter failed!") ? failed(e, s) : XID_NONE;
}

/* @s is behind "pci ": "0000:01:00.0: [10de:1eb8] type 00 class 0x030200". */
static XidKind parse_pci(const char *s, XidEvent *e)
{
        return take_address(&s, e->address) && startswith(s, ": [10de:") ? XID_ADDED : XID_NONE;
}

XidKind xid_parse(const char *line, XidEvent *ret)
{
        XidEvent e = {};
        const char *rest;

        if ((rest = startswith(line, "NVRM: ")))
                e.kind = parse_nvrm(rest, &e);
        else if ((rest = startswith(line, "pci ")))
                e.kind = parse_pci(rest, &e);
        *ret = e.kind == XID_NONE ? (XidEvent){} : e;
        return ret->kind;
}
