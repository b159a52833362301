/* SPDX-License-Identifier: Apache-2.0 */

/*
 * REPAIR for modules that somebody else unloaded: nothing depends on what was
 * free to go, so loading it again takes nothing from anybody. Only what we
 * loaded ourselves, what is still wanted, and only while the nvidia module that
 * it belongs to is live; from the build that this came from, verified again,
 * with the parameters that it had. Whoever unloads it again and again wins
 * after a few attempts.
 */

#include "base/result.h"
#include "base/str.h"
#include "loaded.h"
#include "manager.h"
#include "policy/repair.h"
#include "policy/verdict.h"
#include "sys/sysmod.h"

#define POLL_DELAY (50 * USEC_PER_MSEC)
/* They have stayed: what happens later is another story. */
#define FORGIVEN_AFTER (10 * USEC_PER_MINUTE)

static bool is_gone(const ModuleFacts *facts, const char *name)
{
        const ModuleFact *f = module_facts_find(facts, name);

        return !f || f->state == MOD_ABSENT;
}

static bool is_ours(const Manager *m, const char *name)
{
        STRV_FOREACH (owned, m->owned)
                if (modname_eq(*owned, name))
                        return true;
        return false;
}

/* What can be loaded again; nothing without nvidia. nvidia_drm that a repair took out is that one's. */
static int list_gone(Manager *m, char ***ret)
{
        _cleanup_(module_facts_done) ModuleFacts facts = {};
        const ModuleFact *nvidia;
        int r;

        r = sysmod_list_family(m->root, &facts);
        if (r < 0)
                return err_trace(r);
        nvidia = module_facts_find(&facts, "nvidia");
        if (!nvidia || nvidia->state != MOD_LIVE || !is_ours(m, "nvidia"))
                return 0;
        STRV_FOREACH (name, m->config->modules) {
                bool repaired = modname_eq(*name, "nvidia_drm") && m->repair.taken_out;

                if (r == 0 && !repaired && is_gone(&facts, *name) && is_ours(m, *name) &&
                                !manager_lacks(m, *name))
                        r = strv_push(ret, *name);
        }
        return err_trace(r);
}

static void attempt(Manager *m)
{
        ReloadWork *w = &m->reload;
        usec_t now = manager_now(m);

        if (w->due == 0)
                w->due = now + repair_delay(w->attempts, /* taken_out= */ false);
        w->look = MAX(w->due, now + POLL_DELAY);
        if (m->fsm.state != FSM_DEGRADED || now < w->due)
                return;
        w->attempts++;
        w->last = now;
        w->due = 0;
        manager_post(m, &(FsmEvent){ .type = FSM_EV_REPAIR });
}

void stage_reload_review(Manager *m)
{
        _cleanup_strv_ char **gone = NULL;
        ReloadWork *w = &m->reload;
        usec_t now = manager_now(m);

        if (list_gone(m, &gone) < 0)
                return;
        if (w->attempts > 0 && now - w->last > FORGIVEN_AFTER)
                w->attempts = 0;
        strv_free(w->gone);
        w->gone = TAKE_PTR(gone);
        w->look = USEC_INFINITY;
        free(w->detail);
        w->detail = NULL;
        if (!w->gone) {
                w->due = 0;
                return;
        }
        if (repair_delay(w->attempts, /* taken_out= */ false) == USEC_INFINITY) {
                w->detail = str_format("It was loaded again %u times, and is left out now.", w->attempts);
                return;
        }
        attempt(m);
        w->detail = strdup("It is loaded again.");
}

bool stage_reload_is_due(const Manager *m)
{
        return m->reload.gone;
}

const char *stage_reload_detail(const Manager *m)
{
        return m->reload.detail;
}

usec_t stage_reload_delay(Manager *m)
{
        usec_t now = manager_now(m), look = m->reload.gone ? m->reload.look : USEC_INFINITY;

        return look == USEC_INFINITY ? USEC_INFINITY : look > now ? look - now : 0;
}

void stage_reload_forget(Manager *m)
{
        strv_free(m->reload.gone);
        free(m->reload.detail);
        m->reload = (ReloadWork){};
}

static void finish(Manager *m)
{
        manager_progress(m, NULL);
        stage_nodes_urge(m);
        manager_stage_done(m);
}

static void load_next(Manager *m);

