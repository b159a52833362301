/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The list is looked at while somebody waits for the driver, again and again.
 * A process is told in the log when it is seen first and not each time; who is
 * still there at the end is in the words of the failure.
 */

#include <inttypes.h>

#include "base/result.h"
#include "base/str.h"
#include "holding.h"
#include "manager.h"
#include "policy/modorder.h"
#include "stage-services.h"

enum {
        LOGGED_MAX = 64,     /* lines for one list */
        DESCRIBED_MAX = 8,   /* processes in one sentence */
        BRIEF_MAX = 3,       /* in a line of status */
        STATUS_MAX = 256,    /* entries in the status: it is made on the loop */
        LOOKED_UP_MAX = 256, /* processes whose ancestors are looked at */
        FIELD_NODES_MAX = 4  /* journal fields of one process */
};

static bool same_process(const Holder *a, const Holder *b)
{
        return a->pid == b->pid && a->start == b->start;
}

/* The index behind the entries of the process that begins at @at. */
static size_t next_process(const Holders *l, size_t at)
{
        size_t i = at + 1;

        while (i < l->n && same_process(&l->items[at], &l->items[i]))
                i++;
        return i;
}

static size_t count_processes(const Holders *l)
{
        size_t n = 0;

        for (size_t i = 0; i < l->n; i = next_process(l, i))
                n++;
        return n;
}

/* Both lists are sorted, but not long enough for that to matter: who holds a GPU is seldom a crowd. */
static bool contains(const Holders *l, const Holder *h)
{
        for (size_t i = 0; l && i < l->n; i++)
                if (same_process(&l->items[i], h))
                        return true;
        return false;
}

size_t holding_log_fields(Manager *m, const Holders *holders, size_t at)
{
        const Holder *h = &holders->items[at];
        size_t end = next_process(holders, at);
        char pid[24];

        (void)snprintf(pid, sizeof(pid), "%" PRIi32, (int32_t)h->pid);
        log_field(m->log, "HOLDER_PID", pid);
        log_field(m->log, "HOLDER_COMMAND", h->command);
        log_field(m->log, "HOLDER_USER", h->user);
        log_field(m->log, "HOLDER_UNIT", h->home.unit);
        log_field(m->log, "HOLDER_CONTAINER", h->home.container);
        log_field(m->log, "HOLDER_POD", h->home.pod);
        for (size_t i = at; i < end && i < at + FIELD_NODES_MAX; i++)
                log_field(m->log, "HOLDER_NODE", holders->items[i].node);
        return end;
}

static void log_news(Manager *m, const Holders *old, const Holders *holders)
{
        _cleanup_strv_ char **lines = NULL;
        size_t n_logged = 0, n = 0;

        if (holders_describe(holders, &lines) < 0)
                return;
        for (size_t i = 0; i < holders->n && lines && lines[n]; n++) {
                size_t end = next_process(holders, i);

                if (!contains(old, &holders->items[i]) && n_logged++ < LOGGED_MAX) {
                        (void)holding_log_fields(m, holders, i);
                        log_message(m->log, LOG_NOTICE, LOG_ID_HOLDER, "The driver is in use by %s.",
                                        lines[n]);
                }
                i = end;
        }
        if (n_logged > LOGGED_MAX)
                log_notice(m->log, "And by %zu processes more.", n_logged - LOGGED_MAX);
}

/*
 * Our services hold the driver because we want them to, and end when it has to
 * go: nobody has to wait for them. Returns NULL if there are none in the list.
 */
static const Holders *without_services(Manager *m, const Holders *l)
{
        Holders *others = &m->holding.others;
        size_t n_looked_up = 0, n_ours = 0;

        holders_done(others);
        if (!l || !stage_services_run(m))
                return NULL;
        for (size_t i = 0, end; i < l->n; i = end) {
                end = next_process(l, i);
                if (stage_services_own(m, l->items[i].pid, n_looked_up++ < LOOKED_UP_MAX)) {
                        n_ours++;
                        continue;
                }
                for (size_t k = i; k < end; k++) {
                        _cleanup_(holder_done) Holder copy = {};

                        if (holder_copy(&l->items[k], &copy) < 0 || holders_add(others, &copy) < 0)
                                return NULL;
                }
        }
        others->incomplete = l->incomplete;
        others->n_unreadable = l->n_unreadable;
        if (n_ours == 0)
                holders_done(others);
        return n_ours > 0 ? others : NULL;
}

