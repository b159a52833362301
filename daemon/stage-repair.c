/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Repair: a GPU that was taken out of the bus and is back has no DRM nodes,
 * because nvidia_drm only looks for GPUs when it is loaded. So it is taken out
 * and put in again, with the parameters it had; nothing else of the driver is
 * touched, and whoever computes on another GPU does not notice. Who has a DRM
 * node open would: then nvidia_drm stays, and the state says for whom it waits.
 *
 * What has to be done is judged anew with every look of the watch, by what is
 * there at that moment (policy/repair.h). The build is verified before anything
 * is taken out.
 */

#include "base/result.h"
#include "base/str.h"
#include "loaded.h"
#include "manager.h"
#include "policy/repair.h"
#include "policy/verdict.h"
#include "sys/pci.h"
#include "sys/sysmod.h"

#define DRM        "nvidia_drm"
#define LOOK_DELAY (1 * USEC_PER_SEC)
#define ASK_DELAY  (30 * USEC_PER_SEC)
#define POLL_DELAY (50 * USEC_PER_MSEC)

enum { DESCRIBED_MAX = 8 };

/* Whether. */

static int judge(Manager *m, const ModuleFact *drm, RepairVerdict *ret, char **ret_gpus)
{
        _cleanup_(gpu_facts_done) GpuFacts bus = {};
        _cleanup_strv_ char **gpus = NULL;
        RepairFacts facts = {
                .wanted = &m->facts.gpus,
                .bus = &bus,
                .nodes = &m->nodes,
                .drm = drm,
                .ours = strv_contains(m->owned, DRM),
                .taken_out = m->repair.taken_out,
        };
        int r;

        r = pci_read_gpus(m->root, &bus);
        if (r == 0)
                r = repair_judge(&facts, ret, &gpus);
        if (r)
                return err_trace(r);
        *ret_gpus = gpus ? strv_join(gpus, ", ") : NULL;
        return 0;
}

static bool is_drm_node(const Holder *h)
{
        return h->node && startswith(h->node, "/dev/dri/");
}

/* Those who have a DRM node: others hold the driver, but not this module of it. */
static int describe_processes(Manager *m, char ***words)
{
        const Holders *all = m->holding.holders;
        _cleanup_(holders_done) Holders few = {};
        _cleanup_strv_ char **lines = NULL;
        int r = 0;

        for (size_t i = 0; r == 0 && all && i < all->n; i++) {
                _cleanup_(holder_done) Holder copy = {};

                if (!is_drm_node(&all->items[i]))
                        continue;
                r = holder_copy(&all->items[i], &copy);
                if (r == 0)
                        r = holders_add(&few, &copy);
        }
        if (r == 0)
                r = holders_describe(&few, &lines);
        for (size_t i = 0; r == 0 && lines && lines[i] && i < DESCRIBED_MAX; i++)
                r = strv_push(words, lines[i]);
        if (r == 0 && strv_length(lines) > DESCRIBED_MAX)
                r = strv_pushf(words, "%zu more", strv_length(lines) - DESCRIBED_MAX);
        return err_trace(r);
}

static char *describe_users(Manager *m, const ModuleFact *drm)
{
        _cleanup_strv_ char **words = NULL;

        STRV_FOREACH (holder, drm->holders)
                (void)strv_pushf(&words, "module %s", *holder);
        (void)describe_processes(m, &words);
        if (words)
                return strv_join(words, "; ");
        if (!m->holding.holders)
                return str_format("%d users", drm->refcnt);
        return str_format("%d users, of whom none can be seen from here (a container needs --pid=host)",
                        drm->refcnt);
}

static void on_answered(Manager *m)
{
        stage_devices_look(m);
}

static void ask(Manager *m)
{
        RepairWork *w = &m->repair;
        usec_t now = manager_now(m);
        int r;

        if (w->asked && now - w->asked < ASK_DELAY)
                return;
        w->asked = now;
        r = holding_ask(m, on_answered);
        if (r < 0)
                log_warning(m->log, "Who holds nvidia-drm cannot be found out: %s, ignoring.", strerror(-r));
}

static char *explain_held(Manager *m, const ModuleFact *drm)
{
        _cleanup_free_ char *users = describe_users(m, drm);

        return str_format(
                        "%s is back on the bus; for its DRM nodes nvidia-drm has to be loaded again, which "
                        "is done as soon as nobody uses it: %s.",
                        m->repair.gpus, strna(users));
}

