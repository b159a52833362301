/* SPDX-License-Identifier: Apache-2.0 */

#include "unit.h"

#include "base/str.h"
#include "policy/holder.h"

static void add(Holders *l, pid_t pid, uint64_t start, const char *node, HolderKind kind, int fd)
{
        Holder h = { .pid = pid,
                .start = start,
                .uid = 1000,
                .command = strdup("python3"),
                .node = strdup(node),
                .kind = kind,
                .fd = fd };

        ck_assert_int_eq(holders_add(l, &h), 0);
        ck_assert_ptr_null(h.node);
}

static void check_lines(const Holders *l, const char *expected)
{
        _cleanup_strv_ char **lines = NULL;
        _cleanup_free_ char *text = NULL;

        ck_assert_int_eq(holders_describe(l, &lines), 0);
        text = strv_join(lines, "\n");
        ck_assert_str_eq(text, expected);
}

START_TEST(test_kinds)
{
        ck_assert_int_eq(holder_kind_from_string("fd"), HOLDER_FD);
        ck_assert_int_eq(holder_kind_from_string("mapping"), HOLDER_MAPPING);
        ck_assert_int_eq(holder_kind_from_string("invalid"), _HOLDER_KIND_INVALID);
        ck_assert_str_eq(holder_kind_to_string(_HOLDER_KIND_INVALID), "invalid");
        ck_assert_str_eq(holder_kind_to_string(_HOLDER_KIND_MAX), "invalid");
}
END_TEST

START_TEST(test_arrange)
{
        static const struct {
                pid_t pid;
                uint64_t start;
                const char *node;
                HolderKind kind;
                int fd;
        } expected[] = {
                { 2, 5, "/dev/nvidia2", HOLDER_FD, 7 },
                { 2, 5, "/dev/nvidia10", HOLDER_FD, 3 },
                { 2, 5, "/dev/nvidiactl", HOLDER_MAPPING, -1 },
                { 9, 1, "/dev/nvidiactl", HOLDER_FD, 4 },
                { 9, 2, "/dev/nvidiactl", HOLDER_FD, 4 },
        };
        _cleanup_(holders_done) Holders l = {}, none = {};

        add(&l, 9, 2, "/dev/nvidiactl", HOLDER_FD, 4);
        add(&l, 2, 5, "/dev/nvidiactl", HOLDER_MAPPING, -1);
        add(&l, 2, 5, "/dev/nvidia10", HOLDER_MAPPING, -1);
        add(&l, 2, 5, "/dev/nvidia10", HOLDER_FD, 8);
        add(&l, 9, 1, "/dev/nvidiactl", HOLDER_FD, 4);
        add(&l, 2, 5, "/dev/nvidia10", HOLDER_FD, 3);
        add(&l, 2, 5, "/dev/nvidia2", HOLDER_FD, 7);
        add(&l, 2, 5, "/dev/nvidiactl", HOLDER_MAPPING, -1);
        holders_arrange(&l);

        ck_assert_uint_eq(l.n, ELEMENTSOF(expected));
        for (size_t i = 0; i < l.n; i++) {
                ck_assert_int_eq(l.items[i].pid, expected[i].pid);
                ck_assert_uint_eq(l.items[i].start, expected[i].start);
                ck_assert_str_eq(l.items[i].node, expected[i].node);
                ck_assert_int_eq(l.items[i].kind, expected[i].kind);
                ck_assert_int_eq(l.items[i].fd, expected[i].fd);
        }

        holders_arrange(&none);
        ck_assert_uint_eq(none.n, 0);
}
END_TEST

START_TEST(test_describe)
{
        _cleanup_(holders_done) Holders l = {}, none = {};

        check_lines(&none, "");
        add(&l, 4711, 1, "/dev/nvidia0", HOLDER_MAPPING, -1);
        add(&l, 4711, 1, "/dev/nvidiactl", HOLDER_FD, 5);
        add(&l, 4711, 2, "/dev/nvidiactl", HOLDER_FD, 6);
        ck_assert_int_eq(holders_add_user(&l, 1, "bin"), 0);
        check_lines(&l, "python3[4711] of uid 1000 (/dev/nvidia0 mapped, /dev/nvidiactl fd 5)\n"
                        "python3[4711] of uid 1000 (/dev/nvidiactl fd 6)");

        ck_assert_int_eq(holders_add_user(&l, 1000, "alice"), 0);
        ck_assert_int_eq(str_replace(&l.items[2].home.unit, "session-3.scope"), 0);
        ck_assert_int_eq(str_replace(&l.items[2].command, NULL), 0);
        check_lines(&l, "python3[4711] of alice (/dev/nvidia0 mapped, /dev/nvidiactl fd 5)\n"
                        "n/a[4711] of alice (session-3.scope, /dev/nvidiactl fd 6)");
}
END_TEST

