/* SPDX-License-Identifier: Apache-2.0 */

/* The plan: a machine is put together from facts, and the plan is held against one line of text. */

#include "unit.h"

#include "base/str.h"
#include "policy/plan.h"

#define RELEASE "6.1.0-56-amd64"

typedef struct Machine {
        KernelFact kernel;
        Config *config;
        GpuFacts gpus, excluded;
        ModuleFacts modules;
        char **owned;
        BuildManifests builds;
        DriverSource source;
        DriverSources sources;
        SourceJudgement source_judgement;
        TreeFacts tree;
        TreeFactsList trees;
        TreeJudgement tree_judgement;
        EnforcementFacts enforcement;
        SigningFact signing;
        ServiceFacts services;
        PlanFacts facts;
        Plan plan;
} Machine;

/* One GPU, a driver source of 535.261.03 and a ready tree; nothing loaded, nothing built. */
static void machine_init(Machine *m)
{
        GpuFact gpu = { .address = strdup("0000:01:00.0"), .vendor = 0x10de };

        *m = (Machine){
                .kernel = { .release = strdup(RELEASE), .version = strdup("#1 SMP") },
                .source = { .path = (char *)"usr/src/nvidia",
                                .version = (char *)"535.261.03",
                                .exists = true },
                .sources = { .items = &m->source, .n = 1 },
                .source_judgement = { .code = CODE_OK },
                .tree = { .path = (char *)"usr/src/linux" },
                .trees = { .items = &m->tree, .n = 1 },
                .tree_judgement = { .verdict = TREE_READY },
        };
        ck_assert_int_eq(config_new(&m->config), 0);
        ck_assert_int_eq(gpu_facts_add(&m->gpus, &gpu), 0);
        m->facts = (PlanFacts){
                .kernel = &m->kernel,
                .gpus = &m->gpus,
                .excluded = &m->excluded,
                .modules = &m->modules,
                .builds = &m->builds,
                .enforcement = &m->enforcement,
                .signing = &m->signing,
                .sources = &m->sources,
                .source = &m->source_judgement,
                .trees = &m->trees,
                .services = &m->services,
                .tree = &m->tree_judgement,
        };
}

static void machine_done(Machine *m)
{
        plan_done(&m->plan);
        kernel_fact_done(&m->kernel);
        config_free(m->config);
        gpu_facts_done(&m->gpus);
        gpu_facts_done(&m->excluded);
        module_facts_done(&m->modules);
        strv_free(m->owned);
        build_manifests_done(&m->builds);
        enforcement_facts_done(&m->enforcement);
        signing_fact_done(&m->signing);
        service_facts_done(&m->services);
}
#define _cleanup_machine_ _cleanup_(machine_done)

/* @what: "nvidia 535.261.03", a module and its version, "-" for none; owned: loaded by us. */
static void add_loaded(Machine *m, const char *name, const char *version, ModState state, bool owned)
{
        ModuleFact f = {
                .name = strdup(name),
                .state = state,
                .version = version ? strdup(version) : NULL,
                .srcversion = strdup("LOADED"),
                .taint = strdup(""),
        };

        ck_assert_int_eq(module_facts_add(&m->modules, &f), 0);
        if (owned)
                ck_assert_int_eq(strv_push(&m->owned, name), 0);
        m->facts.owned = m->owned;
}

static const char *const family[] = { "nvidia", "nvidia_uvm", "nvidia_modeset", "nvidia_drm" };

static void add_all_loaded(Machine *m, const char *version, bool owned)
{
        for (size_t i = 0; i < ELEMENTSOF(family); i++)
                add_loaded(m, family[i], version, MOD_LIVE, owned);
}

static BuildManifest *add_build(Machine *m, const char *version)
{
        BuildManifest b = {
                .id = str_format("build-%s", version),
                .driver_version = strdup(version),
                .kernel_release = strdup(RELEASE),
        };

        for (size_t i = 0; i < ELEMENTSOF(family); i++) {
                BuildFile f = { .name = str_format("%s.ko", family[i]), .module = strdup(family[i]) };

                ck_assert_int_eq(build_manifest_add_file(&b, &f), 0);
        }
        ck_assert_int_eq(build_manifests_add(&m->builds, &b), 0);
        return &m->builds.items[m->builds.n - 1];
}

static void set_version(Machine *m, const char *version)
{
        ck_assert_int_eq(str_replace(&m->config->driver_version, version), 0);
}

/* The stages that run, in the order of the plan. */
static char *running(const Plan *plan)
{
        _cleanup_strv_ char **names = NULL;

        for (size_t i = 0; i < plan->n_steps; i++)
                if (plan->steps[i].run)
                        ck_assert_int_eq(strv_push(&names, fsm_state_to_string(plan->steps[i].state)), 0);
        return strv_join(names, " ");
}

static void check_steps(const Plan *plan)
{
        unsigned mask = 0;

        for (size_t i = 0; i < plan->n_steps; i++) {
                ck_assert(fsm_state_is_stage(plan->steps[i].state));
                ck_assert_msg(i == 0 || plan->steps[i - 1].state < plan->steps[i].state, "out of order");
                ck_assert(!isempty(plan->steps[i].reason));
                if (plan->steps[i].run)
                        mask |= FSM_STEP(plan->steps[i].state);
        }
        ck_assert_uint_eq(plan_mask(plan), mask);
}

static void make(Machine *m)
{
        plan_done(&m->plan);
        ck_assert_int_eq(plan_make(m->config, &m->facts, &m->plan), 0);
        check_steps(&m->plan);
}

static void check_plan(Machine *m, PlanLoaded loaded, const char *stages)
{
        _cleanup_free_ char *got = NULL;

        make(m);
        ck_assert_msg(m->plan.code == CODE_OK, "%s: %s", code_to_string(m->plan.code),
                        strna(m->plan.detail));
        ck_assert_ptr_null(m->plan.detail);
        ck_assert_str_eq(plan_loaded_to_string(m->plan.loaded), plan_loaded_to_string(loaded));
        got = running(&m->plan);
        ck_assert_str_eq(got, stages);
        ck_assert_uint_eq(m->plan.n_steps, 9);
}

static void check_refusal(Machine *m, Code code, const char *detail)
{
        make(m);
        ck_assert_str_eq(code_to_string(m->plan.code), code_to_string(code));
        ck_assert_str_eq(m->plan.detail, detail);
}

static void check_refusal_code(Machine *m, Code code)
{
        make(m);
        ck_assert_str_eq(code_to_string(m->plan.code), code_to_string(code));
}

static const char *reason_of(const Plan *plan, FsmState state)
{
        for (size_t i = 0; i < plan->n_steps; i++)
                if (plan->steps[i].state == state)
                        return plan->steps[i].reason;
        return "";
}

#define BUILD "compiling linking publishing "
#define LIVE  "loading awaiting-devices"

START_TEST(test_cold)
{
        _cleanup_machine_ Machine m;

        machine_init(&m);
        check_plan(&m, PLAN_LOADED_NONE, BUILD LIVE);
        ck_assert_ptr_null(m.plan.build);
        ck_assert_ptr_eq(m.plan.source, &m.source);
        ck_assert_ptr_eq(m.plan.tree, &m.tree);
        ck_assert_str_eq(reason_of(&m.plan, FSM_PREPARE), "kernel tree usr/src/linux is ready");
        ck_assert_str_eq(reason_of(&m.plan, FSM_COMPILE), "driver 535.261.03 from usr/src/nvidia");
        ck_assert_str_eq(reason_of(&m.plan, FSM_LOAD), "the build made now");
        ck_assert_str_eq(reason_of(&m.plan, FSM_AWAIT_DEVICES),
                        "card and render node of 1 GPU, and the driver's own nodes");
}
END_TEST

