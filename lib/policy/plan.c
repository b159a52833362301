/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The plan. First what is loaded is held against what is wanted: a driver that
 * is there as wanted is adopted and nothing else happens to it. Then, if
 * modules have to be loaded, the cheapest way to get them: a build in the
 * store, else sources and a kernel tree. A plan that cannot work says so with
 * one code before anything is touched.
 */

#include "base/result.h"
#include "base/str.h"
#include "policy/claims.h"
#include "policy/drivertype.h"
#include "policy/modstack.h"
#include "policy/plan-internal.h"

static const char *const loaded_names[_PLAN_LOADED_MAX] = {
        [PLAN_LOADED_NONE] = "none",
        [PLAN_LOADED_WANTED] = "as wanted",
        [PLAN_LOADED_PART] = "in part",
        [PLAN_LOADED_OTHER] = "not as wanted",
        [PLAN_LOADED_FOREIGN] = "not as wanted, not ours",
};

const char *plan_loaded_to_string(PlanLoaded loaded)
{
        return loaded >= 0 && loaded < _PLAN_LOADED_MAX ? loaded_names[loaded] : "invalid";
}

void plan_done(Plan *plan)
{
        for (size_t i = 0; i < plan->n_steps; i++)
                free(plan->steps[i].reason);
        free(plan->steps);
        service_plan_done(&plan->services);
        free(plan->detail);
        free(plan->lack_detail);
        free(plan->signature);
        strv_free(plan->warnings);
        strv_free(plan->obstacles);
        *plan = (Plan){};
}

unsigned plan_mask(const Plan *plan)
{
        unsigned mask = 0;

        for (size_t i = 0; i < plan->n_steps; i++)
                if (plan->steps[i].run)
                        mask |= FSM_STEP(plan->steps[i].state);
        return mask;
}

static int add_step(Plan *plan, FsmState state, bool run, const char *format, ...) _printf_(4, 5);
static int add_step(Plan *plan, FsmState state, bool run, const char *format, ...)
{
        PlanStep *grown = reallocarray(plan->steps, plan->n_steps + 1, sizeof(*grown));
        va_list ap;
        int n;

        if (!grown)
                return err_origin(-ENOMEM);
        plan->steps = grown;
        grown[plan->n_steps] = (PlanStep){ .state = state, .run = run };
        va_start(ap, format);
        n = vasprintf(&grown[plan->n_steps].reason, format, ap);
        va_end(ap);
        if (n < 0)
                return err_origin(-ENOMEM);
        plan->n_steps++;
        return 0;
}

int plan_refuse(Plan *plan, Code code, char *detail)
{
        if (!detail)
                return err_origin(-ENOMEM);
        free(plan->detail);
        plan->code = code;
        plan->detail = detail;
        return 0;
}

static bool is_loaded(const ModuleFact *m)
{
        return m && m->state != MOD_ABSENT && m->state != MOD_GOING;
}

/* What the driver's version has to be; NULL if any will do. */
static const char *wanted_version(const Config *config, const Plan *plan)
{
        const BuildManifest *build = plan->build ? plan->build : plan->base;

        if (config->driver_version && !plan->fallback)
                return config->driver_version;
        return build ? build->driver_version : NULL;
}

static bool module_is_wanted_one(const ModuleFact *m, const char *version, const BuildManifest *build)
{
        const BuildFile *file = build ? build_manifest_module(build, m->name) : NULL;

        /* uvm and drm of some drivers carry no MODULE_VERSION: what is not said cannot differ. */
        if (version && m->version && !driver_version_matches(m->version, version))
                return false;
        return !file || !file->srcversion || !m->srcversion || streq(file->srcversion, m->srcversion);
}

/* Ours to take out again: on record, and of a kind that can be. */
static bool is_ours(const PlanFacts *facts, const ModuleFact *m)
{
        return strv_contains(facts->owned, m->name) && m->state != MOD_BUILTIN &&
               !(m->state == MOD_LIVE && m->refcnt < 0);
}

/* Whoever loaded nvidia itself has the driver; what others put on top of ours goes with it. */
static bool is_foreign(const PlanFacts *facts)
{
        const ModuleFact *nvidia = module_facts_find(facts->modules, "nvidia");

        if (is_loaded(nvidia))
                return !is_ours(facts, nvidia);
        for (size_t i = 0; i < facts->modules->n; i++) {
                const ModuleFact *m = &facts->modules->items[i];

                if (is_loaded(m) && modstack_is_driver(m->name) && !is_ours(facts, m))
                        return true;
        }
        return false;
}

/* Loaded by us for an earlier configuration, and not wanted by this one. */
static bool is_surplus(const Config *config, const PlanFacts *facts, const ModuleFact *m)
{
        STRV_FOREACH (name, config->modules)
                if (modname_eq(*name, m->name))
                        return false;
        return is_ours(facts, m);
}

