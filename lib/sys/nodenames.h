/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Which character devices belong to the NVIDIA driver, by number, and what
 * their nodes are called on the host. A container may call them otherwise.
 */

#include <sys/types.h>

#include "base/root.h"

typedef struct NodeNames NodeNames;

enum {
        _NODE_NAMES_E_SUCCESS,
        NODE_NAMES_E_OTHER, /* not a device of the driver */
};

/* Reads /proc/devices; @root is borrowed for the life of the table. Returns 0 or a negative errno. */
int node_names_new(const Root *root, NodeNames **ret);
NodeNames *node_names_free(NodeNames *names);
DEFINE_CLEANUP(NodeNames, node_names_free);

/* The name is the table's. Returns 0, NODE_NAMES_E_OTHER or a negative errno. */
int node_names_find(NodeNames *names, dev_t device, const char **ret);

/*
 * For a fixture tree, which is made of files: there a path is all there is of a
 * device. Returns 0 if @path is the name of a node of the driver,
 * NODE_NAMES_E_OTHER or a negative errno.
 */
int node_names_check(NodeNames *names, const char *path);
