/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * One instance per machine: a pid file with an flock(2) that lives as long as
 * the process. The lock decides, the number in it is for people. The shell
 * script that came before us locks the same file, so the two exclude each other.
 */

#include <sys/types.h>

#include "base/root.h"

#define PIDLOCK_DIRECTORY "run/nvidia"
#define PIDLOCK_NAME      "nvidia-driver.pid"
#define PIDLOCK_PATH      PIDLOCK_DIRECTORY "/" PIDLOCK_NAME

typedef struct PidLock PidLock;

enum {
        _PIDLOCK_E_SUCCESS,
        PIDLOCK_E_HELD, /* another process holds the lock */
};

/*
 * Takes the lock for process @pid and writes its number. Waits for a second at most, and
 * only if the process that the file names is gone: a child of it may be between fork and exec.
 * Returns 0, PIDLOCK_E_HELD with the number the file shows in *@reterr_pid (0
 * if it shows none), or a negative errno (-ELOOP: the file is a symbolic link,
 * -EINVAL: it is no regular file).
 */
int pidlock_acquire(const Root *root, pid_t pid, PidLock **ret, pid_t *reterr_pid);

/* Removes the file, if it still is ours, and gives the lock back. Takes NULL, returns NULL. */
PidLock *pidlock_release(PidLock *lock);
DEFINE_CLEANUP(PidLock, pidlock_release);
