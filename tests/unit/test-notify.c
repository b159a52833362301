/* SPDX-License-Identifier: Apache-2.0 */

/* Messages to a service manager that reads when the test does. Each test is a process of its own. */

#include "unit.h"

#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "sys/notify.h"
#include "tmproot.h"

typedef struct Manager {
        TmpRoot t;
        int fd;
        char last[1024];
} Manager;

static void manager_init(Manager *m, bool abstract)
{
        struct sockaddr_un a = { .sun_family = AF_UNIX };
        char path[100];
        int n;

        *m = (Manager){ .t = tmproot_new() };
        n = snprintf(path, sizeof(path), "%s%s/notify", abstract ? "@" : "", m->t.path);
        memcpy(a.sun_path, path, (size_t)n);
        if (abstract)
                a.sun_path[0] = '\0';
        m->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        ck_assert_int_eq(bind(m->fd, (struct sockaddr *)&a,
                                         (socklen_t)(offsetof(struct sockaddr_un, sun_path) + (size_t)n)),
                        0);
        ck_assert_int_eq(setenv("NOTIFY_SOCKET", path, 1), 0);
}

static void manager_done(Manager *m)
{
        closep(&m->fd);
        tmproot_done(&m->t);
}
#define _cleanup_manager_ _cleanup_(manager_done)

static const char *read_one(Manager *m)
{
        ssize_t n = recv(m->fd, m->last, sizeof(m->last) - 1, MSG_DONTWAIT);

        m->last[n < 0 ? 0 : n] = '\0';
        return n < 0 ? NULL : m->last;
}

/* Returns how many messages there were room for. */
static unsigned fill(Manager *m)
{
        unsigned n = 0;

        while (!notify_is_owed() && n++ < 100000)
                notify_sendf("READY=1\nSTATUS=filling");
        return n;
}

START_TEST(test_send)
{
        _cleanup_manager_ Manager m;

        manager_init(&m, _i);
        notify_sendf("READY=1\nSTATUS=%s", "well");
        ck_assert_str_eq(read_one(&m), "READY=1\nSTATUS=well");
        ck_assert(!notify_is_owed());
        ck_assert(notify_repeat());
        ck_assert_ptr_null(read_one(&m));
}
END_TEST

static const char *const useless[] = { NULL, "", "/", "relative", "vsock:2:1" };

START_TEST(test_nobody)
{
        if (useless[_i])
                ck_assert_int_eq(setenv("NOTIFY_SOCKET", useless[_i], 1), 0);
        else
                ck_assert_int_eq(unsetenv("NOTIFY_SOCKET"), 0);
        notify_sendf("READY=1");
        ck_assert(!notify_is_owed());
}
END_TEST

/* The socket of the first message is there when there are no more descriptors. */
START_TEST(test_no_descriptors)
{
        struct rlimit limit, none;
        _cleanup_manager_ Manager m;

        manager_init(&m, false);
        notify_sendf("STATUS=begin");
        ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
        none = (struct rlimit){ 0, limit.rlim_max };
        ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
        notify_sendf("READY=1");
        ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
        ck_assert_str_eq(read_one(&m), "STATUS=begin");
        ck_assert_str_eq(read_one(&m), "READY=1");
}
END_TEST

/* And if even that one could not be made, it is made for the next message. */
START_TEST(test_never_a_descriptor)
{
        struct rlimit limit, none;
        _cleanup_manager_ Manager m;

        manager_init(&m, false);
        ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
        none = (struct rlimit){ 0, limit.rlim_max };
        ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
        notify_sendf("READY=1\nSTATUS=ready");
        ck_assert(notify_is_owed());
        ck_assert(!notify_repeat());
        ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
        ck_assert(notify_repeat());
        ck_assert_str_eq(read_one(&m), "READY=1\n");
        ck_assert_ptr_null(read_one(&m));
}
END_TEST

/* A manager that does not read is owed what counts, in order, and gets it with what comes next. */
START_TEST(test_owed)
{
        _cleanup_manager_ Manager m;

        manager_init(&m, false);
        ck_assert_uint_gt(fill(&m), 1);
        notify_sendf("STATUS=lost");
        ck_assert(!notify_repeat());
        notify_sendf("STOPPING=1\nSTATUS=lost as well");
        while (read_one(&m))
                ck_assert_str_eq(m.last, "READY=1\nSTATUS=filling");
        notify_sendf("STATUS=now");
        ck_assert_str_eq(read_one(&m), "READY=1\nSTOPPING=1\nSTATUS=now");
        ck_assert(!notify_is_owed());
}
END_TEST

UNIT_MAIN("notify", UNIT_LOOP(test_send, 2), UNIT_LOOP(test_nobody, ELEMENTSOF(useless)),
                UNIT_TEST(test_no_descriptors), UNIT_TEST(test_never_a_descriptor), UNIT_TEST(test_owed))
