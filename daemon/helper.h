/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The operations of nvidia-driverd-helper, and the lines it answers with.
 * Every answer is a line KEY=VALUE on standard output; the exit status is that
 * of a Code (policy/code.h).
 */

#include "base/macro.h"
#include "policy/code.h"

#define HELPER_KEY_ERRNO  "errno"  /* of the kernel operation, positive */
#define HELPER_KEY_KERNEL "kernel" /* a line of the kernel log since the operation began */
#define HELPER_KEY_DETAIL "detail" /* what happened, for people */
#define HELPER_KEY_BUILD  "build"  /* path of the published build */

/* Prints one answer; bytes that could spoil a line are replaced. */
void helper_say(const char *key, const char *format, ...) _printf_(2, 3);

/* Each takes its arguments without the operation's name, NULL-terminated, and returns its Code. */
Code helper_insert(char **arguments);
Code helper_delete(char **arguments);
Code helper_probe(char **arguments);
Code helper_seal(char **arguments);
Code helper_verify(char **arguments);
Code helper_discard(char **arguments);
