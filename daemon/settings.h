/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The configuration as this host gives it: files, then environment, then the
 * rules between keys.
 */

#include "base/root.h"
#include "policy/config.h"

enum {
        _SETTINGS_E_SUCCESS,
        SETTINGS_E_NO_FILE,        /* the file named by the caller is not there */
        SETTINGS_E_UNREADABLE,     /* it is there and cannot be read, or is too big */
        SETTINGS_E_BAD_ASSIGNMENT, /* one of the assignments is not valid */
};

/**
 * settings_load() - Put the configuration together
 * @root:               where files are looked up
 * @explicit_file:      an absolute path (below @root) to read instead of the
 *                      usual files and drop-ins, or NULL
 * @environ_pairs:      "NAME=value" strings, as environ(7); or NULL. Empty
 *                      values count as unset
 * @assignments:        "SECTION.KEY=VALUE" strings of the command line, or NULL
 * @ret_problems:       a sentence for each thing that was wrong and ignored,
 *                      "FILE:LINE: message" where it has a place; NULL if there
 *                      is none; owned by the caller, who logs them
 * @ret:                the configuration, owned by the caller
 *
 * Return: 0, also with problems; SETTINGS_E_NO_FILE and SETTINGS_E_UNREADABLE
 *         (errno tells why) only with @explicit_file;
 *         SETTINGS_E_BAD_ASSIGNMENT, then @ret_problems is set too, with the
 *         mistake as its last line; or -ENOMEM.
 */
int settings_load(const Root *root, const char *explicit_file, char *const *environ_pairs,
                char *const *assignments, char ***ret_problems, Config **ret);
