/* SPDX-License-Identifier: Apache-2.0 */

/* Gathering facts is reading files; it decides one thing only: what need not be read. */

#include "base/result.h"
#include "base/str.h"
#include "facts.h"
#include "kept.h"
#include "loaded.h"
#include "nodeblock.h"
#include "policy/claims.h"
#include "signing.h"
#include "sys/driversource.h"
#include "sys/hostvermagic.h"
#include "sys/kernel.h"
#include "sys/lockdown.h"
#include "sys/pci.h"
#include "sys/servicefacts.h"
#include "sys/store.h"
#include "sys/supportjson.h"
#include "sys/sysmod.h"
#include "sys/treefacts.h"
#include "sys/treesupply.h"
#include "sys/writers.h"

void facts_done(Facts *f)
{
        kernel_fact_done(&f->kernel);
        gpu_facts_done(&f->gpus);
        gpu_facts_done(&f->excluded);
        module_facts_done(&f->modules);
        strv_free(f->owned);
        build_manifests_done(&f->builds);
        build_manifests_done(&f->shared);
        strv_free(f->problems);
        free(f->damaged);
        free(f->good);
        driver_sources_done(&f->sources);
        source_judgement_done(&f->source);
        tree_facts_list_done(&f->trees);
        tree_judgement_done(&f->tree);
        enforcement_facts_done(&f->enforcement);
        strv_free(f->blocked);
        signing_fact_done(&f->signing);
        service_facts_done(&f->services);
        *f = (Facts){};
}

static int gather_kernel(const Root *root, const Config *config, const FactsTarget *target, Facts *f)
{
        int r;

        if (target && target->release)
                return err_trace(str_replace(&f->kernel.release, target->release));

        r = kernel_read(root, &f->kernel);
        if (r)
                return r < 0 ? err_trace(r) : err_fold(r);
        /* What the host's own modules carry is what this kernel wants; without any, the release has to do.
         */
        r = hostvermagic_read(root, f->kernel.release, &f->kernel.vermagic,
                        config->signing_key ? &f->kernel.module_hash : NULL);
        return r < 0 ? err_trace(r) : 0;
}

static DriverType wanted_type(const Config *config)
{
        return plan_wish(config, NULL, NULL).driver_type;
}

static int gather_sources(const Root *root, const Config *config, Facts *f)
{
        _cleanup_(gpu_support_done) GpuSupport support = {};
        int r;

        r = driver_source_search(root, config->driver_source, config->driver_version, &f->sources);
        if (r == 0)
                r = supportjson_find(root, &f->sources, &support);
        if (r == 0)
                r = driver_type_choose(&f->sources, config->driver_version, wanted_type(config),
                                config->modules, &f->gpus, &support, &f->source);
        if (r == 0 && !f->source.warning)
                f->source.warning = TAKE_PTR(support.problem);
        if (r == 0 && !f->source.warning && f->source.code == CODE_OK)
                r = writers_of_tree(root, f->sources.items[f->source.index].path, &f->source.warning);
        return err_trace(r);
}

/* One of the store is root's, and one in a toolchain root has no path here. */
static int note_writers(const Root *root, Facts *f)
{
        const TreeFacts *t = &f->trees.items[f->tree_index];
        _cleanup_free_ char *warning = NULL;
        int r;

        if (t->inside || t->kept)
                return 0;
        r = writers_of_tree(root, t->path, &warning);
        return r || !warning ? err_trace(r) : err_trace(strv_push(&f->tree.notes, warning));
}

static int take_tree(Facts *f, TreeFacts *t)
{
        TreeFacts *items = reallocarray(f->trees.items, f->trees.n + 1, sizeof(*items));

        if (!items)
                return err_origin(-ENOMEM);
        f->trees.items = items;
        items[f->trees.n++] = *t;
        *t = (TreeFacts){};
        return 0;
}

static int search_trees(const Root *root, const Config *config, bool running, Facts *f)
{
        int r;

        r = treefacts_search(root, config->kernel_tree, f->kernel.release, &f->trees);
        for (size_t i = 0; r == 0 && i < f->trees.n; i++)
                r = treesupply_complete(root, f->kernel.release, running, &f->trees.items[i]);
        return err_trace(r);
}

/* What a source in there lacks may be beside the host's kernel. */
static int search_inside(const Root *root, const Root *inside, const Config *config, bool running, Facts *f)
{
        TreeFactsList l = {};
        int r;

        r = treefacts_search(inside, config->kernel_tree, f->kernel.release, &l);
        for (size_t i = 0; r == 0 && i < l.n; i++) {
                TreeFacts *t = &l.items[i];
                bool has_symvers;

                t->inside = t->source_inside = true;
                r = treesupply_complete(inside, f->kernel.release, /* running= */ false, t);
                has_symvers = t->parts[TREE_PART_SYMVERS] || t->symvers_from;
                if (r == 0)
                        r = treesupply_complete(root, f->kernel.release, running, t);
                t->symvers_outside = !has_symvers && t->symvers_from;
                if (r == 0)
                        r = take_tree(f, t);
        }
        tree_facts_list_done(&l);
        f->has_inside = true;
        return err_trace(r);
}

