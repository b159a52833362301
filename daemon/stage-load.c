/* SPDX-License-Identifier: Apache-2.0 */

/*
 * LOAD: first the digests of the build and the host's modules that ours need,
 * side by side, then our modules one by one in the order of their own
 * dependencies. After each helper run /sys/module says what became of it.
 *
 * The record of what we load is written before the first insert (see loaded.c).
 * A STOP is remembered by the state machine; here it only means that no
 * further module is begun.
 */

#include "base/result.h"
#include "base/str.h"
#include "helper.h"
#include "loaded.h"
#include "manager.h"
#include "paths.h"
#include "policy/modorder.h"
#include "policy/verdict.h"
#include "sys/store.h"
#include "sys/sysmod.h"

#define POLL_DELAY  (50 * USEC_PER_MSEC)
#define RETRIES_MAX 5
/* Reading a build from a slow disk takes its time; only a disk that hangs takes this long. */
#define SIDE_TIMEOUT (5 * USEC_PER_MINUTE)

static void load_next(Manager *m);

static int module_order(Manager *m, char ***ret_order, char ***ret_prerequisites)
{
        _cleanup_free_ ModorderWant *wants = NULL;
        _cleanup_free_ char *cycle = NULL;
        size_t n = 0;
        int r;

        wants = calloc(strv_length(m->config->modules) + 1, sizeof(*wants));
        if (!wants)
                return err_origin(-ENOMEM);
        STRV_FOREACH (name, m->config->modules) {
                const BuildFile *f = build_manifest_module(&m->loading_manifest, *name);

                wants[n++] = (ModorderWant){ .name = *name, .depends = f ? f->depends : NULL };
        }

        r = modorder_load(wants, n, ret_order, &cycle);
        if (r == 0)
                r = modorder_prerequisites(wants, n, ret_prerequisites);
        return r < 0 ? err_trace(r) : err_fold(r);
}

static bool is_live(Manager *m, const char *name)
{
        ModuleFact fact = {};
        bool live;

        live = sysmod_read(m->root, name, &fact) == 0 && fact.state == MOD_LIVE;
        module_fact_done(&fact);
        return live;
}

static void fail_load(Manager *m, Code code)
{
        _cleanup_free_ char *evidence = module_work_evidence(m);

        manager_stage_failed(m, code, "%s: %s.%s%s", m->work.current,
                        m->work.error > 0 ? strerror(m->work.error) : "the helper gave no answer",
                        isempty(evidence) ? "" : " Kernel log: ", strempty(evidence));
}

