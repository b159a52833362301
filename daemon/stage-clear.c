/* SPDX-License-Identifier: Apache-2.0 */

/*
 * CLEAR: what stands in the way. First GPUs that another driver has, if the
 * administrator wants them taken over; then a driver of ours that is not the
 * wanted one, which is stage-unload.c's.
 *
 * And the pins: GPUs that are excluded get a driver_override that matches no
 * driver, right before the first insert, and lose it again after the unload.
 * What we did is in sysfs for all to see, so there is no record of it.
 *
 * After each helper run the bus is read again. GPUs are not given back on stop:
 * nouveau would take the console, and who runs vfio-pci binds it when needed.
 */

#include <signal.h>

#include "base/result.h"
#include "base/str.h"
#include "blocklist.h"
#include "manager.h"
#include "paths.h"
#include "policy/claims.h"
#include "sys/pci.h"
#include "sys/sysmod.h"

#define NOUVEAU "nouveau"

/* udevadm waits until udevd has heard it, up to a minute. A stop would wait for that, too. */
#define UDEVADM_TIMEOUT (2 * USEC_PER_SEC)

static void take_next(Manager *m);

static void fail(Manager *m, int r)
{
        manager_stage_failed(m, code_of_error(r), "%s.", strerror(-r));
}

static int run(Manager *m, const char *operation, const char *value, char *const *addresses,
                void (*next)(Manager *m))
{
        _cleanup_strv_ char **argv = NULL;
        int r;

        r = strv_push(&argv, path_of_helper());
        if (r == 0)
                r = strv_push(&argv, operation);
        if (r == 0)
                r = strv_push_consume(&argv, root_path(m->root, ""));
        if (r == 0)
                r = strv_push(&argv, value);
        STRV_FOREACH (address, addresses)
                if (r == 0)
                        r = strv_push(&argv, *address);
        if (r == 0)
                r = str_replace(&m->work.current, addresses[0]);
        return r ? err_trace(r) : err_trace(module_work_run(m, argv, next));
}

static void end(Manager *m)
{
        manager_progress(m, NULL);
        if (m->plan.loaded == PLAN_LOADED_OTHER && !m->fsm.stop_wanted)
                stage_unload_enter(m);
        else
                manager_stage_done(m);
}

static void on_nouveau_deleted(Manager *m)
{
        ModuleFact fact = {};

        if (sysmod_read(m->root, NOUVEAU, &fact) == 0)
                log_info(m->log, "Module " NOUVEAU " is %s.",
                                fact.state == MOD_ABSENT ? "unloaded"
                                                         : "in use and stays loaded, without our GPUs");
        module_fact_done(&fact);
        end(m);
}

/* Only what is idle goes: another device may be bound to it, which a removal would take along. */
static bool unload_nouveau(Manager *m)
{
        ModuleFact fact = {};
        bool bound = true, idle;

        if (!m->work.took_nouveau)
                return false;
        m->work.took_nouveau = false;
        idle = sysmod_read(m->root, NOUVEAU, &fact) == 0 && fact.state == MOD_LIVE && fact.refcnt == 0 &&
               pci_driver_has_devices(m->root, NOUVEAU, &bound) == 0 && !bound;
        module_fact_done(&fact);
        return idle && str_replace(&m->work.current, NOUVEAU) == 0 &&
               module_work_start(m, "delete", NOUVEAU, NULL, on_nouveau_deleted) == 0;
}

/* The helper is back and nothing has changed. */
static void report_refusal(Manager *m, const GpuFact *gpu)
{
        const char *owner = gpu->driver ? gpu->driver : strna(gpu->override);
        _cleanup_free_ char *detail = NULL;

        if (m->work.error != EBUSY && m->work.error != EAGAIN) {
                manager_stage_failed(m, CODE_GPU_CLAIMED, "GPU %s could not be taken from %s: %s.",
                                gpu->address, owner,
                                m->work.error > 0 ? strerror(m->work.error) : "it is still there");
                return;
        }
        detail = str_format("GPU %s is in use through %s.", gpu->address, owner);
        (void)str_replace(&m->detail, detail);
        log_code(m->log, LOG_WARNING, CODE_BUSY, detail);
        manager_post(m, &(FsmEvent){ .type = FSM_EV_BUSY, .token = m->fsm.token });
}

static void on_udevd_told(void *userdata, const JobResult *result)
{
        Manager *m = userdata;

        m->work.job = NULL;
        if (result->status != 0)
                log_info(m->log,
                                "%s control --reload failed, udevd finds the list that keeps nouveau out by itself.",
                                path_of_udevadm());
        take_next(m);
}

/*
 * udevd looks for changed rules every three seconds at most (252). Until then it obeys the old ones, and the
 * event of the unbinding itself may make it load nouveau again while it is unloaded here.
 */
static bool tell_udevd(Manager *m)
{
        static const JobHandler handler = { .on_exit = on_udevd_told };
        char *argv[] = { (char *)path_of_udevadm(), (char *)"control", (char *)"--reload", NULL };
        const JobSpec spec = {
                .argv = argv, .timeout = UDEVADM_TIMEOUT, .death_signal = SIGTERM, .log_fd = -EBADF
        };

        if (m->work.told_udevd || !root_exists(m->root, "run/udev/control"))
                return false;
        m->work.told_udevd = true;
        return job_start(m->pool, &spec, &handler, m, &m->work.job) == 0;
}

