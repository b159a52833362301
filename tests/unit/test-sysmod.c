/* SPDX-License-Identifier: Apache-2.0 */

#include "unit.h"

#include "base/str.h"
#include "sys/sysmod.h"
#include "tmproot.h"

static void set(TmpRoot *t, const char *name, const char *attribute, const char *value)
{
        _cleanup_free_ char *path = str_format("sys/module/%s/%s", name, attribute);

        tmproot_write(t, path, value);
}

static void add(TmpRoot *t, const char *name, const char *state, const char *refcnt)
{
        _cleanup_free_ char *holders = str_format("sys/module/%s/holders", name);

        tmproot_mkdir(t, holders);
        set(t, name, "initstate", state);
        set(t, name, "refcnt", refcnt);
        set(t, name, "taint", "POE\n");
}

static void hold(TmpRoot *t, const char *name, const char *holder)
{
        _cleanup_free_ char *path = str_format("sys/module/%s/holders/%s", name, holder);
        _cleanup_free_ char *target = str_format("../../%s", holder);

        tmproot_link(t, target, path);
}

/* The driver at rest as 6.1 shows it. */
static void driver(TmpRoot *t)
{
        add(t, "nvidia", "live\n", "2\n");
        set(t, "nvidia", "version", "535.261.03\n");
        set(t, "nvidia", "srcversion", "B3F2B4A0D8A4F0C5B1E2D3C\n");
        add(t, "nvidia_uvm", "live\n", "0\n");
        add(t, "nvidia_modeset", "live\n", "1\n");
        add(t, "nvidia_drm", "live\n", "0\n");
        hold(t, "nvidia", "nvidia_uvm");
        hold(t, "nvidia", "nvidia_modeset");
        hold(t, "nvidia_modeset", "nvidia_drm");
}

START_TEST(test_live)
{
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();
        _cleanup_(module_fact_done) ModuleFact m = {}, modeset = {};

        driver(&t);
        ck_assert_int_eq(sysmod_read(t.root, "nvidia", &m), 0);
        ck_assert_str_eq(m.name, "nvidia");
        ck_assert_int_eq(m.state, MOD_LIVE);
        ck_assert_int_eq(m.refcnt, 2);
        ck_assert_str_eq(m.version, "535.261.03");
        ck_assert_str_eq(m.srcversion, "B3F2B4A0D8A4F0C5B1E2D3C");
        ck_assert_str_eq(m.taint, "POE");
        ck_assert_uint_eq(strv_length(m.holders), 2);
        ck_assert_str_eq(m.holders[0], "nvidia_modeset");
        ck_assert_str_eq(m.holders[1], "nvidia_uvm");

        ck_assert_int_eq(sysmod_read(t.root, "nvidia-modeset", &modeset), 0);
        ck_assert_str_eq(modeset.name, "nvidia_modeset");
        ck_assert_int_eq(modeset.refcnt, 1);
        ck_assert_ptr_null(modeset.version);
}
END_TEST

START_TEST(test_absent)
{
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();
        _cleanup_(module_fact_done) ModuleFact m = {};

        ck_assert_int_eq(sysmod_read(t.root, "nvidia-uvm", &m), 0);
        ck_assert_str_eq(m.name, "nvidia_uvm");
        ck_assert_int_eq(m.state, MOD_ABSENT);
        ck_assert_int_eq(m.refcnt, -1);
        ck_assert_ptr_null(m.holders);
        ck_assert_str_eq(m.taint, "");
}
END_TEST

