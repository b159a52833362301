/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Where things are at run time. Relative ones are in the Root. The programs'
 * own places can be moved by NVIDIA_DRIVERD_HELPER, NVIDIA_DRIVERD_WORKER,
 * NVIDIA_DRIVERD_FETCH, NVIDIA_DRIVERD_KEEPER, NVIDIA_DRIVERD_TOOLCHAIN and
 * NVIDIA_DRIVERD_DAEMON for tests, and systemd's udevadm by
 * NVIDIA_DRIVERD_UDEVADM; like every environment variable of a root process
 * these are under the control of who started it.
 */

#define RUNTIME_DIRECTORY "run/nvidia-driverd"
#define RUNTIME_SOCKET    RUNTIME_DIRECTORY "/bus"
/*
 * Beside the pid file and not in our own directory: a container has /run/nvidia
 * from the host by contract, so the record outlives the container.
 */
#define RUNTIME_LOADED "run/nvidia/nvidia-driver.loaded"
/* What was done to show the driver's firmware to the kernel. */
#define RUNTIME_FIRMWARE "run/nvidia/nvidia-driver.firmware"
#define RUNTIME_FAILURE  RUNTIME_DIRECTORY "/failure"

const char *path_of_fetch(void);
const char *path_of_helper(void);
const char *path_of_keeper(void);
const char *path_of_toolchain(void);
const char *path_of_worker(void);
const char *path_of_udevadm(void);
const char *path_of_daemon(void);