static void on_answer(void *userdata, const Holders *all)
{
        Manager *m = userdata;
        Holding *h = &m->holding;
        _cleanup_(holders_done) Holders old = h->others;
        const Holders *before = h->holders == &h->others ? &old : h->holders, *others, *holders;

        h->others = (Holders){};
        others = without_services(m, all);
        holders = others ? others : all;
        if (holders)
                log_news(m, before, holders);
        else
                log_warning(m->log, "Who holds the driver could not be found out.");
        h->holders = holders;
        holders_scan_free(h->asked);
        h->asked = TAKE_PTR(h->asking);
        manager_status_changed(m);
        if (h->answered)
                h->answered(m);
}

int holding_ask(Manager *m, void (*answered)(Manager *m))
{
        m->holding.answered = answered;
        if (m->holding.asking)
                return 0;
        return err_trace(holders_scan(m->pool, m->root, on_answer, m, &m->holding.asking));
}

void holding_forget(Manager *m)
{
        holders_scan_free(m->holding.asking);
        holders_scan_free(m->holding.asked);
        holders_done(&m->holding.others);
        free(m->holding.evicted);
        m->holding = (Holding){};
}

static char *describe_use(const ModuleUse *use)
{
        _cleanup_free_ char *holders = strv_join(use->holders, ", ");

        if (isempty(holders))
                return str_format("%s (%d open)", use->name, use->users);
        if (use->users <= 0)
                return str_format("%s (held by module %s)", use->name, holders);
        return str_format("%s (%d open, held by module %s)", use->name, use->users, holders);
}

/* The modules; *@ret_open says whether one of them is open, and not only held by other modules. */
static char *describe_uses(const ModuleFacts *facts, char *const *removable, bool *ret_open)
{
        _cleanup_strv_ char **list = NULL;
        ModuleUses uses = {};

        *ret_open = false;
        if (modorder_uses(facts, removable, &uses) < 0)
                return NULL;
        for (size_t i = 0; i < uses.n; i++) {
                *ret_open = *ret_open || uses.items[i].users > 0;
                (void)strv_push_consume(&list, describe_use(&uses.items[i]));
        }
        module_uses_done(&uses);
        return strv_join(list, ", ");
}

static char *describe_processes(const Holders *l)
{
        _cleanup_strv_ char **lines = NULL;
        _cleanup_free_ char *text = NULL;
        size_t n;

        if (holders_describe(l, &lines) < 0)
                return NULL;
        n = strv_length(lines);
        for (size_t i = DESCRIBED_MAX; i < n; i++)
                lines[i] = (free(lines[i]), NULL);
        text = strv_join(lines, "; ");
        return n > DESCRIBED_MAX ? str_format("%s; and %zu more", strempty(text), n - DESCRIBED_MAX)
                                 : TAKE_PTR(text);
}

char *holding_describe(Manager *m, const ModuleFacts *facts, char *const *removable)
{
        const Holders *l = m->holding.holders;
        _cleanup_free_ char *modules = NULL, *processes = NULL;
        bool open;

        modules = describe_uses(facts, removable, &open);
        if (!open)
                return TAKE_PTR(modules);
        if (!l)
                return str_format("%s, by whom could not be found out.", strempty(modules));
        if (l->n == 0)
                return str_format("%s, but no process that can be seen from here has a node of it open "
                                  "(%u could not be looked into; a container needs --pid=host).",
                                strempty(modules), l->n_unreadable);
        processes = describe_processes(l);
        return str_format("%s, in use by %s%s.", strempty(modules), strempty(processes),
                        l->incomplete ? ", and perhaps others" : "");
}

char *holding_brief(Manager *m)
{
        const Holders *l = m->holding.holders;
        _cleanup_strv_ char **names = NULL;
        _cleanup_free_ char *text = NULL;
        size_t n = 0;

        for (size_t i = 0; l && i < l->n; i = next_process(l, i))
                if (n++ < BRIEF_MAX && strv_pushf(&names, "%s[%" PRIi32 "]", strna(l->items[i].command),
                                                       (int32_t)l->items[i].pid) < 0)
                        return NULL;
        if (n == 0)
                return NULL;
        text = strv_join(names, ", ");
        return n > BRIEF_MAX ? str_format("%s and %zu more", strempty(text), n - BRIEF_MAX) : TAKE_PTR(text);
}

int holding_fill_status(Manager *m, Status *s)
{
        const Holders *l = m->holding.holders;

        if (!l)
                return 0;
        s->n_holders = count_processes(l);
        for (size_t i = 0; i < l->n && i < STATUS_MAX; i++) {
                _cleanup_(holder_done) Holder copy = {};
                int r = holder_copy(&l->items[i], &copy);

                if (r == 0)
                        r = holders_add(&s->holders, &copy);
                if (r)
                        return err_trace(r);
        }
        return 0;
}
