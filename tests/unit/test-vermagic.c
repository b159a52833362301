/* SPDX-License-Identifier: Apache-2.0 */

#include "unit.h"

#include "policy/vermagic.h"

/*
 * The first two are what modinfo shows for Debian's own modules of 6.1.0-56 and
 * 6.12.95, less the blank at the end; the symbols are those of their .config.
 */
static const struct {
        const char *release, *config, *randstruct, *vermagic;
} cases[] = {
        { "6.1.0-56-amd64",
                        "CONFIG_SMP=y\nCONFIG_PREEMPT_BUILD=y\nCONFIG_PREEMPT_VOLUNTARY=y\nCONFIG_MODULE_UNLOAD=y\n"
                        "CONFIG_MODVERSIONS=y\nCONFIG_RANDSTRUCT_NONE=y\n",
                        NULL, "6.1.0-56-amd64 SMP preempt mod_unload modversions" },
        { "6.12.95+deb12-amd64",
                        "CONFIG_SMP=y\nCONFIG_PREEMPT_BUILD=y\nCONFIG_PREEMPT_DYNAMIC=y\n# CONFIG_PREEMPT_RT is not set\n"
                        "CONFIG_MODULE_UNLOAD=y\nCONFIG_MODVERSIONS=y\n",
                        "", "6.12.95+deb12-amd64 SMP preempt mod_unload modversions" },
        { "6.1.0-56-rt-amd64", "CONFIG_SMP=y\nCONFIG_PREEMPT_RT=y\nCONFIG_MODULE_UNLOAD=y\n", NULL,
                        "6.1.0-56-rt-amd64 SMP preempt_rt mod_unload" },
        { "5.4.0", "CONFIG_PREEMPT=y\n", NULL, "5.4.0 preempt" },
        { "6.6.95-flatcar", "CONFIG_SMP=y\nCONFIG_MODULE_UNLOAD=y\n", NULL,
                        "6.6.95-flatcar SMP mod_unload" },
        { "6.6.0", "CONFIG_ARM64=y\nCONFIG_SMP=y\n", NULL, "6.6.0 SMP aarch64" },
        { "6.6.0", "CONFIG_SMP=y\nCONFIG_RANDSTRUCT=y\n", "ab12", "6.6.0 SMP RANDSTRUCT_ab12" },
        { "6.6.0", "CONFIG_SMP=y\nCONFIG_RANDSTRUCT=y\n", NULL, "6.6.0 SMP" },
};

START_TEST(test_from_config)
{
        _cleanup_(kconfig_freep) Kconfig *config = NULL;
        _cleanup_free_ char *vermagic = NULL;

        ck_assert_int_eq(kconfig_parse(cases[_i].config, strlen(cases[_i].config), &config), 0);
        ck_assert_int_eq(
                        vermagic_from_config(cases[_i].release, config, cases[_i].randstruct, &vermagic), 0);
        ck_assert_str_eq(vermagic, cases[_i].vermagic);
}
END_TEST

#define FLAGS " SMP preempt mod_unload modversions"

static const struct {
        const char *want, *have;
        VermagicVerdict verdict;
        const char *text;
} pairs[] = {
        { "6.1.0-56-amd64" FLAGS, "6.1.0-56-amd64" FLAGS " ", VERMAGIC_SAME, "" },
        { "6.1.0-56-amd64" FLAGS, "6.1.0-56-amd64  SMP preempt mod_unload modversions", VERMAGIC_SAME, "" },
        { "6.1.0-56-amd64" FLAGS, NULL, VERMAGIC_ABSENT, "the module carries no vermagic at all" },
        { "6.1.0-56-amd64" FLAGS, "  ", VERMAGIC_ABSENT, "the module carries no vermagic at all" },
        { "6.1.0-56-amd64" FLAGS, "6.1.0-50-amd64" FLAGS, VERMAGIC_RELEASE,
                        "release is 6.1.0-50-amd64, not 6.1.0-56-amd64" },
        { "6.1.0-56-amd64" FLAGS, "6.1.0-5" FLAGS, VERMAGIC_RELEASE,
                        "release is 6.1.0-5, not 6.1.0-56-amd64" },
        { "6.1.0-56-amd64" FLAGS, "6.1.0-50-amd64 SMP preempt mod_unload", VERMAGIC_RELEASE,
                        "release is 6.1.0-50-amd64, not 6.1.0-56-amd64; modversions is missing" },
        { "6.1.0-56-amd64" FLAGS, "6.1.0-56-amd64 SMP mod_unload modversions", VERMAGIC_FLAGS,
                        "preempt is missing" },
        { "6.1.0-56-amd64 SMP", "6.1.0-56-amd64 SMP preempt_rt", VERMAGIC_FLAGS, "preempt_rt is too much" },
        { "6.1.0-56-amd64 SMP preempt", "6.1.0-56-amd64 SMP preempt_rt", VERMAGIC_FLAGS,
                        "preempt is missing; preempt_rt is too much" },
        { "6.1.0 SMP preempt", "6.1.0 preempt SMP", VERMAGIC_FLAGS, "the flags are in another order" },
        { "", "6.1.0 SMP", VERMAGIC_RELEASE, "release is 6.1.0, not ; SMP is too much" },
};

START_TEST(test_compare)
{
        _cleanup_free_ char *text = vermagic_explain(pairs[_i].want, pairs[_i].have);

        ck_assert_int_eq(vermagic_compare(pairs[_i].want, pairs[_i].have), pairs[_i].verdict);
        ck_assert_str_eq(text, pairs[_i].text);
}
END_TEST

START_TEST(test_names)
{
        ck_assert_str_eq(vermagic_verdict_to_string(VERMAGIC_SAME), "same");
        ck_assert_str_eq(vermagic_verdict_to_string(VERMAGIC_ABSENT), "absent");
        ck_assert_str_eq(vermagic_verdict_to_string(VERMAGIC_RELEASE), "release");
        ck_assert_str_eq(vermagic_verdict_to_string(VERMAGIC_FLAGS), "flags");
        ck_assert_str_eq(vermagic_verdict_to_string(_VERMAGIC_INVALID), "invalid");
}
END_TEST

UNIT_MAIN("vermagic", UNIT_LOOP(test_from_config, ELEMENTSOF(cases)),
                UNIT_LOOP(test_compare, ELEMENTSOF(pairs)), UNIT_TEST(test_names))
