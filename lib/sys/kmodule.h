/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Module files and the host's module tree through libkmod: what a .ko says
 * about itself, what has to be inserted before it, and the insertion of the
 * host's own modules. Our modules are not inserted here.
 */

#include "base/root.h"

enum {
        _KMODULE_E_SUCCESS,
        KMODULE_E_ABSENT,      /* no such file, module or tree */
        KMODULE_E_FORMAT,      /* the file is no kernel module */
        KMODULE_E_BLACKLISTED, /* the name is an alias of a module that the administrator blacklisted */
        KMODULE_E_FAILED,      /* the kernel refused; its errno is in an argument */
};

/* From .modinfo and the appended signature; what is not there is NULL. */
typedef struct KmoduleInfo {
        char *name; /* with '_' */
        char *vermagic;
        char *version;
        char *srcversion;
        char *license;
        char *retpoline; /* "Y" */
        char *signer;
        char *hash;        /* of the signature */
        char **depends;    /* module names as written there */
        char **parameters; /* their names */
} KmoduleInfo;

void kmodule_info_done(KmoduleInfo *info);

/*
 * Reads a module file, .ko or compressed. @path is relative to @root.
 * Returns 0, KMODULE_E_ABSENT, KMODULE_E_FORMAT or a negative errno.
 */
int kmodule_info(const Root *root, const char *path, KmoduleInfo *ret);

/*
 * The vermagic that modules of kernel @release carry, from the first readable
 * file that lib/modules/RELEASE/modules.dep lists. @ret_hash: the digest that
 * it is signed with, NULL if it is not; may be NULL.
 * Returns 0, KMODULE_E_ABSENT or a negative errno.
 */
int kmodule_host_vermagic(const Root *root, const char *release, char **ret, char **ret_hash);

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
 * Resolves @names (or aliases) in lib/modules/@release with their dependencies
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
 * Returns 0, KMODULE_E_ABSENT, KMODULE_E_BLACKLISTED, KMODULE_E_FAILED with a
 * positive errno in *@reterr_errno, or a negative errno.
 */
int kmodule_probe(const Root *root, const char *release, const char *name, int *reterr_errno);
