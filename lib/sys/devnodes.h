/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The driver's nodes in a /dev: what is there, and making it other. */

#include "base/root.h"
#include "policy/nodeset.h"

enum {
        _DEVDIR_E_SUCCESS,
        DEVDIR_E_ABSENT, /* no such directory */
};

typedef struct DevDir {
        char *path; /* in the root, for people: "dev", "proc/1/root/dev" */
        int fd;
        bool kernel_makes; /* it is a devtmpfs, or it cannot be told */
        dev_t dev;
        ino_t ino;
} DevDir;

/*
 * Opens a /dev. @mounts is the mount table that it is looked up in
 * ("proc/self/mountinfo"). Returns 0, DEVDIR_E_ABSENT or a negative errno.
 */
int devdir_open(const Root *root, const char *path, const char *mounts, DevDir **ret);
DevDir *devdir_free(DevDir *d);
DEFINE_CLEANUP(DevDir, devdir_free);

/* One directory under two names. */
bool devdir_same(const DevDir *a, const DevDir *b);

/* Everything under the names that matter. Returns 0 or a negative errno. */
int devdir_list(const DevDir *d, DevEntries *ret);

/*
 * Does what @action says, in one step as seen from outside: a node appears with
 * its owner and mode, a link is replaced. Nothing is done through a symlink.
 * NODE_ACT_OBSTRUCTED is refused with EEXIST. Returns 0 or a negative errno.
 */
int devdir_perform(const DevDir *d, const NodeAction *action);

/*
 * Appends what is directly in that /dev of the root under @name; nothing if there is
 * no such name, or the directory cannot be opened. Returns 0 or a negative errno.
 */
int devdir_find(const Root *root, const char *path, const char *name, DevEntries *entries);

/* Whether that very node is there; @path is a /dev in the root. */
bool devdir_has(const Root *root, const char *path, const DevNode *node);

/* Whether its link in /dev/char is there. */
bool devdir_has_link(const Root *root, const char *path, const DevNode *node);
