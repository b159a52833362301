/* SPDX-License-Identifier: Apache-2.0 */

/* The status on its way through JSON, and what is made of a text that is none. */

#include "unit.h"

#include <jansson.h>

#include "base/str.h"
#include "sys/statusjson.h"

static void add_module(Status *s, const char *name, ModState state, int refcnt, const char *holders)
{
        ModuleFact m = { .name = strdup(name),
                .state = state,
                .refcnt = refcnt,
                .version = strdup("535.261.03"),
                .taint = strdup("POE") };

        ck_assert_int_eq(strv_split(holders, " ", &m.holders), 0);
        ck_assert_int_eq(module_facts_add(&s->modules, &m), 0);
}

static void add_gpu(Status *s, const char *address, const char *driver)
{
        GpuFact g = { .address = strdup(address),
                .vendor = 0x10de,
                .device = 0x1eb8,
                .driver = driver ? strdup(driver) : NULL,
                .override = driver ? NULL : strdup("vfio-pci"),
                .excluded = !driver };
        NodeFact card = {
                .gpu = strdup(address), .kind = NODE_CARD, .node = strdup("/dev/dri/card0"), .present = true
        };
        NodeFact render = {
                .gpu = strdup(address), .kind = NODE_RENDER, .node = strdup("/dev/dri/renderD128")
        };

        ck_assert_int_eq(gpu_facts_add(&s->gpus, &g), 0);
        ck_assert_int_eq(node_facts_add(&s->nodes, &card), 0);
        ck_assert_int_eq(node_facts_add(&s->nodes, &render), 0);
}

static void add_holder(Status *s, pid_t pid, HolderKind kind, int fd)
{
        Holder h = { .pid = pid,
                .start = 123456789,
                .uid = 1000,
                .command = strdup("trainer"),
                .home.unit = strdup("session-3.scope"),
                .node = strdup("/dev/nvidia0"),
                .kind = kind,
                .fd = fd };

        ck_assert_int_eq(holders_add(&s->holders, &h), 0);
}

static void fill(Status *s)
{
        *s = (Status){
                .state = strdup("degraded"),
                .since = 1795000000123456,
                .code = strdup("devices-lost"),
                .detail = strdup("a \"quote\", a \\ and a\nnewline"),
                .progress = strdup("Compiling 112/184, nvidia-uvm"),
                .pid = 4242,
                .version = strdup("0.1.0"),
                .kernel_release = strdup("6.1.0-56-amd64"),
                .kernel_version = strdup("#1 SMP"),
                .driver_version = strdup("535.261.03"),
                .driver_wanted = strdup("535"),
                .build = strdup("535.261.03-proprietary-6.1.0-56-amd64-0123456789ab"),
                .foreign = true,
                .slowest_turn = 12345,
        };
        ck_assert_int_eq(status_add_step(s, "compiling", false, "it is in the store"), 0);
        ck_assert_int_eq(status_add_step(s, "loading", true, NULL), 0);
        add_module(s, "nvidia", MOD_LIVE, 3, "nvidia_uvm nvidia_modeset");
        add_module(s, "nvidia_uvm", MOD_COMING, -1, "");
        add_gpu(s, "0000:01:00.0", "nvidia");
        add_gpu(s, "0000:02:00.0", NULL);
        add_holder(s, 4711, HOLDER_FD, 5);
        add_holder(s, 4712, HOLDER_MAPPING, -1);
        s->n_holders = 300;
        ck_assert_int_eq(status_add_device(s, "/dev/nvidiactl", 195, 255, true), 0);
        ck_assert_int_eq(status_add_device(s, "/dev/nvidia-uvm", 242, 0, false), 0);
        ck_assert_int_eq(strv_push(&s->problems, "driverd.conf:3: no such key"), 0);
        ck_assert_int_eq(status_add_service(s,
                                         &(StatusService){
                                                         .name = (char *)"nvidia-persistenced",
                                                         .state = (char *)"running",
                                                         .required = true,
                                                         .pid = 4711,
                                                         .since = 1795000000123457,
                                                         .restarts = 3,
                                                         .last_end = (char *)"exit status 1",
                                         }),
                        0);
        ck_assert_int_eq(status_add_service(s, &(StatusService){ .name = (char *)"exporter",
                                                               .state = (char *)"waiting" }),
                        0);
}

