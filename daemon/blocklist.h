/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Files that keep udev from loading another driver for our GPUs while they are ours to use. */

#include "base/root.h"

/*
 * Writes what is not there yet. A file of that name that is not ours is left
 * alone, and its path is added to *@foreign.
 * Returns 0 or a negative errno.
 */
int blocklist_write(const Root *root, char ***foreign);

/* Removes what is ours, and the directories if we made them and they are empty. Returns 0 or a negative
 * errno. */
int blocklist_remove(const Root *root);
