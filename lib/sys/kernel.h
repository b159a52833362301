/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The identity of the running kernel, from /proc. */

#include "base/root.h"
#include "policy/facts.h"

enum {
        _KERNEL_E_SUCCESS,
        KERNEL_E_ABSENT, /* /proc does not tell */
};

/*
 * Release and version of the running kernel (uname -r, uname -v); vermagic
 * stays NULL. Returns 0, KERNEL_E_ABSENT or a negative errno; @ret is the
 * caller's to kernel_fact_done().
 */
int kernel_read(const Root *root, KernelFact *ret);

/* The identity of this boot, 36 characters. Returns 0, KERNEL_E_ABSENT or a negative errno. */
int kernel_boot_id(const Root *root, char **ret);

/*
 * The words of the kernel's command line; double quotes keep blanks together
 * and are taken off, as the kernel does. Returns 0, KERNEL_E_ABSENT or a negative errno.
 */
int kernel_cmdline(const Root *root, char ***ret);
