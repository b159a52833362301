/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * One writer at a time: who publishes into a store or removes from it holds
 * DIRECTORY/lock. Readers need no lock, builds come and go by one rename. The
 * kernel gives the lock back however its holder ends.
 */

#include <sys/types.h>

#include "base/root.h"

#define STORE_LOCK "lock"

enum {
        _STORELOCK_E_SUCCESS,
        STORELOCK_E_HELD,
};

/*
 * @ret_fd: keep it open as long as you write. @reterr_pid: who holds it, 0 if
 * that is not known. Returns 0, STORELOCK_E_HELD or a negative errno.
 */
int storelock_acquire(const Root *root, const char *directory, int *ret_fd, pid_t *reterr_pid);

/*
 * The same for programs that may block: waits until it is free, but no longer
 * than @limit. @held may be NULL; it is told who has it, once per holder.
 */
int storelock_wait(const Root *root, const char *directory, usec_t limit, void (*held)(pid_t pid),
                int *ret_fd, pid_t *reterr_pid);
