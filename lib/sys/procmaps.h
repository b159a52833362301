/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Which nodes of the driver a process has mapped. A mapping holds the driver as
 * an open descriptor does, and stays when the descriptor is closed.
 */

#include "sys/nodenames.h"

typedef struct ProcMaps ProcMaps;

enum {
        _PROC_MAPS_E_SUCCESS,
        PROC_MAPS_E_GONE,   /* the process has ended */
        PROC_MAPS_E_DENIED, /* its memory map is not for us to see */
};

/* Both are borrowed. The object remembers files that are no devices, for all processes of a walk. */
int proc_maps_new(const Root *root, NodeNames *names, ProcMaps **ret);
ProcMaps *proc_maps_free(ProcMaps *maps);
DEFINE_CLEANUP(ProcMaps, proc_maps_free);

/*
 * Calls @found for each mapping of a node, with the node's name of the host; the
 * same one may come several times. @fd: /proc/PID; @pid: its number.
 *
 * Returns 0, one of the above, or the first negative result of @found, or another negative errno.
 */
int proc_maps_scan(ProcMaps *maps, int fd, pid_t pid, int (*found)(void *userdata, const char *node),
                void *userdata);