/* A source tree is prepared; one that is not clean, too, from a copy of links. */
START_TEST(test_prepare)
{
        _cleanup_machine_ Machine m;

        machine_init(&m);
        m.tree_judgement.verdict = _i == 0 ? TREE_SOURCE : TREE_DIRTY;
        m.tree_judgement.code = _i == 0 ? CODE_OK : CODE_TREE_DIRTY;
        check_plan(&m, PLAN_LOADED_NONE, "preparing " BUILD LIVE);
        ck_assert_int_eq(m.plan.tree_verdict, m.tree_judgement.verdict);
        ck_assert_str_eq(reason_of(&m.plan, FSM_PREPARE), "kernel source usr/src/linux, out of tree");
}
END_TEST

/* With a build in the store, sources and trees are not even looked at. */
START_TEST(test_warm)
{
        _cleanup_machine_ Machine m;

        machine_init(&m);
        m.facts.sources = NULL;
        m.facts.source = NULL;
        m.facts.trees = NULL;
        m.facts.tree = NULL;
        add_build(&m, "535.183.01");
        add_build(&m, "535.261.03");
        add_build(&m, "535.54.03");
        check_plan(&m, PLAN_LOADED_NONE, LIVE);
        ck_assert_str_eq(m.plan.build->driver_version, "535.261.03");
        ck_assert_str_eq(reason_of(&m.plan, FSM_COMPILE), "a build for this kernel is in the store");
        ck_assert_str_eq(reason_of(&m.plan, FSM_LOAD), "build build-535.261.03");

        set_version(&m, "535.183.01");
        check_plan(&m, PLAN_LOADED_NONE, LIVE);
        ck_assert_str_eq(m.plan.build->driver_version, "535.183.01");
}
END_TEST

/* A build that does not serve is as good as none. */
START_TEST(test_warm_for_another_kernel)
{
        _cleanup_machine_ Machine m;
        BuildManifest *b;

        machine_init(&m);
        b = add_build(&m, "535.261.03");
        ck_assert_int_eq(str_replace(&b->kernel_release, "6.1.0-55-amd64"), 0);
        check_plan(&m, PLAN_LOADED_NONE, BUILD LIVE);
        ck_assert_ptr_null(m.plan.build);
}
END_TEST

START_TEST(test_adopt_ours)
{
        _cleanup_machine_ Machine m;

        machine_init(&m);
        add_all_loaded(&m, "535.261.03", true);
        check_plan(&m, PLAN_LOADED_WANTED, "adopting awaiting-devices");
        ck_assert(!m.plan.foreign);
        ck_assert_str_eq(reason_of(&m.plan, FSM_ADOPT), "loaded driver: as wanted");
        ck_assert_str_eq(reason_of(&m.plan, FSM_COMPILE), "the driver is loaded already");
        ck_assert_str_eq(reason_of(&m.plan, FSM_LOAD), "the driver is loaded already");

        set_version(&m, "535");
        check_plan(&m, PLAN_LOADED_WANTED, "adopting awaiting-devices");
}
END_TEST

START_TEST(test_adopt_foreign)
{
        _cleanup_machine_ Machine m;

        machine_init(&m);
        add_all_loaded(&m, "535.261.03", false);
        check_plan(&m, PLAN_LOADED_WANTED, "adopting awaiting-devices");
        ck_assert(m.plan.foreign);
        ck_assert_str_eq(reason_of(&m.plan, FSM_ADOPT), "loaded driver: as wanted, not ours");
}
END_TEST

/* Built into the kernel: loaded for ever, whoever is on record. */
START_TEST(test_adopt_builtin)
{
        _cleanup_machine_ Machine m;

        machine_init(&m);
        for (size_t i = 0; i < ELEMENTSOF(family); i++)
                add_loaded(&m, family[i], NULL, MOD_BUILTIN, true);
        check_plan(&m, PLAN_LOADED_WANTED, "adopting awaiting-devices");
        ck_assert(m.plan.foreign);
}
END_TEST

/* uvm and drm carry no version; what is not said cannot differ. */
START_TEST(test_adopt_without_version)
{
        _cleanup_machine_ Machine m;

        machine_init(&m);
        add_loaded(&m, "nvidia", "535.261.03", MOD_LIVE, true);
        for (size_t i = 1; i < ELEMENTSOF(family); i++)
                add_loaded(&m, family[i], NULL, MOD_LIVE, true);
        set_version(&m, "535.261.03");
        check_plan(&m, PLAN_LOADED_WANTED, "adopting awaiting-devices");
}
END_TEST

/* Part of the driver is there: take that over and load the rest. A module that is going is not there. */
START_TEST(test_partial)
{
        _cleanup_machine_ Machine m;

        machine_init(&m);
        add_loaded(&m, "nvidia", "535.261.03", MOD_LIVE, true);
        add_loaded(&m, "nvidia_uvm", "535.261.03", MOD_COMING, true);
        add_loaded(&m, "nvidia_modeset", "535.261.03", MOD_GOING, true);
        add_build(&m, "535.261.03");
        check_plan(&m, PLAN_LOADED_PART, "adopting " LIVE);
        ck_assert_str_eq(reason_of(&m.plan, FSM_ADOPT), "loaded driver: in part");
}
END_TEST

START_TEST(test_partial_without_build)
{
        _cleanup_machine_ Machine m;

        machine_init(&m);
        add_loaded(&m, "nvidia", "535.261.03", MOD_LIVE, true);
        check_plan(&m, PLAN_LOADED_PART, "adopting " BUILD LIVE);
}
END_TEST

START_TEST(test_only_going)
{
        _cleanup_machine_ Machine m;

        machine_init(&m);
        add_loaded(&m, "nvidia", "470.1", MOD_GOING, false);
        check_plan(&m, PLAN_LOADED_NONE, BUILD LIVE);
        ck_assert(!m.plan.foreign);
}
END_TEST

START_TEST(test_another_version_of_ours)
{
        _cleanup_machine_ Machine m;

        machine_init(&m);
        add_all_loaded(&m, "470.256.02", true);
        set_version(&m, "535");
        check_plan(&m, PLAN_LOADED_OTHER, "clearing " BUILD LIVE);
        ck_assert_str_eq(reason_of(&m.plan, FSM_CLEAR), "another version is loaded");

        add_build(&m, "535.261.03");
        check_plan(&m, PLAN_LOADED_OTHER, "clearing " LIVE);
}
END_TEST

/* Without a configured version the best build in the store is what is wanted. */
START_TEST(test_newer_build_in_store)
{
        _cleanup_machine_ Machine m;

        machine_init(&m);
        add_all_loaded(&m, "535.183.01", true);
        check_plan(&m, PLAN_LOADED_WANTED, "adopting awaiting-devices");
        add_build(&m, "535.261.03");
        check_plan(&m, PLAN_LOADED_OTHER, "clearing " LIVE);
}
END_TEST

