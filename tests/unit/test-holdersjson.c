/* SPDX-License-Identifier: Apache-2.0 */

/* What the worker says is what the daemon hears, whatever processes call themselves. */

#include "unit.h"

#include <jansson.h>

#include "base/str.h"
#include "sys/holdersjson.h"

#define ID  "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define POD "1b2c3d4e-0000-1111-2222-333344445555"

static const Holder fd_holder = {
        .pid = 4711,
        .start = UINT64_C(9876543210),
        .uid = 1000,
        .command = (char *)"python3",
        .home = { (char *)"a.service", (char *)ID, (char *)POD },
        .node = (char *)"/dev/nvidiactl",
        .kind = HOLDER_FD,
        .fd = 0,
};
static const Holder map_holder = {
        .pid = 1,
        .uid = UINT32_MAX - 1,
        .node = (char *)"/dev/nvidia0",
        .kind = HOLDER_MAPPING,
        .fd = -1,
};

static void check_same(const Holder *a, const Holder *b)
{
        ck_assert_int_eq(a->pid, b->pid);
        ck_assert_uint_eq(a->start, b->start);
        ck_assert_uint_eq(a->uid, b->uid);
        ck_assert_int_eq(a->kind, b->kind);
        ck_assert_int_eq(a->fd, b->fd);
        ck_assert(streq_ptr(a->user, b->user));
        ck_assert(streq_ptr(a->command, b->command));
        ck_assert(streq_ptr(a->home.unit, b->home.unit));
        ck_assert(streq_ptr(a->home.container, b->home.container));
        ck_assert(streq_ptr(a->home.pod, b->home.pod));
        ck_assert(streq_ptr(a->node, b->node));
}

static int feed(Holders *l, char *line)
{
        int r;

        ck_assert_ptr_nonnull(line);
        ck_assert_ptr_null(strchr(line, '\n'));
        ck_assert_uint_le(strlen(line), HOLDERS_LINE_MAX);
        r = holders_line_parse(line, l);
        free(line);
        return r;
}

START_TEST(test_round_trip)
{
        _cleanup_(holders_done) Holders l = {};
        Holder named = fd_holder;
        char *line = NULL;

        ck_assert_int_eq(holders_line_holder(&fd_holder, &line), 0);
        ck_assert_int_eq(feed(&l, line), 0);
        ck_assert_int_eq(holders_line_holder(&map_holder, &line), 0);
        ck_assert_int_eq(feed(&l, line), 0);
        ck_assert_int_eq(holders_line_end(312, 2, &line), 0);
        ck_assert_int_eq(feed(&l, line), HOLDERS_E_END);
        ck_assert_int_eq(holders_line_user(1000, "alice", &line), 0);
        ck_assert_int_eq(feed(&l, line), 0);

        ck_assert_uint_eq(l.n, 2);
        ck_assert_uint_eq(l.n_processes, 312);
        ck_assert_uint_eq(l.n_unreadable, 2);
        named.user = (char *)"alice";
        check_same(&l.items[0], &named);
        check_same(&l.items[1], &map_holder);
}
END_TEST

/* The longest that a process can choose, of the bytes that grow most. */
START_TEST(test_hostile)
{
        static const unsigned char bytes[] = { '\n', '\\', '"', 0xff, 0xc3, 0x7f, 0x01, 'a' };
        _cleanup_(holders_done) Holders l = {};
        char text[5000], *line = NULL;
        Holder h = map_holder;

        memset(text, bytes[_i], sizeof(text) - 1);
        text[sizeof(text) - 1] = '\0';
        h.user = h.command = h.home.unit = h.home.container = h.home.pod = h.node = text;
        ck_assert_int_eq(holders_line_holder(&h, &line), 0);
        ck_assert_int_eq(feed(&l, line), 0);
        ck_assert_uint_eq(l.n, 1);
        ck_assert_uint_eq(strlen(l.items[0].node), HOLDERS_STRING_MAX - 1);
        for (const char *c = l.items[0].command; *c; c++)
                ck_assert((unsigned char)*c >= 0x20 && (unsigned char)*c < 0x7f);
}
END_TEST

START_TEST(test_utf8)
{
        _cleanup_(holders_done) Holders l = {};
        Holder h = map_holder;
        char *line = NULL;

        h.command = (char *)"K\xc3\xbcken\033[2J";
        ck_assert_int_eq(holders_line_holder(&h, &line), 0);
        ck_assert_int_eq(feed(&l, line), 0);
        ck_assert_str_eq(l.items[0].command, "K\xc3\xbcken?[2J");
}
END_TEST

#define REST ",\"user\":null,\"command\":null,\"unit\":null,\"container\":null,\"pod\":null"
#define GOOD "\"pid\":1,\"start\":1,\"uid\":0" REST

