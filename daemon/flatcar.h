/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Which release of Flatcar this host runs, and which system it is that lies in a directory. */

#include "base/root.h"
#include "policy/devcontainer.h"

/*
 * From the files of the host, also when this program runs in a container.
 * Returns 0, DEVCONTAINER_E_FOREIGN with why in *@reterr (the caller's), or a negative errno.
 */
int flatcar_identify(const Root *root, DevContainer *ret, char **reterr);

/* The text of the os-release of the system in @root. Returns 0, ROOT_E_ABSENT or a negative errno. */
int flatcar_read_release(const Root *root, char **ret);
