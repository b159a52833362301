/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Who holds an flock(2) of a file that everybody may read. That is enough to
 * lock it, so such a lock means something only if it is root's.
 */

#include <sys/types.h>

#include "base/macro.h"

/*
 * Whether a process of root's, or of our own user's, has @fd's file locked.
 * @named is the process that the file names, 0 if none: flock(1) locks for the
 * shell that calls it and has ended by then, and the kernel tells only of
 * itself. That process counts unless the kernel names a living one of somebody
 * else. True as well if only root can open the file, and if there is no /proc/locks to ask.
 */
bool lockowner_is_trusted(int fd, pid_t named);
