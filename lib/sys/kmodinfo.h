/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What a module file says about itself. */

#include "base/root.h"

enum {
        _KMODINFO_E_SUCCESS,
        KMODINFO_E_ABSENT, /* no such file */
        KMODINFO_E_FORMAT, /* the file is no kernel module, or a damaged one */
};

/* From .modinfo and the appended signature; what is not there is NULL. */
typedef struct KmodInfo {
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
} KmodInfo;

void kmodinfo_done(KmodInfo *info);

/*
 * Reads a module file, .ko or compressed. @path is relative to @root. For the worker program: the file may
 * be large, and libkmod reads it.
 * Returns 0, KMODINFO_E_ABSENT, KMODINFO_E_FORMAT or a negative errno.
 */
int kmodinfo_read(const Root *root, const char *path, KmodInfo *ret);