/* Sixteen GPUs make no line that nobody reads to its end. */
START_TEST(test_describe_many)
{
        _cleanup_(holders_done) Holders l = {};

        for (int i = 0; i < 11; i++) {
                char node[32];

                (void)snprintf(node, sizeof(node), "/dev/nvidia%d", i);
                add(&l, 7, 1, node, HOLDER_FD, i);
        }
        holders_arrange(&l);
        check_lines(&l, "python3[7] of uid 1000 (/dev/nvidia0 fd 0, /dev/nvidia1 fd 1, /dev/nvidia2 fd 2, "
                        "/dev/nvidia3 fd 3, /dev/nvidia4 fd 4, /dev/nvidia5 fd 5, /dev/nvidia6 fd 6, "
                        "/dev/nvidia7 fd 7, 3 more)");
}
END_TEST

#define ID  "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define POD "1b2c3d4e-0000-1111-2222-333344445555"

static const struct {
        HolderHome home;
        const char *text;
} homes[] = {
        { { (char *)"u.service", (char *)ID, (char *)POD }, "pod:" POD "/0123456789ab" },
        { { (char *)"u.service", NULL, (char *)POD }, "pod:" POD },
        { { (char *)"u.service", (char *)ID, NULL }, "container:0123456789ab" },
        { { NULL, (char *)"c1", NULL }, "container:c1" },
        { { (char *)"u.service", NULL, NULL }, "u.service" },
        { {}, "-" },
};

START_TEST(test_home)
{
        _cleanup_free_ char *text = holder_home_describe(&homes[_i].home);

        ck_assert_str_eq(text, homes[_i].text);
}
END_TEST

START_TEST(test_copy)
{
        Holder h = {
                .pid = 1,
                .start = 2,
                .uid = 3,
                .user = strdup("u"),
                .command = strdup("c"),
                .home = { strdup("a.service"), strdup("b"), strdup("p") },
                .node = strdup("/dev/nvidia0"),
                .kind = HOLDER_MAPPING,
                .fd = -1,
        };
        Holder copy = {}, none = {};

        ck_assert_int_eq(holder_copy(&h, &copy), 0);
        holder_done(&h);
        ck_assert_int_eq(copy.pid, 1);
        ck_assert_uint_eq(copy.start, 2);
        ck_assert_uint_eq(copy.uid, 3);
        ck_assert_str_eq(copy.user, "u");
        ck_assert_str_eq(copy.command, "c");
        ck_assert_str_eq(copy.home.unit, "a.service");
        ck_assert_str_eq(copy.home.container, "b");
        ck_assert_str_eq(copy.home.pod, "p");
        ck_assert_str_eq(copy.node, "/dev/nvidia0");
        ck_assert_int_eq(copy.kind, HOLDER_MAPPING);
        ck_assert_int_eq(copy.fd, -1);
        holder_done(&copy);
        ck_assert_int_eq(holder_copy(&h, &none), 0);
        ck_assert_ptr_null(none.command);
        holder_done(&none);
}
END_TEST

START_TEST(test_bound)
{
        _cleanup_(holders_done) Holders l = {};

        for (int i = 0; i < HOLDERS_MAX; i++)
                add(&l, i + 1, 1, "/dev/nvidiactl", HOLDER_FD, 3);
        ck_assert_uint_eq(l.n, HOLDERS_MAX);
        ck_assert(!l.incomplete);
        add(&l, 1, 2, "/dev/nvidiactl", HOLDER_FD, 3);
        ck_assert_uint_eq(l.n, HOLDERS_MAX);
        ck_assert(l.incomplete);
}
END_TEST

UNIT_MAIN("holder", UNIT_TEST(test_kinds), UNIT_TEST(test_arrange), UNIT_TEST(test_describe),
                UNIT_TEST(test_describe_many), UNIT_LOOP(test_home, ELEMENTSOF(homes)), UNIT_TEST(test_copy),
                UNIT_TEST(test_bound))
