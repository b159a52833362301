/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The host's module tree through libkmod: what has to be inserted before a
 * module, and the insertion of the host's own. Our modules are not inserted here.
 */

#include "base/root.h"

enum {
        _KMODULE_E_SUCCESS,
        KMODULE_E_ABSENT,      /* no such module */
        KMODULE_E_BLACKLISTED, /* the name is an alias of a module that the administrator blacklisted */
        KMODULE_E_FAILED,      /* the kernel refused; its errno is in an argument */
        KMODULE_E_NO_TREE,     /* no modules of this kernel are here at all, see moduletree.h */
};

/* What stands between the machine and a set of host modules. */
typedef struct KmodulePlan {
        char **paths;       /* files to insert, in this order; absolute, with the root's prefix */
        char **names;       /* their module names, with '_' */
        char **missing;     /* names asked for that the host does not have */
        char **builtin;     /* names asked for that are part of the kernel */
        char **blacklisted; /* names asked for that are aliases of blacklisted modules */
} KmodulePlan;

void kmodule_plan_done(KmodulePlan *plan);

/*
 * Resolves @names (or aliases) in the first tree of @release with their dependencies
 * and soft dependencies, as modprobe orders them. Left out: what is built in
 * and what @root's /sys/module shows as live. A name that does not exist is not an error.
 * Returns 0, KMODULE_E_ABSENT if the host has no modules at all for @release,
 * or a negative errno.
 */
int kmodule_resolve(const Root *root, const char *release, char *const *names, KmodulePlan *ret);

/*
 * Inserts one host module with its dependencies, options, soft dependencies and
 * install commands, as modprobe does. Blocks as long as the kernel likes: for
 * the helper program only. A module that is loaded already is success.
 * Every tree of @release is searched (moduletree.h). Returns 0, KMODULE_E_ABSENT
 * if none has it, KMODULE_E_NO_TREE, KMODULE_E_BLACKLISTED, KMODULE_E_FAILED with
 * a positive errno in *@reterr_errno, or a negative errno.
 */
int kmodule_probe(const Root *root, const char *release, const char *name, int *reterr_errno);
