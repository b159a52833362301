/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * One writer at a time: who imports into a store or removes from it holds
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