static void check_same(const Status *a, const Status *b)
{
        _cleanup_free_ char *first = NULL, *second = NULL;

        ck_assert_int_eq(status_format(a, &first), 0);
        ck_assert_int_eq(status_format(b, &second), 0);
        ck_assert_str_eq(first, second);
}

START_TEST(test_round_trip)
{
        _cleanup_(status_done) Status s = {}, back = {};
        _cleanup_free_ char *text = NULL;

        fill(&s);
        ck_assert_int_eq(status_format(&s, &text), 0);
        ck_assert_int_eq(text[strlen(text) - 1], '\n');
        ck_assert_int_eq(status_parse(text, &back), 0);
        check_same(&s, &back);

        ck_assert_str_eq(back.state, "degraded");
        ck_assert_uint_eq(back.since, 1795000000123456);
        ck_assert_str_eq(back.detail, "a \"quote\", a \\ and a\nnewline");
        ck_assert_int_eq(back.pid, 4242);
        ck_assert(back.foreign);
        ck_assert_uint_eq(back.slowest_turn, 12345);
        ck_assert_uint_eq(back.n_steps, 2);
        ck_assert(!back.steps[0].run && back.steps[1].run);
        ck_assert_str_eq(back.steps[1].reason, "");
        ck_assert_uint_eq(back.modules.n, 2);
        ck_assert_int_eq(back.modules.items[0].refcnt, 3);
        ck_assert_int_eq(back.modules.items[1].refcnt, -1);
        ck_assert_int_eq(back.modules.items[1].state, MOD_COMING);
        ck_assert_str_eq(back.modules.items[0].holders[1], "nvidia_modeset");
        ck_assert_uint_eq(back.gpus.n, 2);
        ck_assert_uint_eq(back.gpus.items[0].vendor, 0x10de);
        ck_assert_uint_eq(back.gpus.items[0].device, 0x1eb8);
        ck_assert_ptr_null(back.gpus.items[1].driver);
        ck_assert_ptr_null(back.gpus.items[0].override);
        ck_assert_str_eq(back.gpus.items[1].override, "vfio-pci");
        ck_assert(!back.gpus.items[0].excluded && back.gpus.items[1].excluded);
        ck_assert_uint_eq(back.nodes.n, 4);
        ck_assert_int_eq(back.nodes.items[1].kind, NODE_RENDER);
        ck_assert(back.nodes.items[0].present && !back.nodes.items[1].present);
        ck_assert_uint_eq(back.n_devices, 2);
        ck_assert_str_eq(back.devices[0].node, "/dev/nvidiactl");
        ck_assert_uint_eq(back.devices[0].minor, 255);
        ck_assert_uint_eq(back.devices[1].major, 242);
        ck_assert(back.devices[0].present && !back.devices[1].present);
        ck_assert_str_eq(back.problems[0], "driverd.conf:3: no such key");
        ck_assert_uint_eq(back.n_services, 2);
        ck_assert_str_eq(back.services[0].name, "nvidia-persistenced");
        ck_assert_str_eq(back.services[0].state, "running");
        ck_assert(back.services[0].required);
        ck_assert_int_eq(back.services[0].pid, 4711);
        ck_assert_uint_eq(back.services[0].since, 1795000000123457);
        ck_assert_int_eq(back.services[0].restarts, 3);
        ck_assert_str_eq(back.services[0].last_end, "exit status 1");
        ck_assert(!back.services[1].required);
        ck_assert_int_eq(back.services[1].pid, 0);
        ck_assert_ptr_null(back.services[1].last_end);
        ck_assert_uint_eq(back.holders.n, 2);
        ck_assert_uint_eq(back.n_holders, 300);
        ck_assert_int_eq(back.holders.items[0].pid, 4711);
        ck_assert_int_eq(back.holders.items[0].fd, 5);
        ck_assert_uint_eq(back.holders.items[1].start, 123456789);
        ck_assert_int_eq(back.holders.items[1].kind, HOLDER_MAPPING);
        ck_assert_str_eq(back.holders.items[1].home.unit, "session-3.scope");
}
END_TEST