static char *explain_impossible(Manager *m, const ModuleFact *drm)
{
        const char *why = drm->refcnt < 0 ? "this kernel cannot unload modules" : "somebody else loaded it";

        /* That it is not there is told already. */
        if (drm->state != MOD_LIVE && drm->state != MOD_BUILTIN)
                return NULL;
        return str_format(
                        "%s is back on the bus; for its DRM nodes nvidia-drm would have to be loaded again, "
                        "but %s.",
                        m->repair.gpus, why);
}

static char *explain_vain(Manager *m)
{
        return str_format(
                        "%s is back on the bus, but nvidia-drm made no DRM nodes for it in %u attempts; see "
                        "the kernel log.",
                        m->repair.gpus, m->repair.attempts);
}

static void attempt(Manager *m)
{
        RepairWork *w = &m->repair;
        usec_t now = manager_now(m);

        if (w->due == 0)
                w->due = now + repair_delay(w->attempts, w->taken_out);
        w->look = MAX(w->due, now + POLL_DELAY);
        if (m->fsm.state != FSM_DEGRADED || now < w->due)
                return;
        w->attempts++;
        w->due = 0;
        manager_post(m, &(FsmEvent){ .type = FSM_EV_REPAIR });
}

static char *act(Manager *m, RepairVerdict verdict, const ModuleFact *drm)
{
        RepairWork *w = &m->repair;

        switch (verdict) {
        case REPAIR_IMPOSSIBLE:
                return explain_impossible(m, drm);
        case REPAIR_MOVING:
                w->look = manager_now(m) + LOOK_DELAY;
                return NULL;
        case REPAIR_HELD:
                ask(m);
                w->due = 0;
                w->look = manager_now(m) + LOOK_DELAY;
                return explain_held(m, drm);
        case REPAIR_NOW:
                if (repair_delay(w->attempts, w->taken_out) == USEC_INFINITY)
                        return explain_vain(m);
                attempt(m);
                return str_format("%s is back on the bus; nvidia-drm is loaded again for its DRM nodes.",
                                w->gpus);
        case REPAIR_NOTHING:
        case _REPAIR_VERDICT_MAX:
        case _REPAIR_VERDICT_INVALID:
                break;
        }
        return NULL;
}

void stage_repair_review(Manager *m)
{
        _cleanup_(module_fact_done) ModuleFact drm = {};
        _cleanup_free_ char *gpus = NULL;
        RepairWork *w = &m->repair;
        RepairVerdict verdict = REPAIR_NOTHING;
        int r;

        r = sysmod_read(m->root, DRM, &drm);
        if (r == 0)
                r = judge(m, &drm, &verdict, &gpus);
        if (r < 0) {
                log_warning(m->log, "GPUs that are back: %s, ignoring.", strerror(-r));
                return;
        }
        if (!gpus) {
                if (w->asked)
                        holding_forget(m);
                stage_repair_forget(m);
                return;
        }
        if (!streq_ptr(gpus, w->gpus)) {
                w->attempts = 0;
                w->due = 0;
                free(w->gpus);
                w->gpus = TAKE_PTR(gpus);
        }
        w->look = USEC_INFINITY;
        free(w->detail);
        w->detail = act(m, verdict, &drm);
}

const char *stage_repair_detail(const Manager *m)
{
        return m->repair.detail;
}

usec_t stage_repair_delay(Manager *m)
{
        usec_t now = manager_now(m), look = m->repair.gpus ? m->repair.look : USEC_INFINITY;

        return look == USEC_INFINITY ? USEC_INFINITY : look > now ? look - now : 0;
}

void stage_repair_forget(Manager *m)
{
        free(m->repair.gpus);
        free(m->repair.detail);
        free(m->repair.parameters);
        m->repair = (RepairWork){ .taken_out = m->repair.taken_out };
}

/* How. */

static void finish(Manager *m)
{
        manager_progress(m, NULL);
        manager_stage_done(m);
}

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
                _cleanup_free_ char *took = str_from_usec(manager_now(m) - m->work.began);

                m->repair.taken_out = false;
                log_notice(m->log, "Loaded nvidia-drm again in %s, for GPU %s.", strna(took),
                                strna(m->repair.gpus));
                finish(m);
                return;
        }
        manager_stage_failed(m, code ? code : CODE_LOAD_FAILED, "nvidia-drm: %s.%s%s",
                        m->work.error > 0 ? strerror(m->work.error) : "the helper gave no answer",
                        isempty(evidence) ? "" : " Kernel log: ", strempty(evidence));
}

