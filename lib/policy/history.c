/* SPDX-License-Identifier: Apache-2.0 */

#include "base/result.h"
#include "base/str.h"
#include "policy/history.h"

static const char *const kinds[_HISTORY_KIND_MAX] = {
        [HISTORY_STARTED] = "started",
        [HISTORY_STATE] = "state",
        [HISTORY_GPU] = "gpu",
        [HISTORY_ENDED] = "ended",
};

const char *history_kind_to_string(HistoryKind kind)
{
        return kind >= 0 && kind < _HISTORY_KIND_MAX ? kinds[kind] : "invalid";
}

HistoryKind history_kind_from_string(const char *name)
{
        for (HistoryKind k = 0; k < _HISTORY_KIND_MAX; k++)
                if (streq(kinds[k], name))
                        return k;
        return _HISTORY_KIND_INVALID;
}

void history_entry_done(HistoryEntry *e)
{
        free(e->boot);
        free(e->state);
        free(e->from);
        free(e->code);
        free(e->detail);
        *e = (HistoryEntry){};
}

void history_entries_done(HistoryEntries *l)
{
        for (size_t i = 0; i < l->n; i++)
                history_entry_done(&l->items[i]);
        free(l->items);
        *l = (HistoryEntries){};
}

int history_entries_add(HistoryEntries *l, HistoryEntry *e)
{
        HistoryEntry *grown;

        /* By doubling: there are thousands. */
        if ((l->n & (l->n - 1)) == 0) {
                grown = reallocarray(l->items, l->n > 0 ? 2 * l->n : 1, sizeof(*grown));
                if (!grown)
                        return err_origin(-ENOMEM);
                l->items = grown;
        }
        l->items[l->n++] = *e;
        *e = (HistoryEntry){};
        return 0;
}
