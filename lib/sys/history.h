/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The history's file: one entry per line, appended by one write(2) each. When
 * it is full it becomes history.1, in the place of the one before, and a new
 * one begins: bounded, without ever copying, and whole at every instant. Only
 * root may read it: the details name processes of all users.
 */

#include "base/root.h"
#include "policy/history.h"

#define HISTORY_NAME "history"

#define HISTORY_MODE 0600

enum {
        HISTORY_FILE_MAX = 128 * 1024, /* each of the two */
        HISTORY_DETAIL_MAX = 1000,     /* bytes of an entry's detail that are kept */
};

/* @directory is made if it is not there; a file that others may read is closed to them. Returns 0 or a
 * negative errno. */
int history_append(const Root *root, const char *directory, const HistoryEntry *e);

/* From the oldest entry on. Returns 0 (also without a history), or a negative errno: -EACCES if it is
 * somebody else's. */
int history_read(const Root *root, const char *directory, HistoryEntries *ret);
