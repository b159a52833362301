/* SPDX-License-Identifier: Apache-2.0 */

/* Whose a GPU is, and what is done about it: rows of driver, override and configuration. */

#include "unit.h"

#include "base/str.h"
#include "policy/claims.h"

#define A "0000:01:00.0"
#define B "0000:02:00.0"
#define C "0001:00:00.0"

static void add(GpuFacts *gpus, const char *address, const char *driver, const char *override)
{
        GpuFact gpu = { .address = strdup(address),
                .driver = driver ? strdup(driver) : NULL,
                .override = override ? strdup(override) : NULL };

        ck_assert_int_eq(gpu_facts_add(gpus, &gpu), 0);
}

static char *addresses(const GpuFacts *gpus)
{
        _cleanup_strv_ char **l = NULL;

        for (size_t i = 0; i < gpus->n; i++)
                ck_assert_int_eq(strv_push(&l, gpus->items[i].address), 0);
        return strv_join(l, " ");
}

static const struct {
        const char *include, *exclude, *wanted, *excluded;
} choices[] = {
        { "", "", A " " B " " C, "" },
        { A, "", A, B " " C },
        { C " " A, "", A " " C, B },
        { "", B, A " " C, B },
        { A " " B, B, A, B " " C },
        { "0000:09:00.0", "", "", A " " B " " C },
        { "", "0000:09:00.0", A " " B " " C, "" },
};

START_TEST(test_split)
{
        _cleanup_(config_freep) Config *config = NULL;
        _cleanup_(gpu_facts_done) GpuFacts all = {}, wanted = {}, excluded = {};
        _cleanup_free_ char *first = NULL, *second = NULL;

        ck_assert_int_eq(config_new(&config), 0);
        ck_assert_int_eq(strv_split(choices[_i].include, " ", &config->include), 0);
        ck_assert_int_eq(strv_split(choices[_i].exclude, " ", &config->exclude), 0);
        add(&all, A, NULL, NULL);
        add(&all, B, "nvidia", NULL);
        add(&all, C, NULL, "vfio-pci");

        ck_assert_int_eq(claims_split(&all, config, &wanted, &excluded), 0);
        ck_assert_uint_eq(all.n, 0);
        first = addresses(&wanted);
        second = addresses(&excluded);
        ck_assert_str_eq(first, choices[_i].wanted);
        ck_assert_str_eq(second, choices[_i].excluded);
        for (size_t i = 0; i < wanted.n; i++)
                ck_assert(!wanted.items[i].excluded);
        for (size_t i = 0; i < excluded.n; i++)
                ck_assert(excluded.items[i].excluded);
}
END_TEST

START_TEST(test_absent)
{
        _cleanup_(config_freep) Config *config = NULL;
        _cleanup_(gpu_facts_done) GpuFacts wanted = {}, excluded = {};
        _cleanup_strv_ char **lines = NULL;
        _cleanup_free_ char *text = NULL;

        ck_assert_int_eq(config_new(&config), 0);
        ck_assert_int_eq(strv_split(A " " C, " ", &config->include), 0);
        ck_assert_int_eq(strv_split(B " 0000:09:00.0", " ", &config->exclude), 0);
        add(&wanted, A, NULL, NULL);
        add(&excluded, B, NULL, NULL);
        ck_assert_int_eq(claims_explain_absent(&wanted, &excluded, config, &lines), 0);
        text = strv_join(lines, "\n");
        ck_assert_str_eq(text, "[Devices] Include=" C ": there is no NVIDIA GPU at this address\n"
                               "[Devices] Exclude=0000:09:00.0: there is no NVIDIA GPU at this address");
}
END_TEST

