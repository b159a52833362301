/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The reason why the daemon ended, kept in the runtime directory so that
 * "nvidia-driver status" can tell it when nobody runs any more. Gone with the
 * next start.
 */

#include "base/root.h"
#include "policy/code.h"

/* Readable for everybody, unless it tells who uses the driver. Returns 0 or a negative errno. */
int failure_write(const Root *root, Code code, const char *detail);

/* Returns 0, or 1 if there is none that the caller may read, or a negative errno. @ret_detail is the
 * caller's. */
int failure_read(const Root *root, Code *ret_code, char **ret_detail);
int failure_forget(const Root *root);
