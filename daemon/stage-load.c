/* SPDX-License-Identifier: Apache-2.0 */

/*
 * LOAD: our modules one by one in the order of their own dependencies, each as
 * soon as load-side.c allows it. After each helper run /sys/module says what
 * became of it.
 *
 * The record of what we load is written before the first insert (see loaded.c).
 * A STOP while a module is in the kernel is remembered by the state machine;
 * here it only means that no further module is begun. At any other time it
 * cancels the stage.
 */

#include "base/result.h"
#include "base/str.h"
#include "loaded.h"
#include "manager.h"
#include "paths.h"
#include "policy/modorder.h"
#include "policy/parameters.h"
#include "policy/verdict.h"
#include "sys/moduletree.h"
#include "sys/store.h"
#include "sys/sysmod.h"

#define POLL_DELAY  (50 * USEC_PER_MSEC)
#define RETRIES_MAX 5

static void load_next(Manager *m);

/* NULL on out of memory; the caller's. */
static ModorderWant *list_wants(Manager *m, size_t *ret_n)
{
        ModorderWant *wants = calloc(strv_length(m->config->modules) + 1, sizeof(*wants));
        size_t n = 0;

        if (!wants)
                return NULL;
        STRV_FOREACH (name, m->config->modules) {
                const BuildFile *f = build_manifest_module(&m->loading_manifest, *name);

                wants[n++] = (ModorderWant){ .name = *name, .depends = f ? f->depends : NULL };
        }
        *ret_n = n;
        return wants;
}

static int module_order(Manager *m, char ***ret_order, char ***ret_prerequisites)
{
        _cleanup_free_ ModorderWant *wants = NULL;
        _cleanup_free_ char *cycle = NULL;
        size_t n = 0;
        int r;

        wants = list_wants(m, &n);
        if (!wants)
                return err_origin(-ENOMEM);
        r = modorder_load(wants, n, ret_order, &cycle);
        if (r == 0)
                r = modorder_prerequisites(wants, n, ret_prerequisites);
        return r < 0 ? err_trace(r) : err_fold(r);
}

static bool is_live(Manager *m, const char *name)
{
        ModuleFact fact = {};
        bool live;

        live = sysmod_read(m->root, name, &fact) == 0 &&
               (fact.state == MOD_LIVE || fact.state == MOD_BUILTIN);
        module_fact_done(&fact);
        return live;
}

/* What a missing symbol comes from where no module of the host could be loaded: " No modules of ...". */
static char *explain_symbols(Manager *m)
{
        _cleanup_free_ char *tree = NULL, *why = NULL;

        if (moduletree_find(m->root, m->facts.kernel.release, &tree) != MODULETREE_E_ABSENT)
                return NULL;
        why = moduletree_explain_absence(m->facts.kernel.release);
        return why ? str_format(" There are %s.", why) : NULL;
}

static void fail_load(Manager *m, Code code)
{
        _cleanup_free_ char *evidence = module_work_evidence(m), *taken = NULL, *why = NULL;

        if (code == CODE_LOAD_NO_DEVICE)
                taken = stage_clear_explain(m);
        if (taken) {
                /* Somebody was faster than us since the plan was made; the next one takes it over, if it
                 * may. */
                manager_stage_failed(m, m->config->take_over ? CODE_LOAD_FAILED : CODE_GPU_CLAIMED,
                                "%s: %s.", m->work.current, taken);
                return;
        }
        if (code == CODE_LOAD_SYMBOLS)
                why = explain_symbols(m);
        manager_stage_failed(m, code, "%s: %s.%s%s%s", m->work.current,
                        m->work.error > 0 ? strerror(m->work.error) : "the helper gave no answer",
                        isempty(evidence) ? "" : " Kernel log: ", strempty(evidence), strempty(why));
}