/* The version is the same, the source was another: srcversion tells. */
START_TEST(test_srcversion)
{
        _cleanup_machine_ Machine m;
        BuildManifest *b;

        machine_init(&m);
        add_all_loaded(&m, "535.261.03", true);
        b = add_build(&m, "535.261.03");
        check_plan(&m, PLAN_LOADED_WANTED, "adopting awaiting-devices");
        ck_assert_int_eq(str_replace(&b->files[0].srcversion, "LOADED"), 0);
        check_plan(&m, PLAN_LOADED_WANTED, "adopting awaiting-devices");
        ck_assert_int_eq(str_replace(&b->files[3].srcversion, "BUILT"), 0);
        check_plan(&m, PLAN_LOADED_OTHER, "clearing " LIVE);
}
END_TEST

/* Whoever loaded nvidia itself has the driver, whatever we put on top of it. */
START_TEST(test_foreign_version)
{
        _cleanup_machine_ Machine m;

        machine_init(&m);
        set_version(&m, "535");
        add_loaded(&m, "nvidia", "470.256.02", MOD_LIVE, false);
        add_loaded(&m, "nvidia_uvm", NULL, MOD_LIVE, true);
        check_refusal(&m, CODE_FOREIGN_DRIVER, "Version 470.256.02 is loaded, 535 is wanted.");
        ck_assert_int_eq(m.plan.loaded, PLAN_LOADED_FOREIGN);
        ck_assert(m.plan.foreign);
        ck_assert_uint_eq(plan_mask(&m.plan), 0);
}
END_TEST

/* What others put on top of ours goes with it, and is no reason to refuse. */
START_TEST(test_others_on_ours)
{
        _cleanup_machine_ Machine m;

        machine_init(&m);
        add_all_loaded(&m, "535.261.03", true);
        add_loaded(&m, "nvidia_peermem", "535.261.03", MOD_LIVE, false);
        add_loaded(&m, "gdrdrv", "2.4.1", MOD_LIVE, false); /* a version of its own */
        add_loaded(&m, "stranger", "1", MOD_LIVE, false);
        check_plan(&m, PLAN_LOADED_WANTED, "adopting awaiting-devices");
        ck_assert(!m.plan.foreign);

        set_version(&m, "550");
        check_plan(&m, PLAN_LOADED_OTHER, "clearing " BUILD LIVE);
        ck_assert(!m.plan.foreign);
}
END_TEST

/* Loaded by us and wanted no more: the set differs, and is replaced like a version that does. */
START_TEST(test_surplus)
{
        _cleanup_machine_ Machine m;
        char *expected = NULL;

        machine_init(&m);
        add_all_loaded(&m, "535.261.03", true);
        add_build(&m, "535.261.03");
        ck_assert_int_eq(config_assign(m.config, "Driver", "Modules", "nvidia nvidia-uvm nvidia-modeset",
                                         &expected),
                        0);
        check_plan(&m, PLAN_LOADED_OTHER, "clearing loading awaiting-devices");
        ck_assert_str_eq(reason_of(&m.plan, FSM_CLEAR), "modules are loaded that are not wanted any more");
        ck_assert_str_eq(reason_of(&m.plan, FSM_ADOPT), "loaded driver: not as wanted");
}
END_TEST

/* The same, loaded by somebody else: more than was asked for is as good. */
START_TEST(test_foreign_surplus)
{
        _cleanup_machine_ Machine m;
        char *expected = NULL;

        machine_init(&m);
        add_all_loaded(&m, "535.261.03", false);
        ck_assert_int_eq(config_assign(m.config, "Driver", "Modules", "nvidia", &expected), 0);
        check_plan(&m, PLAN_LOADED_WANTED, "adopting awaiting-devices");
        ck_assert(m.plan.foreign);
}
END_TEST

/* On record as ours, but this kernel never lets a module go. */
START_TEST(test_kernel_without_unload)
{
        _cleanup_machine_ Machine m;

        machine_init(&m);
        add_all_loaded(&m, "535.261.03", true);
        for (size_t i = 0; i < m.modules.n; i++)
                m.modules.items[i].refcnt = -1;
        check_plan(&m, PLAN_LOADED_WANTED, "adopting awaiting-devices");
        ck_assert(m.plan.foreign);
        set_version(&m, "550");
        check_refusal(&m, CODE_FOREIGN_DRIVER, "Version 535.261.03 is loaded, 550 is wanted.");
}
END_TEST

START_TEST(test_foreign_without_nvidia)
{
        _cleanup_machine_ Machine m;

        machine_init(&m);
        add_build(&m, "535.261.03");
        add_loaded(&m, "nvidia_peermem", "470.256.02", MOD_LIVE, false);
        check_refusal(&m, CODE_FOREIGN_DRIVER, "Version unknown is loaded, 535.261.03 is wanted.");
}
END_TEST

START_TEST(test_no_gpu)
{
        _cleanup_machine_ Machine m;

        machine_init(&m);
        gpu_facts_done(&m.gpus);
        add_build(&m, "535.261.03");
        check_refusal(&m, CODE_NO_GPU, "Looked for vendor 10de, class 0300 and 0302.");
        ck_assert_uint_eq(m.plan.n_steps, 0);
}
END_TEST

static const Code source_codes[] = { CODE_SOURCE_MISSING, CODE_SOURCE_INVALID, CODE_SOURCE_VERSION };

START_TEST(test_source_refused)
{
        _cleanup_machine_ Machine m;

        machine_init(&m);
        m.source_judgement = (SourceJudgement){ .code = source_codes[_i], .evidence = (char *)"so it is" };
        check_refusal(&m, source_codes[_i], "so it is");
        ck_assert_ptr_null(m.plan.source);

        m.source_judgement.evidence = NULL;
        check_refusal(&m, source_codes[_i], "");

        /* Nothing has to be built: no source is needed. */
        add_all_loaded(&m, "535.261.03", true);
        check_plan(&m, PLAN_LOADED_WANTED, "adopting awaiting-devices");
}
END_TEST

START_TEST(test_no_tree)
{
        _cleanup_machine_ Machine m;

        machine_init(&m);
        m.facts.tree = NULL;
        check_refusal(&m, CODE_TREE_MISSING, "Kernel " RELEASE " has none.");
}
END_TEST

START_TEST(test_builds_for_others)
{
        _cleanup_machine_ Machine m;
        BuildManifest *old, *new;

        machine_init(&m);
        m.facts.tree = NULL;
        add_build(&m, "535.261.03");
        old = &m.builds.items[0];
        ck_assert_int_eq(str_replace(&old->kernel_release, "6.1.0-9-other"), 0);
        ck_assert_int_eq(str_replace(&old->id, "old"), 0);
        ck_assert_int_eq(str_replace(&old->created, "2026-01-01T00:00:00Z"), 0);
        check_refusal(&m, CODE_TREE_MISSING,
                        "Kernel " RELEASE
                        " has none. Build old of the store cannot be used: it is for kernel 6.1.0-9-other, not " RELEASE
                        ".");

        add_build(&m, "535.261.03");
        new = &m.builds.items[1];
        ck_assert_int_eq(str_replace(&new->kernel_release, "6.1.0-10-other"), 0);
        ck_assert_int_eq(str_replace(&new->id, "new"), 0);
        ck_assert_int_eq(str_replace(&new->created, "2026-01-02T00:00:00Z"), 0);
        m.source_judgement = (SourceJudgement){ .code = CODE_SOURCE_MISSING };
        check_refusal(&m, CODE_SOURCE_MISSING,
                        "Build new of the store cannot be used: it is for kernel 6.1.0-10-other, not " RELEASE
                        ", and so it is with 1 more.");
}
END_TEST

