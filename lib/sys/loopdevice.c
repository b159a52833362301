/* SPDX-License-Identifier: Apache-2.0 */

#include <fcntl.h>
#include <linux/loop.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

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

/* A container's /dev is no devtmpfs: what the kernel makes there after its start has no node. */
static int make_node(int number, const char *node)
{
        _cleanup_free_ char *path = str_format("/sys/block/loop%d/dev", number);
        _cleanup_fclose_ FILE *f = path ? fopen(path, "re") : NULL;
        unsigned major, minor;

        if (!f || fscanf(f, "%u:%u", &major, &minor) != 2)
                return err_origin(-ENOENT);
        return mknod(node, S_IFBLK | 0600, makedev(major, minor)) < 0 && errno != EEXIST ? err_origin(-errno)
                                                                                         : 0;
}

static int open_node(int number, const char *node, int *ret_fd)
{
        int r;

        *ret_fd = open(node, O_RDONLY | O_CLOEXEC);
        if (*ret_fd >= 0 || errno != ENOENT)
                return *ret_fd < 0 ? err_origin(-errno) : 0;
        r = make_node(number, node);
        if (r)
                return err_trace(r);
        *ret_fd = open(node, O_RDONLY | O_CLOEXEC);
        return *ret_fd < 0 ? err_origin(-errno) : 0;
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
        r = open_node(number, node, &device);
        if (r)
                return err_trace(r);
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