/* What the directory shows, and which state that is. NULL: no such entry. */
static const struct {
        const char *initstate;
        const char *refcnt;
        bool holders;
        bool parameters;
        ModState state;
        int expected_refcnt;
} shapes[] = {
        { "live\n", "3\n", true, true, MOD_LIVE, 3 }, { "coming\n", "1\n", true, false, MOD_COMING, 1 },
        { "going\n", "0\n", true, false, MOD_GOING, 0 },
        { "live\n", NULL, true, false, MOD_LIVE, -1 }, /* no MODULE_UNLOAD */
        { "live\n", "many\n", true, false, MOD_LIVE, -1 }, { NULL, NULL, false, true, MOD_BUILTIN, -1 },
        { NULL, NULL, true, true, MOD_COMING, -1 },          /* between two steps of the kernel */
        { NULL, NULL, false, false, MOD_COMING, -1 },        /* the very first of them */
        { "unformed\n", "1\n", true, false, MOD_COMING, 1 }, /* a word we do not know */
};

START_TEST(test_shapes)
{
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();
        _cleanup_(module_fact_done) ModuleFact m = {};

        tmproot_mkdir(&t, "sys/module/x");
        if (shapes[_i].initstate)
                set(&t, "x", "initstate", shapes[_i].initstate);
        if (shapes[_i].refcnt)
                set(&t, "x", "refcnt", shapes[_i].refcnt);
        if (shapes[_i].holders)
                tmproot_mkdir(&t, "sys/module/x/holders");
        if (shapes[_i].parameters)
                set(&t, "x", "parameters/p", "1\n");

        ck_assert_int_eq(sysmod_read(t.root, "x", &m), 0);
        ck_assert_str_eq(mod_state_to_string(m.state), mod_state_to_string(shapes[_i].state));
        ck_assert_int_eq(m.refcnt, shapes[_i].expected_refcnt);
}
END_TEST

START_TEST(test_set)
{
        char *const names[] = { (char *)"nvidia-drm", (char *)"nvidia_peermem", (char *)"nvidia", NULL };
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();
        _cleanup_(module_facts_done) ModuleFacts facts = {}, none = {};

        driver(&t);
        ck_assert_int_eq(sysmod_read_set(t.root, names, &facts), 0);
        ck_assert_uint_eq(facts.n, 3);
        ck_assert_str_eq(facts.items[0].name, "nvidia_drm");
        ck_assert_int_eq(facts.items[1].state, MOD_ABSENT);
        ck_assert_int_eq(facts.items[2].refcnt, 2);
        ck_assert_int_eq(sysmod_read_set(t.root, NULL, &none), 0);
        ck_assert_uint_eq(none.n, 0);
}
END_TEST

/* Holders of holders belong to it; modules of the kernel that are only named alike do not. */
START_TEST(test_family)
{
        static const char *const expected[] = { "gdrdrv", "mlx5_core", "nvidia", "nvidia_drm",
                "nvidia_modeset", "nvidia_uvm" };
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();
        _cleanup_(module_facts_done) ModuleFacts facts = {};

        driver(&t);
        add(&t, "gdrdrv", "live\n", "1\n");
        add(&t, "mlx5_core", "live\n", "0\n");
        add(&t, "drm", "live\n", "5\n");
        add(&t, "nvidiafb", "live\n", "0\n");
        add(&t, "nvidia_wmi_ec_backlight", "live\n", "0\n");
        set(&t, "nvidia_builtin", "parameters/p", "1\n");
        hold(&t, "nvidia", "gdrdrv");
        hold(&t, "gdrdrv", "mlx5_core");
        hold(&t, "nvidia_modeset", "vanished");

        ck_assert_int_eq(sysmod_list_family(t.root, &facts), 0);
        ck_assert_uint_eq(facts.n, ELEMENTSOF(expected));
        for (size_t i = 0; i < ELEMENTSOF(expected); i++)
                ck_assert_str_eq(facts.items[i].name, expected[i]);
}
END_TEST