static const struct {
        TreeVerdict verdict;
        Code code;
} bad_trees[] = {
        { TREE_MISMATCH, CODE_TREE_MISMATCH },
        { TREE_UNUSABLE, CODE_TREE_UNUSABLE },
};

START_TEST(test_tree_refused)
{
        _cleanup_machine_ Machine m;

        machine_init(&m);
        m.tree_judgement = (TreeJudgement){
                .verdict = bad_trees[_i].verdict, .code = bad_trees[_i].code, .evidence = (char *)"see there"
        };
        check_refusal(&m, bad_trees[_i].code, "see there");
        m.tree_judgement.evidence = NULL;
        check_refusal(&m, bad_trees[_i].code, "");
}
END_TEST

/* Two builds, the older one worked; the newer one is wanted. */
static void machine_with_spare(Machine *m)
{
        machine_init(m);
        add_build(m, "535.1.1");
        add_build(m, "536.1.1");
        m->facts.good = "build-535.1.1";
}

START_TEST(test_spare)
{
        _cleanup_machine_ Machine m;

        machine_with_spare(&m);
        check_plan(&m, PLAN_LOADED_NONE, LIVE);
        ck_assert_str_eq(m.plan.build->id, "build-536.1.1");
        ck_assert_str_eq(m.plan.spare->id, "build-535.1.1");
        ck_assert(!m.plan.fallback);

        /* A version that has to be made is no other matter. */
        set_version(&m, "537");
        m.source_judgement.code = CODE_SOURCE_MISSING;
        check_refusal_code(&m, CODE_SOURCE_MISSING);
        ck_assert_str_eq(m.plan.spare->id, "build-535.1.1");

        /* The one that failed is not its own stand-in. */
        set_version(&m, "535");
        check_plan(&m, PLAN_LOADED_NONE, LIVE);
        ck_assert_ptr_null(m.plan.spare);
}
END_TEST

START_TEST(test_fallback)
{
        _cleanup_machine_ Machine m;

        machine_with_spare(&m);
        set_version(&m, "537");
        m.facts.fall_back = true;
        check_plan(&m, PLAN_LOADED_NONE, LIVE);
        ck_assert(m.plan.fallback);
        ck_assert_str_eq(m.plan.build->id, "build-535.1.1");
        ck_assert_ptr_null(m.plan.spare);

        /* It is there already, perhaps since an attempt before. */
        add_all_loaded(&m, "535.1.1", true);
        check_plan(&m, PLAN_LOADED_WANTED, "adopting awaiting-devices");
        free(m.modules.items[0].version);
        m.modules.items[0].version = strdup("537.1.1");
        check_refusal(&m, CODE_DRIVER_FALLBACK, "Another driver is loaded.");
}
END_TEST

/* What cannot stand in for the wanted driver. */
START_TEST(test_no_spare)
{
        _cleanup_machine_ Machine m;
        BuildManifest *good;

        machine_with_spare(&m);
        good = &m.builds.items[0];
        switch (_i) {
        case 0:
                m.facts.good = NULL;
                break;
        case 1:
                m.facts.good = "build-gone";
                break;
        case 2:
                m.config->driver_fallback = false;
                break;
        case 3:
                ck_assert_int_eq(str_replace(&good->kernel_release, "6.12"), 0);
                break;
        case 4:
                ck_assert_int_eq(str_replace(&good->files[1].module, "other"), 0);
                break;
        default:
                m.enforcement.sig_enforce = KNOWN_YES;
        }
        set_version(&m, "537");
        make(&m);
        ck_assert_ptr_null(m.plan.spare);
        m.facts.fall_back = true;
        check_refusal(&m, CODE_DRIVER_FALLBACK, "There is no other build that worked.");
}
END_TEST

START_TEST(test_without_drm)
{
        _cleanup_machine_ Machine m;

        machine_init(&m);
        m.config->modules = strv_free(m.config->modules);
        ck_assert_int_eq(strv_split("nvidia nvidia-uvm", " ", &m.config->modules), 0);
        check_plan(&m, PLAN_LOADED_NONE, BUILD LIVE);
        ck_assert_str_eq(reason_of(&m.plan, FSM_AWAIT_DEVICES), "the driver's own nodes");
        m.config->create_nodes = false;
        check_plan(&m, PLAN_LOADED_NONE, BUILD "loading");
        ck_assert_str_eq(reason_of(&m.plan, FSM_AWAIT_DEVICES),
                        "nvidia-drm is not wanted, other nodes are not made");
}
END_TEST

START_TEST(test_two_gpus)
{
        _cleanup_machine_ Machine m;
        GpuFact gpu = { .address = strdup("0000:02:00.0"), .vendor = 0x10de };

        machine_init(&m);
        ck_assert_int_eq(gpu_facts_add(&m.gpus, &gpu), 0);
        check_plan(&m, PLAN_LOADED_NONE, BUILD LIVE);
        ck_assert_str_eq(reason_of(&m.plan, FSM_AWAIT_DEVICES),
                        "card and render node of 2 GPUs, and the driver's own nodes");
        m.config->create_nodes = false;
        check_plan(&m, PLAN_LOADED_NONE, BUILD LIVE);
        ck_assert_str_eq(reason_of(&m.plan, FSM_AWAIT_DEVICES), "card and render node of 2 GPUs");
}
END_TEST

static GpuFact *add_gpu(GpuFacts *gpus, const char *address, const char *driver, const char *override)
{
        GpuFact gpu = { .address = strdup(address),
                .vendor = 0x10de,
                .driver = driver ? strdup(driver) : NULL,
                .override = override ? strdup(override) : NULL };

        ck_assert_int_eq(gpu_facts_add(gpus, &gpu), 0);
        return &gpus->items[gpus->n - 1];
}

static void check_text(char *const *lines, const char *expected)
{
        _cleanup_free_ char *text = strv_join(lines, "|");

        ck_assert_str_eq(text, expected);
}

START_TEST(test_taken)
{
        _cleanup_machine_ Machine m;

        machine_init(&m);
        add_gpu(&m.gpus, "0000:02:00.0", "vfio-pci", "vfio-pci");
        add_gpu(&m.gpus, "0000:03:00.0", NULL, "vfio-pci");
        check_refusal(&m, CODE_GPU_CLAIMED,
                        "GPU 0000:02:00.0 is bound to vfio-pci; "
                        "GPU 0000:03:00.0 is kept for vfio-pci (driver_override).");
        ck_assert_uint_eq(plan_mask(&m.plan), 0);

        m.config->take_over = true;
        check_plan(&m, PLAN_LOADED_NONE, "clearing " BUILD LIVE);
        ck_assert_str_eq(reason_of(&m.plan, FSM_CLEAR),
                        "GPU 0000:02:00.0 is bound to vfio-pci; "
                        "GPU 0000:03:00.0 is kept for vfio-pci (driver_override)");
}
END_TEST

