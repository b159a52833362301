/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A file that exists to be locked, in a directory of our own in /run. Somebody
 * may have put anything else under its name, and its holder may remove it
 * between our open and our lock: after locking, ask whether the name still
 * leads to what was locked, and begin again if not.
 */

#include "base/macro.h"

/*
 * Opens the regular file @name in @directory_fd; @flags and @mode as of open(2).
 * Does not wait for the other end of a FIFO and follows no link. Returns 0 with
 * a descriptor that is the caller's, or a negative errno: -EINVAL for what is
 * no regular file, -ELOOP for a link.
 */
int lockfile_open(int directory_fd, const char *name, int flags, mode_t mode, int *ret_fd);

/*
 * Opens a file that only root can open, and makes it if need be: whoever can
 * open a file can lock it. An older one that others may open loses that mode
 * first. Returns as lockfile_open().
 */
int lockfile_open_private(int directory_fd, const char *name, int *ret_fd);

/* Whether others may open the file or directory behind @fd, so that a lock on it may be anybody's. */
bool lockfile_is_open_to_others(int fd);

/* Whether @name still leads to the file behind @fd. */
bool lockfile_is_named(int directory_fd, const char *name, int fd);
