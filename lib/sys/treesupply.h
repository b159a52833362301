/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Where a kernel's .config and Module.symvers are when its source has none:
 * distributions install them beside the kernel.
 */

#include "base/root.h"
#include "policy/kerneltree.h"

/* In the root: the configuration of the running kernel, if it was built with IKCONFIG_PROC. */
#define TREESUPPLY_RUNNING_CONFIG "proc/config.gz"

enum {
        SYMVERS_SIZE_MAX = 16 * 1024 * 1024, /* bytes: a distribution's has 2 MB */
};

/*
 * Completes the facts of a full source: config, config_from and symvers_from,
 * for kernel @release. With @running also from /proc/config.gz, which is about
 * the running kernel only. Returns 0 or a negative errno.
 */
int treesupply_complete(const Root *root, const char *release, bool running, TreeFacts *t);
