/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * .run files on disk. What is in one will be run, and by root: it is only
 * taken if nobody but root (or who runs this) could have changed it.
 */

#include "base/root.h"
#include "policy/driversource.h"

enum {
        _RUNFILE_E_SUCCESS,
        RUNFILE_E_ABSENT,
        RUNFILE_E_UNUSABLE, /* see *@reterr_problem */
};

/* "NVIDIA-Linux-x86_64-550.54.14.run": worth a look. */
bool runfile_is_name(const char *name);

/*
 * Fills one or two sources (two: kernel-open/ as well) for the file at @path,
 * relative to the root. One that cannot be used is one source with a problem.
 * Returns 0, RUNFILE_E_ABSENT or a negative errno.
 */
int runfile_read(const Root *root, const char *path, DriverSource ret[static 2], size_t *ret_n);

/*
 * Right before it is run: looks at the file again.
 *
 * @ret_path:       its one true path on this machine, the caller's.
 * @reterr_problem: the rest of a sentence that begins with the path, the caller's.
 *
 * Returns 0, RUNFILE_E_ABSENT, RUNFILE_E_UNUSABLE or a negative errno.
 */
int runfile_check(const Root *root, const char *path, char **ret_path, char **reterr_problem);
