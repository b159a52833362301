/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Things that are no device nodes and have the name of one, such as a file that
 * a program made by opening /dev/nvidiactl for writing before the driver was there.
 */

#include "base/root.h"
#include "policy/config.h"
#include "policy/facts.h"

/*
 * Before anything is loaded: for each file in the way of a node that the driver
 * will have, in every /dev that they are made in, the command that removes it
 * ("rm /dev/nvidiactl"). One that is safe to replace is not among them. NULL if
 * there are none, or if nodes are none of our business.
 * Returns 0 or a negative errno.
 */
int nodeblock_find(const Root *root, const Config *config, const GpuFacts *gpus, char ***ret);

/* The commands that remove @files, for people; the caller's. NULL on out of memory. */
char *nodeblock_explain(const Root *root, char *const *files);
