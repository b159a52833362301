/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * One instance per machine: an flock(2) that lives as long as the process, on a
 * file that only root can open, and a pid file for everybody to read. The lock
 * decides, the number is for people. The shell script that came before us
 * locks the pid file, so a process of root's that has it locked counts as well.
 */

#include <sys/types.h>

#include "base/root.h"

#define PIDLOCK_DIRECTORY "run/nvidia"
#define PIDLOCK_NAME      "nvidia-driver.pid"
#define PIDLOCK_LOCK_NAME ".nvidia-driver.lock"
#define PIDLOCK_PATH      PIDLOCK_DIRECTORY "/" PIDLOCK_NAME

typedef struct PidLock PidLock;

enum {
        _PIDLOCK_E_SUCCESS,
        PIDLOCK_E_HELD,     /* another process holds the lock */
        PIDLOCK_E_RESTORED, /* one of the files was gone, and is there again */
};

/*
 * Takes the lock for process @pid and writes its number. Waits for a second at most, and
 * only if the process that the lock file names is gone: a child of it may be between fork and exec.
 * Returns 0, PIDLOCK_E_HELD with the number the file shows in *@reterr_pid (0
 * if it shows none), or a negative errno (-ELOOP: the file is a symbolic link,
 * -EINVAL: it is no regular file).
 */
int pidlock_acquire(const Root *root, pid_t pid, PidLock **ret, pid_t *reterr_pid);

/*
 * Makes again what somebody removed: the pid file, the lock file, the
 * directory. Returns 0 if nothing was missing, PIDLOCK_E_RESTORED,
 * PIDLOCK_E_HELD if another process was faster, or a negative errno.
 */
int pidlock_restore(const Root *root, PidLock *lock, pid_t *reterr_pid);

/* The directory of the files, to be watched. It is the lock's, and another one after a restore. */
int pidlock_directory_fd(const PidLock *lock);

/* Removes the files, if they still are ours, and gives the lock back. Takes NULL, returns NULL. */
PidLock *pidlock_release(PidLock *lock);
DEFINE_CLEANUP(PidLock, pidlock_release);
