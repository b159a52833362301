/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The modules that belong to the NVIDIA driver, whoever loaded them: its own,
 * and those that others put on top of it.
 */

#include "policy/facts.h"

/* Of the driver's own release: its version has to be the driver's. */
bool modstack_is_driver(const char *name);

/* One of the above, or known to be of no use without the driver (GPUDirect Storage, GDRCopy). */
bool modstack_is_known(const char *name);

/*
 * What goes when the modules @owned are taken out: these, and if nvidia itself
 * is among them, the known modules that hold one of them, directly or not.
 * Those stand behind what they hold. Modules that are not known are left to
 * whoever loaded them.
 *
 * Returns 0 or -ENOMEM.
 */
int modstack_removable(const ModuleFacts *facts, char *const *owned, char ***ret);