START_TEST(test_taken_by_nouveau)
{
        _cleanup_machine_ Machine m;

        machine_init(&m);
        ck_assert_int_eq(str_replace(&m.gpus.items[0].driver, "nouveau"), 0);
        make(&m);
        ck_assert_int_eq(m.plan.code, CODE_GPU_CLAIMED);
        ck_assert(startswith(m.plan.detail, "GPU 0000:01:00.0 is bound to nouveau."));
        ck_assert(strstr(m.plan.detail, "\"blacklist nouveau\""));
}
END_TEST

/* The loaded driver would not notice a GPU that becomes free. */
START_TEST(test_taken_beside_a_loaded_driver)
{
        _cleanup_machine_ Machine m;

        machine_init(&m);
        add_gpu(&m.gpus, "0000:02:00.0", "nouveau", NULL);
        add_all_loaded(&m, "535.261.03", true);
        add_build(&m, "535.261.03");
        check_refusal_code(&m, CODE_GPU_CLAIMED);
        m.config->take_over = true;
        check_plan(&m, PLAN_LOADED_OTHER, "clearing " LIVE);

        set_version(&m, "535.183.01");
        check_plan(&m, PLAN_LOADED_OTHER, "clearing " BUILD LIVE);
        check_text(m.plan.obstacles, "another version is loaded|GPU 0000:02:00.0 is bound to nouveau");
}
END_TEST

/* Taking over means loading again, and that of others is not unloaded. */
START_TEST(test_taken_beside_a_foreign_driver)
{
        _cleanup_machine_ Machine m;

        machine_init(&m);
        m.config->take_over = true;
        add_gpu(&m.gpus, "0000:02:00.0", "vfio-pci", NULL);
        add_all_loaded(&m, "535.261.03", false);
        check_refusal(&m, CODE_GPU_CLAIMED,
                        "GPU 0000:02:00.0 is bound to vfio-pci. It is not taken over, because the loaded "
                        "NVIDIA driver is somebody else's.");
}
END_TEST

/* A driver that the GPU would have if it were free is no obstacle once ours has it. */
START_TEST(test_not_taken)
{
        _cleanup_machine_ Machine m;

        machine_init(&m);
        add_gpu(&m.gpus, "0000:02:00.0", "nvidia", "vfio-pci");
        add_gpu(&m.gpus, "0000:03:00.0", NULL, "nvidia");
        add_gpu(&m.gpus, "0000:04:00.0", NULL, "nvidia-driverd-excluded");
        add_gpu(&m.excluded, "0000:05:00.0", "nouveau", NULL);
        check_plan(&m, PLAN_LOADED_NONE, BUILD LIVE);
        ck_assert_ptr_null(m.plan.warnings);
}
END_TEST

START_TEST(test_all_excluded)
{
        _cleanup_machine_ Machine m;

        machine_init(&m);
        gpu_facts_done(&m.gpus);
        add_gpu(&m.excluded, "0000:01:00.0", NULL, NULL);
        add_gpu(&m.excluded, "0000:02:00.0", NULL, NULL);
        check_refusal(&m, CODE_NO_GPU,
                        "There is 0000:01:00.0, 0000:02:00.0, but [Devices] in driverd.conf does not want it.");
        ck_assert_int_eq(strv_push(&m.config->include, "0000:05:00.0"), 0);
        check_refusal(&m, CODE_NO_GPU,
                        "There is 0000:01:00.0, 0000:02:00.0, but [Devices] in driverd.conf does not want it: "
                        "Include=0000:05:00.0.");
        check_text(m.plan.warnings,
                        "[Devices] Include=0000:05:00.0: there is no NVIDIA GPU at this address");
}
END_TEST

/* What was excluded and is not any more has no driver, and gets one only when the driver comes again. */
START_TEST(test_included_again)
{
        _cleanup_machine_ Machine m;

        machine_init(&m);
        add_gpu(&m.gpus, "0000:02:00.0", NULL, "nvidia-driverd-excluded");
        add_all_loaded(&m, "535.261.03", true);
        check_plan(&m, PLAN_LOADED_OTHER, "clearing " BUILD LIVE);
        ck_assert_str_eq(reason_of(&m.plan, FSM_CLEAR),
                        "GPU 0000:02:00.0 was excluded when the driver was loaded");
        ck_assert_str_eq(reason_of(&m.plan, FSM_ADOPT), "loaded driver: not as wanted");

        m.facts.owned = NULL;
        check_plan(&m, PLAN_LOADED_WANTED, "adopting awaiting-devices");
        check_text(m.plan.warnings, "GPU 0000:02:00.0 was excluded when the driver was loaded");
}
END_TEST

START_TEST(test_excluded_later)
{
        _cleanup_machine_ Machine m;

        machine_init(&m);
        add_gpu(&m.excluded, "0000:02:00.0", "nvidia", NULL);
        add_all_loaded(&m, "535.261.03", true);
        check_plan(&m, PLAN_LOADED_WANTED, "adopting awaiting-devices");
        check_text(m.plan.warnings,
                        "GPU 0000:02:00.0 is excluded, but the driver has it until it is loaded again");
        ck_assert_str_eq(reason_of(&m.plan, FSM_AWAIT_DEVICES),
                        "card and render node of 1 GPU, and the driver's own nodes");
}
END_TEST

START_TEST(test_services)
{
        _cleanup_machine_ Machine m;
        char *expected = NULL;

        machine_init(&m);
        check_plan(&m, PLAN_LOADED_NONE, BUILD LIVE);
        ck_assert_str_eq(reason_of(&m.plan, FSM_SERVICES),
                        "nvidia-persistenced: not installed, nv-fabricmanager: no NVSwitch is on the PCI bus");

        ck_assert_int_eq(config_assign(m.config, "ServiceCommands", "exporter", "/bin/exporter", &expected),
                        0);
        check_plan(&m, PLAN_LOADED_NONE, BUILD LIVE " starting-services");
        ck_assert_str_eq(reason_of(&m.plan, FSM_SERVICES), "exporter");
        ck_assert_uint_eq(m.plan.services.n, 1);

        /* Nothing to start, but something to end. */
        ck_assert_int_eq(config_assign(m.config, "ServiceCommands", "exporter", "", &expected), 0);
        ck_assert_int_eq(strv_push(&m.services.kept, "exporter"), 0);
        check_plan(&m, PLAN_LOADED_NONE, BUILD LIVE " starting-services");
        ck_assert_str_eq(reason_of(&m.plan, FSM_SERVICES), "ending exporter");
}
END_TEST

static void set_parameters(Machine *m, const char *module, const char *text)
{
        char *expected = NULL;

        ck_assert_int_eq(config_assign(m->config, "Parameters", module, text, &expected), 0);
}

START_TEST(test_unknown_parameter)
{
        _cleanup_machine_ Machine m;
        BuildManifest *b;

        machine_init(&m);
        b = add_build(&m, "535.261.03");
        set_parameters(&m, "nvidia", "NVreg_EnabelMSI=1");
        check_plan(&m, PLAN_LOADED_NONE, LIVE); /* an older manifest does not tell */
        ck_assert_int_eq(strv_split("NVreg_EnableMSI NVreg_Other", " ", &b->files[0].parameters), 0);
        /* The kernel loads it all the same. */
        check_plan(&m, PLAN_LOADED_NONE, LIVE);
        ck_assert_int_eq(m.plan.lack, CODE_PARAMETER_UNKNOWN);
        ck_assert_str_eq(m.plan.lack_detail,
                        "Module nvidia has no parameter NVreg_EnabelMSI; did you mean NVreg_EnableMSI?");

        /* What is loaded with other parameters is no worse than what is configured now. */
        add_all_loaded(&m, "535.261.03", true);
        ck_assert_int_eq(str_replace(&m.modules.items[0].loaded_with, "NVreg_EnableMSI=1"), 0);
        check_plan(&m, PLAN_LOADED_WANTED, "adopting awaiting-devices");
        ck_assert_int_eq(m.plan.lack, CODE_PARAMETER_UNKNOWN);
}
END_TEST