static void on_inserted(Manager *m)
{
        Verdict verdict;
        Code code;

        if (!module_work_judge(m, verdict_load, &verdict, &code))
                return;

        if (verdict == VERDICT_DONE) {
                log_debug(m->log, "Module %s is loaded.", m->work.current);
                m->work.retries = 0;
                load_next(m);
        } else if (verdict == VERDICT_WAIT) {
                module_work_wait(m, POLL_DELAY, on_inserted);
        } else if (verdict == VERDICT_RETRY && m->work.retries++ < RETRIES_MAX) {
                module_work_again(m, POLL_DELAY, load_next);
        } else if (!load_side_is_over(m)) {
                /* A probe is in the kernel too: the next attempt is not to meet it. */
                module_work_again(m, POLL_DELAY, on_inserted);
        } else {
                fail_load(m, code ? code : CODE_LOAD_FAILED);
        }
}

static void insert_module(Manager *m, const char *name)
{
        const BuildFile *f = build_manifest_module(&m->loading_manifest, name);
        _cleanup_free_ char *in_root = NULL, *path = NULL, *progress = str_format("Loading %s", name);
        const char *parameters = config_module_parameters(m->config, name);
        int r;

        manager_progress(m, progress);
        in_root = f ? str_format("%s/%s", m->build_path, f->name) : NULL;
        path = in_root ? root_path(m->root, in_root) : NULL;
        r = path ? str_replace(&m->work.current, name) : err_origin(-ENOMEM);
        if (r == 0)
                r = module_work_start(m, "insert", path, parameters, on_inserted);
        if (r < 0)
                manager_stage_failed(m, code_of_error(r), "helper: %s.", strerror(-r));
}

static void report(Manager *m)
{
        _cleanup_free_ char *took = str_from_usec(manager_now(m) - m->work.began), *names = NULL;
        _cleanup_strv_ char **loaded = NULL;

        manager_progress(m, NULL);
        STRV_FOREACH (name, m->work.order)
                if (!module_facts_find(&m->facts.modules, *name))
                        (void)strv_push(&loaded, *name);
        names = strv_join(loaded, ", ");
        if (!m->fsm.stop_wanted && loaded)
                log_info(m->log, "Loaded %s from build %s in %s.", strna(names),
                                strna(m->loading_manifest.id), strna(took));
}

/* What is there already keeps what it was loaded with. */
static const char *parameters_of(Manager *m, const char *name)
{
        const ModuleFact *before = module_facts_find(&m->facts.modules, name);

        if (before && is_live(m, name))
                return before->loaded_with ? before->loaded_with : LOADED_UNKNOWN;
        return strempty(config_module_parameters(m->config, name));
}

static int record(Manager *m)
{
        _cleanup_strv_ char **names = NULL, **parameters = NULL;
        int r;

        /* What was there before us and is not ours stays somebody else's. */
        r = strv_copy(m->facts.owned, &names);
        STRV_FOREACH (name, m->work.order) {
                _cleanup_free_ char *copy = strdup(*name);

                if (r == 0 && !copy)
                        r = err_origin(-ENOMEM);
                if (r == 0 && !module_facts_find(&m->facts.modules, copy) &&
                                !strv_contains(names, str_underscore(copy)))
                        r = strv_push(&names, copy);
        }
        STRV_FOREACH (name, names)
                if (r == 0)
                        r = strv_push(&parameters, parameters_of(m, *name));
        if (r == 0)
                r = loaded_write(m->root, names, parameters);
        if (r)
                return err_trace(r);
        strv_free(m->owned);
        m->owned = TAKE_PTR(names);
        return 0;
}

/* Nothing was inserted, so there is no unload that would take the firmware back. */
static void fail_before(Manager *m, Code code, const char *detail)
{
        if (!m->fsm.loading && !m->owned)
                stage_firmware_withdraw(m);
        manager_stage_failed(m, code, "%s", detail);
}