static const struct {
        const char *driver, *override;
        bool taken;
        ClaimsMove move; /* if it is wanted */
        bool pin;        /* if it is not */
        bool pinned;
        const char *line;
} cases[] = {
        { NULL, NULL, false, CLAIMS_DONE, true, false, NULL },
        { "nvidia", NULL, false, CLAIMS_DONE, false, false, NULL },
        { "nvidia", "vfio-pci", false, CLAIMS_DONE, false, false, NULL },
        { NULL, "nvidia", false, CLAIMS_DONE, false, false, NULL },
        { "nouveau", NULL, true, CLAIMS_UNBIND, false, false, "GPU " A " is bound to nouveau" },
        { "vfio-pci", "vfio-pci", true, CLAIMS_UNBIND, false, false, "GPU " A " is bound to vfio-pci" },
        { "nouveau", "nvidia", true, CLAIMS_UNBIND, false, false, "GPU " A " is bound to nouveau" },
        { NULL, "vfio-pci", true, CLAIMS_FREE, false, false,
                        "GPU " A " is kept for vfio-pci (driver_override)" },
        { NULL, GPU_PIN, false, CLAIMS_DONE, false, true, NULL },
        { "nvidia", GPU_PIN, false, CLAIMS_DONE, false, true, NULL },
        { "nouveau", GPU_PIN, true, CLAIMS_UNBIND, false, true, "GPU " A " is bound to nouveau" },
};

START_TEST(test_case)
{
        _cleanup_(gpu_facts_done) GpuFacts gpus = {};
        _cleanup_strv_ char **lines = NULL, **to_pin = NULL, **pinned = NULL;
        const GpuFact *gpu = NULL;

        add(&gpus, A, cases[_i].driver, cases[_i].override);
        ck_assert(claims_is_taken(&gpus.items[0]) == cases[_i].taken);
        ck_assert(claims_is_pinned(&gpus.items[0]) == cases[_i].pinned);
        ck_assert_int_eq(claims_take(&gpus, &gpu), cases[_i].move);
        ck_assert_ptr_eq(gpu, cases[_i].move == CLAIMS_DONE ? NULL : &gpus.items[0]);
        ck_assert_int_eq(claims_explain(&gpus, &lines), 0);
        ck_assert_uint_eq(strv_length(lines), cases[_i].line ? 1 : 0);
        if (cases[_i].line)
                ck_assert_str_eq(lines[0], cases[_i].line);
        ck_assert_int_eq(claims_to_pin(&gpus, &to_pin), 0);
        ck_assert_uint_eq(strv_length(to_pin), cases[_i].pin);
        ck_assert_int_eq(claims_pinned(&gpus, &pinned), 0);
        ck_assert_uint_eq(strv_length(pinned), cases[_i].pinned);
}
END_TEST

/* Unbound first, then freed, then the next one; what is ours is passed by. */
START_TEST(test_order)
{
        _cleanup_(gpu_facts_done) GpuFacts gpus = {};
        const GpuFact *gpu = NULL;

        add(&gpus, A, "nvidia", NULL);
        add(&gpus, B, "vfio-pci", "vfio-pci");
        add(&gpus, C, "nouveau", NULL);
        ck_assert_int_eq(claims_take(&gpus, &gpu), CLAIMS_UNBIND);
        ck_assert_str_eq(gpu->address, B);
        ck_assert_int_eq(str_replace(&gpus.items[1].driver, NULL), 0);
        ck_assert_int_eq(claims_take(&gpus, &gpu), CLAIMS_FREE);
        ck_assert_str_eq(gpu->address, B);
        ck_assert_int_eq(str_replace(&gpus.items[1].override, NULL), 0);
        ck_assert_int_eq(claims_take(&gpus, &gpu), CLAIMS_UNBIND);
        ck_assert_str_eq(gpu->address, C);
        ck_assert_int_eq(str_replace(&gpus.items[2].driver, NULL), 0);
        ck_assert_int_eq(claims_take(&gpus, &gpu), CLAIMS_DONE);
}
END_TEST

UNIT_MAIN("claims", UNIT_LOOP(test_split, ELEMENTSOF(choices)), UNIT_TEST(test_absent),
                UNIT_LOOP(test_case, ELEMENTSOF(cases)), UNIT_TEST(test_order))
