/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Before CLEAR ends our services for a driver that has to go: does anybody else
 * hold it? Then it cannot go, and the services stay where they are, because
 * those others may need them. The counters of the kernel cannot tell, since our
 * services are in them, so the holders are asked for by process.
 *
 * It is tried all the same if that cannot be found out: else a driver could
 * never be replaced where /proc is hidden from us.
 */

#include "base/result.h"
#include "manager.h"
#include "policy/modstack.h"
#include "stage-services.h"
#include "sys/sysmod.h"

#define LOOK_DELAY (100 * USEC_PER_MSEC)

static void look(Manager *m);

static void go_on(Manager *m)
{
        stage_services_end(m, stage_take_enter);
}

static void on_answered(Manager *m)
{
        m->stopping.answered = true;
}

static bool ask(Manager *m, usec_t now)
{
        int r;

        m->stopping.asked = now;
        r = holding_ask(m, on_answered);
        if (r < 0)
                log_warning(m->log,
                                "Who holds the driver cannot be found out: %s, ending the services to see.",
                                strerror(-r));
        return r == 0;
}

static void judge(Manager *m, const ModuleFacts *facts, char *const *removable)
{
        const Holders *l = m->holding.holders;

        if (l && l->n > 0)
                stage_unload_report_busy(m, facts, removable);
        else
                go_on(m);
}

static void look(Manager *m)
{
        _cleanup_(module_facts_done) ModuleFacts facts = {};
        _cleanup_strv_ char **removable = NULL;
        usec_t now = manager_now(m);
        int r;

        if (m->fsm.stop_wanted) {
                manager_stage_done(m);
                return;
        }
        r = sysmod_list_family(m->root, &facts);
        if (r == 0)
                r = modstack_removable(&facts, m->owned, &removable);
        if (r < 0)
                manager_stage_failed(m, code_of_error(r), "/sys/module cannot be read: %s.", strerror(-r));
        else if (!stopping_is_used(&facts, removable))
                go_on(m);
        else if (m->stopping.answered)
                judge(m, &facts, removable);
        else if (!m->stopping.asked && !ask(m, now))
                go_on(m);
        else if (now >= usec_add(m->work.began, m->config->load_timeout))
                go_on(m);
        else
                module_work_again(m, LOOK_DELAY, look);
}

void clear_ask_enter(Manager *m)
{
        if (m->plan.loaded != PLAN_LOADED_OTHER || !stage_services_run(m)) {
                go_on(m);
                return;
        }
        module_work_reset(m);
        m->work.began = manager_now(m);
        m->stopping = (Stopping){};
        look(m);
}