static PlanLoaded judge_loaded(const Config *config, const PlanFacts *facts, Plan *plan)
{
        const char *version = wanted_version(config, plan);
        size_t n_there = 0, n_differ = 0;

        plan->foreign = is_foreign(facts);
        for (size_t i = 0; i < facts->modules->n; i++) {
                const ModuleFact *m = &facts->modules->items[i];

                if (!is_loaded(m) || !modstack_is_driver(m->name))
                        continue;
                if (!module_is_wanted_one(m, version, plan->build ? plan->build : plan->base))
                        n_differ++;
                else if (!plan->foreign && is_surplus(config, facts, m))
                        plan->surplus = true;
        }
        STRV_FOREACH (name, config->modules)
                n_there += is_loaded(module_facts_find(facts->modules, *name));

        if (n_differ > 0)
                return plan->foreign ? PLAN_LOADED_FOREIGN : PLAN_LOADED_OTHER;
        if (plan->surplus)
                return PLAN_LOADED_OTHER;
        if (n_there == strv_length(config->modules))
                return PLAN_LOADED_WANTED;
        return n_there > 0 ? PLAN_LOADED_PART : PLAN_LOADED_NONE;
}

static bool needs_load(const Plan *plan)
{
        return plan->loaded != PLAN_LOADED_WANTED;
}

/* What is missing has to be of the version that is loaded. */
static bool fits_loaded(const PlanFacts *facts, const DriverSource *source)
{
        const ModuleFact *nvidia = module_facts_find(facts->modules, "nvidia");

        return !nvidia || !nvidia->version || !source->version || streq(nvidia->version, source->version);
}

static int refuse_misfit(const PlanFacts *facts, Plan *plan)
{
        return err_trace(plan_refuse(plan, CODE_SOURCE_VERSION,
                        str_format("Version %s is loaded, the source %s is of version %s.",
                                        module_facts_find(facts->modules, "nvidia")->version,
                                        plan->source->path, plan->source->version)));
}

/* A build cannot be had from the store: can one be made? */
static int plan_build(const Config *config, const PlanFacts *facts, Plan *plan)
{
        const SourceJudgement *source = facts->source;
        _cleanup_free_ char *none = NULL;

        if (source->code != CODE_OK)
                return err_trace(plan_refuse_unserved(config, facts, plan, source->code, source->evidence));
        if (source->warning && strv_push(&plan->warnings, source->warning))
                return err_origin(-ENOMEM);
        plan->source = &facts->sources->items[source->index];
        if (plan->loaded == PLAN_LOADED_PART && !fits_loaded(facts, plan->source))
                return err_trace(refuse_misfit(facts, plan));
        plan->toolchain = config->toolchain_root && !facts->has_inside;

        if (plan->toolchain && (!facts->tree || (facts->tree->code != CODE_OK &&
                                                                facts->tree->verdict != TREE_DIRTY)))
                return 0;
        if (!facts->tree) {
                none = str_format("Kernel %s has none.", facts->kernel->release);
                if (!none)
                        return err_origin(-ENOMEM);
                return err_trace(plan_refuse_unserved(config, facts, plan, CODE_TREE_MISSING, none));
        }
        plan->tree = &facts->trees->items[facts->tree_index];
        plan->tree_verdict = facts->tree->verdict;
        /* A source that is not clean is prepared from a copy of links, so it is no obstacle. */
        if (facts->tree->code != CODE_OK && facts->tree->verdict != TREE_DIRTY)
                return err_trace(plan_refuse_unserved(
                                config, facts, plan, facts->tree->code, facts->tree->evidence));
        return 0;
}

static int add_signing_steps(const PlanFacts *facts, Plan *plan)
{
        int r;

        r = add_step(plan, FSM_PREPARE, false, "build %s only has to be signed", strna(plan->base->id));
        if (r == 0)
                r = add_step(plan, FSM_COMPILE, false, "build %s only has to be signed",
                                strna(plan->base->id));
        if (r == 0)
                r = add_step(plan, FSM_LINK, true, "sign build %s as '%s'", strna(plan->base->id),
                                signer_name(&facts->signing->signer));
        return r ? err_trace(r) : err_trace(add_step(plan, FSM_PUBLISH, true, "into the store"));
}

/* For people: CHECK copies it, and plans again with what it has then. */
static int add_copying_steps(const PlanFacts *facts, Plan *plan)
{
        const char *id = strna(plan->shared->id), *from = strempty(plan->shared->directory);
        int r = 0;

        for (FsmState s = FSM_PREPARE; r == 0 && s < FSM_LINK; s++)
                r = add_step(plan, s, false, "build %s is in a shared store", id);
        if (r == 0 && plan->shared_is_base)
                r = add_step(plan, FSM_LINK, true, "sign it as '%s'", signer_name(&facts->signing->signer));
        else if (r == 0)
                r = add_step(plan, FSM_LINK, false, "build %s is in a shared store", id);
        return r ? err_trace(r) : err_trace(add_step(plan, FSM_PUBLISH, true, "a copy of %s", from));
}