/* A driver that works and is not all that is wanted, and a source that is of no use. */
static void init_live(Machine *m, const char *version, bool bound)
{
        machine_init(m);
        add_loaded(m, "nvidia", version, MOD_LIVE, false);
        m->source_judgement.code = CODE_SOURCE_MISSING;
        if (bound)
                ck_assert_int_eq(str_replace(&m->gpus.items[0].driver, "nvidia"), 0);
}

START_TEST(test_live)
{
        _cleanup_machine_ Machine m;

        init_live(&m, "535.261.03", true);
        check_plan(&m, PLAN_LOADED_WANTED, "adopting awaiting-devices");
        ck_assert(m.plan.live);
        ck_assert_int_eq(m.plan.lack, CODE_SOURCE_MISSING);
        ck_assert_ptr_nonnull(strstr(m.plan.lack_detail, "nvidia-drm"));
}
END_TEST

/* No GPU is driven by it; it is somebody else's and of another version. */
START_TEST(test_live_refused)
{
        _cleanup_machine_ Machine m;

        init_live(&m, _i == 0 ? "535.261.03" : "470.1", _i != 0);
        if (_i == 1)
                ck_assert_int_eq(str_replace(&m.config->driver_version, "535.261.03"), 0);
        make(&m);
        ck_assert_int_eq(m.plan.code, _i == 0 ? CODE_SOURCE_MISSING : CODE_FOREIGN_DRIVER);
        ck_assert_int_eq(m.plan.lack, CODE_OK);
        ck_assert(!m.plan.live);
}
END_TEST

/* What is missing is never built from a source of another version than what is loaded. */
START_TEST(test_live_other_source)
{
        _cleanup_machine_ Machine m;

        init_live(&m, "470.1", true);
        m.source_judgement.code = CODE_OK;
        check_plan(&m, PLAN_LOADED_WANTED, "adopting awaiting-devices");
        ck_assert_int_eq(m.plan.lack, CODE_SOURCE_VERSION);
}
END_TEST

START_TEST(test_other_parameters)
{
        _cleanup_machine_ Machine m;

        machine_init(&m);
        add_all_loaded(&m, "535.261.03", true);
        add_build(&m, "535.261.03");
        set_parameters(&m, "nvidia", "NVreg_A=1 NVreg_B=2");
        check_plan(&m, PLAN_LOADED_WANTED, "adopting awaiting-devices"); /* not on record */
        ck_assert_int_eq(str_replace(&m.modules.items[0].loaded_with, "NVreg_B=2 NVreg_A=1"), 0);
        check_plan(&m, PLAN_LOADED_WANTED, "adopting awaiting-devices");
        ck_assert_int_eq(str_replace(&m.modules.items[0].loaded_with, ""), 0);
        check_plan(&m, PLAN_LOADED_OTHER, "clearing " LIVE);
        ck_assert_str_eq(reason_of(&m.plan, FSM_CLEAR), "module nvidia was loaded with other parameters");
        ck_assert_int_eq(str_replace(&m.modules.items[1].loaded_with, "uvm_x=1"), 0);
        make(&m);
        ck_assert_uint_eq(strv_length(m.plan.obstacles), 2);
}
END_TEST

START_TEST(test_foreign_parameters)
{
        _cleanup_machine_ Machine m;

        machine_init(&m);
        add_all_loaded(&m, "535.261.03", false);
        set_parameters(&m, "nvidia-drm", "modeset=1 fbdev=1 other=1");
        ck_assert_int_eq(strv_split("modeset=Y fbdev=N", " ", &m.modules.items[3].parameters), 0);
        check_plan(&m, PLAN_LOADED_WANTED, "adopting awaiting-devices");
        check_text(m.plan.warnings, "Module nvidia_drm, not loaded by us, has fbdev=N, not 1");
}
END_TEST

START_TEST(test_wish)
{
        static const struct {
                DriverChoice choice;
                DriverType type;
        } types[] = {
                { DRIVER_CHOICE_AUTO, _DRIVER_TYPE_INVALID },
                { DRIVER_CHOICE_OPEN, DRIVER_OPEN },
                { DRIVER_CHOICE_PROPRIETARY, DRIVER_PROPRIETARY },
        };
        _cleanup_machine_ Machine m;

        machine_init(&m);
        set_version(&m, "535");
        for (size_t i = 0; i < ELEMENTSOF(types); i++) {
                BuildWish wish;

                m.config->driver_type = types[i].choice;
                wish = plan_wish(m.config, &m.kernel, NULL);
                ck_assert_int_eq(wish.driver_type, types[i].type);
                ck_assert_ptr_eq(wish.kernel, &m.kernel);
                ck_assert_str_eq(wish.driver_version, "535");
                ck_assert_ptr_eq(wish.modules, m.config->modules);
        }
}
END_TEST

/*
 * Signatures. Builds of the store, oldest first: u unsigned, o signed by our
 * key, v by the vendor's. The configured key: no, ok, bad (it does not match),
 * gone (its certificate cannot be read either). The kernel: off enforces
 * nothing, vendor and both have these keys, unsure does not show its keys.
 */
typedef struct SigningCase {
        const char *builds, *key, *kernel;
        Code code;
        int build, base; /* which of the builds; -1: none */
        const char *stages;
} SigningCase;

#define SIGN "linking publishing "

