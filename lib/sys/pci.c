/* SPDX-License-Identifier: Apache-2.0 */

/*
 * GPUs as the PCI bus shows them, whether or not a driver is bound. Facts come
 * from sysfs attributes, which the kernel has in memory. Only pci_ask_vendor()
 * reads the configuration space, because that can wake a device up.
 *
 * A GPU of NVIDIA is several PCI functions; sound, USB and UCSI have classes of
 * their own and are not ours. In /sys/bus/pci/devices every entry is a symlink
 * into /sys/devices; in a fixture it may as well be a directory.
 */

#include <fcntl.h>
#include <unistd.h>

#include "base/result.h"
#include "base/str.h"
#include "sys/pci.h"

#define DEVICES "sys/bus/pci/devices"
#define DRIVERS "sys/bus/pci/drivers"

enum {
        PCI_VENDOR_NVIDIA = 0x10de,
        PCI_CLASS_VGA = 0x0300,
        PCI_CLASS_3D = 0x0302,
        PCI_CLASS_BRIDGE_OTHER = 0x0680,
        ATTRIBUTE_MAX = 64,
        OVERRIDE_MAX = 4096,
};

/* Positive: no such attribute, or no number in it; the device is none of ours. */
static int read_number(
                const Root *root, const char *address, const char *attribute, uint64_t max, uint64_t *ret)
{
        _cleanup_free_ char *path = NULL, *text = NULL;
        int r;

        path = str_format(DEVICES "/%s/%s", address, attribute);
        if (!path)
                return err_origin(-ENOMEM);
        r = root_read_line(root, path, ATTRIBUTE_MAX, &text);
        if (r)
                return r < 0 ? err_trace(r) : r;
        return str_to_u64(text, 0, 0, max, ret) == 0 ? 0 : ROOT_E_ABSENT;
}

/* The driver is the last part of the link's text; no link, no driver. */
static int read_driver(const Root *root, const char *address, char **ret)
{
        _cleanup_free_ char *path = NULL, *text = NULL;
        const char *slash;
        int r;

        path = str_format(DEVICES "/%s/driver", address);
        if (!path)
                return err_origin(-ENOMEM);
        r = root_readlink(root, path, &text);
        if (r)
                return r < 0 ? err_trace(r) : 0;

        slash = strrchr(text, '/');
        r = str_replace(ret, slash ? slash + 1 : text);
        return r ? err_trace(r) : 0;
}

/* The kernel prints "(null)" for none; kernels before 3.16 have no such attribute. */
static int read_override(const Root *root, const char *address, char **ret)
{
        _cleanup_free_ char *path = NULL, *text = NULL;
        int r;

        path = str_format(DEVICES "/%s/driver_override", address);
        if (!path)
                return err_origin(-ENOMEM);
        r = root_read_line(root, path, OVERRIDE_MAX, &text);
        if (r)
                return r < 0 ? err_trace(r) : 0;
        return *text && !streq(text, "(null)") ? err_trace(str_replace(ret, text)) : 0;
}

static bool is_display(uint64_t class)
{
        return class >> 8 == PCI_CLASS_VGA || class >> 8 == PCI_CLASS_3D;
}

/* Positive: not a GPU of ours, or gone. */
static int read_gpu(const Root *root, const char *address, GpuFact *gpu)
{
        uint64_t vendor, device, class;
        int r;

        r = read_number(root, address, "vendor", UINT16_MAX, &vendor);
        if (r == 0 && vendor != PCI_VENDOR_NVIDIA)
                return ROOT_E_ABSENT;
        if (r == 0)
                r = read_number(root, address, "class", 0xffffff, &class);
        if (r == 0 && !is_display(class))
                return ROOT_E_ABSENT;
        if (r == 0)
                r = read_number(root, address, "device", UINT16_MAX, &device);
        if (r)
                return r < 0 ? err_trace(r) : r;

        gpu->vendor = (uint16_t)vendor;
        gpu->device = (uint16_t)device;
        gpu->class = (uint32_t) class;
        r = str_replace(&gpu->address, address);
        if (r == 0)
                r = read_driver(root, address, &gpu->driver);
        if (r == 0)
                r = read_override(root, address, &gpu->override);
        return r ? err_trace(r) : 0;
}

int pci_read_gpus(const Root *root, GpuFacts *ret)
{
        _cleanup_(gpu_facts_done) GpuFacts gpus = {};
        _cleanup_strv_ char **addresses = NULL;
        int r;

        r = root_list(root, DEVICES, &addresses);
        if (r < 0)
                return err_trace(r);

        STRV_FOREACH (address, addresses) {
                _cleanup_(gpu_fact_done) GpuFact gpu = {};

                r = read_gpu(root, *address, &gpu);
                if (r == 0)
                        r = gpu_facts_add(&gpus, &gpu);
                if (r < 0)
                        return err_trace(r);
        }

        *ret = gpus;
        gpus = (GpuFacts){};
        return 0;
}

int pci_has_nvswitch(const Root *root, bool *ret)
{
        _cleanup_strv_ char **addresses = NULL;
        int r;

        *ret = false;
        r = root_list(root, DEVICES, &addresses);
        if (r)
                return r < 0 ? err_trace(r) : 0;
        STRV_FOREACH (address, addresses) {
                uint64_t vendor, class;

                r = read_number(root, *address, "vendor", UINT16_MAX, &vendor);
                if (r == 0 && vendor == PCI_VENDOR_NVIDIA)
                        r = read_number(root, *address, "class", 0xffffff, &class);
                if (r < 0)
                        return err_trace(r);
                if (r == 0 && vendor == PCI_VENDOR_NVIDIA && class >> 8 == PCI_CLASS_BRIDGE_OTHER)
                        *ret = true;
        }
        return 0;
}

int pci_driver_has_devices(const Root *root, const char *driver, bool *ret)
{
        _cleanup_strv_ char **entries = NULL;
        _cleanup_free_ char *path = str_format(DRIVERS "/%s", driver);
        bool has = false;
        int r;

        if (!path)
                return err_origin(-ENOMEM);
        r = root_list(root, path, &entries);
        if (r < 0)
                return err_trace(r);

        /* Beside bind, unbind, new_id ... there is a link of the device's name for each. */
        STRV_FOREACH (entry, entries)
                has = has || strchr(*entry, ':');
        *ret = has;
        return 0;
}

int pci_ask_vendor(const Root *root, const char *address, uint16_t *ret)
{
        _cleanup_free_ char *path = str_format(DEVICES "/%s/config", address);
        _cleanup_close_ int fd = -EBADF;
        unsigned char vendor[2];
        ssize_t n;
        int r;

        if (!path)
                return err_origin(-ENOMEM);
        r = root_open(root, path, O_RDONLY, &fd);
        if (r)
                return r < 0 ? err_trace(r) : r;
        n = pread(fd, vendor, sizeof(vendor), 0);
        if (n != (ssize_t)sizeof(vendor))
                return err_origin(n < 0 ? -errno : -EIO);
        *ret = (uint16_t)(vendor[1] << 8 | vendor[0]);
        return 0;
}

bool pci_is_lost(const Root *root, const char *address)
{
        _cleanup_free_ char *path = str_format(DEVICES "/%s/power/runtime_status", address), *status = NULL;
        uint16_t vendor = 0;

        /* drivers/base/power/sysfs.c: active, suspended, suspending, resuming, error, unsupported. */
        if (!path || (root_read_line(root, path, 64, &status) == 0 && startswith(status, "suspend")))
                return false;
        return pci_ask_vendor(root, address, &vendor) == 0 && vendor == UINT16_MAX;
}
