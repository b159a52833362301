/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* One digest of all that is in a directory: whether two copies of a source are the same one. */

#include "sys/digest.h"

enum {
        _TREEDIGEST_E_SUCCESS,
        TREEDIGEST_E_TOO_BIG, /* more files than any driver source has */
};

/*
 * SHA-256 over the sorted names of the files below @directory (of this machine)
 * with the SHA-256 of their content, or where they lead if they are links.
 * Modes, owners, times and empty directories do not count. @leaves_out (may be
 * NULL) is asked with the path below @directory. Nothing is followed, and other
 * file systems are not entered.
 * Returns 0, TREEDIGEST_E_TOO_BIG or a negative errno; *@reterr (the caller's)
 * may say which file.
 */
int treedigest(const char *directory, bool (*leaves_out)(const char *path),
                char ret_hex[static DIGEST_HEX_SIZE], char **reterr);
