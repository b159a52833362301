/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The store of builds: DIRECTORY/builds/ID with a manifest in each, and
 * DIRECTORY/staging/RANDOM where work happens. A build appears in builds/ by
 * one rename(2), complete and synced, or not at all.
 *
 * A staging directory is locked (flock) by the process that works in it; one
 * that nobody holds is what a killed process left, and may be removed.
 */

#include "base/root.h"
#include "policy/manifest.h"

#define STORE_BUILDS    "builds"
#define STORE_STAGING   "staging"
#define STORE_GOOD      "good"
#define STORE_DAMAGED   "damaged"   /* builds that were not what was built, TIME-ID: for people to look at */
#define STORE_TREES     "trees"     /* kernel trees, see policy/kepttree.h */
#define STORE_TOOLCHAIN "toolchain" /* images, and where one is mounted for a build */

/*
 * Reads the manifests of all builds. @directory is a path in @root. An entry
 * without a readable manifest is no build: a line in @ret_problems (the caller's) says why.
 * Returns 0 (also without a store) or a negative errno.
 */
int store_list(const Root *root, const char *directory, BuildManifests *ret, char ***ret_problems);

/*
 * Directories in builds/ that can never be of use: without a manifest, or with a damaged one. One that
 * could not be read just now, or that a newer program wrote, is not among them. For who holds the store's
 * lock.
 * @ret_paths: in @root; the caller's. Returns 0 or a negative errno.
 */
int store_broken(const Root *root, const char *directory, char ***ret_paths);

enum {
        _STORE_E_SUCCESS,
        STORE_E_ABSENT,     /* no manifest there */
        STORE_E_INVALID,    /* it is damaged, see *@reterr */
        STORE_E_NEWER,      /* a later version of this program wrote it, see *@reterr */
        STORE_E_UNREADABLE, /* reading it failed, see *@reterr */
};

/* Reads one build's manifest. Returns 0, STORE_E_* or a negative errno. */
int store_read(const Root *root, const char *build, BuildManifest *ret, char **reterr);

/*
 * The id that a build of this description has: version, type, release and a
 * digest of @identity, its build_manifest_identity(). Returns 0, -EINVAL if no directory could be
 * called so, or another negative errno.
 */
int store_build_id(const BuildManifest *m, const char *identity, char **ret);

/*
 * Makes a staging directory of a random name, mode 0700, and locks it; missing
 * directories above it are made, too.
 * @ret_path: in @root; the caller's. @ret_lock: keep it open as long as you work.
 * Returns 0 or a negative errno.
 */
int store_stage(const Root *root, const char *directory, char **ret_path, int *ret_lock);

/* Staging directories that no process works in. */
int store_stale(const Root *root, const char *directory, char ***ret_paths);

/*
 * DIRECTORY/good/RELEASE names the build that came to READY last on that
 * kernel. Marking syncs, so it is for programs that may block.
 */
int store_good_mark(const Root *root, const char *directory, const char *release, const char *id);

/* *@ret is NULL if there is none. Returns 0 or a negative errno. */
int store_good_read(const Root *root, const char *directory, const char *release, char **ret);

/* The ids of all kernels. Returns 0 or a negative errno. */
int store_good_list(const Root *root, const char *directory, char ***ret);

/* How many damaged builds are kept. */
enum { STORE_DAMAGED_MAX = 2 };

/*
 * Takes a damaged build out of builds/ in one step, and retires all but the
 * newest of those that are kept. *@ret_path: where it is now, in @root; the
 * caller's. For who holds the store's lock. Returns 0 or a negative errno.
 */
int store_set_aside(const Root *root, const char *directory, const char *build, char **ret_path);

/* The damaged builds that are kept, the oldest first, as paths in @root. Returns 0 or a negative errno. */
int store_damaged(const Root *root, const char *directory, char ***ret_paths);

/*
 * Takes a build out of the store in one step, into staging/, where it counts as
 * stale and is removed with the rest. Returns 0 or a negative errno.
 */
int store_retire(const Root *root, const char *directory, const char *build);
