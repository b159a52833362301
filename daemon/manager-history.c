/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The history: every change of the state with the time that the one before
 * took, what the kernel said about GPUs, beginnings and ends. It is for people
 * who come later; whether it can be written is never a reason to do otherwise.
 */

#include "base/result.h"
#include "base/str.h"
#include "build-config.h"
#include "manager.h"
#include "sys/clock.h"
#include "sys/history.h"
#include "sys/kernel.h"

static void append(Manager *m, HistoryEntry *e)
{
        int r;

        if (!m->boot && kernel_boot_id(m->root, &m->boot) != 0)
                m->boot = strdup("unknown");
        e->time = now_realtime_usec();
        e->pid = getpid();
        e->boot = m->boot;
        r = history_append(m->root, m->config->store_directory, e);
        /* Said once, until it works again. */
        if (r < 0 && !m->history_failed)
                log_notice(m->log, "%s/" HISTORY_NAME " cannot be written: %s, ignoring.",
                                m->config->store_directory, strerror(-r));
        m->history_failed = r < 0;
}

void manager_history_started(Manager *m)
{
        HistoryEntry e = { .kind = HISTORY_STARTED, .detail = (char *)"nvidia-driverd " PROJECT_VERSION };

        m->state_entered = now_usec();
        append(m, &e);
}

void manager_history_state(Manager *m, FsmState before)
{
        usec_t now = now_usec();
        bool ok = m->fsm.code == CODE_OK;
        HistoryEntry e = {
                .kind = HISTORY_STATE,
                .from = (char *)fsm_state_to_string(before),
                .state = (char *)fsm_state_to_string(m->fsm.state),
                .took = now - m->state_entered,
                .code = ok ? NULL : (char *)code_to_string(m->fsm.code),
                .detail = ok ? m->loading_manifest.id : m->detail,
        };

        m->state_entered = now;
        append(m, &e);
}

void manager_history_gpu(Manager *m, const char *text, unsigned count)
{
        HistoryEntry e = { .kind = HISTORY_GPU, .detail = (char *)text, .count = count };

        append(m, &e);
}

void manager_history_ended(Manager *m)
{
        HistoryEntry e = { .kind = HISTORY_ENDED, .code = (char *)code_to_string(m->exit_code) };

        append(m, &e);
}
