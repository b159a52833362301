/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A PCI function away from its driver, and which driver it may have. Both take
 * the device's lock in the kernel: they wait for a probe or removal that hangs,
 * and unbinding runs the driver's own removal, which takes as long as it likes.
 *
 * And whether it answers at all. Its configuration space is read for that, which
 * wakes a sleeping device up: that is the driver's work, too.
 */

#include <fcntl.h>

#include "base/result.h"
#include "base/root.h"
#include "base/str.h"
#include "helper.h"
#include "policy/pciaddress.h"
#include "sys/pci.h"

static bool is_address(const char *s)
{
        char address[PCI_ADDRESS_SIZE];

        return pci_address_parse(s, address) && streq(s, address);
}

/* One write(2), as attributes want it. Returns 0 or a positive errno. */
static int put(const Root *root, const char *path, const char *text)
{
        _cleanup_close_ int fd = -EBADF;
        int r;

        r = root_open(root, path, O_WRONLY | O_NOFOLLOW, &fd);
        if (r)
                return r < 0 ? -r : ENOENT;
        return write(fd, text, strlen(text)) < 0 ? errno : 0;
}

static Code answer(int error)
{
        helper_say(HELPER_KEY_ERRNO, "%d", error);
        return error ? CODE_GPU_CLAIMED : CODE_OK;
}

/*
 * A virtual machine keeps the group open. Only one may, so trying to open it
 * tells; unbinding would wait inside the kernel until the machine ends.
 */
static bool is_used_by_vfio(const Root *root, const char *address)
{
        _cleanup_free_ char *link = str_format("sys/bus/pci/devices/%s/iommu_group", address), *text = NULL,
                            *path = NULL;
        _cleanup_close_ int fd = -EBADF;
        const char *slash;

        if (!link || root_readlink(root, link, &text) != 0)
                return false;
        slash = strrchr(text, '/');
        path = str_format("dev/vfio/%s", slash ? slash + 1 : text);
        return path && root_open(root, path, O_RDWR | O_NONBLOCK, &fd) == -EBUSY;
}

Code helper_unbind(char **arguments)
{
        const char *driver = arguments[1], *address = arguments[2];
        _cleanup_free_ char *path = str_format("sys/bus/pci/drivers/%s/unbind", driver);
        _cleanup_(root_freep) Root *root = NULL;
        int r;

        if (!path || strchr(driver, '/') || *driver == '.' || !is_address(address))
                return CODE_USAGE;
        r = root_new(arguments[0], &root);
        if (r)
                return answer(-r);
        if (startswith(driver, "vfio") && is_used_by_vfio(root, address)) {
                helper_say(HELPER_KEY_DETAIL, "%s is in use through %s", address, driver);
                return answer(EBUSY);
        }
        return answer(put(root, path, address));
}

/* All are tried; the first error is the answer. */
Code helper_override(char **arguments)
{
        _cleanup_free_ char *text = str_format("%s\n", arguments[1]);
        _cleanup_(root_freep) Root *root = NULL;
        int r, error = 0;

        if (!text || strchr(arguments[1], '\n'))
                return CODE_USAGE;
        for (char **address = arguments + 2; *address; address++)
                if (!is_address(*address))
                        return CODE_USAGE;
        r = root_new(arguments[0], &root);
        if (r)
                return answer(-r);

        for (char **address = arguments + 2; *address; address++) {
                _cleanup_free_ char *path = str_format("sys/bus/pci/devices/%s/driver_override", *address);
                int one = path ? put(root, path, text) : ENOMEM;

                if (one)
                        helper_say(HELPER_KEY_DETAIL, "driver_override of %s: %s", *address, strerror(one));
                error = error ? error : one;
        }
        return answer(error);
}

Code helper_answers(char **arguments)
{
        _cleanup_(root_freep) Root *root = NULL;
        uint16_t vendor = 0;
        int r;

        if (!is_address(arguments[1]))
                return CODE_USAGE;
        r = root_new(arguments[0], &root);
        if (r == 0)
                r = pci_ask_vendor(root, arguments[1], &vendor);
        if (r) {
                helper_say(HELPER_KEY_DETAIL, "The configuration space of %s cannot be read: %s",
                                arguments[1], r < 0 ? strerror(-r) : "there is none");
                return CODE_GPU_LOST;
        }
        helper_say(HELPER_KEY_VENDOR, "%04x", vendor);
        return vendor == UINT16_MAX ? CODE_GPU_LOST : CODE_OK;
}
