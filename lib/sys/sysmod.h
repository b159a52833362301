/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What the kernel says about its modules: /sys/module. This is the only
 * authority on whether a module is loaded; helpers and exit codes are not.
 */

#include "base/root.h"
#include "policy/facts.h"

/*
 * Reads one module; '-' and '_' in @name are the same. A module that is not
 * there is no error: its state is MOD_ABSENT. It may come or go while it is
 * read; the answer is then one of the states it went through.
 * Returns 0 or a negative errno; @ret is the caller's to module_fact_done().
 */
int sysmod_read(const Root *root, const char *name, ModuleFact *ret);

/* The same for several names in their order, absent ones included. */
int sysmod_read_set(const Root *root, char *const *names, ModuleFacts *ret);

/*
 * The NVIDIA driver as it is loaded now, by whomever: every module named
 * nvidia*, except the few of that name that belong to the kernel itself
 * (nvidiafb ...), and all modules that hold one of these, directly or not.
 * Sorted by name; only modules that are really there. Of those that are built
 * in, only the driver's own four: others of such names are the kernel's.
 * Returns 0 or a negative errno.
 */
int sysmod_list_family(const Root *root, ModuleFacts *ret);

/*
 * Current parameters as "name=value", sorted by name, as far as the kernel
 * shows them (a parameter with mode 0 has no file). Empty if the module is
 * absent. Returns 0 or a negative errno.
 */
int sysmod_read_parameters(const Root *root, const char *name, char ***ret);
