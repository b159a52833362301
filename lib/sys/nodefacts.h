/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What driver and kernel say about the device nodes that there have to be. */

#include "base/root.h"
#include "policy/devnode.h"

/*
 * Reads /proc/driver/nvidia (params, gpus, capabilities), /proc/devices and the
 * DRM minors in /sys. A driver that is not there says nothing, which is no
 * error. Reading these files calls functions of the driver, which may hang on
 * a broken GPU: nothing for an event loop.
 * Returns 0 or a negative errno; @ret is the caller's to driver_nodes_done().
 */
int nodefacts_read(const Root *root, DriverNodes *ret);
