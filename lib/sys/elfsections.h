/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The sections of an object file, for the little that libkmod does not tell, or tells too slowly. */

#include "base/macro.h"

enum {
        _ELFSECTIONS_E_SUCCESS,
        ELFSECTIONS_E_FORMAT, /* no 64-bit ELF file of this machine's byte order, or a damaged one */
        ELFSECTIONS_E_ABSENT, /* it has no such section */
};

/*
 * Whether libkmod may be given this file: every section lies inside of it,
 * every table of names ends with a NUL, and so does the list of symbol versions.
 * Returns 0, ELFSECTIONS_E_FORMAT or a negative errno.
 */
int elfsections_check(int fd);

/*
 * Whether a section of this name has any content. @fd is read with pread(2).
 * Returns 0, ELFSECTIONS_E_FORMAT or a negative errno.
 */
int elfsections_has(int fd, const char *name, bool *ret);

/*
 * The first section of this name, with a NUL behind it; the caller's. @max:
 * bytes; a larger one is ELFSECTIONS_E_FORMAT.
 * Returns 0, ELFSECTIONS_E_FORMAT, ELFSECTIONS_E_ABSENT or a negative errno.
 */
int elfsections_read(int fd, const char *name, size_t max, char **ret, size_t *ret_size);
