/* SPDX-License-Identifier: Apache-2.0 */

/*
 * /dev/kmsg (Documentation/ABI/testing/dev-kmsg): each read(2) gives one
 * record, "prio,seq,usec,flags[,...];text\n" and then lines " KEY=value\n". A
 * buffer that a record does not fit into gives EINVAL, a record that was
 * overwritten before it was read EPIPE. What is not printable, and a newline
 * inside of the text, comes as \xNN.
 *
 * A container's /dev/kmsg may be anything: kind(1) makes it a link to the
 * console, whose reader would steal what people type. So it has to be the
 * device 1:11, or a FIFO: that is the log of a machine made of files, where
 * a read gives whatever lies there. Hence lines are taken out of a buffer.
 */

#include <fcntl.h>
#include <sys/sysmacros.h>

#include "base/result.h"
#include "base/str.h"
#include "sys/kmsg.h"

enum {
        KMSG_MAJOR = 1,
        KMSG_MINOR = 11,
        BUFFER_SIZE = 16384, /* the kernel's longest record is PRINTK_MESSAGE_MAX, 2048; CONSOLE_EXT_LOG_MAX
                                was 8192 */
};

struct Kmsg {
        int fd;
        size_t begin, end; /* of what was read and not handed out yet */
        bool ended;
        char buffer[BUFFER_SIZE];
};

static bool is_log(int fd)
{
        struct stat st;

        if (fstat(fd, &st) < 0)
                return false;
        return S_ISFIFO(st.st_mode) ||
               (S_ISCHR(st.st_mode) && st.st_rdev == makedev(KMSG_MAJOR, KMSG_MINOR));
}

static int absent(const char *why, const char **reterr)
{
        *reterr = why;
        return KMSG_E_ABSENT;
}

int kmsg_open(const Root *root, Kmsg **ret, const char **reterr)
{
        _cleanup_(kmsg_freep) Kmsg *k = NULL;
        _cleanup_close_ int fd = -EBADF;
        int r;

        /* Looked at before it is opened: opening a strange device may do something. */
        r = root_open(root, "dev/kmsg", O_PATH, &fd);
        if (r == ROOT_E_ABSENT)
                return absent("there is no /dev/kmsg", reterr);
        if (r < 0)
                return err_trace(r);
        if (!is_log(fd))
                return absent("/dev/kmsg is something else", reterr);

        k = calloc(1, sizeof(*k));
        if (!k)
                return err_origin(-ENOMEM);
        k->fd = -EBADF;
        r = root_open(root, "dev/kmsg", O_RDONLY | O_NONBLOCK | O_NOCTTY, &k->fd);
        if (r == -EPERM || r == -EACCES)
                return absent("reading /dev/kmsg is not permitted (CAP_SYSLOG)", reterr);
        if (r)
                return r < 0 ? err_trace(r) : absent("there is no /dev/kmsg", reterr);

        *ret = TAKE_PTR(k);
        return 0;
}

Kmsg *kmsg_free(Kmsg *k)
{
        if (!k)
                return NULL;

        safe_close(k->fd);
        free(k);
        return NULL;
}

int kmsg_fd(const Kmsg *k)
{
        return k->fd;
}

/* Only called when no whole line is left. */
static int fill(Kmsg *k)
{
        ssize_t n;

        memmove(k->buffer, k->buffer + k->begin, k->end - k->begin);
        k->end -= k->begin;
        k->begin = 0;
        if (k->end == sizeof(k->buffer))
                k->end = 0; /* no line is that long: nonsense, forget it */

        do
                n = read(k->fd, k->buffer + k->end, sizeof(k->buffer) - k->end);
        while (n < 0 && errno == EINTR);
        if (n > 0) {
                k->end += (size_t)n;
                return 0;
        }
        if (n == 0) {
                k->ended = true;
                return KMSG_E_END;
        }
        if (errno == EAGAIN)
                return KMSG_E_AGAIN;
        if (errno == EPIPE)
                return KMSG_E_LOST;
        return err_origin(-errno);
}

/* The next whole line, its newline replaced by NUL. */
static int next_line(Kmsg *k, char **ret)
{
        for (;;) {
                char *line = k->buffer + k->begin, *newline = memchr(line, '\n', k->end - k->begin);
                int r;

                if (newline) {
                        *newline = '\0';
                        k->begin = (size_t)(newline + 1 - k->buffer);
                        *ret = line;
                        return 0;
                }
                r = k->ended ? KMSG_E_END : fill(k);
                if (r)
                        return r < 0 ? err_trace(r) : r;
        }
}

static int hex_digit(char c)
{
        return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* In place: "a\x0ab" becomes "a b", "\x5c" a backslash. What is not printable is a blank, also behind an
 * escape. */
static void unescape(char *text)
{
        char *to = text;

        for (const char *p = text; *p; to++) {
                int high = p[0] == '\\' && p[1] == 'x' ? hex_digit(p[2]) : -1;
                int low = high >= 0 ? hex_digit(p[3]) : -1;

                *to = low >= 0 ? (char)(high * 16 + low) : *p;
                p += low >= 0 ? 4 : 1;
                if ((unsigned char)*to < ' ' || *to == 0x7f)
                        *to = ' ';
        }
        *to = '\0';
}

/* False for the lines below a record, and for nonsense. */
static bool parse(char *line, KmsgRecord *ret)
{
        char *text = strchr(line, ';'), *rest;
        unsigned long long priority, stamp;

        if (!text || *line < '0' || *line > '9')
                return false;
        *text++ = '\0';
        errno = 0;
        priority = strtoull(line, &rest, 10);
        if (*rest != ',')
                return false;
        rest += 1 + strcspn(rest + 1, ","); /* the sequence number */
        if (*rest != ',' || rest[1] < '0' || rest[1] > '9')
                return false;
        stamp = strtoull(rest + 1, &rest, 10);
        if (errno || (*rest && *rest != ',') || priority > 0xffff)
                return false;

        unescape(text);
        *ret = (KmsgRecord){
                .facility = (unsigned)(priority >> 3),
                .level = (unsigned)(priority & 7),
                .stamp = stamp,
                .text = text,
        };
        return true;
}

int kmsg_next(Kmsg *k, KmsgRecord *ret)
{
        char *line = NULL;
        int r;

        do {
                r = next_line(k, &line);
                if (r)
                        return r < 0 ? err_trace(r) : r;
        } while (!parse(line, ret));
        return 0;
}
