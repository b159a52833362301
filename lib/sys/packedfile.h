/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Text files that may be compressed, as /proc/config.gz. */

#include "base/root.h"

enum {
        _PACKEDFILE_E_SUCCESS,
        PACKEDFILE_E_ABSENT, /* no such file */
        PACKEDFILE_E_BROKEN, /* damaged, or more than @max bytes when unpacked */
};

/*
 * Reads the whole file, unpacked if it is compressed and as it is if not, with
 * a NUL after it. *@ret is the caller's.
 *
 * Return: 0, PACKEDFILE_E_ABSENT, PACKEDFILE_E_BROKEN or a negative errno.
 */
int packedfile_read(const Root *root, const char *path, size_t max, char **ret, size_t *ret_size);
