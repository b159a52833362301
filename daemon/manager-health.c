/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Between the watchers (devices, modules, services, kernel log) and the state
 * machine, which knows only "lost" and "healed": the gravest complaint is the
 * reason shown, and only the last one withdrawn makes it whole again.
 */

#include "base/result.h"
#include "base/str.h"
#include "manager.h"

/* Also called on entering READY: what was complained of before it counts from then on. */
void manager_health_show(Manager *m)
{
        const Complaint *worst = health_worst(&m->health);

        if (worst) {
                (void)str_replace(&m->detail, worst->detail);
                manager_post(m, &(FsmEvent){ .type = FSM_EV_LOST, .code = worst->code });
        } else if (m->fsm.state == FSM_DEGRADED) {
                manager_post(m, &(FsmEvent){ .type = FSM_EV_HEALED });
        }
}

void manager_complain(Manager *m, HealthSource source, Code code, const char *detail)
{
        int r = health_set(&m->health, source, code, detail);

        if (r < 0)
                log_error(m->log, "health: %s", strerror(-r));
        if (r > 0)
                manager_status_changed(m);
        if (r > 0 && (m->fsm.state == FSM_READY || m->fsm.state == FSM_DEGRADED))
                manager_health_show(m);
}
