/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Where a process is at home, by /proc/PID/cgroup: a unit of systemd, a container, a pod. */

#include "policy/holder.h"

/*
 * Reads the whole text, cgroup v1 (a line for each hierarchy), v2 (one line)
 * or both. What it does not tell stays NULL; a text that is none tells
 * nothing. Returns 0 or -ENOMEM; *@ret is the caller's to holder_home_done().
 */
int cgroup_parse(const char *text, HolderHome *ret);
