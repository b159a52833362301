/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The driver's own device nodes, which no kernel makes: which ones there have
 * to be, and what to do about a /dev that is not like that.
 */

#include "policy/devnode.h"

typedef struct NodesetWish {
        bool uvm, modeset; /* these modules are wanted, so their nodes are */
        bool hands_off;    /* what the driver said before it went: its nodes are somebody else's */
        bool keep_rights;  /* owners and modes are left as they are, see NODE_ACT_KEEP */
        bool remove_only;  /* nothing is made */
        NumberSet majors;  /* that the driver had earlier; borrowed */
        char *const *gpus; /* PCI addresses that must have a node; borrowed */
} NodesetWish;

/*
 * What there has to be, DRM minors of the driver's GPUs included, and, for
 * people, what there should be and the driver does not offer ("nvidia node of
 * 0001:00:00.0"). Returns 0 or -ENOMEM.
 */
int nodeset_wanted(const DriverNodes *driver, const NodesetWish *wish, DevNodes *ret, char ***ret_missing);

typedef enum NodeActionType {
        NODE_ACT_MAKE,
        NODE_ACT_REPLACE, /* a node of another number is there, such as one from before uvm was loaded again
                           */
        NODE_ACT_CORRECT, /* owner or mode */
        NODE_ACT_KEEP,    /* they are wrong, and stay so */
        NODE_ACT_LINK,
        NODE_ACT_REMOVE_NODE,
        NODE_ACT_REMOVE_LINK,
        NODE_ACT_OBSTRUCTED, /* something that is no node has its name: nothing is done */
        _NODE_ACT_MAX,
        _NODE_ACT_INVALID = -EINVAL,
} NodeActionType;

typedef struct NodeAction {
        NodeActionType type;
        char *name;
        unsigned major, minor; /* of a node; of REMOVE_NODE what is there */
        NodeRights rights;
        char *target; /* of LINK; of REMOVE_LINK what is there */
} NodeAction;

typedef struct NodeActions {
        NodeAction *items;
        size_t n;
} NodeActions;

void node_actions_done(NodeActions *actions);

/* What makes of @present, the content of one /dev, what @wanted says; nothing if it is so already. */
typedef struct NodesetDir {
        const DevEntries *present;
        bool kernel_makes; /* a devtmpfs: DRM minors appear by themselves */
} NodesetDir;

/* In the order in which to do it. Returns 0 or -ENOMEM. */
int nodeset_actions(const DriverNodes *driver, const NodesetWish *wish, const DevNodes *wanted,
                const NodesetDir *dir, NodeActions *ret);

/* True if a node of that name is one that this file decides about, and no DRM minor. */
bool nodeset_is_ours(const char *name);
