/* SPDX-License-Identifier: Apache-2.0 */

/* Parameters as the kernel reads them, held against each other and against those that there are. */

#include "unit.h"

#include "base/str.h"
#include "policy/parameters.h"

static const struct {
        const char *a, *b;
        bool equal;
} pairs[] = {
        { NULL, NULL, true },
        { NULL, "", true },
        { "", " ", true },
        { "a=1", "a=1", true },
        { "a=1 b=2", " b=2  a=1", true },
        { "a=1 a=2", "a=2", true },
        { "a-b=1", "a_b=1", true },
        { "a=\"x y\"", "a=\"x y\" ", true },
        { "a", "a", true },
        { "a=1", NULL, false },
        { NULL, "a=1", false },
        { "a=1", "a=2", false },
        { "a=1", "a", false },
        { "a=1", "a=1 b=2", false },
        { "a=1 b=2", "a=1", false },
        { "a=2 a=1", "a=2", false },
        { "a=\"x y\"", "a=\"x z\"", false },
        { "ab=1", "a=1", false },
};

START_TEST(test_equal)
{
        ck_assert(parameters_equal(pairs[_i].a, pairs[_i].b) == pairs[_i].equal);
        ck_assert(parameters_equal(pairs[_i].b, pairs[_i].a) == pairs[_i].equal);
}
END_TEST

static const struct {
        const char *shown, *written;
        bool equal;
} values[] = {
        { "1", "1", true },
        { "Y", "1", true },
        { "Y", "y", true },
        { "Y", "on", true },
        { "N", "0", true },
        { "N", "off", true },
        { "16", "0x10", true },
        { "text", "text", true },
        { "Y", "0", false },
        { "N", "1", false },
        { "Y", "", false },
        { "1", "2", false },
        { "text", "other", false },
};

START_TEST(test_value)
{
        ck_assert(parameters_value_equal(values[_i].shown, values[_i].written) == values[_i].equal);
}
END_TEST

static const struct {
        const char *text, *detail; /* NULL: all known */
} checks[] = {
        { "", NULL },
        { "NVreg_EnableMSI=1 NVreg_RegistryDwords=\"A=1 B=2\"", NULL },
        { "NVreg-EnableMSI=1", NULL },
        { "async_probe dyndbg=+p", NULL },
        { "NVreg_EnableMSI=1 NVreg_EnableMSl=1",
                        "no parameter NVreg_EnableMSl; did you mean NVreg_EnableMSI?" },
        { "EnableMSI=1", "no parameter EnableMSI; did you mean NVreg_EnableMSI?" },
        { "enablemsi=1", "did you mean NVreg_EnableMSI?" },
        { "color=red", "Module nvidia has no parameter color." },
        { "options nvidia", "no parameter options." },
};

START_TEST(test_check)
{
        _cleanup_(config_freep) Config *config = NULL;
        _cleanup_free_ char *expected = NULL, *detail = NULL;
        BuildManifest build = {};
        BuildFile known = { .name = strdup("nvidia.ko"), .module = strdup("nvidia") };
        BuildFile unknown = { .name = strdup("nvidia-uvm.ko"), .module = strdup("nvidia-uvm") };
        int r;

        ck_assert_int_eq(strv_split("NVreg_EnableMSI NVreg_RegistryDwords", " ", &known.parameters), 0);
        ck_assert_int_eq(build_manifest_add_file(&build, &known), 0);
        ck_assert_int_eq(build_manifest_add_file(&build, &unknown), 0);
        ck_assert_int_eq(config_new(&config), 0);
        ck_assert_int_eq(config_assign(config, "Parameters", "nvidia_uvm", "anything=1", &expected), 0);
        ck_assert_int_eq(config_assign(config, "Parameters", "other", "anything=1", &expected), 0);
        ck_assert_int_eq(config_assign(config, "Parameters", "nvidia", checks[_i].text, &expected), 0);

        r = parameters_check(config, &build, &detail);
        ck_assert_int_eq(r, !checks[_i].detail);
        if (checks[_i].detail)
                ck_assert_msg(strstr(detail, checks[_i].detail), "'%s'", detail);
        build_manifest_done(&build);
}
END_TEST

UNIT_MAIN("parameters", UNIT_LOOP(test_equal, ELEMENTSOF(pairs)), UNIT_LOOP(test_value, ELEMENTSOF(values)),
                UNIT_LOOP(test_check, ELEMENTSOF(checks)))
