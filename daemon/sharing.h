/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The shared stores, [Store] Shared=. They are mounts that may hang, so the
 * worker reads them: one for each, all at a time, and one for a copy. Who does
 * not answer in time is let go of.
 */

#include "base/root.h"
#include "job.h"
#include "policy/config.h"
#include "policy/manifest.h"

typedef struct Sharing Sharing;

/*
 * Reads the manifests of all shared stores, of one kernel @release or of all
 * (NULL), in the stores' order. What cannot be used, be it a build or a whole
 * store, is a line in *@problems. @builds and @problems are the caller's and
 * have to live as long as this; they are complete when @done is called, from
 * the loop. Returns 0 or a negative errno.
 */
int sharing_look(JobPool *pool, const Root *root, const Config *config, const char *release,
                BuildManifests *builds, char ***problems, void (*done)(void *userdata), void *userdata,
                Sharing **ret);

/* The same on a loop of its own, for programs that may wait. */
int sharing_look_now(const Root *root, const Config *config, const char *release, BuildManifests *builds,
                char ***problems);

/* Copies a build that was found so into the store. @done is called from the loop. Returns 0 or a negative
 * errno. */
int sharing_take(JobPool *pool, const Root *root, const Config *config, const BuildManifest *m,
                void (*done)(void *userdata), void *userdata, Sharing **ret);

/* Once the copy is done: NULL if it was, or why not; the caller's. NULL on out of memory, too. */
char *sharing_failure(const Sharing *s);

/* Ends what runs, in the background. */
Sharing *sharing_free(Sharing *s);
DEFINE_CLEANUP(Sharing, sharing_free);
