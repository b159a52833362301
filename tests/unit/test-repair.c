/* SPDX-License-Identifier: Apache-2.0 */

#include "unit.h"

#include "base/str.h"
#include "policy/repair.h"

#define FIRST  "0000:01:00.0"
#define SECOND "0000:02:00.0"

typedef struct World {
        GpuFacts wanted, bus;
        NodeFacts nodes;
        ModuleFact drm;
} World;

static void add_gpu(GpuFacts *gpus, const char *address, const char *driver)
{
        GpuFact g = { .address = strdup(address), .driver = driver ? strdup(driver) : NULL };

        ck_assert_int_eq(gpu_facts_add(gpus, &g), 0);
}

static void add_node(NodeFacts *nodes, const char *address, bool there)
{
        NodeFact n = { .gpu = strdup(address), .node = strdup("/dev/dri/card0"), .there = there };

        ck_assert_int_eq(node_facts_add(nodes, &n), 0);
}

/* Two GPUs were promised, both are there, the first one has its minors; nobody uses nvidia_drm. */
static void world_init(World *w)
{
        *w = (World){ .drm = { .state = MOD_LIVE } };
        add_gpu(&w->wanted, FIRST, "nvidia");
        add_gpu(&w->wanted, SECOND, "nvidia");
        add_gpu(&w->bus, FIRST, "nvidia");
        add_gpu(&w->bus, SECOND, "nvidia");
        add_node(&w->nodes, FIRST, true);
}

static void world_done(World *w)
{
        gpu_facts_done(&w->wanted);
        gpu_facts_done(&w->bus);
        node_facts_done(&w->nodes);
        module_fact_done(&w->drm);
}

static void assert_verdict(
                const World *w, bool ours, bool taken_out, RepairVerdict expected, const char *expected_gpus)
{
        RepairFacts facts = { .wanted = &w->wanted,
                .bus = &w->bus,
                .nodes = &w->nodes,
                .drm = &w->drm,
                .ours = ours,
                .taken_out = taken_out };
        _cleanup_strv_ char **gpus = NULL;
        _cleanup_free_ char *text = NULL;
        RepairVerdict verdict;

        ck_assert_int_eq(repair_judge(&facts, &verdict, &gpus), 0);
        text = strv_join(gpus, " ");
        ck_assert_str_eq(strempty(text), expected_gpus);
        ck_assert_int_eq(verdict, expected);
}

START_TEST(test_gpus)
{
        _cleanup_(world_done) World w;

        world_init(&w);
        assert_verdict(&w, true, false, REPAIR_NOW, SECOND);

        /* A minor whose node is not there yet is udev's business. */
        add_node(&w.nodes, SECOND, false);
        assert_verdict(&w, true, false, REPAIR_NOTHING, "");
}
END_TEST

/* Neither one that is still away nor one that another driver has is helped. */
START_TEST(test_not_back)
{
        _cleanup_(world_done) World w;

        world_init(&w);
        free(w.bus.items[1].driver);
        w.bus.items[1].driver = NULL;
        assert_verdict(&w, true, false, REPAIR_NOTHING, "");
        w.bus.items[1].driver = strdup("vfio-pci");
        assert_verdict(&w, true, false, REPAIR_NOTHING, "");
        gpu_fact_done(&w.bus.items[1]);
        w.bus.n = 1;
        assert_verdict(&w, true, false, REPAIR_NOTHING, "");
}
END_TEST

/* One that nobody wanted may be there without nodes: excluded, or new. */
START_TEST(test_not_wanted)
{
        _cleanup_(world_done) World w;

        world_init(&w);
        add_gpu(&w.bus, "0000:03:00.0", "nvidia");
        add_node(&w.nodes, SECOND, true);
        assert_verdict(&w, true, false, REPAIR_NOTHING, "");
}
END_TEST

static const struct {
        ModState state;
        int refcnt;
        bool held, ours, taken_out;
        RepairVerdict verdict;
} modules[] = {
        { MOD_LIVE, 0, false, true, false, REPAIR_NOW },
        { MOD_LIVE, 0, false, true, true, REPAIR_NOW },
        { MOD_LIVE, 0, false, false, false, REPAIR_IMPOSSIBLE },
        { MOD_LIVE, 1, false, true, false, REPAIR_HELD },
        { MOD_LIVE, 0, true, true, false, REPAIR_HELD },
        { MOD_LIVE, 1, false, false, false, REPAIR_IMPOSSIBLE },
        { MOD_LIVE, -1, false, true, false, REPAIR_IMPOSSIBLE },
        { MOD_COMING, 0, false, true, false, REPAIR_MOVING },
        { MOD_GOING, 0, false, true, false, REPAIR_MOVING },
        { MOD_ABSENT, -1, false, true, true, REPAIR_NOW },
        { MOD_ABSENT, -1, false, true, false, REPAIR_IMPOSSIBLE },
        { MOD_BUILTIN, -1, false, true, false, REPAIR_IMPOSSIBLE },
};

START_TEST(test_module)
{
        _cleanup_(world_done) World w;

        world_init(&w);
        w.drm.state = modules[_i].state;
        w.drm.refcnt = modules[_i].refcnt;
        if (modules[_i].held)
                ck_assert_int_eq(strv_push(&w.drm.holders, "another"), 0);
        assert_verdict(&w, modules[_i].ours, modules[_i].taken_out, modules[_i].verdict, SECOND);
}
END_TEST

START_TEST(test_delay)
{
        ck_assert_uint_eq(repair_delay(0, false), 1 * USEC_PER_SEC);
        ck_assert_uint_eq(repair_delay(1, false), 5 * USEC_PER_SEC);
        for (unsigned i = 1; i < REPAIR_ATTEMPTS; i++)
                ck_assert_uint_ge(repair_delay(i, false), repair_delay(i - 1, false));
        ck_assert_uint_eq(repair_delay(REPAIR_ATTEMPTS, false), USEC_INFINITY);

        /* It is never left out. */
        ck_assert_uint_le(repair_delay(REPAIR_ATTEMPTS, true), 1 * USEC_PER_MINUTE);
        ck_assert_uint_le(repair_delay(1000, true), 2 * USEC_PER_MINUTE);
}
END_TEST

UNIT_MAIN("repair", UNIT_TEST(test_gpus), UNIT_TEST(test_not_back), UNIT_TEST(test_not_wanted),
                UNIT_LOOP(test_module, sizeof(modules) / sizeof(*modules)), UNIT_TEST(test_delay))