static void on_inserted(Manager *m)
{
        _cleanup_free_ char *evidence = module_work_evidence(m);
        Verdict verdict;
        Code code;

        if (!module_work_judge(m, verdict_load, &verdict, &code))
                return;
        if (verdict == VERDICT_WAIT) {
                module_work_wait(m, POLL_DELAY, on_inserted);
                return;
        }
        if (verdict == VERDICT_DONE) {
                log_notice(m->log, "Module %s was unloaded by somebody else, and is loaded again.",
                                m->work.current);
                strv_remove(m->reload.gone, m->work.current);
                load_next(m);
                return;
        }
        manager_stage_failed(m, code ? code : CODE_LOAD_FAILED, "%s: %s.%s%s", m->work.current,
                        m->work.error > 0 ? strerror(m->work.error) : "the helper gave no answer",
                        isempty(evidence) ? "" : " Kernel log: ", strempty(evidence));
}

/* As it was loaded, whatever the configuration says by now. */
static int take_parameters(Manager *m, const char *name, char **ret)
{
        char *names[] = { (char *)name, NULL };
        _cleanup_(module_facts_done) ModuleFacts facts = {};
        _cleanup_strv_ char **owned = NULL;
        const char *with;
        int r;

        r = sysmod_read_set(m->root, names, &facts);
        if (r == 0)
                r = loaded_read_with(m->root, &facts, &owned);
        if (r)
                return err_trace(r);
        with = facts.items[0].loaded_with;
        return err_trace(
                        str_replace(ret, with ? with : strempty(config_module_parameters(m->config, name))));
}

static void insert(Manager *m, const char *name)
{
        const BuildFile *f = build_manifest_module(&m->loading_manifest, name);
        _cleanup_free_ char *in_root = f ? str_format("%s/%s", m->build_path, f->name) : NULL,
                            *path = in_root ? root_path(m->root, in_root) : NULL, *parameters = NULL;
        int r;

        r = path ? str_replace(&m->work.current, name) : err_origin(-ENOENT);
        if (r == 0)
                r = take_parameters(m, name, &parameters);
        if (r == 0)
                r = module_work_start(m, "insert", path, parameters, on_inserted);
        if (r < 0)
                manager_stage_failed(m, CODE_LOAD_FAILED, "%s: helper: %s.", name, strerror(-r));
}

/* One that needs another of them comes after it. */
static const char *next(Manager *m)
{
        STRV_FOREACH (name, m->reload.gone) {
                const BuildFile *f = build_manifest_module(&m->loading_manifest, *name);
                bool waits = false;

                STRV_FOREACH (needed, f ? f->depends : NULL)
                        STRV_FOREACH (other, m->reload.gone)
                                waits = waits || modname_eq(*needed, *other);
                if (!waits)
                        return *name;
        }
        return NULL;
}

static void load_next(Manager *m)
{
        const char *name = m->fsm.stop_wanted || !m->reload.gone ? NULL : next(m);

        if (name)
                insert(m, name);
        else
                finish(m);
}

static void on_verified(Manager *m)
{
        if (m->work.verifying)
                return;
        if (m->work.verify_code == CODE_OK)
                load_next(m);
        else
                manager_stage_failed(m, m->work.verify_code, "The module cannot be loaded again: %s",
                                strempty(m->work.detail));
}

/* What is loaded from another build than the one that is here now is none of its business. */
static bool is_of_this_driver(Manager *m)
{
        ModuleFact nvidia = {};
        bool same;

        same = sysmod_read(m->root, "nvidia", &nvidia) == 0 && nvidia.state == MOD_LIVE &&
               (!nvidia.version || streq_ptr(nvidia.version, m->loading_manifest.driver_version));
        module_fact_done(&nvidia);
        return same;
}

void stage_reload_enter(Manager *m)
{
        int r;

        module_work_reset(m);
        m->work.began = manager_now(m);
        manager_progress(m, "Loading what was unloaded");
        r = stage_load_choose_build(m);
        if (r == 0 && !is_of_this_driver(m)) {
                manager_stage_failed(m, CODE_LOAD_FAILED,
                                "The loaded nvidia is of another version than build %s.",
                                strna(m->loading_manifest.id));
                return;
        }
        if (r == 0)
                r = load_side_verify(m, on_verified);
        if (r < 0)
                manager_stage_failed(m, CODE_LOAD_FAILED, "The build it comes from: %s.", strerror(-r));
}
