/* SPDX-License-Identifier: Apache-2.0 */

/*
 * CLEAR and UNLOAD: our modules out, in the order that /sys/module/NAME/holders
 * dictates, one helper run each. What was asked for is not what counts: after
 * each run the kernel's own list is read again (trap T3).
 *
 * A module in use is tried again until the deadline, then the stage ends busy
 * and the rest stays as it is. Modules that we did not load are never touched.
 */

#include "base/result.h"
#include "base/str.h"
#include "loaded.h"
#include "manager.h"
#include "policy/modorder.h"
#include "policy/verdict.h"
#include "sys/sysmod.h"

#define RETRY_DELAY (100 * USEC_PER_MSEC)

static void unload_next(Manager *m);

static void finish(Manager *m)
{
        _cleanup_free_ char *names = strv_join(m->work.order, ", "),
                            *took = str_from_usec(manager_now(m) - m->work.began);

        if (m->work.order)
                log_info(m->log, "Unloaded %s in %s.", strna(names), strna(took));
        m->owned = strv_free(m->owned);
        if (loaded_forget(m->root) < 0)
                log_warning(m->log, "The record of loaded modules could not be removed, ignoring.");
        stage_firmware_withdraw(m);
        manager_progress(m, NULL);
        stage_clear_release(m);
}

static char *describe_use(const ModuleUse *use)
{
        _cleanup_free_ char *holders = strv_join(use->holders, ", ");

        if (use->users < 0)
                return str_format("%s (this kernel cannot unload modules)", use->name);
        if (isempty(holders))
                return str_format("%s (%d open)", use->name, use->users);
        return str_format("%s (held by module %s)", use->name, holders);
}

static void report_busy(Manager *m, const ModuleFacts *facts)
{
        _cleanup_strv_ char **list = NULL;
        _cleanup_free_ char *text = NULL;
        ModuleUses uses = {};

        if (modorder_uses(facts, m->owned, &uses) == 0)
                for (size_t i = 0; i < uses.n; i++)
                        (void)strv_push_consume(&list, describe_use(&uses.items[i]));
        text = strv_join(list, ", ");
        module_uses_done(&uses);

        (void)str_replace(&m->detail, text);
        log_code(m->log, LOG_WARNING, CODE_BUSY, text);
        manager_post(m, &(FsmEvent){ .type = FSM_EV_BUSY, .token = m->fsm.token });
}

static void try_again(Manager *m, const ModuleFacts *facts)
{
        if (manager_now(m) + RETRY_DELAY >= m->work.deadline)
                report_busy(m, facts);
        else
                module_work_again(m, RETRY_DELAY, unload_next);
}

static void on_deleted(Manager *m)
{
        Verdict verdict;
        Code code;

        if (!module_work_judge(m, verdict_unload, &verdict, &code))
                return;

        if (verdict == VERDICT_FAILED) {
                _cleanup_free_ char *evidence = module_work_evidence(m);

                manager_stage_failed(m, code, "%s: %s. %s", m->work.current,
                                m->work.error > 0 ? strerror(m->work.error) : "no answer",
                                strempty(evidence));
                return;
        }
        if (verdict == VERDICT_DONE) {
                log_debug(m->log, "Module %s is unloaded.", m->work.current);
                (void)strv_push(&m->work.order, m->work.current);
                unload_next(m);
        } else {
                module_work_again(m, RETRY_DELAY, unload_next);
        }
}

static void delete_module(Manager *m, const char *name)
{
        _cleanup_free_ char *progress = str_format("Unloading %s", name);
        int r;

        manager_progress(m, progress);
        r = str_replace(&m->work.current, name);
        if (r == 0)
                r = module_work_start(m, "delete", m->work.current, NULL, on_deleted);
        if (r < 0)
                manager_stage_failed(m, CODE_INTERNAL, "helper: %s.", strerror(-r));
}

static void unload_next(Manager *m)
{
        ModuleFacts facts = {};
        const char *name = NULL;
        int r;

        r = sysmod_list_family(m->root, &facts);
        if (r < 0) {
                manager_stage_failed(m, CODE_INTERNAL, "/sys/module cannot be read: %s.", strerror(-r));
                return;
        }

        r = modorder_next_to_unload(&facts, m->owned, &name);
        if (r == 0)
                delete_module(m, name);
        else if (r == MODORDER_E_DONE)
                finish(m);
        else
                try_again(m, &facts);
        module_facts_done(&facts);
}

void stage_unload_enter(Manager *m)
{
        module_work_reset(m);
        m->work.began = manager_now(m);
        m->work.deadline = m->work.began + m->config->stop_timeout;
        if (!watch_kernel_vetoes_unload(m))
                unload_next(m);
}
