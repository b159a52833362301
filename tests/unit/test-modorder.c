/* SPDX-License-Identifier: Apache-2.0 */

#include "unit.h"

#include "base/str.h"
#include "policy/modorder.h"

static char *const needs_nothing[] = { NULL };
static char *const needs_nvidia[] = { (char *)"nvidia", NULL };
static char *const needs_modeset[] = { (char *)"drm", (char *)"nvidia-modeset", (char *)"drm_kms_helper",
        NULL };

static void assert_joined(char **l, const char *expected)
{
        _cleanup_strv_ char **owned = l;
        _cleanup_free_ char *text = strv_join(owned, " ");

        ck_assert_str_eq(text, expected);
}

/* Real depends of 535.261.03; the order given is the worst one. */
START_TEST(test_load)
{
        const ModorderWant wants[] = {
                { "nvidia-drm", needs_modeset },
                { "nvidia-uvm", needs_nvidia },
                { "nvidia_modeset", needs_nvidia },
                { "nvidia", needs_nothing },
        };
        char **order = NULL, *cycle = NULL;

        ck_assert_int_eq(modorder_load(wants, ELEMENTSOF(wants), &order, &cycle), 0);
        assert_joined(order, "nvidia nvidia_modeset nvidia-drm nvidia-uvm");
        ck_assert_ptr_null(cycle);
}
END_TEST

/* An order that is right already stays, and no depends at all is fine. */
START_TEST(test_load_stable)
{
        const ModorderWant wants[] = {
                { "nvidia", NULL },
                { "nvidia-uvm", needs_nvidia },
                { "nvidia-modeset", needs_nvidia },
                { "nvidia-drm", needs_modeset },
                { "b", NULL },
                { "a", NULL },
        };
        char **order = NULL, *cycle = NULL;

        ck_assert_int_eq(modorder_load(wants, ELEMENTSOF(wants), &order, &cycle), 0);
        assert_joined(order, "nvidia nvidia-uvm nvidia-modeset nvidia-drm b a");
        order = NULL;
        ck_assert_int_eq(modorder_load(NULL, 0, &order, &cycle), 0);
        ck_assert_ptr_null(order);
}
END_TEST

START_TEST(test_load_cycle)
{
        static char *const b[] = { (char *)"b-x", NULL }, *const c[] = { (char *)"c", NULL };
        const ModorderWant wants[] = { { "a", b }, { "b_x", c }, { "c", b }, { "d", NULL } };
        const ModorderWant own[] = { { "c", c } };
        _cleanup_free_ char *cycle = NULL, *self = NULL;
        char **order = NULL;

        ck_assert_int_eq(modorder_load(wants, ELEMENTSOF(wants), &order, &cycle), MODORDER_E_CYCLE);
        ck_assert_str_eq(cycle, "b_x -> c -> b_x");
        ck_assert_ptr_null(order);
        ck_assert_int_eq(modorder_load(own, 1, &order, &self), MODORDER_E_CYCLE);
        ck_assert_str_eq(self, "c -> c");
}
END_TEST

START_TEST(test_prerequisites)
{
        static char *const uvm[] = { (char *)"nvidia", (char *)"drm", NULL };
        const ModorderWant wants[] = {
                { "nvidia-drm", needs_modeset },
                { "nvidia-uvm", uvm },
                { "nvidia_modeset", needs_nvidia },
        };
        char **names = NULL;

        ck_assert_int_eq(modorder_prerequisites(wants, ELEMENTSOF(wants), &names), 0);
        assert_joined(names, "drm drm_kms_helper nvidia");
        ck_assert_int_eq(modorder_prerequisites(wants, 0, &names), 0);
        ck_assert_ptr_null(names);
}
END_TEST

static void add(ModuleFacts *facts, const char *name, ModState state, int refcnt, const char *holders)
{
        ModuleFact m = { .name = strdup(name), .state = state, .refcnt = refcnt };

        ck_assert_int_eq(strv_split(holders, " ", &m.holders), 0);
        ck_assert_int_eq(module_facts_add(facts, &m), 0);
}

