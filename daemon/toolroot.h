/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * nvidia-driverd-toolchain: a system with a compiler, to build in. Shared by
 * the toolroot*.c files and by daemon/toolchain.c, which starts it.
 *
 * "open" makes it in a mount namespace of its own and stays; "run" runs one
 * command in it. In the namespace a file system in memory is mounted on
 * DIRECTORY, an existing one:
 *
 *   DIRECTORY/lower   the source, read only: a directory, or a loop device
 *   DIRECTORY/upper   what is written
 *   DIRECTORY/root    both, with /proc and /dev; the root of all commands
 *
 * The kernel takes all of it down when the last process in it is gone. So
 * there is nothing to be cleaned up, whoever is killed when.
 */

#include "helper.h"

#define TOOLROOT_LOWER "lower"
#define TOOLROOT_ROOT  "root"

/* The kinds of a bind, before its path. */
#define TOOLROOT_SHOW  "ro:"
#define TOOLROOT_WRITE "rw:"

/* What "open" is told to verify. */
#define TOOLROOT_CONTAINER "developer-container"
#define TOOLROOT_ANY       "any"

/*
 * open ROOT SOURCE DIRECTORY developer-container|any
 *
 * ROOT: the root of the machine, SOURCE and DIRECTORY are paths of this machine. Answers HELPER_KEY_NAME,
 * the system's PRETTY_NAME, once it can be used, and then waits for its end; or with HELPER_KEY_DETAIL and a
 * code: toolchain-invalid, toolchain-mismatch. Notes may come before.
 */
Code toolroot_open(char **arguments);

/*
 * run PID DIRECTORY [ro:PATH|rw:PATH]... -- PROGRAM ARGUMENT...
 *
 * PID: of "open". Paths of this machine, to be there under the same name. The program is looked up in PATH,
 * inside. Its working directory is /. Only returns if it could not be started.
 */
Code toolroot_run(char **arguments);
