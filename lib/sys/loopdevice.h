/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A file as a block device, read only. */

#include "base/macro.h"

/*
 * Shows @size bytes of the file @fd from @offset on as a loop device.
 * *@ret_node: "/dev/loop3", the caller's. *@ret_fd: the device; once the last
 * user is gone, this descriptor and a mount, the kernel takes the device down
 * by itself (LO_FLAGS_AUTOCLEAR), so a killed process leaves nothing. A node
 * that a container's /dev does not have is made, and stays.
 *
 * Returns 0 or a negative errno: -ENOENT where the kernel has no loop devices,
 * -EINVAL before Linux 5.8, which has no LOOP_CONFIGURE.
 */
int loopdevice_attach(int fd, uint64_t offset, uint64_t size, char **ret_node, int *ret_fd);