START_TEST(test_nearly_empty)
{
        _cleanup_(status_done) Status s = { .state = strdup("not-running"), .code = strdup("ok") },
                                      back = {};
        _cleanup_free_ char *text = NULL;

        ck_assert_int_eq(status_format(&s, &text), 0);
        ck_assert_int_eq(status_parse(text, &back), 0);
        check_same(&s, &back);
        ck_assert_ptr_null(back.detail);
        ck_assert_ptr_null(back.problems);
        ck_assert_int_eq(back.pid, 0);
}
END_TEST

/* Scripts rely on the names: they are added to, never renamed, and an absent value is null. */
START_TEST(test_contract)
{
        static const char *const keys[] = { "state", "sinceUSec", "code", "detail", "progress", "pid",
                "version", "kernelRelease", "kernelVersion", "driverVersion", "driverWanted", "build",
                "fallbackBuild", "signature", "foreign", "slowestTurnUSec", "plan", "modules", "gpus",
                "devices", "services", "holders", "holdingProcesses", "problems" };
        _cleanup_(status_done) Status s = { .state = strdup("ready"), .code = strdup("ok") };
        _cleanup_free_ char *text = NULL;
        json_t *root;

        ck_assert_int_eq(status_format(&s, &text), 0);
        root = json_loads(text, 0, NULL);
        for (size_t i = 0; i < ELEMENTSOF(keys); i++)
                ck_assert_msg(json_object_get(root, keys[i]), "%s is gone", keys[i]);
        ck_assert(json_is_null(json_object_get(root, "detail")));
        ck_assert(json_is_null(json_object_get(root, "pid")));
        ck_assert(json_is_array(json_object_get(root, "modules")));
        json_decref(root);
}
END_TEST

/* A path may hold any byte; it must neither break the text nor lose its line. */
START_TEST(test_not_utf8)
{
        _cleanup_(status_done) Status s = { .state = strdup("failed"), .code = strdup("internal") },
                                      back = {};
        _cleanup_free_ char *text = NULL;

        s.detail = strdup("no file /opt/\xe4\xf6/x");
        ck_assert_int_eq(strv_push(&s.problems, "/opt/\xff: bad"), 0);
        ck_assert_int_eq(strv_push(&s.problems, "fine: \xc3\xa4"), 0);
        ck_assert_int_eq(status_format(&s, &text), 0);
        ck_assert_int_eq(status_parse(text, &back), 0);
        ck_assert_str_eq(back.detail, "no file /opt/\?\?/x");
        ck_assert_uint_eq(strv_length(back.problems), 2);
        ck_assert_str_eq(back.problems[0], "/opt/?: bad");
        ck_assert_str_eq(back.problems[1], "fine: \xc3\xa4");
}
END_TEST

static const char *const garbage[] = {
        "",
        "ready",
        "null",
        "[]",
        "[{\"state\":\"ready\",\"code\":\"ok\"}]",
        "{}",
        "{\"state\":\"ready\"}",
        "{\"code\":\"ok\"}",
        "{\"state\":null,\"code\":\"ok\"}",
        "{\"state\":7,\"code\":\"ok\"}",
        "{\"state\":\"ready\",\"code\":\"ok\"",
        "{\"state\":\"ready\",\"code\":\"ok\"} and more",
        "{\"state\":\"\xff\",\"code\":\"ok\"}",
        "{\"state\":\"ready\",\"modules\":[{\"name\":\"nvidia\",\"holders\":[\"x\"]}],\"problems\":[\"x\"]}",
};

START_TEST(test_garbage)
{
        Status s = { .pid = 7 };

        ck_assert_int_eq(status_parse(garbage[_i], &s), STATUS_E_INVALID);
        ck_assert_int_eq(s.pid, 7); /* set on success only */
}
END_TEST