/* A kernel with the driver built in, and one that cannot unload modules: no initstate, no refcnt. */
START_TEST(test_family_for_ever)
{
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();
        _cleanup_(module_facts_done) ModuleFacts facts = {};

        set(&t, "nvidia", "version", "535.261.03\n");
        set(&t, "nvidia_uvm", "initstate", "live\n");
        set(&t, "nvidia_soc", "parameters/p", "1\n");
        ck_assert_int_eq(sysmod_list_family(t.root, &facts), 0);
        ck_assert_uint_eq(facts.n, 2);
        ck_assert_str_eq(facts.items[0].name, "nvidia");
        ck_assert_int_eq(facts.items[0].state, MOD_BUILTIN);
        ck_assert_str_eq(facts.items[0].version, "535.261.03");
        ck_assert_int_eq(facts.items[1].state, MOD_LIVE);
        ck_assert_int_eq(facts.items[1].refcnt, -1);
}
END_TEST

START_TEST(test_family_none)
{
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();
        ModuleFacts facts = {};

        ck_assert_int_eq(sysmod_list_family(t.root, &facts), 0);
        ck_assert_uint_eq(facts.n, 0);
        add(&t, "nouveau", "live\n", "1\n");
        ck_assert_int_eq(sysmod_list_family(t.root, &facts), 0);
        ck_assert_uint_eq(facts.n, 0);
}
END_TEST

START_TEST(test_parameters)
{
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();
        _cleanup_strv_ char **parameters = NULL, **none = NULL;
        _cleanup_free_ char *text = NULL;

        set(&t, "nvidia_drm", "parameters/modeset", "Y\n");
        set(&t, "nvidia_drm", "parameters/fbdev", "N\n");
        ck_assert_int_eq(sysmod_read_parameters(t.root, "nvidia-drm", &parameters), 0);
        text = strv_join(parameters, " ");
        ck_assert_str_eq(text, "fbdev=N modeset=Y");
        ck_assert_int_eq(sysmod_read_parameters(t.root, "nvidia", &none), 0);
        ck_assert_ptr_null(none);
}
END_TEST

/* What is no attribute where one should be. */
START_TEST(test_unreadable)
{
        static const char *const attributes[] = { "initstate", "refcnt", "version", "srcversion", "taint",
                "parameters/p" };
        char *const names[] = { (char *)"nvidia", NULL };
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();
        _cleanup_free_ char *path = str_format("sys/module/nvidia/%s", attributes[_i]);
        ModuleFacts facts = {};
        ModuleFact m = {};
        char **parameters = NULL;

        tmproot_mkdir(&t, "sys/module/nvidia/holders");
        if (_i > 0)
                set(&t, "nvidia", "initstate", "live\n");
        tmproot_mkdir(&t, path);
        if (streq(attributes[_i], "parameters/p")) {
                ck_assert_int_eq(sysmod_read_parameters(t.root, "nvidia", &parameters), -EISDIR);
                return;
        }
        ck_assert_int_eq(sysmod_read(t.root, "nvidia", &m), -EISDIR);
        ck_assert_int_eq(sysmod_read_set(t.root, names, &facts), -EISDIR);
        ck_assert_int_eq(sysmod_list_family(t.root, &facts), -EISDIR);
}
END_TEST

/* Every module of this very machine can be read. */
START_TEST(test_host)
{
        _cleanup_(root_freep) Root *root = NULL;
        _cleanup_(module_facts_done) ModuleFacts facts = {};
        _cleanup_strv_ char **names = NULL;

        ck_assert_int_eq(root_new("/", &root), 0);
        if (root_list(root, "sys/module", &names) != 0)
                return;
        ck_assert_int_eq(sysmod_read_set(root, names, &facts), 0);
        ck_assert_uint_eq(facts.n, strv_length(names));
        for (size_t i = 0; i < facts.n; i++)
                ck_assert_int_ne(facts.items[i].state, MOD_ABSENT);
}
END_TEST

UNIT_MAIN("sysmod", UNIT_TEST(test_live), UNIT_TEST(test_absent), UNIT_LOOP(test_shapes, ELEMENTSOF(shapes)),
                UNIT_TEST(test_set), UNIT_TEST(test_family), UNIT_TEST(test_family_for_ever),
                UNIT_TEST(test_family_none), UNIT_TEST(test_parameters), UNIT_LOOP(test_unreadable, 6),
                UNIT_TEST(test_host))
