/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Reads NVIDIA's supported-gpus.json: which kernel modules drive which device. */

#include "base/root.h"
#include "policy/drivertype.h"

/*
 * Looks beside every source (in it, and in supported-gpus/ beside kernel/ as a
 * .run file has it), then where packages of the driver put it, perhaps
 * compressed. The first file that is there counts; if it cannot be used,
 * @ret has a problem and no items. Returns 0 or a negative errno.
 */
int supportjson_find(const Root *root, const DriverSources *sources, GpuSupport *ret);
