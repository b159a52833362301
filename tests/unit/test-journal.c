/* SPDX-License-Identifier: Apache-2.0 */

/* The journal's native protocol, with a journald that reads when the test does. */

#include "unit.h"

#include <endian.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "sys/journal.h"
#include "tmproot.h"

typedef struct Reader {
        TmpRoot t;
        char path[100];
        int fd;
        Journal *journal;
} Reader;

static void reader_init(Reader *r)
{
        struct sockaddr_un a = { .sun_family = AF_UNIX };

        *r = (Reader){ .t = tmproot_new() };
        (void)snprintf(r->path, sizeof(r->path), "%s/socket", r->t.path);
        (void)snprintf(a.sun_path, sizeof(a.sun_path), "%s", r->path);
        r->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        ck_assert_int_eq(bind(r->fd, (struct sockaddr *)&a, sizeof(a)), 0);
        ck_assert_int_eq(journal_new(r->path, &r->journal), 0);
}

static void reader_done(Reader *r)
{
        journal_free(r->journal);
        closep(&r->fd);
        tmproot_done(&r->t);
}
#define _cleanup_reader_ _cleanup_(reader_done)

static int send_one(Reader *r, const char *text)
{
        struct iovec field = { (void *)(uintptr_t)text, strlen(text) };

        return journal_send(r->journal, &field, 1);
}

START_TEST(test_fields)
{
        static const char expected[] = "MESSAGE=a line\nDETAIL\n\7\0\0\0\0\0\0\0two\nrow\nEMPTY=\n";
        struct iovec fields[] = { { (char[]){ "MESSAGE=a line" }, 14 },
                { (char[]){ "DETAIL=two\nrow" }, 14 }, { (char[]){ "no field" }, 8 },
                { (char[]){ "EMPTY=" }, 6 } };
        _cleanup_reader_ Reader r;
        char buffer[256];

        reader_init(&r);
        ck_assert_int_eq(journal_send(r.journal, fields, ELEMENTSOF(fields)), 0);
        ck_assert_int_eq(recv(r.fd, buffer, sizeof(buffer), MSG_DONTWAIT), sizeof(expected) - 1);
        ck_assert_mem_eq(buffer, expected, sizeof(expected) - 1);
}
END_TEST

/* More than a datagram can have: the beginnings of the values are better than nothing. */
START_TEST(test_too_large)
{
        size_t size = 32 << 20;
        char *large = malloc(size), buffer[4096];
        struct iovec fields[] = { { (char[]){ "MESSAGE=short" }, 13 }, { large, size } };
        _cleanup_reader_ Reader r;
        ssize_t n;

        reader_init(&r);
        memset(large, 'x', size);
        memcpy(large, "DETAIL=", 7);
        ck_assert_int_eq(journal_send(r.journal, fields, ELEMENTSOF(fields)), 0);
        n = recv(r.fd, buffer, sizeof(buffer), MSG_DONTWAIT);
        ck_assert_int_eq(n, 14 + 1025);
        ck_assert_mem_eq(buffer, "MESSAGE=short\nDETAIL=xxx", 24);
        free(large);
}
END_TEST

/* A journald that does not read is not waited for; when it reads again it gets what comes then. */
START_TEST(test_stopped)
{
        _cleanup_reader_ Reader r;
        char buffer[256];
        int result = 0;

        reader_init(&r);
        for (unsigned i = 0; result == 0 && i < 100000; i++)
                result = send_one(&r, "MESSAGE=a line");
        ck_assert_int_eq(result, JOURNAL_E_LOST);
        while (recv(r.fd, buffer, sizeof(buffer), MSG_DONTWAIT) > 0)
                ;
        ck_assert_int_eq(send_one(&r, "MESSAGE=again"), 0);
        ck_assert_int_eq(recv(r.fd, buffer, sizeof(buffer), MSG_DONTWAIT), 14);
}
END_TEST

/* None yet, none any more, and a new one under the same name. */
START_TEST(test_restarted)
{
        struct sockaddr_un a = { .sun_family = AF_UNIX };
        _cleanup_reader_ Reader r;

        reader_init(&r);
        closep(&r.fd);
        ck_assert_int_eq(send_one(&r, "MESSAGE=nobody"), JOURNAL_E_LOST);
        ck_assert_int_eq(unlink(r.path), 0);
        ck_assert_int_eq(send_one(&r, "MESSAGE=nobody"), JOURNAL_E_LOST);
        (void)snprintf(a.sun_path, sizeof(a.sun_path), "%s", r.path);
        r.fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        ck_assert_int_eq(bind(r.fd, (struct sockaddr *)&a, sizeof(a)), 0);
        ck_assert_int_eq(send_one(&r, "MESSAGE=somebody"), 0);
}
END_TEST

START_TEST(test_path)
{
        char path[200];
        Journal *journal = NULL;

        memset(path, 'x', sizeof(path) - 1);
        path[sizeof(path) - 1] = '\0';
        ck_assert_int_eq(journal_new(path, &journal), -ENAMETOOLONG);
        ck_assert_ptr_null(journal);
        ck_assert_ptr_null(journal_free(NULL));
}
END_TEST

UNIT_MAIN("journal", UNIT_TEST(test_fields), UNIT_TEST(test_too_large), UNIT_TEST(test_stopped),
                UNIT_TEST(test_restarted), UNIT_TEST(test_path))
