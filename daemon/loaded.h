/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The record of the modules that this product loaded, in the runtime
 * directory: it outlives the daemon (and its container), but not the boot. It
 * tells our modules from a driver that somebody else loaded.
 */

#include "base/root.h"
#include "policy/facts.h"

/*
 * Reads the names, with '_'. A record of another boot counts as none.
 * Returns 0 (also without a record) or a negative errno.
 */
int loaded_read(const Root *root, char ***ret);

/*
 * The same, and what each of @modules that is on record was loaded with goes
 * into its loaded_with; a record of an older version does not tell.
 */
int loaded_read_with(const Root *root, ModuleFacts *modules, char ***ret);

/*
 * Writes the record, before the first of @names is loaded. @parameters is as
 * long, or NULL if they are not known. Returns 0 or a negative errno.
 */
#define LOADED_UNKNOWN "\n" /* instead of a module's parameters; no line could have it */
int loaded_write(const Root *root, char *const *names, char *const *parameters);

/* Removes it. Returns 0 or a negative errno. */
int loaded_forget(const Root *root);
