/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>

/*
 * Where things are at run time. Relative paths are below the Root.
 *
 * The environment can name other programs to run: NVIDIA_DRIVERD_HELPER,
 * NVIDIA_DRIVERD_WORKER, NVIDIA_DRIVERD_FETCH, NVIDIA_DRIVERD_KEEPER,
 * NVIDIA_DRIVERD_TOOLCHAIN, NVIDIA_DRIVERD_DAEMON and, for systemd's udevadm,
 * NVIDIA_DRIVERD_UDEVADM. These variables are honoured only after
 * paths_allow_environment(), which the programs call for an explicit --root=:
 * a variable that reaches a service by accident must not choose what root runs.
 */

#define RUNTIME_DIRECTORY "run/nvidia-driverd"
#define RUNTIME_SOCKET    RUNTIME_DIRECTORY "/bus"
#define RUNTIME_STATUS    RUNTIME_DIRECTORY "/status.json"
/*
 * Beside the pid file and not in our own directory: a container has /run/nvidia
 * from the host by contract, so the record outlives the container.
 */
#define RUNTIME_LOADED "run/nvidia/nvidia-driver.loaded"
/* What was done to show the driver's firmware to the kernel. */
#define RUNTIME_FIRMWARE "run/nvidia/nvidia-driver.firmware"
#define RUNTIME_FAILURE  RUNTIME_DIRECTORY "/failure"

/* For the process; off at the start. A value that is not an absolute path is ignored even then. */
void paths_allow_environment(bool allow);

const char *path_of_fetch(void);
const char *path_of_helper(void);
const char *path_of_keeper(void);
const char *path_of_toolchain(void);
const char *path_of_worker(void);
const char *path_of_udevadm(void);
const char *path_of_daemon(void);