static const SigningCase signing_cases[] = {
        { "", "no", "off", CODE_OK, -1, -1, BUILD LIVE },
        { "u", "no", "off", CODE_OK, 0, -1, LIVE },
        { "o", "no", "off", CODE_OK, 0, -1, LIVE },
        /* A key: what is made is signed, what is there is signed without compiling. */
        { "", "ok", "off", CODE_OK, -1, -1, BUILD LIVE },
        { "u", "ok", "off", CODE_OK, -1, 0, SIGN LIVE },
        { "v", "ok", "off", CODE_OK, -1, 0, SIGN LIVE },
        { "o", "ok", "off", CODE_OK, 0, -1, LIVE },
        { "ou", "ok", "off", CODE_OK, 0, -1, LIVE },
        { "oov", "ok", "off", CODE_OK, 1, -1, LIVE },
        /* A key that is of no use stops a build, but not a load. */
        { "", "bad", "off", CODE_KEY_UNUSABLE, -1, -1, "" },
        { "", "gone", "off", CODE_KEY_UNUSABLE, -1, -1, "" },
        { "u", "bad", "off", CODE_OK, 0, -1, LIVE },
        { "uo", "bad", "off", CODE_OK, 1, -1, LIVE },
        { "ou", "bad", "off", CODE_OK, 0, -1, LIVE },
        { "u", "gone", "off", CODE_OK, 0, -1, LIVE },
        /* Enforced: refused before anything is compiled or loaded. */
        { "", "no", "vendor", CODE_SIGNATURE_REQUIRED, -1, -1, "" },
        { "u", "no", "vendor", CODE_SIGNATURE_REQUIRED, 0, -1, "" },
        { "o", "no", "vendor", CODE_SIGNATURE_REQUIRED, 0, -1, "" },
        { "", "ok", "vendor", CODE_SIGNATURE_REQUIRED, -1, -1, "" },
        { "u", "ok", "vendor", CODE_SIGNATURE_REQUIRED, -1, 0, "" },
        { "o", "ok", "vendor", CODE_SIGNATURE_REQUIRED, -1, 0, "" },
        { "u", "bad", "vendor", CODE_KEY_UNUSABLE, -1, 0, "" },
        { "", "gone", "both", CODE_KEY_UNUSABLE, -1, -1, "" },
        { "u", "no", "unsure", CODE_SIGNATURE_REQUIRED, 0, -1, "" },
        /* Enforced, and a build or a key that the kernel takes. */
        { "v", "no", "vendor", CODE_OK, 0, -1, LIVE },
        { "vu", "no", "vendor", CODE_OK, 0, -1, LIVE },
        { "vu", "ok", "vendor", CODE_OK, 0, -1, LIVE },
        { "vo", "ok", "vendor", CODE_OK, 0, -1, LIVE },
        { "", "ok", "both", CODE_OK, -1, -1, BUILD LIVE },
        { "u", "ok", "both", CODE_OK, -1, 0, SIGN LIVE },
        { "uov", "ok", "both", CODE_OK, 1, -1, LIVE },
        { "o", "gone", "both", CODE_OK, 0, -1, LIVE },
        /* Enforced, and whether the key is known cannot be told: the kernel decides. */
        { "o", "no", "unsure", CODE_OK, 0, -1, LIVE },
        { "", "ok", "unsure", CODE_OK, -1, -1, BUILD LIVE },
        { "u", "ok", "unsure", CODE_OK, -1, 0, SIGN LIVE },
};

static const Signer our_key = { .name = (char *)"Our Key",
        .issuer = (char *)"Our Key",
        .serial = (char *)"01",
        .key_id = (char *)"aa",
        .fingerprint = (char *)"f1" };
static const Signer vendor_key = { .name = (char *)"Vendor",
        .issuer = (char *)"Vendor",
        .serial = (char *)"02",
        .key_id = (char *)"bb",
        .fingerprint = (char *)"f2" };

static void set_key(Machine *m, const char *key)
{
        m->signing.wanted = !streq(key, "no");
        if (m->signing.wanted && !streq(key, "gone"))
                ck_assert_int_eq(signer_copy(&our_key, &m->signing.signer), 0);
        if (streq(key, "bad") || streq(key, "gone")) {
                m->signing.code = CODE_KEY_UNUSABLE;
                m->signing.detail = strdup("it is broken");
        }
}

static void set_kernel(Machine *m, const char *kernel)
{
        m->enforcement.sig_enforce = streq(kernel, "off") ? KNOWN_NO : KNOWN_YES;
        m->enforcement.all_keys = !streq(kernel, "unsure");
        if (streq(kernel, "vendor") || streq(kernel, "both"))
                ck_assert_int_eq(strv_push(&m->enforcement.keys, "bb"), 0);
        if (streq(kernel, "both"))
                ck_assert_int_eq(strv_push(&m->enforcement.keys, "aa"), 0);
}

static void machine_sign(Machine *m, const SigningCase *k)
{
        machine_init(m);
        for (size_t i = 0; k->builds[i]; i++) {
                BuildManifest *b = add_build(m, "535.261.03");

                b->created = str_format("2026-11-%02zuT00:00:00Z", i + 1);
                if (k->builds[i] != 'u')
                        ck_assert_int_eq(signer_copy(k->builds[i] == 'o' ? &our_key : &vendor_key,
                                                         &b->signer),
                                        0);
        }
        set_key(m, k->key);
        set_kernel(m, k->kernel);
}

START_TEST(test_signing)
{
        const SigningCase *k = &signing_cases[_i];
        _cleanup_free_ char *got = NULL;
        _cleanup_machine_ Machine m;
        bool makes;

        machine_sign(&m, k);
        make(&m);
        ck_assert_msg(m.plan.code == k->code, "%s: %s", code_to_string(m.plan.code), strna(m.plan.detail));
        ck_assert_int_eq(m.plan.detail != NULL, k->code != CODE_OK);
        ck_assert_ptr_eq(m.plan.build, k->build < 0 ? NULL : &m.builds.items[k->build]);
        ck_assert_ptr_eq(m.plan.base, k->base < 0 ? NULL : &m.builds.items[k->base]);
        got = running(&m.plan);
        ck_assert_str_eq(got, k->stages);
        makes = k->build < 0 && m.signing.wanted;
        ck_assert_int_eq(m.plan.sign, makes);
        ck_assert_ptr_nonnull(m.plan.signature);
}
END_TEST

/* What is loaded as wanted stays, whatever its build is signed with, and whatever the kernel wants by now.
 */
START_TEST(test_signing_loaded)
{
        _cleanup_machine_ Machine m;

        machine_sign(&m, &signing_cases[_i]);
        add_all_loaded(&m, "535.261.03", true);
        check_plan(&m, PLAN_LOADED_WANTED, "adopting awaiting-devices");
        ck_assert(!m.plan.sign);
        ck_assert_ptr_null(m.plan.base);
        ck_assert_int_eq(m.plan.build != NULL, m.builds.n > 0);
}
END_TEST

START_TEST(test_signing_words)
{
        static const SigningCase k = { .builds = "u", .key = "ok", .kernel = "both" };
        _cleanup_machine_ Machine m;

        machine_sign(&m, &k);
        make(&m);
        ck_assert_str_eq(m.plan.signature, "enforced (module.sig_enforce), build to be signed by 'Our Key'");
        ck_assert_str_eq(reason_of(&m.plan, FSM_COMPILE), "build build-535.261.03 only has to be signed");
        ck_assert_str_eq(reason_of(&m.plan, FSM_LINK), "sign build build-535.261.03 as 'Our Key'");

        build_manifests_done(&m.builds);
        make(&m);
        ck_assert_str_eq(reason_of(&m.plan, FSM_LINK),
                        "interfaces with NVIDIA's core objects, signed as 'Our Key'");

        strv_free(TAKE_PTR(m.enforcement.keys));
        check_refusal(&m, CODE_SIGNATURE_REQUIRED,
                        "Signatures are enforced (module.sig_enforce), and the kernel does not have the key of 'Our Key' "
                        "(id aa) that the build to be made is signed with.");
        m.signing.wanted = false;
        signer_done(&m.signing.signer);
        add_build(&m, "535.261.03");
        check_refusal(&m, CODE_SIGNATURE_REQUIRED,
                        "Signatures are enforced (module.sig_enforce), and build build-535.261.03 is not signed.");
        ck_assert_str_eq(m.plan.signature, "enforced (module.sig_enforce), build unsigned");
}
END_TEST

static void share(BuildManifests *l, Machine *m, const char *version, const char *directory,
                const Signer *signer)
{
        BuildManifest *b = add_build(m, version);

        b->directory = str_format("%s/%s", directory, b->id);
        if (signer)
                ck_assert_int_eq(signer_copy(signer, &b->signer), 0);
        ck_assert_int_eq(build_manifests_add(l, b), 0);
        m->builds.n--;
        m->facts.shared = l;
}