static char *const ours[] = { (char *)"nvidia", (char *)"nvidia-uvm", (char *)"nvidia-modeset",
        (char *)"nvidia-drm", NULL };

/* The refcounts of a driver at rest, as measured: nvidia 2, nvidia_modeset 1. */
static void at_rest(ModuleFacts *facts)
{
        add(facts, "nvidia", MOD_LIVE, 2, "nvidia_modeset nvidia_uvm");
        add(facts, "nvidia_uvm", MOD_LIVE, 0, "");
        add(facts, "nvidia_modeset", MOD_LIVE, 1, "nvidia_drm");
        add(facts, "nvidia_drm", MOD_LIVE, 0, "");
}

START_TEST(test_unload_at_rest)
{
        _cleanup_(module_facts_done) ModuleFacts facts = {};
        _cleanup_(module_uses_done) ModuleUses uses = {};
        const char *next = NULL;
        char **order = NULL;

        at_rest(&facts);
        ck_assert_int_eq(modorder_uses(&facts, ours, &uses), 0);
        ck_assert_uint_eq(uses.n, 0);
        ck_assert_int_eq(modorder_next_to_unload(&facts, ours, &next), 0);
        ck_assert_str_eq(next, "nvidia_drm");
        ck_assert_int_eq(modorder_unload(&facts, ours, &order), 0);
        assert_joined(order, "nvidia_drm nvidia_modeset nvidia_uvm nvidia");
}
END_TEST

/* Replays the kernel: what next_to_unload() names goes, its references with it. */
START_TEST(test_unload_to_the_end)
{
        static const char *const expected[] = { "nvidia_drm", "nvidia_modeset", "nvidia_uvm", "nvidia" };
        _cleanup_(module_facts_done) ModuleFacts facts = {};
        const char *next = NULL;

        at_rest(&facts);
        for (size_t i = 0; i < ELEMENTSOF(expected); i++) {
                ck_assert_int_eq(modorder_next_to_unload(&facts, ours, &next), 0);
                ck_assert_str_eq(next, expected[i]);
                for (size_t k = 0; k < facts.n; k++) {
                        ModuleFact *m = &facts.items[k];
                        char **left = NULL;

                        if (m->name == next)
                                m->state = MOD_ABSENT;
                        STRV_FOREACH (h, m->holders) {
                                if (!streq(*h, expected[i]))
                                        ck_assert_int_eq(strv_push(&left, *h), 0);
                        }
                        m->refcnt -= (int)(strv_length(m->holders) - strv_length(left));
                        strv_free(m->holders);
                        m->holders = left;
                }
        }
        ck_assert_int_eq(modorder_next_to_unload(&facts, ours, &next), MODORDER_E_DONE);
}
END_TEST

/* T16: an open /dev/nvidia-uvm counts for nvidia_uvm alone; nvidia's 3 has one that is real. */
START_TEST(test_uses)
{
        _cleanup_(module_facts_done) ModuleFacts facts = {};
        _cleanup_(module_uses_done) ModuleUses uses = {};
        const char *next = NULL;

        add(&facts, "nvidia", MOD_LIVE, 4, "nvidia_uvm nvidia_modeset nvidia_peermem");
        add(&facts, "nvidia_uvm", MOD_LIVE, 2, "");
        add(&facts, "nvidia_modeset", MOD_LIVE, 0, "");
        add(&facts, "nvidia_drm", MOD_ABSENT, -1, "");
        ck_assert_int_eq(modorder_uses(&facts, ours, &uses), 0);
        ck_assert_uint_eq(uses.n, 2);
        ck_assert_str_eq(uses.items[0].name, "nvidia");
        ck_assert_int_eq(uses.items[0].users, 1);
        ck_assert_uint_eq(strv_length(uses.items[0].holders), 1);
        ck_assert_str_eq(uses.items[0].holders[0], "nvidia_peermem");
        ck_assert_str_eq(uses.items[1].name, "nvidia_uvm");
        ck_assert_int_eq(uses.items[1].users, 2);
        ck_assert_ptr_null(uses.items[1].holders);
        ck_assert_int_eq(modorder_next_to_unload(&facts, ours, &next), 0);
        ck_assert_str_eq(next, "nvidia_modeset");
}
END_TEST

