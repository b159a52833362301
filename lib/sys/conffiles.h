/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The configuration files of a host, in the places and the order that users of
 * systemd know.
 */

#include "base/root.h"

/**
 * conffiles_list() - Which files make up the configuration
 * @root:       where they are looked up
 * @ret:        their paths without a leading slash, in the order to read them,
 *              a later one winning over an earlier one; NULL if there are none;
 *              owned by the caller
 *
 * A drop-in may be listed that cannot be read (a dangling symlink, a directory
 * that cannot be listed): reading it shows the reason, and so nothing is lost
 * in silence.
 *
 * Return: 0 or -ENOMEM.
 */
int conffiles_list(const Root *root, char ***ret);
