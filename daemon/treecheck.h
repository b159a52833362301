/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Whether a kept kernel tree is still what it was: asked of the worker, which sets one aside that is not. */

#include "base/root.h"
#include "job.h"
#include "policy/code.h"
#include "policy/config.h"

typedef struct TreeCheck TreeCheck;

/*
 * @tree: as in its TreeFacts; @running: it is for the kernel that runs. @done is called once, from the loop:
 * with CODE_OK, or why it cannot be used (borrowed). Returns 0 or a negative errno.
 */
int treecheck(JobPool *pool, const Root *root, const Config *config, const char *tree, bool running,
                void (*done)(void *userdata, Code code, const char *detail), void *userdata,
                TreeCheck **ret);
TreeCheck *treecheck_free(TreeCheck *c);
DEFINE_CLEANUP(TreeCheck, treecheck_free);

/* The same on a loop of its own. *@ret_detail is the caller's. Returns 0 or a negative errno. */
int treecheck_now(const Root *root, const Config *config, const char *tree, bool running, Code *ret_code,
                char **ret_detail);
