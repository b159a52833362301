/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* SHA-256 of files and texts. */

#include "base/macro.h"

enum { DIGEST_HEX_SIZE = 64 + 1 };

/* From the current position to the end of the file. @ret_size may be NULL. Returns 0 or a negative errno. */
int digest_fd(int fd, char ret_hex[static DIGEST_HEX_SIZE], uint64_t *ret_size);
int digest_text(const char *text, size_t size, char ret_hex[static DIGEST_HEX_SIZE]);
