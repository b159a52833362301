/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A kernel module's file as an ELF file whose tables lead nowhere outside of it, compressed or not. */

#include "base/root.h"

enum {
        _MODULEFILE_E_SUCCESS,
        MODULEFILE_E_ABSENT,  /* no such file */
        MODULEFILE_E_DAMAGED, /* no module, a damaged one, or one of more than @limit bytes when unpacked */
};

/*
 * @limit: bytes, of a compressed file when it is unpacked. *@ret: open for
 * reading; the file itself, or its unpacked content in memory.
 * Returns 0, MODULEFILE_E_ABSENT, MODULEFILE_E_DAMAGED or a negative errno.
 */
int modulefile_open(const Root *root, const char *path, uint64_t limit, int *ret);
