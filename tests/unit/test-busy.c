/* SPDX-License-Identifier: Apache-2.0 */

#include "unit.h"

#include "base/str.h"
#include "policy/busy.h"

typedef struct Module {
        const char *name;
        int refcnt;
        const char *holders;
} Module;

#define AT_REST                                                                                             \
        { "nvidia", 2, "nvidia_modeset nvidia_uvm" }, { "nvidia_modeset", 1, "nvidia_drm" },                \
                        { "nvidia_uvm", 0 },                                                                \
        {                                                                                                   \
                "nvidia_drm", 0                                                                             \
        }
#define HIDDEN                                                                                              \
        "but by no process that can be seen: by one of another pid namespace, or by the kernel itself."

static const struct {
        Module modules[8];
        const char *owned;
        size_t n_processes; /* that hold it */
        unsigned n_unreadable;
        bool incomplete, busy;
        const char *remarks;
} cases[] = {
        { .remarks = "" },
        { .modules = { AT_REST }, .remarks = "" },
        { .modules = { AT_REST }, .n_processes = 1, .busy = true, .remarks = "" },
        { .n_processes = 1, .busy = true, .remarks = "" },
        { .modules = { { "nvidia", 1, "gdrdrv" }, { "gdrdrv", 0 } },
                        .busy = true,
                        .remarks = "Module nvidia is held by module gdrdrv." },
        { .modules = { { "nvidia", 2, "nvidia_peermem nvidia_fs" }, { "nvidia_peermem", 0 },
                          { "nvidia_fs", 0 } },
                        .owned = "nvidia nvidia_peermem",
                        .busy = true,
                        .remarks = "Module nvidia is held by module nvidia_fs." },
        { .modules = { { "nvidia", 1, "nvidia_peermem" }, { "nvidia_peermem", 0 } },
                        .owned = "nvidia_peermem",
                        .remarks = "" },
        { .modules = { { "nvidia", 0 }, { "nvidia_drm", 3 } },
                        .busy = true,
                        .remarks = "Module nvidia_drm is in use (3), " HIDDEN },
        /* Some process explains it, perhaps not all of it. */
        { .modules = { { "nvidia", 7 }, { "nvidia_drm", 3 } },
                        .n_processes = 1,
                        .busy = true,
                        .remarks = "" },
        { .modules = { { "nvidia", 2, "gdrdrv" }, { "gdrdrv", 1 } },
                        .n_processes = 2,
                        .busy = true,
                        .remarks = "Module nvidia is held by module gdrdrv." },
        { .modules = { { "nvidia", -1, "nvidia_uvm" }, { "nvidia_uvm", -1 } },
                        .remarks = "" }, /* no MODULE_UNLOAD */
        { .modules = { AT_REST },
                        .n_unreadable = 3,
                        .incomplete = true,
                        .remarks = "3 of 99 processes could not be looked into.|The search was cut off; there may be more." },
};

START_TEST(test_judge)
{
        _cleanup_(module_facts_done) ModuleFacts modules = {};
        _cleanup_(busy_done) Busy busy = {};
        _cleanup_strv_ char **owned = NULL;
        _cleanup_free_ char *text = NULL;
        Holders holders = { .n = cases[_i].n_processes,
                .n_processes = 99,
                .n_unreadable = cases[_i].n_unreadable,
                .incomplete = cases[_i].incomplete };

        for (const Module *m = cases[_i].modules; m->name; m++) {
                ModuleFact f = { .name = strdup(m->name), .state = MOD_LIVE, .refcnt = m->refcnt };

                ck_assert_int_eq(strv_split(strempty(m->holders), " ", &f.holders), 0);
                ck_assert_int_eq(module_facts_add(&modules, &f), 0);
        }
        ck_assert_int_eq(strv_split(strempty(cases[_i].owned), " ", &owned), 0);
        ck_assert_int_eq(busy_judge(&holders, &modules, owned, &busy), 0);
        text = strv_join(busy.remarks, "|");
        ck_assert_str_eq(text, cases[_i].remarks);
        ck_assert_int_eq(busy.busy, cases[_i].busy);
}
END_TEST

UNIT_MAIN("busy", UNIT_LOOP(test_judge, ELEMENTSOF(cases)))
