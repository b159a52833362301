/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Owner and mode of the driver's nodes while READY. The driver's parameters say
 * what they are; nobody but the helper reads these, so a change only leads to
 * a run of it.
 */

#include "base/result.h"
#include "base/str.h"
#include "manager.h"
#include "node-rights.h"

/* So often owner and mode of a node are corrected, until nothing was wrong for that long. */
#define CORRECTIONS_MAX    3
#define CORRECTIONS_WINDOW (10 * USEC_PER_MINUTE)

/* What udev or the kernel do to other devices is none of our business; the names are enough to know. */
void node_rights_touched(Manager *m, const char *name)
{
        NodeWork *w = &m->node_work;

        if (!startswith(name, "nvidia"))
                return;
        w->touched = true;
        w->rights_due = MIN(w->rights_due, manager_now(m) + NODE_RETRY_ON_CHANGE);
        stage_devices_soon(m);
}

/* Two who both know better would go on for ever: we stop. */
bool node_rights_are_fought_over(Manager *m)
{
        const NodeWork *w = &m->node_work;

        return w->n_corrections >= CORRECTIONS_MAX && manager_now(m) - w->corrected < CORRECTIONS_WINDOW;
}

void node_rights_judge(Manager *m)
{
        NodeWork *w = &m->node_work;
        bool promised = m->fsm.state == FSM_READY || m->fsm.state == FSM_DEGRADED;
        _cleanup_free_ char *names = strv_join(w->said.corrected, ", ");
        usec_t now = manager_now(m);

        w->rights_due = 0;
        if (w->said.wrong) {
                w->touched = true;
                w->rights_due = now + CORRECTIONS_WINDOW;
        }
        if (!w->said.corrected || !promised)
                return;
        log_notice(m->log, "Corrected owner and mode of device nodes: %s.", strna(names));
        w->n_corrections = now - w->corrected < CORRECTIONS_WINDOW ? w->n_corrections + 1 : 1;
        w->corrected = now;
        /* What was changed while the helper ran was not watched. */
        w->touched = true;
}

char *const *stage_nodes_fought_over(const Manager *m)
{
        return m->config->create_nodes ? m->node_work.said.wrong : NULL;
}
