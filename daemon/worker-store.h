/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Shared by the worker-*.c files that work on a store. */

#include "base/root.h"
#include "policy/code.h"
#include "policy/manifest.h"

/* Says what happened, and which code that is. */
Code worker_store_error(const char *what, int r);

/* What its id has to be. Returns 0, -EINVAL if there can be none, or another negative errno. */
int worker_build_id(const BuildManifest *m, char **ret);

/* A file that might be anything by now: no link is followed, no FIFO waited for. Returns 0 or a negative
 * errno. */
int worker_store_open(const Root *root, const char *directory, const char *name, int *ret);

/* Waits for the store's lock and says for whom; CODE_STORE_LOCKED after @limit. It is held as long as *@ret
 * is open. */
Code worker_store_lock(const Root *root, const char *store, usec_t limit, int *ret);