static void insert(Manager *m)
{
        const BuildFile *f = build_manifest_module(&m->loading_manifest, DRM);
        _cleanup_free_ char *in_root = NULL, *path = NULL;
        int r;

        in_root = f ? str_format("%s/%s", m->build_path, f->name) : NULL;
        path = in_root ? root_path(m->root, in_root) : NULL;
        r = path ? module_work_start(m, "insert", path, m->repair.parameters, on_inserted)
                 : err_origin(-ENOENT);
        if (r < 0)
                manager_stage_failed(m, code_of_error(r), "helper: %s.", strerror(-r));
}

static void proceed(Manager *m);

static void on_deleted(Manager *m)
{
        Verdict verdict;
        Code code;

        if (!module_work_judge(m, verdict_unload, &verdict, &code))
                return;
        if (verdict == VERDICT_DONE) {
                m->repair.taken_out = true;
                proceed(m);
        } else if (verdict == VERDICT_WAIT) {
                module_work_wait(m, POLL_DELAY, on_deleted);
        } else if (verdict == VERDICT_FAILED) {
                manager_stage_failed(m, code, "nvidia-drm: %s.",
                                m->work.error > 0 ? strerror(m->work.error) : "the helper gave no answer");
        } else {
                /* Somebody was faster. The watch sees who. */
                manager_progress(m, NULL);
                manager_post(m, &(FsmEvent){ .type = FSM_EV_BUSY, .token = m->fsm.token });
        }
}

/* By what is there, step by step. */
static void proceed(Manager *m)
{
        _cleanup_(module_fact_done) ModuleFact drm = {};
        int r;

        /* The stop takes out what is left. */
        if (m->fsm.stop_wanted) {
                finish(m);
                return;
        }
        r = sysmod_read(m->root, DRM, &drm);
        if (r < 0) {
                manager_stage_failed(m, code_of_error(r), "/sys/module cannot be read: %s.", strerror(-r));
        } else if (drm.state == MOD_ABSENT) {
                insert(m);
        } else {
                r = module_work_start(m, "delete", DRM, NULL, on_deleted);
                if (r < 0)
                        manager_stage_failed(m, code_of_error(r), "helper: %s.", strerror(-r));
        }
}

static void on_verified(Manager *m)
{
        if (m->work.verifying)
                return;
        if (m->work.verify_code == CODE_OK)
                proceed(m);
        else
                manager_stage_failed(m, m->work.verify_code, "nvidia-drm cannot be loaded again: %s",
                                strempty(m->work.detail));
}

/* As it was loaded, whatever the configuration says by now. Once: later it may be absent. */
static int take_parameters(Manager *m)
{
        char *names[] = { (char *)DRM, NULL };
        _cleanup_(module_facts_done) ModuleFacts facts = {};
        _cleanup_strv_ char **owned = NULL;
        const char *with;
        int r;

        if (m->repair.parameters)
                return 0;
        r = sysmod_read_set(m->root, names, &facts);
        if (r == 0)
                r = loaded_read_with(m->root, &facts, &owned);
        if (r)
                return err_trace(r);
        with = facts.items[0].loaded_with;
        return err_trace(str_replace(&m->repair.parameters,
                        with ? with : strempty(config_module_parameters(m->config, DRM))));
}

void stage_repair_enter(Manager *m)
{
        int r;

        module_work_reset(m);
        m->work.began = manager_now(m);
        /* The exit of nvidia_drm may ask a GPU that does not answer. */
        if (watch_kernel_vetoes_unload(m, stage_repair_enter))
                return;
        manager_progress(m, "Loading nvidia-drm again");
        r = str_replace(&m->work.current, DRM);
        if (r == 0)
                r = take_parameters(m);
        if (r == 0)
                r = stage_load_choose_build(m);
        if (r == 0)
                r = load_side_verify(m, on_verified);
        if (r < 0)
                manager_stage_failed(m, CODE_LOAD_FAILED,
                                "nvidia-drm cannot be loaded again: the build it comes from: %s.",
                                strerror(-r));
}
