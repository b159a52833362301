/* SPDX-License-Identifier: Apache-2.0 */

/*
 * BUSY: a driver that has to go is in use. The state machine's timer tries
 * again in growing intervals, and names who holds it each time. That may take
 * minutes, so in between the kernel's counters are looked at, which costs a
 * dozen small files: when nobody holds it any more it goes on at once.
 *
 * A GPU that another driver does not let go of is BUSY, too. That costs more to
 * find out, and is left to the timer.
 */

#include <limits.h>

#include "base/result.h"
#include "manager.h"
#include "policy/modstack.h"
#include "policy/stopping.h"
#include "stage-services.h"
#include "sys/sysmod.h"

#define LOOK_DELAY USEC_PER_SEC

/* Unknown is used. *@ret_users: references to modules that have to go, by anything. */
static bool is_used(Manager *m, int *ret_users)
{
        _cleanup_(module_facts_done) ModuleFacts facts = {};
        _cleanup_strv_ char **removable = NULL;
        int r;

        *ret_users = INT_MAX;
        r = sysmod_list_family(m->root, &facts);
        if (r == 0)
                r = modstack_removable(&facts, m->owned, &removable);
        if (r < 0)
                return true;
        *ret_users = stopping_count_users(&facts, removable);
        return stopping_is_used(&facts, removable);
}

/*
 * Our services hold the driver, too, and are only ended when it is going to be
 * unloaded: with them the counters never come down to nothing. Then it is worth
 * another try when somebody has let go.
 */
static bool is_worth_a_try(Manager *m)
{
        int users, before = m->busy_users;

        if (!is_used(m, &users)) {
                log_info(m->log, "Nobody uses the driver any more.");
                return true;
        }
        m->busy_users = users;
        return users < before && stage_services_run(m);
}

static int on_look(sd_event_source *source, uint64_t usec, void *userdata)
{
        Manager *m = userdata;

        if (m->fsm.state != FSM_BUSY) {
                stage_busy_leave(m);
        } else if (is_worth_a_try(m)) {
                stage_busy_leave(m);
                manager_stage_done(m);
        } else if (sd_event_source_set_time(source, manager_now(m) + LOOK_DELAY) < 0 ||
                        sd_event_source_set_enabled(source, SD_EVENT_ONESHOT) < 0) {
                stage_busy_leave(m); /* the state machine's timer is left */
        }
        return 0;
}

void stage_busy_enter(Manager *m)
{
        stage_busy_leave(m);
        if (!is_used(m, &m->busy_users))
                return;
        if (sd_event_add_time_relative(
                            m->event, &m->busy_timer, CLOCK_MONOTONIC, LOOK_DELAY, 0, on_look, m) < 0)
                log_warning(m->log, "timer: looking for holders in growing intervals only.");
}

void stage_busy_leave(Manager *m)
{
        m->busy_timer = sd_event_source_disable_unref(m->busy_timer);
}
