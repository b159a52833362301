/* SPDX-License-Identifier: Apache-2.0 */

/*
 * STOPPING: services end, cancelled children are waited for, and what they left
 * in staging is removed. None of it keeps the stop from going on to the unload:
 * removing is tried once, and children that do not end (in D state, on a dead
 * NFS) are left behind when the state machine says so.
 */

#include "base/result.h"
#include "base/str.h"
#include "manager.h"
#include "stage-services.h"
#include "sys/notify.h"
#include "sys/store.h"

/* What builds of ours left that nobody works in any more, in the background. */
void manager_discard_staging(Manager *m)
{
        int r;

        r = build_discard_stale(m->pool, m->root, m->config->store_directory);
        if (r < 0)
                log_warning(m->log, "Staging directories could not be removed: %s, the next start does it.",
                                strerror(-r));
}

/* What could not be removed the first time is not tried again: a mount, an immutable file, a full NFS. */
static void report_leftovers(Manager *m)
{
        _cleanup_strv_ char **stale = NULL;

        if (store_stale(m->root, m->config->store_directory, &stale) < 0)
                return;
        STRV_FOREACH (path, stale)
                log_warning(m->log, "%s could not be removed, leaving it to the next start.", *path);
}

/* STOPPING: cancelled children are waited for, then what they left is removed, as far as it can be. */
void manager_stop_when_idle(Manager *m)
{
        if (m->fsm.state != FSM_STOPPING || stage_services_are_ending(m) || !job_pool_is_idle(m->pool))
                return;
        if (!m->discarded) {
                m->discarded = true;
                manager_discard_staging(m);
                if (!job_pool_is_idle(m->pool))
                        return;
        }
        report_leftovers(m);
        manager_stage_done(m);
}

void manager_stop_left(Manager *m)
{
        _cleanup_free_ char *names = job_pool_describe(m->pool);

        if (!job_pool_is_idle(m->pool))
                log_warning(m->log, "Stopping without waiting for %s, which did not end when told to.",
                                strna(names));
        else if (stage_services_are_ending(m))
                log_warning(m->log, "Stopping without waiting for services that did not end when told to.");
}

void manager_stop_enter(Manager *m)
{
        notify_sendf("STOPPING=1");
        manager_leave(m);
        stage_devices_end(m);
        m->discarded = false;
        holding_forget(m);
        stage_services_end(m, manager_stop_when_idle);
}