static int add_compile_step(const Config *config, const PlanFacts *facts, Plan *plan)
{
        const DriverSource *s = plan->source;
        const char *version = strna(s->version), *slash = s->folder ? "/" : "",
                   *folder = strempty(s->folder), *in = config->toolchain_root ? ", in " : "",
                   *root = strempty(config->toolchain_root);

        if (!facts->source->reason)
                return err_trace(add_step(plan, FSM_COMPILE, true, "driver %s from %s%s%s%s%s", version,
                                s->path, slash, folder, in, root));
        return err_trace(add_step(plan, FSM_COMPILE, true, "driver %s from %s%s%s%s%s, the %s modules: %s",
                        version, s->path, slash, folder, in, root, driver_type_to_string(s->type),
                        facts->source->reason));
}

static int add_build_steps(const Config *config, const PlanFacts *facts, Plan *plan)
{
        bool make = needs_load(plan) && !plan->build;
        const char *why = needs_load(plan) ? "a build for this kernel is in the store"
                                           : "the driver is loaded already";
        int r;

        if (!make) {
                r = add_step(plan, FSM_PREPARE, false, "%s", why);
                if (r == 0)
                        r = add_step(plan, FSM_COMPILE, false, "%s", why);
                if (r == 0)
                        r = add_step(plan, FSM_LINK, false, "%s", why);
                return r ? err_trace(r) : err_trace(add_step(plan, FSM_PUBLISH, false, "%s", why));
        }

        if (plan->shared)
                return err_trace(add_copying_steps(facts, plan));
        if (plan->base)
                return err_trace(add_signing_steps(facts, plan));
        r = plan_build(config, facts, plan);
        if (r || plan->code != CODE_OK)
                return err_trace(r);
        if (!plan->tree)
                r = add_step(plan, FSM_PREPARE, true,
                                "if a kernel tree in the toolchain root needs it; the host has none");
        else if (plan->tree_verdict == TREE_READY)
                r = add_step(plan, FSM_PREPARE, false, "kernel tree %s is ready", plan->tree->path);
        else
                r = add_step(plan, FSM_PREPARE, true, "kernel source %s, out of tree", plan->tree->path);
        if (r == 0)
                r = add_compile_step(config, facts, plan);
        if (r == 0)
                r = add_step(plan, FSM_LINK, true, "interfaces with NVIDIA's core objects%s%s%s",
                                plan->sign ? ", signed as '" : "",
                                plan->sign ? signer_name(&facts->signing->signer) : "",
                                plan->sign ? "'" : "");
        return r ? err_trace(r) : err_trace(add_step(plan, FSM_PUBLISH, true, "into the store"));
}

static int add_live_steps(const Config *config, const PlanFacts *facts, Plan *plan)
{
        bool drm = false;
        int r;

        if (needs_load(plan))
                r = plan->build    ? add_step(plan, FSM_LOAD, true, "build %s", strna(plan->build->id))
                    : plan->shared ? add_step(plan, FSM_LOAD, true, "build %s", strna(plan->shared->id))
                                   : add_step(plan, FSM_LOAD, true, "the build made now");
        else
                r = add_step(plan, FSM_LOAD, false, "the driver is loaded already");
        if (r)
                return err_trace(r);

        STRV_FOREACH (name, config->modules)
                drm = drm || modname_eq(*name, "nvidia_drm");
        if (drm)
                r = add_step(plan, FSM_AWAIT_DEVICES, true, "card and render node of %zu GPU%s%s",
                                facts->gpus->n, facts->gpus->n == 1 ? "" : "s",
                                config->create_nodes ? ", and the driver's own nodes" : "");
        else if (config->create_nodes)
                r = add_step(plan, FSM_AWAIT_DEVICES, true, "the driver's own nodes");
        else
                r = add_step(plan, FSM_AWAIT_DEVICES, false,
                                "nvidia-drm is not wanted, other nodes are not made");
        if (r == 0)
                r = service_plan_make(config, facts->services, &plan->services);
        if (r)
                return err_trace(r);
        return err_trace(add_step(plan, FSM_SERVICES, service_plan_runs(&plan->services, facts->services),
                        "%s", plan->services.summary));
}