static void on_inserted(Manager *m)
{
        Verdict verdict;
        Code code;

        if (!module_work_judge(m, verdict_load, &verdict, &code))
                return;

        if (verdict == VERDICT_DONE) {
                log_debug(m->log, "Module %s is loaded.", m->work.current);
                m->work.at++;
                m->work.retries = 0;
                load_next(m);
        } else if (verdict == VERDICT_WAIT) {
                module_work_again(m, POLL_DELAY, on_inserted);
        } else if (verdict == VERDICT_RETRY && m->work.retries++ < RETRIES_MAX) {
                module_work_again(m, POLL_DELAY, load_next);
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
                manager_stage_failed(m, CODE_INTERNAL, "helper: %s.", strerror(-r));
}

static void report(Manager *m)
{
        _cleanup_free_ char *took = str_from_usec(manager_now(m) - m->work.began), *names = NULL;

        manager_progress(m, NULL);
        names = strv_join(m->work.order, ", ");
        if (!m->work.order[m->work.at])
                log_info(m->log, "Loaded %s from build %s in %s.", strna(names),
                                strna(m->loading_manifest.id), strna(took));
}

static void load_next(Manager *m)
{
        const char *name = m->work.order[m->work.at];

        if (m->fsm.stop_wanted || !name) {
                report(m);
                manager_stage_done(m);
        } else if (is_live(m, name)) {
                m->work.at++;
                load_next(m);
        } else {
                insert_module(m, name);
        }
}

static int record(Manager *m)
{
        _cleanup_strv_ char **names = NULL;
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
        if (r == 0)
                r = loaded_write(m->root, names);
        if (r)
                return err_trace(r);
        strv_free(m->owned);
        m->owned = TAKE_PTR(names);
        return 0;
}

/* Both side jobs are over. */
static void begin(Manager *m)
{
        int r;

        if (m->work.probing || m->work.verifying || m->work.token != m->fsm.token)
                return;
        if (m->work.verify_code != CODE_OK) {
                manager_stage_failed(m, m->work.verify_code, "%s", strempty(m->work.detail));
                return;
        }
        r = m->fsm.stop_wanted ? 0 : record(m);
        if (r < 0)
                manager_stage_failed(m, CODE_STORE_FAILED, "/%s: %s.", RUNTIME_LOADED, strerror(-r));
        else
                load_next(m);
}

static void on_side_line(void *userdata, const char *line)
{
        Manager *m = userdata;
        const char *value = startswith(line, HELPER_KEY_DETAIL "=");

        log_message(m->log, value ? LOG_INFO : LOG_DEBUG, NULL, "%s", value ? value : line);
        if (value)
                (void)str_replace(&m->work.detail, value);
}

static void on_probed(void *userdata, const JobResult *result)
{
        Manager *m = userdata;

        /* Whatever is really needed and not there shows itself as a missing symbol, with a better message.
         */
        m->work.probing = false;
        begin(m);
}

static void on_verified(void *userdata, const JobResult *result)
{
        Manager *m = userdata;
        Code code = result->status < 0 ? CODE_STORE_FAILED : code_from_exit_status(result->status);

        m->work.verifying = false;
        m->work.verify_code = code < 0 ? CODE_STORE_FAILED : code;
        begin(m);
}

static int start_side(Manager *m, char **argv, void (*done)(void *, const JobResult *))
{
        JobHandler handler = { .on_line = on_side_line, .on_exit = done };
        JobSpec spec = { .argv = argv, .timeout = SIDE_TIMEOUT, .log_fd = -EBADF };
        Job *job;

        return err_trace(job_start(m->pool, &spec, &handler, m, &job));
}

static int start_probe(Manager *m, char *const *needed)
{
        _cleanup_strv_ char **argv = NULL, **names = NULL;
        int r = 0;

        STRV_FOREACH (name, m->config->prerequisites)
                if (r == 0 && !is_live(m, *name))
                        r = strv_push(&names, *name);
        STRV_FOREACH (name, needed)
                if (r == 0 && !is_live(m, *name) && !strv_contains(names, *name))
                        r = strv_push(&names, *name);
        if (r || !names)
                return err_trace(r);

        r = strv_push(&argv, path_of_worker());
        if (r == 0)
                r = strv_push(&argv, "probe");
        if (r == 0)
                r = strv_push(&argv, m->facts.kernel.release);
        STRV_FOREACH (name, names)
                if (r == 0)
                        r = strv_push(&argv, *name);
        if (r == 0)
                r = start_side(m, argv, on_probed);
        m->work.probing = r == 0;
        return err_trace(r);
}

static int start_verify(Manager *m)
{
        _cleanup_free_ char *staging = str_format("%s/" STORE_STAGING, m->config->store_directory),
                            *build = NULL, *aside = NULL;
        int r;

        build = root_path(m->root, m->build_path);
        aside = staging ? root_path(m->root, staging) : NULL;
        if (!build || !aside)
                return err_origin(-ENOMEM);

        r = start_side(m, (char *[]){ (char *)path_of_worker(), (char *)"verify", build, aside, NULL },
                        on_verified);
        m->work.verifying = r == 0;
        return err_trace(r);
}

static int choose_build(Manager *m)
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
        return r < 0 ? err_trace(r) : err_fold(r);
}

void stage_load_enter(Manager *m)
{
        _cleanup_strv_ char **needed = NULL;
        int r;

        module_work_reset(m);
        m->work.token = m->fsm.token;
        m->work.began = manager_now(m);
        r = choose_build(m);
        if (r == 0)
                r = module_order(m, &m->work.order, &needed);
        if (r == 0)
                r = stage_devices_monitor(m);
        if (r == 0)
                r = start_probe(m, needed);
        if (r == 0)
                r = start_verify(m);
        if (r < 0)
                manager_stage_failed(m, CODE_INTERNAL, "%s.", strerror(-r));
}