/* What a shared store has is a matter of where it is wanted, of the stores' order, and of signatures. */
START_TEST(test_shared)
{
        _cleanup_machine_ Machine m;
        _cleanup_(build_manifests_done) BuildManifests shared = {};

        machine_init(&m);
        make(&m);
        ck_assert(m.plan.lacking && !m.plan.shared);

        share(&shared, &m, "535.261.03", "/a", NULL);
        share(&shared, &m, "550.1", "/b", NULL);
        check_plan(&m, PLAN_LOADED_NONE, "publishing loading awaiting-devices");
        ck_assert_str_eq(m.plan.shared->directory, "/a/build-535.261.03");
        ck_assert_str_eq(reason_of(&m.plan, FSM_PUBLISH), "a copy of /a/build-535.261.03");

        /* Without sources any version will do, of the first store that has one. */
        m.source_judgement.code = CODE_SOURCE_MISSING;
        make(&m);
        ck_assert_str_eq(m.plan.shared->directory, "/a/build-535.261.03");
        set_version(&m, "550.1");
        make(&m);
        ck_assert_str_eq(m.plan.shared->directory, "/b/build-550.1");
        build_manifests_remove(&shared, m.plan.shared);
        make(&m);
        ck_assert(m.plan.lacking && !m.plan.shared);
        ck_assert_int_eq(m.plan.code, CODE_SOURCE_MISSING);

        /* Nobody looks there if the driver is loaded, if the store has a build, or when falling back. */
        set_version(&m, "535.261.03");
        m.facts.fall_back = true;
        make(&m);
        ck_assert(!m.plan.lacking && !m.plan.shared);
        m.facts.fall_back = false;
        (void)add_build(&m, "535.261.03");
        make(&m);
        ck_assert(!m.plan.lacking && !m.plan.shared && m.plan.build);
        build_manifests_done(&m.builds);
        add_all_loaded(&m, "535.261.03", true);
        make(&m);
        ck_assert(!m.plan.lacking && !m.plan.shared);
}
END_TEST

START_TEST(test_shared_signatures)
{
        _cleanup_machine_ Machine m;
        _cleanup_(build_manifests_done) BuildManifests shared = {};

        machine_init(&m);
        set_kernel(&m, "unsure");
        share(&shared, &m, "535.261.03", "/a", NULL);
        make(&m);
        ck_assert(m.plan.lacking && !m.plan.shared);

        /* The own one is refused by the kernel, that of the other store is not. */
        (void)add_build(&m, "535.261.03");
        share(&shared, &m, "535.261.03", "/b", &our_key);
        make(&m);
        ck_assert_int_eq(m.plan.code, CODE_OK);
        ck_assert_ptr_null(m.plan.build);
        ck_assert(!m.plan.sign && !m.plan.shared_is_base);
        ck_assert_str_eq(m.plan.shared->directory, "/b/build-535.261.03");

        /* With a key the first one will do: it is signed here. */
        build_manifests_done(&m.builds);
        set_key(&m, "ok");
        make(&m);
        ck_assert(m.plan.sign && m.plan.shared_is_base);
        ck_assert_str_eq(m.plan.shared->directory, "/a/build-535.261.03");
}
END_TEST

START_TEST(test_names)
{
        for (PlanLoaded a = 0; a < _PLAN_LOADED_MAX; a++)
                for (PlanLoaded b = 0; b < a; b++)
                        ck_assert_str_ne(plan_loaded_to_string(a), plan_loaded_to_string(b));
        ck_assert_str_eq(plan_loaded_to_string(_PLAN_LOADED_MAX), "invalid");
        ck_assert_str_eq(plan_loaded_to_string(_PLAN_LOADED_INVALID), "invalid");
}
END_TEST

/* Refused before anything is loaded; what is loaded is not taken away for it. */
START_TEST(test_blocked_nodes)
{
        char *commands[] = { (char *)"rm /dev/nvidiactl", (char *)"rmdir /dev/nvidia0", NULL };

        for (unsigned i = 0; i < 2; i++) {
                _cleanup_machine_ Machine m;

                machine_init(&m);
                m.facts.blocked = commands;
                if (i == 0) {
                        check_refusal(&m, CODE_NODE_BLOCKED,
                                        "To remove it: rm /dev/nvidiactl; rmdir /dev/nvidia0");
                } else {
                        add_all_loaded(&m, "535.261.03", true);
                        ck_assert_int_eq(plan_make(m.config, &m.facts, &m.plan), 0);
                        ck_assert_int_eq(m.plan.code, CODE_OK);
                }
        }
}
END_TEST

UNIT_MAIN("plan", UNIT_TEST(test_blocked_nodes), UNIT_TEST(test_cold), UNIT_LOOP(test_prepare, 2),
                UNIT_TEST(test_warm), UNIT_TEST(test_warm_for_another_kernel), UNIT_TEST(test_adopt_ours),
                UNIT_TEST(test_adopt_foreign), UNIT_TEST(test_adopt_builtin),
                UNIT_TEST(test_adopt_without_version), UNIT_TEST(test_partial),
                UNIT_TEST(test_partial_without_build), UNIT_TEST(test_only_going),
                UNIT_TEST(test_another_version_of_ours), UNIT_TEST(test_newer_build_in_store),
                UNIT_TEST(test_srcversion), UNIT_TEST(test_foreign_version), UNIT_TEST(test_others_on_ours),
                UNIT_TEST(test_surplus), UNIT_TEST(test_foreign_surplus),
                UNIT_TEST(test_kernel_without_unload), UNIT_TEST(test_foreign_without_nvidia),
                UNIT_TEST(test_no_gpu), UNIT_LOOP(test_source_refused, ELEMENTSOF(source_codes)),
                UNIT_TEST(test_no_tree), UNIT_TEST(test_builds_for_others),
                UNIT_LOOP(test_tree_refused, ELEMENTSOF(bad_trees)), UNIT_TEST(test_spare),
                UNIT_TEST(test_fallback), UNIT_LOOP(test_no_spare, 6), UNIT_TEST(test_without_drm),
                UNIT_TEST(test_two_gpus), UNIT_TEST(test_taken), UNIT_TEST(test_taken_by_nouveau),
                UNIT_TEST(test_taken_beside_a_loaded_driver), UNIT_TEST(test_taken_beside_a_foreign_driver),
                UNIT_TEST(test_not_taken), UNIT_TEST(test_all_excluded), UNIT_TEST(test_included_again),
                UNIT_TEST(test_excluded_later), UNIT_TEST(test_unknown_parameter), UNIT_TEST(test_live),
                UNIT_LOOP(test_live_refused, 2), UNIT_TEST(test_live_other_source),
                UNIT_TEST(test_other_parameters), UNIT_TEST(test_foreign_parameters), UNIT_TEST(test_wish),
                UNIT_LOOP(test_signing, ELEMENTSOF(signing_cases)),
                UNIT_LOOP(test_signing_loaded, ELEMENTSOF(signing_cases)), UNIT_TEST(test_signing_words),
                UNIT_TEST(test_shared), UNIT_TEST(test_shared_signatures), UNIT_TEST(test_names),
                UNIT_TEST(test_services))
