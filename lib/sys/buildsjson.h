/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The list of builds as JSON text: "builds list --json". */

#include "policy/manifest.h"

typedef struct BuildRow {
        const BuildManifest *manifest;
        uint64_t size;      /* bytes, of all its files */
        bool in_use;        /* the loaded modules may be from it */
        bool good;          /* it worked last on its kernel */
        bool foreign;       /* it is for another kernel than the running one */
        const char *shared; /* the shared store that it is in; NULL: it is in the own one */
} BuildRow;

/* An array, indented, with a newline at the end; the caller's. Returns 0 or -ENOMEM. */
int builds_format(const BuildRow *rows, size_t n, char **ret);