static const struct {
        const char *line;
        int result;
} lines[] = {
        { "", HOLDERS_E_FOREIGN },
        { "==1==ERROR: something of a library", HOLDERS_E_FOREIGN },
        { "errno=5", HOLDERS_E_FOREIGN },
        { "{", HOLDERS_E_INVALID },
        { "{}", HOLDERS_E_INVALID },
        { "{} {}", HOLDERS_E_INVALID },
        { "{" GOOD ",\"node\":\"/dev/x\",\"kind\":\"fd\",\"fd\":3}", 0 },
        { "{" GOOD ",\"node\":\"/dev/x\",\"kind\":\"mapping\",\"fd\":null,\"new\":1}", 0 },
        { "{" GOOD ",\"node\":\"/dev/x\",\"kind\":\"fd\",\"fd\":3", HOLDERS_E_INVALID },
        { "{" GOOD ",\"node\":\"/dev/x\",\"kind\":\"fd\",\"fd\":3,\"pid\":2}", HOLDERS_E_INVALID },
        { "{" GOOD ",\"node\":\"/dev/x\",\"kind\":\"fd\",\"fd\":null}", HOLDERS_E_INVALID },
        { "{" GOOD ",\"node\":\"/dev/x\",\"kind\":\"fd\",\"fd\":-1}", HOLDERS_E_INVALID },
        { "{" GOOD ",\"node\":\"/dev/x\",\"kind\":\"owner\",\"fd\":3}", HOLDERS_E_INVALID },
        { "{" GOOD ",\"node\":\"/dev/x\",\"fd\":3}", HOLDERS_E_INVALID },
        { "{" GOOD ",\"node\":null,\"kind\":\"fd\",\"fd\":3}", HOLDERS_E_INVALID },
        { "{" GOOD ",\"kind\":\"fd\",\"fd\":3}", HOLDERS_E_INVALID },
        { "{\"pid\":0,\"start\":1,\"uid\":0" REST ",\"node\":\"/dev/x\",\"kind\":\"fd\",\"fd\":3}",
                        HOLDERS_E_INVALID },
        { "{\"pid\":\"1\",\"start\":1,\"uid\":0" REST ",\"node\":\"/dev/x\",\"kind\":\"fd\",\"fd\":3}",
                        HOLDERS_E_INVALID },
        { "{\"pid\":1,\"start\":-1,\"uid\":0" REST ",\"node\":\"/dev/x\",\"kind\":\"fd\",\"fd\":3}",
                        HOLDERS_E_INVALID },
        { "{\"pid\":1,\"start\":1,\"uid\":4294967296" REST ",\"node\":\"/dev/x\",\"kind\":\"fd\",\"fd\":3}",
                        HOLDERS_E_INVALID },
        { "{\"pid\":1,\"start\":1,\"uid\":0,\"user\":5,\"node\":\"/dev/x\",\"kind\":\"fd\",\"fd\":3}",
                        HOLDERS_E_INVALID },
        { "{\"pid\":1,\"start\":1,\"uid\":0,\"node\":\"/dev/x\",\"kind\":\"fd\",\"fd\":3}",
                        HOLDERS_E_INVALID },
        { "{\"processes\":1,\"unreadable\":0}", HOLDERS_E_END },
        { "{\"processes\":1}", HOLDERS_E_INVALID },
        { "{\"processes\":-1,\"unreadable\":0}", HOLDERS_E_INVALID },
        { "{\"uid\":0,\"user\":\"root\"}", 0 },
        { "{\"uid\":0,\"user\":null}", HOLDERS_E_INVALID },
        { "{\"user\":\"root\"}", HOLDERS_E_INVALID },
};

START_TEST(test_lines)
{
        _cleanup_(holders_done) Holders l = {};

        ck_assert_int_eq(holders_line_parse(lines[_i].line, &l), lines[_i].result);
        ck_assert_uint_eq(l.n, lines[_i].result == 0 && strstr(lines[_i].line, "pid") ? 1 : 0);
}
END_TEST

START_TEST(test_document)
{
        char *module_holders[] = { (char *)"gdrdrv", NULL };
        char *remarks[] = { (char *)"A word.", NULL };
        Holder items[] = { fd_holder, map_holder };
        ModuleFact facts[] = { { .name = (char *)"nvidia", .refcnt = 3, .holders = module_holders },
                { .name = (char *)"gdrdrv", .refcnt = -1 } };
        Holders l = { .items = items, .n = 2, .n_processes = 5, .n_unreadable = 1, .incomplete = true };
        ModuleFacts modules = { .items = facts, .n = 2 };
        _cleanup_free_ char *text = NULL;
        json_t *o, *h, *m;

        ck_assert_int_eq(holders_format(&l, &modules, remarks, true, &text), 0);
        ck_assert_int_eq(text[strlen(text) - 1], '\n');
        o = json_loads(text, 0, NULL);
        ck_assert(json_is_true(json_object_get(o, "busy")));
        ck_assert(json_is_true(json_object_get(o, "incomplete")));
        ck_assert_int_eq(json_integer_value(json_object_get(o, "processes")), 5);
        ck_assert_int_eq(json_integer_value(json_object_get(o, "unreadable")), 1);

        h = json_array_get(json_object_get(o, "holders"), 0);
        ck_assert_int_eq(json_integer_value(json_object_get(h, "pid")), 4711);
        ck_assert_int_eq(json_integer_value(json_object_get(h, "fd")), 0);
        ck_assert_str_eq(json_string_value(json_object_get(h, "kind")), "fd");
        ck_assert_str_eq(json_string_value(json_object_get(h, "container")), ID);
        ck_assert(json_is_null(json_object_get(h, "user")));
        h = json_array_get(json_object_get(o, "holders"), 1);
        ck_assert(json_is_null(json_object_get(h, "fd")));

        ck_assert_str_eq(json_string_value(json_array_get(json_object_get(o, "remarks"), 0)), "A word.");
        m = json_array_get(json_object_get(o, "modules"), 0);
        ck_assert_int_eq(json_integer_value(json_object_get(m, "refcount")), 3);
        ck_assert_str_eq(json_string_value(json_array_get(json_object_get(m, "holders"), 0)), "gdrdrv");
        m = json_array_get(json_object_get(o, "modules"), 1);
        ck_assert(json_is_null(json_object_get(m, "refcount")));
        ck_assert_uint_eq(json_array_size(json_object_get(m, "holders")), 0);
        json_decref(o);
}
END_TEST

UNIT_MAIN("holdersjson", UNIT_TEST(test_round_trip), UNIT_LOOP(test_hostile, 8), UNIT_TEST(test_utf8),
                UNIT_LOOP(test_lines, ELEMENTSOF(lines)), UNIT_TEST(test_document))
