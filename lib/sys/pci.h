/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* NVIDIA's devices on the PCI bus: /sys/bus/pci/devices. */

#include "base/root.h"
#include "policy/facts.h"

/*
 * NVIDIA display devices (vendor 10de; class 0300, VGA, or 0302, 3D), sorted by
 * address, with the driver that is bound to each and its driver_override. No PCI bus means no GPUs; a
 * device that goes away while it is read is left out.
 * Returns 0 or a negative errno; @ret is the caller's to gpu_facts_done().
 */
int pci_read_gpus(const Root *root, GpuFacts *ret);

/* Whether there is an NVSwitch: vendor 10de, class 0680. Returns 0 or a negative errno. */
int pci_has_nvswitch(const Root *root, bool *ret);

/* True if PCI devices of any kind are bound to @driver. Returns 0 or a negative errno. */
int pci_driver_has_devices(const Root *root, const char *driver, bool *ret);

/*
 * The vendor as the device itself tells it now, from its configuration space: 0xffff, which is
 * no vendor, if it does not answer. Wakes a sleeping device up. Only root may call this.
 * Returns 0, ROOT_E_ABSENT if there is no such device, or a negative errno; -EIO for a
 * configuration space that is too short.
 */
int pci_ask_vendor(const Root *root, const char *address, uint16_t *ret);

/*
 * Whether a device has fallen off its bus: it does not answer, and it does not sleep. What
 * cannot be found out counts as no, and a sleeping device is left asleep.
 */
bool pci_is_lost(const Root *root, const char *address);