static int add_first_steps(const PlanFacts *facts, Plan *plan)
{
        bool adopt = plan->loaded == PLAN_LOADED_WANTED || plan->loaded == PLAN_LOADED_PART;
        _cleanup_free_ char *obstacles = strv_join(plan->obstacles, "; ");
        int r;

        if (!obstacles)
                return err_origin(-ENOMEM);
        r = add_step(plan, FSM_ADOPT, adopt, "loaded driver: %s%s", plan_loaded_to_string(plan->loaded),
                        adopt && plan->foreign ? ", not ours" : "");
        if (r == 0)
                r = add_step(plan, FSM_CLEAR, plan->obstacles, "%s",
                                plan->obstacles ? obstacles : "nothing is in the way");
        return err_trace(r);
}

BuildWish plan_wish(const Config *config, const KernelFact *kernel, const GpuFacts *gpus)
{
        BuildWish wish = {
                .kernel = kernel,
                .driver_version = config->driver_version,
                .driver_type = _DRIVER_TYPE_INVALID,
                /* NVIDIA's own list comes with driver sources, which a node with a build need not have. */
                .needed_type = gpus ? driver_type_needed(gpus, &(GpuSupport){}) : _DRIVER_TYPE_INVALID,
                .modules = config->modules,
        };

        if (config->driver_type == DRIVER_CHOICE_PROPRIETARY)
                wish.driver_type = DRIVER_PROPRIETARY;
        else if (config->driver_type == DRIVER_CHOICE_OPEN)
                wish.driver_type = DRIVER_OPEN;
        return wish;
}

static int make(const Config *config, const PlanFacts *facts, Plan *plan)
{
        int r;

        r = claims_explain_absent(facts->gpus, facts->excluded, config, &plan->warnings);
        if (r)
                return err_trace(r);
        if (facts->gpus->n == 0)
                return plan_refuse(plan, CODE_NO_GPU, claims_explain_none(facts->excluded, config));

        plan_choose_build(config, facts, plan);
        r = plan_choose_spare(config, facts, plan);
        if (r || plan->code != CODE_OK)
                return err_trace(r);
        plan->loaded = judge_loaded(config, facts, plan);
        /* What is loaded already is not signed any more. */
        if (!needs_load(plan) && !plan->build)
                plan->build = TAKE_PTR(plan->base);
        if (plan->loaded == PLAN_LOADED_FOREIGN) {
                const ModuleFact *m = module_facts_find(facts->modules, "nvidia");

                return plan_refuse(plan, CODE_FOREIGN_DRIVER,
                                str_format("Version %s is loaded, %s is wanted.",
                                                m ? strna(m->version) : "unknown",
                                                strna(wanted_version(config, plan))));
        }

        /* Whoever has that driver keeps it. */
        if (plan->loaded == PLAN_LOADED_OTHER && plan->fallback)
                return plan_refuse(plan, CODE_DRIVER_FALLBACK, strdup("Another driver is loaded."));
        if (plan->loaded == PLAN_LOADED_OTHER)
                r = strv_push(&plan->obstacles,
                                plan->surplus ? "modules are loaded that are not wanted any more"
                                              : "another version is loaded");
        if (r == 0)
                r = plan_check_gpus(config, facts, plan);
        if (r == 0 && plan->code == CODE_OK)
                r = plan_check_nodes(facts, plan);
        if (r == 0 && plan->code == CODE_OK)
                r = plan_check_parameters(config, facts, plan);
        if (r || plan->code != CODE_OK)
                return err_trace(r);

        plan_choose_shared(config, facts, plan, needs_load(plan));
        r = plan_check_signature(facts, plan, needs_load(plan));
        if (r == 0 && plan->code == CODE_OK)
                r = add_first_steps(facts, plan);
        if (r == 0 && plan->code == CODE_OK)
                r = add_build_steps(config, facts, plan);
        if (r == 0 && plan->code == CODE_OK)
                r = add_live_steps(config, facts, plan);
        return err_trace(r);
}

static int make_do(const Config *config, const PlanFacts *facts, Plan *plan)
{
        int r;

        r = plan_make_do(config, facts, plan);
        if (r || plan->code != CODE_OK)
                return err_trace(r);
        r = add_first_steps(facts, plan);
        if (r == 0)
                r = add_build_steps(config, facts, plan);
        return r ? err_trace(r) : err_trace(add_live_steps(config, facts, plan));
}

int plan_make(const Config *config, const PlanFacts *facts, Plan *ret)
{
        Plan plan = {};
        int r;

        r = make(config, facts, &plan);
        if (r == 0 && plan.code != CODE_OK)
                r = make_do(config, facts, &plan);
        if (r) {
                plan_done(&plan);
                return err_trace(r);
        }
        plan.live = plan.code == CODE_OK && plan_driver_works(facts) &&
                    (plan.loaded == PLAN_LOADED_WANTED || plan.loaded == PLAN_LOADED_PART);
        *ret = plan;
        return 0;
}
