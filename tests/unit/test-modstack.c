/* SPDX-License-Identifier: Apache-2.0 */

#include "unit.h"

#include "base/str.h"
#include "policy/modstack.h"

static char *const ours[] = { (char *)"nvidia", (char *)"nvidia_uvm", (char *)"nvidia-modeset", NULL };
static char *const drm_only[] = { (char *)"nvidia_drm", NULL };

static void add(ModuleFacts *facts, const char *name, const char *holders)
{
        ModuleFact m = { .name = strdup(name), .state = MOD_LIVE };

        ck_assert_int_eq(strv_split(holders, " ", &m.holders), 0);
        ck_assert_int_eq(module_facts_add(facts, &m), 0);
}

static void check(const ModuleFacts *facts, char *const *owned, const char *expected)
{
        _cleanup_strv_ char **names = NULL;
        _cleanup_free_ char *text = NULL;

        ck_assert_int_eq(modstack_removable(facts, owned, &names), 0);
        text = strv_join(names, " ");
        ck_assert_str_eq(text, expected);
}

START_TEST(test_kinds)
{
        ck_assert(modstack_is_driver("nvidia"));
        ck_assert(modstack_is_driver("nvidia-drm"));
        ck_assert(modstack_is_driver("nvidia_peermem"));
        ck_assert(modstack_is_known("nvidia_modeset"));
        ck_assert(!modstack_is_driver("gdrdrv"));
        ck_assert(!modstack_is_driver("nvidia-fs"));
        ck_assert(modstack_is_known("gdrdrv"));
        ck_assert(modstack_is_known("nvidia-fs"));
        ck_assert(!modstack_is_known("nvidiafb"));
        ck_assert(!modstack_is_known("mlx5_core"));
        ck_assert(!modstack_is_known(""));
}
END_TEST

START_TEST(test_removable)
{
        _cleanup_(module_facts_done) ModuleFacts facts = {};

        check(&facts, ours, "nvidia nvidia_uvm nvidia-modeset");
        check(&facts, NULL, "");

        /* A holder of a holder, twice; one that is ours already; one that holds nothing of ours; a stranger.
         */
        add(&facts, "gdrdrv", "stranger");
        add(&facts, "nvidia", "gdrdrv nvidia_modeset nvidia_peermem nvidia_uvm outsider");
        add(&facts, "nvidia_drm", "");
        add(&facts, "nvidia_fs", "");
        add(&facts, "nvidia_modeset", "nvidia_drm");
        add(&facts, "nvidia_peermem", "gdrdrv");
        add(&facts, "nvidia_uvm", "");
        check(&facts, ours, "nvidia nvidia_uvm nvidia-modeset gdrdrv nvidia_peermem nvidia_drm");
}
END_TEST

/* On somebody else's driver we only take back what we put there. */
START_TEST(test_not_our_driver)
{
        _cleanup_(module_facts_done) ModuleFacts facts = {};

        add(&facts, "nvidia", "nvidia_drm nvidia_peermem");
        add(&facts, "nvidia_drm", "gdrdrv");
        check(&facts, drm_only, "nvidia_drm");
}
END_TEST

UNIT_MAIN("modstack", UNIT_TEST(test_kinds), UNIT_TEST(test_removable), UNIT_TEST(test_not_our_driver))
