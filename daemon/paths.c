/* SPDX-License-Identifier: Apache-2.0 */

/* The programs of this product call each other by absolute path, never through PATH. */

#include <stdlib.h>

#include "base/macro.h"
#include "build-config.h"
#include "paths.h"

static bool environment_allowed;

void paths_allow_environment(bool allow)
{
        environment_allowed = allow;
}

static const char *configured(const char *variable, const char *fallback)
{
        const char *value = environment_allowed ? secure_getenv(variable) : NULL;

        return value && *value == '/' ? value : fallback;
}

const char *path_of_fetch(void)
{
        return configured("NVIDIA_DRIVERD_FETCH", PATH_FETCH);
}

const char *path_of_helper(void)
{
        return configured("NVIDIA_DRIVERD_HELPER", PATH_HELPER);
}

const char *path_of_keeper(void)
{
        return configured("NVIDIA_DRIVERD_KEEPER", PATH_KEEPER);
}

const char *path_of_toolchain(void)
{
        return configured("NVIDIA_DRIVERD_TOOLCHAIN", PATH_TOOLCHAIN);
}

const char *path_of_worker(void)
{
        return configured("NVIDIA_DRIVERD_WORKER", PATH_WORKER);
}

const char *path_of_udevadm(void)
{
        return configured("NVIDIA_DRIVERD_UDEVADM", "/usr/bin/udevadm");
}

const char *path_of_daemon(void)
{
        return configured("NVIDIA_DRIVERD_DAEMON", PATH_DRIVERD);
}
