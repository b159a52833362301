/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Names of the sections of an object file, for the little that libkmod does not tell. */

#include "base/macro.h"

enum {
        _ELFSECTIONS_E_SUCCESS,
        ELFSECTIONS_E_FORMAT, /* no 64-bit ELF file of this machine's byte order, or a damaged one */
};

/*
 * Whether a section of this name has any content. @fd is read with pread(2).
 * Returns 0, ELFSECTIONS_E_FORMAT or a negative errno.
 */
int elfsections_has(int fd, const char *name, bool *ret);
