/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What a build may use: processors and memory. */

#include "base/root.h"

/* Processors this process may run on, at least 1. */
unsigned resources_cpus(void);

/*
 * Bytes of memory that can be had without swapping: MemAvailable of
 * /proc/meminfo, less where this process's cgroup (v2), or one that it is in,
 * allows less.
 * Returns 0, or 1 if the machine does not tell, or a negative errno.
 */
int resources_memory(const Root *root, uint64_t *ret);

/*
 * Whether the file system that @fd lies in has no room left to speak of. Many
 * tools do not say that this is why they failed (a shell says "I/O error").
 */
bool resources_is_full(int fd);