/* A tree that was asked for by name is not replaced by one that came of another. */
static int is_asked_for(const Root *root, const char *kept, const Config *config, bool *ret)
{
        KeptOrigin origin = {};
        int r;

        *ret = !config->kernel_tree;
        if (*ret)
                return 0;
        r = kept_read_origin(root, kept, &origin);
        *ret = r == 0 && streq(origin.source, config->kernel_tree + strspn(config->kernel_tree, "/"));
        kept_origin_done(&origin);
        return r < 0 ? err_trace(r) : 0;
}

static int take_kept(const Root *root, const char *kept, const Config *config, char *const *bad, Facts *f)
{
        _cleanup_free_ char *path = str_format("%s/" KEPTTREE_TREE, kept + strspn(kept, "/"));
        _cleanup_(tree_facts_done) TreeFacts t = {};
        bool wanted = false;
        int r;

        if (!path)
                return err_origin(-ENOMEM);
        if (strv_contains(bad, path))
                return 0;
        r = is_asked_for(root, kept, config, &wanted);
        if (r == 0 && wanted)
                r = treefacts_read(root, path, &t);
        /* Nothing is known of it then. If it is all there is, checktree says why, and sets it aside. */
        if (r < 0 && r != -ENOMEM) {
                wanted = true;
                r = str_replace(&t.path, path);
        }
        if (r || !wanted)
                return r < 0 ? err_trace(r) : 0;
        t.kept = true;
        return err_trace(take_tree(f, &t));
}

/* One that cannot be read is passed over; the others may serve. */
static int search_kept(const Root *root, const Config *config, char *const *bad, Facts *f)
{
        _cleanup_strv_ char **list = NULL;
        int r;

        if (!config->store_keep_trees)
                return 0;
        r = kept_list(root, config->store_directory, f->kernel.release, &list);
        STRV_FOREACH (kept, list)
                if (r == 0)
                        r = take_kept(root, *kept, config, bad, f);
        return err_trace(r);
}

static int gather_trees(const Root *root, const Config *config, const FactsTarget *target, Facts *f)
{
        bool running = !(target && target->release);
        int r;

        r = search_trees(root, config, running, f);
        if (r == 0 && target && target->inside)
                r = search_inside(root, target->inside, config, running, f);
        if (r == 0)
                r = search_kept(root, config, target ? target->bad : NULL, f);
        for (size_t i = 0; r == 0 && i < f->trees.n; i++)
                r = tree_facts_derive(&f->trees.items[i]);
        if (r)
                return err_trace(r);

        r = tree_choose(&f->trees, &f->kernel, &f->tree_index, &f->tree);
        f->has_tree = r == 0;
        if (r == 0)
                r = note_writers(root, f);
        return r < 0 ? err_trace(r) : 0;
}

static bool store_serves(const Facts *f, const Config *config)
{
        BuildWish wish = plan_wish(config, &f->kernel, &f->gpus);

        return build_manifests_choose(&f->builds, &wish);
}

/* The newest that would serve. One whose manifest cannot be read tells nothing. */
static int gather_damaged(const Root *root, const Config *config, Facts *f)
{
        BuildWish wish = plan_wish(config, &f->kernel, &f->gpus);
        _cleanup_strv_ char **paths = NULL;
        int r;

        r = store_damaged(root, config->store_directory, &paths);
        STRV_FOREACH (path, paths) {
                _cleanup_free_ char *reason = NULL;
                BuildManifest m = {};

                if (r == 0 && store_read(root, *path, &m, &reason) == 0 &&
                                build_manifest_serves(&m, &wish, NULL) > 0)
                        r = str_replace(&f->damaged, *path);
                build_manifest_done(&m);
        }
        return err_trace(r);
}

int facts_read_gpus(const Root *root, const Config *config, GpuFacts *wanted, GpuFacts *excluded)
{
        _cleanup_(gpu_facts_done) GpuFacts all = {};
        int r;

        r = pci_read_gpus(root, &all);
        if (r == 0)
                r = claims_split(&all, config, wanted, excluded);
        return err_trace(r);
}

static int gather_services(const Root *root, const Config *config, ServiceFacts *services)
{
        const ServiceKnown *known;
        int r;

        r = pci_has_nvswitch(root, &services->nvswitch);
        if (r == 0)
                r = servicefacts_kept(root, &services->kept);
        for (size_t i = 0; r == 0 && (known = service_known(i)); i++) {
                ServiceFact f = {};

                r = servicefacts_read(root, known, service_program_file(config, known),
                                service_settings_file(config, known), &f);
                /* One of ours is not somebody else's. */
                if (r == 0 && strv_contains(services->kept, known->name))
                        f.owner = SERVICE_OWNER_NONE;
                if (r == 0)
                        r = service_facts_add(services, &f);
                service_fact_done(&f);
        }
        return err_trace(r);
}