static const struct {
        ModState state;
        int refcnt;
        const char *holders;
        int result;
        int users;
} nvidia_alone[] = {
        { MOD_LIVE, 0, "", 0, 0 },
        { MOD_LIVE, 3, "", MODORDER_E_HELD, 3 },
        { MOD_LIVE, -1, "", MODORDER_E_HELD, -1 },      /* no MODULE_UNLOAD */
        { MOD_LIVE, 1, "foreign", MODORDER_E_HELD, 0 }, /* a holder, no other user */
        { MOD_LIVE, 0, "foreign", MODORDER_E_HELD, 0 }, /* the count was read too early */
        { MOD_COMING, 1, "", MODORDER_E_WAITING, 0 },
        { MOD_GOING, 0, "", MODORDER_E_WAITING, 0 },
        { MOD_ABSENT, -1, "", MODORDER_E_DONE, 0 },
        { MOD_BUILTIN, -1, "", MODORDER_E_DONE, 0 },
};

START_TEST(test_next_table)
{
        _cleanup_(module_facts_done) ModuleFacts facts = {};
        _cleanup_(module_uses_done) ModuleUses uses = {};
        const char *next = NULL;

        add(&facts, "nvidia", nvidia_alone[_i].state, nvidia_alone[_i].refcnt, nvidia_alone[_i].holders);
        ck_assert_int_eq(modorder_next_to_unload(&facts, ours, &next), nvidia_alone[_i].result);
        ck_assert_int_eq(modorder_uses(&facts, ours, &uses), 0);
        ck_assert_uint_eq(uses.n, nvidia_alone[_i].result == MODORDER_E_HELD);
        if (uses.n > 0)
                ck_assert_int_eq(uses.items[0].users, nvidia_alone[_i].users);
}
END_TEST

START_TEST(test_unload_contradiction)
{
        _cleanup_(module_facts_done) ModuleFacts facts = {};
        char **order = NULL;

        add(&facts, "nvidia", MOD_LIVE, 1, "nvidia_uvm");
        add(&facts, "nvidia_uvm", MOD_LIVE, 1, "nvidia");
        ck_assert_int_eq(modorder_unload(&facts, ours, &order), MODORDER_E_CYCLE);
        ck_assert_ptr_null(order);
        ck_assert_int_eq(modorder_unload(&facts, NULL, &order), 0);
        ck_assert_ptr_null(order);
}
END_TEST

START_TEST(test_goes_aside)
{
        char *on_nvidia[] = { (char *)"nvidia", NULL }, *on_modeset[] = { (char *)"nvidia_modeset", NULL };
        const ModorderWant wants[] = {
                { .name = "nvidia" },
                { .name = "nvidia-uvm", .depends = on_nvidia },
                { .name = "nvidia-modeset", .depends = on_nvidia },
                { .name = "nvidia-drm", .depends = on_modeset },
        };

        ck_assert(!modorder_goes_aside(wants, 4, "nvidia", 4));
        ck_assert(modorder_goes_aside(wants, 4, "nvidia-uvm", 3));
        ck_assert(!modorder_goes_aside(wants, 4, "nvidia-uvm", 2));
        ck_assert(!modorder_goes_aside(wants, 4, "nvidia-modeset", 3));
}
END_TEST

UNIT_MAIN("modorder", UNIT_TEST(test_goes_aside), UNIT_TEST(test_load), UNIT_TEST(test_load_stable),
                UNIT_TEST(test_load_cycle), UNIT_TEST(test_prerequisites), UNIT_TEST(test_unload_at_rest),
                UNIT_TEST(test_unload_to_the_end), UNIT_TEST(test_uses),
                UNIT_LOOP(test_next_table, ELEMENTSOF(nvidia_alone)), UNIT_TEST(test_unload_contradiction))