/* The build has proved to be whole: from here on there is something to undo. */
static void begin(Manager *m)
{
        int r = 0;

        if (m->work.verify_code != CODE_OK) {
                if (load_side_is_over(m))
                        fail_before(m, m->work.verify_code, strempty(m->work.detail));
                else
                        m->work.waiting = true;
                return;
        }
        if (!m->fsm.stop_wanted && stage_clear_guard(m, begin))
                return;
        if (!m->fsm.stop_wanted)
                r = record(m);
        if (r < 0) {
                _cleanup_free_ char *detail = str_format("/%s: %s.", RUNTIME_LOADED, strerror(-r));

                fail_before(m, CODE_STORE_FAILED, strempty(detail));
        } else {
                m->work.begun = true;
                load_next(m);
        }
}

/* The first one that is neither there nor on its way; NULL if there is none. */
static const char *next_module(Manager *m, size_t *ret_left)
{
        const char *first = NULL;

        *ret_left = 0;
        STRV_FOREACH (name, m->work.order) {
                if (is_live(m, *name) || (m->work.aside && streq(m->work.aside, *name)))
                        continue;
                first = first ? first : *name;
                (*ret_left)++;
        }
        return first;
}

static bool goes_aside(Manager *m, const char *name, size_t n_left)
{
        _cleanup_free_ ModorderWant *wants = NULL;
        size_t n = 0;

        if (m->work.aside_tried)
                return false;
        wants = list_wants(m, &n);
        return wants && modorder_goes_aside(wants, n, name, n_left);
}

static void load_next(Manager *m)
{
        const char *name = NULL;
        size_t n_left = 0;

        m->work.waiting = false;
        if (!m->fsm.stop_wanted) {
                stage_nodes_loading(m);
                name = next_module(m, &n_left);
        }
        if (!name && m->work.aside) {
                load_side_await(m);
        } else if (!name) {
                report(m);
                manager_stage_done(m);
        } else if (!load_side_allows(m, name)) {
                m->work.waiting = true;
        } else if (goes_aside(m, name, n_left) && load_side_insert(m, name) == 0) {
                load_next(m);
        } else {
                insert_module(m, name);
        }
}

static void on_side_changed(Manager *m)
{
        if (!m->work.waiting || m->work.verifying)
                return;
        if (m->work.begun)
                load_next(m);
        else
                begin(m);
}

/* A build that was made now was not there when the plan was. The kernel goes on without the parameter. */
static bool check_parameters(Manager *m)
{
        _cleanup_free_ char *detail = NULL;
        int r = parameters_check(m->config, &m->loading_manifest, &detail);

        if (r < 0)
                manager_stage_failed(m, code_of_error(r), "%s.", strerror(-r));
        else if (r == 0)
                manager_wish_failed(m, CODE_PARAMETER_UNKNOWN, detail);
        return r >= 0;
}

int stage_load_choose_build(Manager *m)
{
        _cleanup_free_ char *reason = NULL;
        int r;

        if (!m->build_path) {
                r = str_replace(&m->build_path, m->plan.build ? m->plan.build->directory : NULL);
                if (r || !m->build_path)
                        return r ? err_trace(r) : err_origin(-ENOENT);
        }
        build_manifest_done(&m->loading_manifest);
        r = store_read(m->root, m->build_path, &m->loading_manifest, &reason);
        if (r <= 0)
                return err_trace(r);
        /* It could be read when the plan was made. The next attempt makes another plan. */
        log_warning(m->log, "Build %s: %s.", m->build_path, reason ? reason : "it is gone");
        return err_origin(-EIO);
}

void stage_load_enter(Manager *m)
{
        _cleanup_strv_ char **needed = NULL;
        int r;

        module_work_reset(m);
        m->work.began = manager_now(m);
        m->work.waiting = true;
        r = stage_load_choose_build(m);
        if (r == 0 && !check_parameters(m))
                return;
        if (r == 0)
                r = module_order(m, &m->work.order, &needed);
        if (r == 0)
                r = load_side_start(m, needed, on_side_changed);
        if (r == 0)
                r = stage_devices_monitor(m);
        if (r < 0)
                manager_stage_failed(m, code_of_error(r), "%s.", strerror(-r));
}
