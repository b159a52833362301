/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The record of the modules that this product loaded, in the runtime
 * directory: it outlives the daemon (and its container), but not the boot. It
 * tells our modules from a driver that somebody else loaded.
 */

#include "base/root.h"

/*
 * Reads the names, with '_'. A record of another boot counts as none.
 * Returns 0 (also without a record) or a negative errno.
 */
int loaded_read(const Root *root, char ***ret);

/* Writes the record, before the first of @names is loaded. Returns 0 or a negative errno. */
int loaded_write(const Root *root, char *const *names);

/* Removes it. Returns 0 or a negative errno. */
int loaded_forget(const Root *root);
