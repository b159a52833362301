/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A store of others, read only: perhaps a mount that is slow, full of rubbish,
 * or gone in the middle. Nothing is locked or written there, no link below the
 * given directory is followed, and nothing is believed but what its digest
 * says. All of it may block: for the worker.
 */

#include "base/root.h"
#include "policy/manifest.h"

enum {
        _SHAREDSTORE_E_SUCCESS,
        SHAREDSTORE_E_ABSENT,  /* there is nothing of that name */
        SHAREDSTORE_E_INVALID, /* it cannot be used, see *@reterr */
};

/*
 * Opens the directory of builds: @directory is a store, or holds the builds
 * itself, as "nvidia-driver build --output" leaves them.
 * Returns 0, SHAREDSTORE_E_ABSENT or a negative errno.
 */
int sharedstore_open(const Root *root, const char *directory, int *ret_fd);

/* Names that may be builds, at most SHAREDSTORE_NAMES_MAX of them. Returns 0 or a negative errno. */
int sharedstore_names(int fd, char ***ret);
enum { SHAREDSTORE_NAMES_MAX = 4096 };

/*
 * Opens the build @name and reads its manifest. @ret_text and @ret_fd, the
 * build's directory, may be NULL.
 * Returns 0, SHAREDSTORE_E_* or a negative errno.
 */
int sharedstore_read(
                int fd, const char *name, BuildManifest *ret, char **ret_text, int *ret_fd, char **reterr);

/*
 * Copies one file into @to_fd, a directory, and compares what it copies with
 * the manifest. Returns 0, SHAREDSTORE_E_INVALID or a negative errno, which is
 * that of the copy: what cannot be read is invalid.
 */
int sharedstore_copy(int build_fd, const BuildFile *f, int to_fd, char **reterr);