static int take(Manager *m, ClaimsMove move, const GpuFact *gpu)
{
        _cleanup_free_ char *progress = NULL;
        char *const addresses[] = { gpu->address, NULL };

        m->work.move = move;
        if (move == CLAIMS_FREE)
                return err_trace(run(m, "override", "", addresses, take_next));

        progress = str_format("Taking GPU %s from %s", gpu->address, gpu->driver);
        manager_progress(m, progress);
        log_info(m->log, "Taking GPU %s from %s.", gpu->address, gpu->driver);
        m->work.took_nouveau = m->work.took_nouveau || streq(gpu->driver, NOUVEAU);
        return err_trace(run(m, "unbind", gpu->driver, addresses, take_next));
}

static void take_next(Manager *m)
{
        _cleanup_(gpu_facts_done) GpuFacts wanted = {}, excluded = {};
        const GpuFact *gpu = NULL;
        ClaimsMove move;
        int r;

        r = facts_read_gpus(m->root, m->config, &wanted, &excluded);
        if (r < 0) {
                fail(m, r);
                return;
        }
        move = m->fsm.stop_wanted || !m->config->take_over ? CLAIMS_DONE : claims_take(&wanted, &gpu);
        if (move == CLAIMS_DONE) {
                if (m->fsm.stop_wanted || !unload_nouveau(m))
                        end(m);
        } else if (move == m->work.move && streq_ptr(m->work.current, gpu->address)) {
                report_refusal(m, gpu);
        } else if (!streq_ptr(gpu->driver, NOUVEAU) || !tell_udevd(m)) {
                r = take(m, move, gpu);
                if (r < 0)
                        fail(m, r);
        }
}

void stage_take_enter(Manager *m)
{
        module_work_reset(m);
        m->work.began = manager_now(m);
        take_next(m);
}

static void on_pinned(Manager *m)
{
        if (m->work.error > 0)
                manager_stage_failed(m, CODE_LOAD_FAILED, "%s cannot be kept from the driver: %s.",
                                strna(m->work.current), strerror(m->work.error));
        else
                m->work.guarded(m);
}

static void pin(Manager *m)
{
        _cleanup_(gpu_facts_done) GpuFacts wanted = {}, excluded = {};
        _cleanup_strv_ char **addresses = NULL;
        int r;

        r = facts_read_gpus(m->root, m->config, &wanted, &excluded);
        if (r == 0)
                r = claims_to_pin(&excluded, &addresses);
        if (r == 0 && addresses)
                r = run(m, "override", GPU_PIN, addresses, on_pinned);
        if (r < 0)
                fail(m, r);
        else if (!addresses)
                m->work.guarded(m);
}

bool stage_clear_guard(Manager *m, void (*next)(Manager *m))
{
        _cleanup_(gpu_facts_done) GpuFacts wanted = {}, excluded = {};
        _cleanup_strv_ char **addresses = NULL;
        int r;

        if (m->work.guarded || (m->facts.excluded.n == 0 && !m->facts.has_pins))
                return false;
        m->work.guarded = next;
        m->work.waiting = false;
        r = facts_read_gpus(m->root, m->config, &wanted, &excluded);
        if (r == 0)
                r = claims_pinned(&wanted, &addresses);
        if (r == 0 && addresses)
                r = run(m, "override", "", addresses, pin);
        if (r < 0)
                fail(m, r);
        else if (!addresses)
                pin(m);
        return true;
}

static void on_released(Manager *m)
{
        if (m->work.error > 0)
                log_warning(m->log, "driver_override= of %s could not be cleared: %s, ignoring.",
                                strna(m->work.current), strerror(m->work.error));
        manager_stage_done(m);
}

void stage_clear_release(Manager *m)
{
        _cleanup_(gpu_facts_done) GpuFacts all = {};
        _cleanup_strv_ char **addresses = NULL;
        int r;

        r = pci_read_gpus(m->root, &all);
        if (r == 0)
                r = claims_pinned(&all, &addresses);
        if (r == 0 && addresses)
                r = run(m, "override", "", addresses, on_released);
        if (r < 0)
                log_warning(m->log, "GPUs: %s, ignoring.", strerror(-r));
        if (r < 0 || !addresses)
                manager_stage_done(m);
}

char *stage_clear_explain(Manager *m)
{
        _cleanup_(gpu_facts_done) GpuFacts wanted = {}, excluded = {};
        _cleanup_strv_ char **lines = NULL;

        if (facts_read_gpus(m->root, m->config, &wanted, &excluded) < 0 ||
                        claims_explain(&wanted, &lines) < 0 || !lines)
                return NULL;
        return strv_join(lines, "; ");
}

void stage_clear_block(Manager *m)
{
        _cleanup_strv_ char **foreign = NULL;
        int r;

        r = blocklist_write(m->root, &foreign);
        if (r < 0)
                log_warning(m->log, "The list that keeps nouveau out cannot be written: %s, ignoring.",
                                strerror(-r));
        STRV_FOREACH (path, foreign)
                log_warning(m->log, "%s is not ours, leaving it as it is.", *path);
}

void stage_clear_unblock(Manager *m)
{
        ModuleFact fact = {};
        int r;

        r = sysmod_read(m->root, "nvidia", &fact);
        if (r == 0 && fact.state == MOD_ABSENT)
                r = blocklist_remove(m->root);
        module_fact_done(&fact);
        if (r < 0)
                log_warning(m->log, "The list that keeps nouveau out cannot be removed: %s, ignoring.",
                                strerror(-r));
}
