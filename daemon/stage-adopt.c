/* SPDX-License-Identifier: Apache-2.0 */

/*
 * ADOPT: a driver that is loaded as wanted is taken over as it is; and CLEAR:
 * one that is not, and is ours, goes. What is ours says the record that the
 * daemon who loaded it left behind.
 */

#include <inttypes.h>

#include "base/result.h"
#include "base/str.h"
#include "manager.h"
#include "stage-services.h"
#include "sys/clock.h"

static int take_owned(Manager *m)
{
        strv_free(m->owned);
        m->owned = NULL;
        return err_trace(strv_copy(m->facts.owned, &m->owned));
}

static const char *keep_reason(const ModuleFact *nvidia)
{
        if (nvidia && nvidia->state == MOD_BUILTIN)
                return ", which is built into the kernel";
        if (nvidia && nvidia->refcnt < 0)
                return ", which this kernel cannot unload";
        return ", which somebody else loaded: it will not be unloaded";
}

void stage_adopt_enter(Manager *m)
{
        const ModuleFact *nvidia = module_facts_find(&m->facts.modules, "nvidia");
        int r;

        r = take_owned(m);
        if (r == 0)
                r = stage_devices_monitor(m);
        if (r < 0) {
                manager_stage_failed(m, code_of_error(r), "udev: %s.", strerror(-r));
                return;
        }
        stage_nodes_loading(m);
        m->adopting = m->plan.loaded == PLAN_LOADED_WANTED;
        log_notice(m->log, "Adopting the loaded driver %s%s.", nvidia ? strempty(nvidia->version) : "",
                        m->plan.foreign ? keep_reason(nvidia) : "");
        manager_stage_done(m);
}

/* From the beginning of this process, or of a later attempt, to READY. */
void stage_adopt_ready(Manager *m)
{
        usec_t took = now_usec() - m->attempt_began, cpu = now_cpu_usec();

        if (m->adopting)
                log_info(m->log,
                                "Adopted in %" PRIu64 ".%" PRIu64 " ms, with %" PRIu64 ".%" PRIu64
                                " ms of processor time so far.",
                                took / USEC_PER_MSEC, took % USEC_PER_MSEC / 100, cpu / USEC_PER_MSEC,
                                cpu % USEC_PER_MSEC / 100);
        m->adopting = false;
}

void stage_clear_enter(Manager *m)
{
        int r;

        r = take_owned(m);
        if (r < 0)
                manager_stage_failed(m, code_of_error(r), "%s.", strerror(-r));
        else
                clear_ask_enter(m);
}
