/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Reads unpacked NVIDIA kernel sources. Nothing is written. */

#include "base/root.h"
#include "policy/driversource.h"

enum {
        _DRIVER_SOURCE_E_SUCCESS,
        DRIVER_SOURCE_E_ABSENT, /* no such directory */
};

/*
 * @path is relative to the root: the directory with the Kbuild file, or one
 * with kernel/ or kernel-open/ in it. An incomplete source is success with
 * DriverSource.missing filled. Returns 0, DRIVER_SOURCE_E_ABSENT or a negative errno.
 */
int driver_source_read(const Root *root, const char *path, DriverSource *ret);

/*
 * Reads every source that exists: run/nvidia-driverd/source,
 * usr/src/nvidia-VERSION, usr/src/nvidia-kernel-VERSION, opt/nvidia/VERSION,
 * then all of usr/src/nvidia* and opt/nvidia/<name>. A directory with both
 * kernel/ and kernel-open/ is two sources, and so is a .run file: one that is
 * @configured, or any NVIDIA-Linux-*.run in usr/src and opt/nvidia. With a @configured path
 * (may be NULL) only that one, listed with exists == false if it is not there.
 * @version may be NULL. Returns 0 or a negative errno.
 */
int driver_source_search(const Root *root, const char *configured, const char *version, DriverSources *ret);
