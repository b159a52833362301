/* SPDX-License-Identifier: Apache-2.0 */

#include "unit.h"

#include "base/str.h"
#include "policy/devset.h"

enum { MANY = 20 };

static void add_gpu(GpuFacts *gpus, unsigned domain)
{
        GpuFact g = { .address = str_format("%04x:00:00.0", domain), .vendor = 0x10de };

        ck_assert_int_eq(gpu_facts_add(gpus, &g), 0);
}

static void add_node(NodeFacts *nodes, unsigned domain, NodeKind kind, bool present)
{
        NodeFact n = { .gpu = str_format("%04x:00:00.0", domain),
                .kind = kind,
                .present = present,
                .node = strdup("/dev/dri/any") };

        ck_assert_int_eq(node_facts_add(nodes, &n), 0);
}

static void assert_missing(const GpuFacts *gpus, const NodeFacts *nodes, const char *expected)
{
        _cleanup_strv_ char **missing = NULL;
        _cleanup_free_ char *text = NULL;

        ck_assert_int_eq(devset_missing(gpus, nodes, &missing), 0);
        text = strv_join(missing, ", ");
        ck_assert_str_eq(text, expected);
        ck_assert_int_eq(devset_complete(gpus, nodes), !missing);
}

START_TEST(test_none)
{
        _cleanup_(node_facts_done) NodeFacts nodes = {};
        const GpuFacts none = {};

        assert_missing(&none, &nodes, "");
        add_node(&nodes, 1, NODE_CARD, true);
        assert_missing(&none, &nodes, "");
}
END_TEST

/* The render node is announced before the card node: not complete a moment too early. */
START_TEST(test_render_first)
{
        _cleanup_(gpu_facts_done) GpuFacts gpus = {};
        _cleanup_(node_facts_done) NodeFacts nodes = {};

        add_gpu(&gpus, 1);
        assert_missing(&gpus, &nodes, "card node of 0001:00:00.0, render node of 0001:00:00.0");
        add_node(&nodes, 1, NODE_RENDER, true);
        assert_missing(&gpus, &nodes, "card node of 0001:00:00.0");
        add_node(&nodes, 1, NODE_CARD, false);
        assert_missing(&gpus, &nodes, "card node of 0001:00:00.0");
        nodes.items[1].present = true;
        assert_missing(&gpus, &nodes, "");
}
END_TEST

/* Two cards of one GPU do not make up for the other's; a stranger's nodes count for nobody. */
START_TEST(test_own_address)
{
        _cleanup_(gpu_facts_done) GpuFacts gpus = {};
        _cleanup_(node_facts_done) NodeFacts nodes = {};

        add_gpu(&gpus, 1);
        add_gpu(&gpus, 2);
        add_node(&nodes, 9, NODE_CARD, true);
        add_node(&nodes, 2, NODE_CARD, true);
        add_node(&nodes, 2, NODE_CARD, true);
        add_node(&nodes, 2, NODE_RENDER, true);
        add_node(&nodes, 9, NODE_RENDER, true);
        assert_missing(&gpus, &nodes, "card node of 0001:00:00.0, render node of 0001:00:00.0");
}
END_TEST

START_TEST(test_many)
{
        _cleanup_(gpu_facts_done) GpuFacts gpus = {};
        _cleanup_(node_facts_done) NodeFacts nodes = {};
        DevsetCount count;

        for (unsigned i = 0; i < MANY; i++)
                add_gpu(&gpus, i);
        for (unsigned i = 0; i < MANY; i++) {
                ck_assert(!devset_complete(&gpus, &nodes));
                add_node(&nodes, MANY - 1 - i, NODE_RENDER, true);
        }
        for (unsigned i = 0; i < MANY; i++) {
                ck_assert(!devset_complete(&gpus, &nodes));
                devset_count(&gpus, &nodes, &count);
                ck_assert_uint_eq(count.n_gpus, MANY);
                ck_assert_uint_eq(count.n_cards, i);
                ck_assert_uint_eq(count.n_renders, MANY);
                add_node(&nodes, (i * 7) % MANY, NODE_CARD, true);
        }
        ck_assert(devset_complete(&gpus, &nodes));
}
END_TEST

/* What the driver's parameters leave to somebody else is no reason to take the driver away. */
START_TEST(test_fatal)
{
        ck_assert(devset_is_fatal(&(DevsetLack){}));
        ck_assert(devset_is_fatal(&(DevsetLack){ .drm = true }));
        ck_assert(devset_is_fatal(&(DevsetLack){ .drm = true, .hands_off = true }));
        ck_assert(!devset_is_fatal(&(DevsetLack){ .hands_off = true }));
}
END_TEST

UNIT_MAIN("devset", UNIT_TEST(test_fatal), UNIT_TEST(test_none), UNIT_TEST(test_render_first),
                UNIT_TEST(test_own_address), UNIT_TEST(test_many))
