/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * DRM minors as udev announces them. Enable, then enumerate, then wait: make
 * the monitor before the driver is loaded, enumerate after, and enumerate
 * again each time udevmon_receive() says that something changed.
 */

#include "base/root.h"
#include "policy/facts.h"

typedef struct UdevMon UdevMon;

/* What the events since the last call amount to. */
typedef struct UdevChange {
        unsigned n_added;   /* DRM devices that came or changed, connectors included */
        unsigned n_removed; /* DRM devices that went */
        unsigned n_bus;     /* PCI devices that came, went, or got or lost a driver */
        unsigned n_modules; /* kernel modules that came or went */
        char **removed;     /* nodes that went, "/dev/dri/card0"; connectors have none */
        bool overflow;      /* events were lost: only an enumeration tells the truth */
} UdevChange;

/*
 * Opens the monitor (group "udev", subsystems drm, pci and module); events queue up from
 * now on. Where no monitor can be had it can still enumerate.
 * Returns 0 or -ENOMEM.
 */
int udevmon_new(UdevMon **ret);
UdevMon *udevmon_free(UdevMon *m);
DEFINE_CLEANUP(UdevMon, udevmon_free);

/* NULL, or why no event will come, for people: whoever waits has to look again by himself. */
const char *udevmon_deafness(const UdevMon *m, const Root *root);

/* To poll for reading. It stays the monitor's. -EBADF if there is none. */
int udevmon_fd(const UdevMon *m);

/*
 * Takes all pending events, never blocks. *@ret is replaced (all zero if there
 * was nothing) and is the caller's to udev_change_done(). Losing events is not
 * an error, it is .overflow. Returns 0 or a negative errno.
 */
int udevmon_receive(UdevMon *m, UdevChange *ret);
bool udev_change_any(const UdevChange *c);
void udev_change_done(UdevChange *c);

/*
 * All card and render minors whose parent is a PCI device, sorted by node.
 * .there is true when the character device is there with the right number,
 * .present when udev has finished with it too, or there is no udevd. The node, and on another root than
 * "/" also udev's own file (run/udev/data/cMAJOR:MINOR), are looked for below
 * @root; libudev itself always reads the host's /sys, which umockdev redirects
 * in tests.
 * Returns 0 or a negative errno; @ret is the caller's to node_facts_done().
 */
int udevmon_enumerate(UdevMon *m, const Root *root, NodeFacts *ret);
