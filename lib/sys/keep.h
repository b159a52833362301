/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The directory by which the daemon and the keepers of its services know of
 * each other. For each service it has
 *
 *   NAME:lock     locked twice, see below
 *   NAME          what the keeper wrote down (policy/servicerecord.h)
 *   NAME:output   a FIFO: lines of the service
 *
 * Identity is the kernel's word and not a number in a file. The keeper holds a
 * POSIX lock, of which F_GETLK tells the owner; a pid in a file may be anybody's
 * by now (trap T8). The keeper and every process of the service that did not
 * close it share an open file with an flock(2), so when that one is free, no
 * process of the service is left.
 */

#include <sys/types.h>

#include "base/root.h"

#define KEEP_DIRECTORY "run/nvidia-driverd/services"

enum {
        _KEEP_E_SUCCESS,
        KEEP_E_ABSENT, /* no keeper */
        KEEP_E_HELD,   /* a keeper lives */
        KEEP_E_FAMILY, /* no keeper lives, but processes of the service do */
        KEEP_E_HIDDEN, /* a keeper lives in another pid namespace */
};

/* Makes the directory, which is root's alone. Returns 0 or a negative errno. */
int keep_open_directory(const Root *root, int *ret_fd);

/* Names of services that there are traces of. Returns 0 or a negative errno; no directory, or one that the
 * caller may not read, means none. */
int keep_list(const Root *root, char ***ret);

/*
 * For the keeper: takes both locks. The service is to inherit @ret_fd. Exactly
 * one descriptor of that file may ever be open in the calling process: closing
 * another one gives the lock away.
 * Returns 0, KEEP_E_HELD, KEEP_E_FAMILY or a negative errno.
 */
int keep_lock(int directory_fd, const char *name, int *ret_fd);

/*
 * The living keeper, as a pidfd. Returns 0, KEEP_E_ABSENT, KEEP_E_HIDDEN or a
 * negative errno.
 */
int keep_find(int directory_fd, const char *name, pid_t *ret_pid, int *ret_pidfd);

/* The processes that have the lock file open, other than by O_PATH. For a program that may block: it walks
 * /proc. */
int keep_family(int directory_fd, const char *name, const Root *proc, pid_t **ret_pids, size_t *ret_n);

/*
 * The FIFO, made if need be, open for reading and writing: so it can be opened
 * while nobody is at the other end, and nobody gets SIGPIPE when the other end
 * goes. O_NONBLOCK, O_CLOEXEC. Returns 0 or a negative errno.
 */
int keep_open_output(int directory_fd, const char *name, int *ret_fd);

/* The record, in one step. Returns 0 or a negative errno. */
int keep_write(int directory_fd, const char *name, const char *text);

/* Returns 0, KEEP_E_ABSENT or a negative errno. */
int keep_read(int directory_fd, const char *name, size_t max, char **ret);

/* Removes what belongs to the service, and the directory if it is empty then. */
void keep_remove(const Root *root, const char *name);
