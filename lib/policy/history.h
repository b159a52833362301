/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What happened on this machine, entry by entry: "why did it lose its GPUs at 03:12". */

#include "base/macro.h"

typedef enum HistoryKind {
        HISTORY_STARTED, /* a daemon began; .detail is its version */
        HISTORY_STATE,   /* .from became .state; .took is how long .from lasted */
        HISTORY_GPU,     /* the kernel said something about a GPU, .count times */
        HISTORY_ENDED,   /* the daemon ended with .code */
        _HISTORY_KIND_MAX,
        _HISTORY_KIND_INVALID = -EINVAL,
} HistoryKind;

typedef struct HistoryEntry {
        HistoryKind kind;
        usec_t time; /* since 1970 */
        char *boot;  /* identity of the boot */
        int64_t pid; /* of the daemon */
        char *state, *from;
        char *code; /* name, or NULL */
        char *detail;
        usec_t took;
        unsigned count;
} HistoryEntry;

typedef struct HistoryEntries {
        HistoryEntry *items;
        size_t n;
        unsigned n_damaged; /* lines that are no entries, such as one that was being written when the power
                               went */
} HistoryEntries;

const char *history_kind_to_string(HistoryKind kind);
HistoryKind history_kind_from_string(const char *name);

void history_entry_done(HistoryEntry *e);
void history_entries_done(HistoryEntries *l);

/* Takes over the content of *@e. Returns 0 or -ENOMEM. */
int history_entries_add(HistoryEntries *l, HistoryEntry *e);
