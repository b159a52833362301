/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Device nodes as plain structs: what the driver says about its own, and what
 * is in a /dev. lib/sys fills them, policy/nodeset.h judges them. They own
 * their strings. Names are those below /dev: "nvidia0", "nvidia-caps/nvidia-cap1".
 */

#include "base/macro.h"

/*
 * What a node or link is called until it is complete. A name of our own: udev
 * has such links in /dev/char too.
 */
#define DEV_TEMPORARY ".nvidia-driverd."

/* Whose a node is and who may open it. */
typedef struct NodeRights {
        unsigned uid, gid;
        unsigned mode; /* permission bits */
        bool modify;   /* false: somebody else makes it, hands off */
} NodeRights;

/* What a node of the driver has if nothing else is said, as NVIDIA's nvidia-modprobe has it. */
#define NODE_RIGHTS_DEFAULT                                                                                 \
        {                                                                                                   \
                .mode = 0666, .modify = true                                                                \
        }

/*
 * The keys DeviceFileUID, DeviceFileGID, DeviceFileMode and ModifyDeviceFiles (or
 * DeviceFileModify) of /proc/driver/nvidia/params or of a file of a capability, "Key: number"
 * per line. What is not said, or is no sensible number, stays as it is in @rights.
 */
void node_rights_from_string(const char *text, NodeRights *rights);

/* The number behind "Key:" in such a text. */
bool node_number_from_string(const char *text, const char *key, unsigned max, unsigned *ret);

/* A node as it should be. */
typedef struct DevNode {
        char *name;
        unsigned major, minor;
        NodeRights rights;
        bool by_kernel; /* a DRM minor: devtmpfs makes it, udev says who may open it */
        bool settled;   /* of a DRM minor: udev has finished with it */
} DevNode;

typedef struct DevNodes {
        DevNode *items;
        size_t n;
} DevNodes;

void dev_node_done(DevNode *node);
void dev_nodes_done(DevNodes *nodes);

/* Takes over the content of *@node (which becomes empty). Returns 0 or -ENOMEM. */
int dev_nodes_add(DevNodes *nodes, DevNode *node);

typedef enum DevEntryKind {
        DEV_ENTRY_NODE, /* a character device */
        DEV_ENTRY_LINK,
        DEV_ENTRY_EMPTY, /* a regular file of root's, empty and under no other name: safe to replace */
        DEV_ENTRY_OTHER, /* something else that has the name of one */
        _DEV_ENTRY_KIND_MAX,
        _DEV_ENTRY_KIND_INVALID = -EINVAL,
} DevEntryKind;

/* What there is under a name. */
typedef struct DevEntry {
        char *name;
        DevEntryKind kind;
        unsigned major, minor; /* of a node */
        unsigned uid, gid, mode;
        bool has_acl; /* of a node: its mode shows what the list allows, not what somebody set */
        char *target; /* of a link, as it is written */
} DevEntry;

typedef struct DevEntries {
        DevEntry *items;
        size_t n;
} DevEntries;

void dev_entry_done(DevEntry *entry);
void dev_entries_done(DevEntries *entries);
int dev_entries_add(DevEntries *entries, DevEntry *entry);

/* A few thousand numbers at most, in no order. */
typedef struct NumberSet {
        unsigned *items;
        size_t n;
} NumberSet;

void number_set_done(NumberSet *set);
bool number_set_has(const NumberSet *set, unsigned number);

/* A number that is there is left as it is. Returns 0 or -ENOMEM. */
int number_set_add(NumberSet *set, unsigned number);

/* One GPU that the driver drives. */
typedef struct DriverGpu {
        char *address;
        bool has_minor; /* false: the driver did not say which one */
        unsigned minor;
} DriverGpu;

/* What the driver says about its nodes. */
typedef struct DriverNodes {
        bool nvidia, modeset; /* the module is there */
        bool lists_gpus;
        NodeRights rights;
        DriverGpu *gpus;
        size_t n_gpus;
        int uvm_major, caps_major; /* -1: not registered */
        DevNodes caps;
        NumberSet cap_minors; /* that capabilities may get, those that there are not yet included */
        NumberSet majors;     /* of the driver's modules */
        NumberSet registered; /* all majors of character devices, anybody's; empty: not known */
        DevNodes drm;         /* minors of GPUs that the driver drives */
        bool lists_drm;
        char **drm_numbers; /* "226:0": all DRM minors that the kernel has, anybody's */
} DriverNodes;

void driver_nodes_done(DriverNodes *d);

/* Copies @address. Returns 0 or -ENOMEM. */
int driver_nodes_add_gpu(DriverNodes *d, const char *address, bool has_minor, unsigned minor);
