/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Who has a node of the driver open or mapped: a walk over the processes of
 * /proc. It may block (see procmaps.c) and takes its time, so it is for the
 * worker only.
 *
 * Not seen are: processes of other pid namespaces than /proc's that are not
 * below it; descriptors of a thread that has unshared its table of files;
 * descriptors that are on their way in a socket or registered with io_uring;
 * buffers that were exported (dma-buf). The modules' reference counts tell that
 * somebody is there.
 */

#include "base/root.h"
#include "policy/holder.h"
#include "sys/nodenames.h"

typedef struct ProcHoldersCount {
        unsigned n_processes;  /* that were looked at */
        unsigned n_unreadable; /* that could not be looked into */
} ProcHoldersCount;

/*
 * Walks twice: descriptors of all processes first, then mappings. @found gets
 * each process and node, once for each of the two, all of a process in a row; it
 * may take over @h. @cgroup is the text of /proc/PID/cgroup, "" if there is
 * none. h->home and h->user are left to it. A negative result of it ends the walk.
 *
 * Processes may come and go meanwhile. Who is born during the walk may be missed.
 *
 * Returns 0, that result of @found, or another negative errno.
 */
int proc_holders_scan(const Root *root, NodeNames *names,
                int (*found)(void *userdata, Holder *h, const char *cgroup), void *userdata,
                ProcHoldersCount *ret);