/* From a newer daemon, or a mad one: what is not understood is left out. */
START_TEST(test_strange_types)
{
        static const char text[] =
                        "{\"state\":\"ready\",\"code\":\"ok\",\"pid\":\"one\",\"sinceUSec\":true,\"foreign\":1,"
                        "\"plan\":[7,{\"stage\":3},null],\"modules\":[[],{},{\"name\":\"a\",\"state\":\"odd\","
                        "\"refcount\":\"many\",\"holders\":[1,\"b\"]}],\"gpus\":[{\"id\":\"zz\"},"
                        "{\"address\":\"x\",\"id\":\"10de\",\"nodes\":[1,{\"node\":\"n\"},{\"kind\":2}]}],"
                        "\"devices\":[3,{\"node\":[],\"major\":\"x\"}],\"problems\":{\"a\":1},\"new\":{\"deep\":[]}}";
        _cleanup_(status_done) Status s = {};

        ck_assert_int_eq(status_parse(text, &s), 0);
        ck_assert_int_eq(s.pid, 0);
        ck_assert_uint_eq(s.since, 0);
        ck_assert(!s.foreign);
        ck_assert_uint_eq(s.n_steps, 3);
        ck_assert_str_eq(s.steps[1].stage, "");
        ck_assert_uint_eq(s.modules.n, 1);
        ck_assert_int_eq(s.modules.items[0].state, _MOD_STATE_INVALID);
        ck_assert_int_eq(s.modules.items[0].refcnt, -1);
        ck_assert_uint_eq(strv_length(s.modules.items[0].holders), 2);
        ck_assert_uint_eq(s.n_devices, 2);
        ck_assert_str_eq(s.devices[1].node, "");
        ck_assert_uint_eq(s.gpus.n, 1);
        ck_assert_uint_eq(s.gpus.items[0].vendor, 0);
        ck_assert_uint_eq(s.nodes.n, 1);
        ck_assert_int_eq(s.nodes.items[0].kind, NODE_CARD);
        ck_assert_ptr_null(s.problems);
}
END_TEST

/* Every cut, and a bit of every byte changed: read or refused, never a crash. */
START_TEST(test_damaged)
{
        _cleanup_(status_done) Status s = {};
        _cleanup_free_ char *text = NULL;

        fill(&s);
        ck_assert_int_eq(status_format(&s, &text), 0);
        for (size_t i = 0, n = strlen(text); i < n; i++) {
                char saved = text[i];
                Status back = {};

                text[i] = '\0';
                ck_assert_int_eq(status_parse(text, &back), i + 1 < n ? STATUS_E_INVALID : 0);
                status_done(&back);
                text[i] = (char)(saved ^ (1 << i % 8));
                ck_assert_int_ge(status_parse(text, &back), 0);
                status_done(&back);
                text[i] = saved;
        }
}
END_TEST

static void spoil_string(json_t *item)
{
        _cleanup_free_ char *text = str_format("%s\033[2J\nState: ready", json_string_value(item));

        ck_assert_int_eq(json_string_set(item, text), 0);
}

/* Appends hostile text to every string below @value; "kind" and "id" are read as names and numbers. */
static void spoil(json_t *value)
{
        const char *key;
        json_t *item;
        size_t i;

        json_array_foreach(value, i, item)
        {
                if (json_is_string(item))
                        spoil_string(item);
                spoil(item);
        }
        json_object_foreach(value, key, item)
        {
                if (json_is_string(item) && !streq(key, "kind") && !streq(key, "id"))
                        spoil_string(item);
                spoil(item);
        }
}

/* Nothing of a line's end or a terminal's commands is left in any text, wherever it stands. */
START_TEST(test_printable)
{
        _cleanup_(status_done) Status s = {}, hostile = {};
        _cleanup_free_ char *text = NULL, *after = NULL;
        json_auto_t *root = NULL;

        fill(&s);
        ck_assert_int_eq(status_format(&s, &text), 0);
        root = json_loads(text, 0, NULL);
        spoil(root);
        free(text);
        text = json_dumps(root, 0);
        ck_assert_int_eq(status_parse(text, &hostile), 0);
        ck_assert_ptr_nonnull(strstr(hostile.detail, "\033"));
        status_make_printable(&hostile);
        ck_assert_int_eq(status_format(&hostile, &after), 0);
        ck_assert_ptr_nonnull(strstr(after, "?[2J State: ready"));
        ck_assert_ptr_null(strstr(after, "\\u00"));
        ck_assert_ptr_null(strstr(after, "\\n"));
}
END_TEST

UNIT_MAIN("status", UNIT_TEST(test_round_trip), UNIT_TEST(test_nearly_empty), UNIT_TEST(test_contract),
                UNIT_TEST(test_not_utf8), UNIT_LOOP(test_garbage, ELEMENTSOF(garbage)),
                UNIT_TEST(test_strange_types), UNIT_TEST(test_damaged), UNIT_TEST(test_printable))
