/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Asking those who hold the driver to end, because the administrator said so.
 * A process is known by pid and start time, both from the list; between list
 * and signal it may have ended and its pid be somebody else's, which
 * sys/procsignal.h tells apart.
 *
 * SIGKILL only for those that SIGTERM was sent to: who came later has not had
 * its time yet, and is asked first.
 */

#include <signal.h>
#include <unistd.h>

#include "base/result.h"
#include "base/str.h"
#include "holding.h"
#include "manager.h"
#include "policy/stopping.h"
#include "sys/procsignal.h"

enum {
        STEP_MAX = 32, /* processes in one turn of the loop */
        CGROUP_MAX = 16384,
};

static bool was_asked(const Holding *h, const Holder *holder)
{
        for (size_t i = 0; i < h->n_evicted; i++)
                if (h->evicted[i].pid == holder->pid && h->evicted[i].start == holder->start)
                        return true;
        return false;
}

static void remember(Holding *h, const Holder *holder)
{
        Evicted *grown = reallocarray(h->evicted, h->n_evicted + 1, sizeof(*grown));

        /* Out of memory spares it from SIGKILL, no more. */
        if (!grown)
                return;
        h->evicted = grown;
        grown[h->n_evicted++] = (Evicted){ holder->pid, holder->start };
}

static char *read_cgroup(const Root *root, const char *process)
{
        _cleanup_free_ char *path = str_format("proc/%s/cgroup", process);
        char *text = NULL;

        if (path)
                (void)root_read_file(root, path, CGROUP_MAX, &text, NULL);
        return text;
}

static const char *spare(Manager *m, const Holder *h)
{
        _cleanup_free_ char *pid = str_format("%d", (int)h->pid), *theirs = NULL, *own = NULL;

        theirs = pid ? read_cgroup(m->root, pid) : NULL;
        own = read_cgroup(m->root, "self");
        return stopping_spare(h, getpid(), theirs, own);
}

static void signal_one(Manager *m, const Root *host, size_t at)
{
        const Holders *l = m->holding.holders;
        const Holder *h = &l->items[at];
        int signal = was_asked(&m->holding, h) ? m->holding.signal : SIGTERM, r;
        const char *why = spare(m, h);

        (void)holding_log_fields(m, l, at);
        if (why) {
                log_notice(m->log, "%s[%d] is left alone: %s.", strna(h->command), (int)h->pid, why);
                return;
        }
        r = procsignal_send(host, h->pid, h->start, signal);
        if (r < 0)
                log_warning(m->log, "%s[%d] could not be signalled: %s.", strna(h->command), (int)h->pid,
                                strerror(-r));
        else if (r == PROCSIGNAL_E_GONE)
                log_debug(m->log, "%s[%d] has ended.", strna(h->command), (int)h->pid);
        else if (signal == SIGKILL)
                log_warning(m->log, "%s[%d] holds the driver and did not end: killed.", strna(h->command),
                                (int)h->pid);
        else
                log_notice(m->log, "%s[%d] holds the driver: asked it to end.", strna(h->command),
                                (int)h->pid);
        if (r == 0 && signal == SIGTERM)
                remember(&m->holding, h);
}

void evict_begin(Manager *m, int signal)
{
        m->holding.at = 0;
        m->holding.signal = signal;
}

bool evict_step(Manager *m)
{
        const Holders *l = m->holding.holders;
        _cleanup_(root_freep) Root *host = NULL;
        size_t *at = &m->holding.at;
        int r;

        if (!l || *at >= l->n)
                return false;
        /* Signals go to processes of this machine, whatever tree the daemon looks at. */
        r = root_new("/", &host);
        if (r < 0) {
                log_error(m->log, "/: %s", strerror(-r));
                return false;
        }
        for (unsigned n = 0; n < STEP_MAX && *at < l->n; n++) {
                size_t first = *at;

                signal_one(m, host, first);
                while (*at < l->n && l->items[*at].pid == l->items[first].pid)
                        (*at)++;
        }
        return *at < l->n;
}
