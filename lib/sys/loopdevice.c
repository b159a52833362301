/* SPDX-License-Identifier: Apache-2.0 */

#include <fcntl.h>
#include <linux/loop.h>
#include <sys/ioctl.h>

#include "base/result.h"
#include "base/str.h"
#include "sys/loopdevice.h"

/* Others ask for a free device at the same time; who configures it first has it. */
enum { ATTEMPTS = 64 };

static int configure(int device, int fd, uint64_t offset, uint64_t size)
{
        const struct loop_config config = {
                .fd = (uint32_t)fd,
                .info = {
                        .lo_offset = offset,
                        .lo_sizelimit = size,
                        .lo_flags = LO_FLAGS_READ_ONLY | LO_FLAGS_AUTOCLEAR,
                },
        };

        return ioctl(device, LOOP_CONFIGURE, &config) < 0 ? -errno : 0;
}

static int try_attach(int control, int fd, uint64_t offset, uint64_t size, char **ret_node, int *ret_fd)
{
        int number = ioctl(control, LOOP_CTL_GET_FREE), r;
        _cleanup_free_ char *node = NULL;
        _cleanup_close_ int device = -EBADF;

        if (number < 0)
                return err_origin(-errno);
        node = str_format("/dev/loop%d", number);
        if (!node)
                return err_origin(-ENOMEM);
        device = open(node, O_RDONLY | O_CLOEXEC);
        if (device < 0)
                return err_origin(-errno);
        r = configure(device, fd, offset, size);
        if (r)
                return r == -EBUSY ? r : err_origin(r);
        *ret_node = TAKE_PTR(node);
        *ret_fd = device;
        device = -EBADF;
        return 0;
}

int loopdevice_attach(int fd, uint64_t offset, uint64_t size, char **ret_node, int *ret_fd)
{
        _cleanup_close_ int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);

        if (control < 0)
                return err_origin(-errno);
        for (unsigned i = 1;; i++) {
                int r = try_attach(control, fd, offset, size, ret_node, ret_fd);

                if (r != -EBUSY || i == ATTEMPTS)
                        return err_trace(r);
        }
}
