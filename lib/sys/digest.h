/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Digests of files and texts: SHA-256 says what a file is, XXH64 whether it is
 * still what it was (a flipped bit, a truncated write), ten to twenty times as fast.
 */

#include "base/macro.h"
#include "policy/mirror.h"

enum { DIGEST_HEX_SIZE = 64 + 1, DIGEST_FAST_HEX_SIZE = 16 + 1 };

/* From the current position to the end of the file. @ret_size may be NULL. Returns 0 or a negative errno. */
int digest_fd(int fd, char ret_hex[static DIGEST_HEX_SIZE], uint64_t *ret_size);

/* The same for either kind of a checksum. */
int digest_checksum_fd(
                int fd, ChecksumKind kind, char ret_hex[static CHECKSUM_HEX_SIZE], uint64_t *ret_size);

/* The next @size bytes, not one less. Returns as digest_fd(). */
int digest_head_fd(int fd, uint64_t size, char ret_hex[static DIGEST_HEX_SIZE]);
int digest_text(const char *text, size_t size, char ret_hex[static DIGEST_HEX_SIZE]);

/* XXH64 of a file, 16 hex digits. Returns as digest_fd(). */
int digest_fast_fd(int fd, char ret_hex[static DIGEST_FAST_HEX_SIZE], uint64_t *ret_size);
void digest_fast_text(const char *text, size_t size, char ret_hex[static DIGEST_FAST_HEX_SIZE]);
