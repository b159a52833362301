/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Mounts that nobody else sees: they are made in a mount namespace of this
 * process, and the kernel undoes them all when its last process is gone,
 * however it went. Nothing in here touches the namespace that it came from.
 */

#include "base/macro.h"

/* A namespace of its own, from which nothing spreads. Returns 0 or a negative errno. */
int mountspace_leave(void);

/* The same, as a copy of that of process @pid. Returns 0 or a negative errno. */
int mountspace_join(pid_t pid);

/* The file system @type on @device at @target, read only, no devices, no set-user-id. Returns 0 or a
 * negative errno. */
int mountspace_device(const char *device, const char *type, const char *target);
int mountspace_undo(const char *target);

/* An empty file system in memory. Returns 0 or a negative errno. */
int mountspace_memory(const char *target);

/* @lower with what is written in @upper; @work is overlayfs' own. All are without ',' and ':'. */
int mountspace_overlay(const char *lower, const char *upper, const char *work, const char *target);

/* proc(5), and the five device files that every program may expect, in the system below @root. */
int mountspace_furnish(const char *root);

/*
 * Takes hold of a file or directory of this namespace, to be shown elsewhere, in this or another one; not
 * what is mounted below it. Returns 0 or a negative errno.
 */
int mountspace_take(const char *path, bool writable, int *ret_fd);

/* Shows it at @path, an existing directory or file. */
int mountspace_show(int fd, const char *path);
