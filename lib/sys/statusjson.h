/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A status as JSON text: the answer of the bus and of "status --json". */

#include "policy/status.h"

enum {
        _STATUS_E_SUCCESS,
        STATUS_E_INVALID, /* not a status this program understands */
};

/* Indented, with a newline at the end; the caller's. Returns 0 or -ENOMEM. */
int status_format(const Status *s, char **ret);

/* Returns 0, STATUS_E_INVALID or -ENOMEM. */
int status_parse(const char *text, Status *ret);
