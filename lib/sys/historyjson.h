/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* An entry of the history as one line of JSON. */

#include "policy/history.h"

enum {
        _HISTORYJSON_E_SUCCESS,
        HISTORYJSON_E_INVALID, /* no entry */
};

/* With a newline at the end; the caller's. Returns 0 or -ENOMEM. */
int historyjson_format(const HistoryEntry *e, char **ret);

/* @ret is the caller's to history_entry_done(). Returns 0, HISTORYJSON_E_INVALID or -ENOMEM. */
int historyjson_parse(const char *line, HistoryEntry *ret);