/* Only where somebody else loaded what we would have configured: a difference is told. */
static int gather_foreign_parameters(const Root *root, const Config *config, Facts *f)
{
        int r = 0;

        for (size_t i = 0; r == 0 && i < f->modules.n; i++) {
                ModuleFact *m = &f->modules.items[i];

                if (!strv_contains(f->owned, m->name) && config_module_parameters(config, m->name))
                        r = sysmod_read_parameters(root, m->name, &m->parameters);
        }
        return err_trace(r);
}

int facts_gather(const Root *root, const Config *config, const FactsTarget *target, Facts *f)
{
        int r;

        *f = (Facts){};
        r = gather_kernel(root, config, target, f);
        if (r == 0)
                r = facts_read_gpus(root, config, &f->gpus, &f->excluded);
        for (size_t i = 0; i < f->gpus.n; i++)
                f->has_pins = f->has_pins || claims_is_pinned(&f->gpus.items[i]);
        if (r == 0)
                r = sysmod_list_family(root, &f->modules);
        if (r == 0)
                r = loaded_read_with(root, &f->modules, &f->owned);
        if (r == 0)
                r = gather_foreign_parameters(root, config, f);
        if (r == 0)
                r = gather_services(root, config, &f->services);
        if (r == 0 && !(target && target->release))
                r = nodeblock_find(root, config, &f->gpus, &f->blocked);
        if (r == 0)
                r = store_list(root, config->store_directory, &f->builds, &f->problems);
        if (r == 0)
                r = store_good_read(root, config->store_directory, f->kernel.release, &f->good);
        if (r == 0 && !(target && target->release))
                r = lockdown_read(root, &f->enforcement);
        if (r == 0)
                r = signing_read(root, config, &f->signing);
        if (r == 0 && ((target && target->always_build) || !store_serves(f, config))) {
                r = gather_damaged(root, config, f);
                if (r == 0)
                        r = gather_sources(root, config, f);
                if (r == 0)
                        r = gather_trees(root, config, target, f);
        }
        return err_trace(r);
}

const TreeFacts *facts_kept_tree(const Facts *f)
{
        if (f->has_tree && f->tree.verdict == TREE_READY)
                return f->trees.items[f->tree_index].kept ? &f->trees.items[f->tree_index] : NULL;
        for (size_t i = 0; i < f->trees.n; i++)
                if (f->trees.items[i].kept)
                        return &f->trees.items[i];
        return NULL;
}

int facts_plan(const Facts *f, const Config *config, Plan *ret)
{
        PlanFacts facts = {
                .kernel = &f->kernel,
                .gpus = &f->gpus,
                .excluded = &f->excluded,
                .modules = &f->modules,
                .owned = f->owned,
                .blocked = f->blocked,
                .builds = &f->builds,
                .shared = &f->shared,
                .damaged = f->damaged,
                .good = f->good,
                .fall_back = f->fall_back,
                .enforcement = &f->enforcement,
                .signing = &f->signing,
                .sources = &f->sources,
                .source = &f->source,
                .trees = &f->trees,
                .tree = f->has_tree ? &f->tree : NULL,
                .tree_index = f->tree_index,
                .has_inside = f->has_inside,
                .services = &f->services,
        };

        return err_trace(plan_make(config, &facts, ret));
}

int facts_fill_status(const Root *root, const Config *config, Status *s)
{
        KernelFact kernel = {};
        const ModuleFact *nvidia;
        int r;

        r = kernel_read(root, &kernel);
        if (r < 0)
                return err_trace(r);
        s->kernel_release = TAKE_PTR(kernel.release);
        s->kernel_version = TAKE_PTR(kernel.version);
        kernel_fact_done(&kernel);

        r = sysmod_list_family(root, &s->modules);
        if (r == 0)
                r = pci_read_gpus(root, &s->gpus);
        if (r)
                return err_trace(r);
        if (config)
                claims_mark(&s->gpus, config);

        nvidia = module_facts_find(&s->modules, "nvidia");
        return nvidia ? err_trace(str_replace(&s->driver_version, nvidia->version)) : 0;
}

int facts_plan_status(const Facts *f, const Plan *plan, Status *s)
{
        int r = 0;

        for (size_t i = 0; r == 0 && i < plan->n_steps; i++)
                r = status_add_step(s, fsm_state_to_string(plan->steps[i].state), plan->steps[i].run,
                                plan->steps[i].reason);
        STRV_FOREACH (warning, plan->warnings)
                if (r == 0)
                        r = strv_push(&s->problems, *warning);
        STRV_FOREACH (problem, f->problems)
                if (r == 0)
                        r = strv_push(&s->problems, *problem);
        return err_trace(r);
}
