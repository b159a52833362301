/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A compressed file (bzip2, gzip, xz, zstd, or none of them) into a plain one. Blocks: for worker processes.
 */

#include "base/macro.h"

enum {
        _DECOMPRESS_E_SUCCESS,
        DECOMPRESS_E_INVALID, /* damaged, cut off, empty, or larger than @limit; see *@reterr */
};

/*
 * Reads @from from its current position and writes @to, an empty file, from its
 * beginning. Blocks of zeros become holes.
 *
 * @progress: may be NULL; @read is how much of @from has been used.
 * @ret_size: of the result.
 *
 * Returns 0, DECOMPRESS_E_INVALID or a negative errno.
 */
int decompress(int from, int to, uint64_t limit, void (*progress)(void *userdata, uint64_t read),
                void *userdata, uint64_t *ret_size, char **reterr);
