/* SPDX-License-Identifier: Apache-2.0 */

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "base/result.h"
#include "base/str.h"
#include "sys/mountspace.h"

static int do_mount(const char *source, const char *target, const char *type, unsigned long flags,
                const char *options)
{
        return mount(source, target, type, flags, options) < 0 ? err_origin(-errno) : 0;
}

int mountspace_leave(void)
{
        if (unshare(CLONE_NEWNS) < 0)
                return err_origin(-errno);
        /* Where / is shared, as systemd has it, what is mounted here would appear on the host otherwise. */
        return err_trace(do_mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
}

int mountspace_join(pid_t pid)
{
        _cleanup_close_ int fd = -EBADF;
        char path[64];

        (void)snprintf(path, sizeof(path), "/proc/%d/ns/mnt", (int)pid);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0 || setns(fd, CLONE_NEWNS) < 0)
                return err_origin(-errno);
        return err_trace(mountspace_leave());
}

int mountspace_device(const char *device, const char *type, const char *target)
{
        return err_trace(do_mount(device, target, type, MS_RDONLY | MS_NOSUID | MS_NODEV, NULL));
}

int mountspace_undo(const char *target)
{
        return umount2(target, UMOUNT_NOFOLLOW) < 0 ? err_origin(-errno) : 0;
}

int mountspace_memory(const char *target)
{
        return err_trace(do_mount("tmpfs", target, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755"));
}

int mountspace_overlay(const char *lower, const char *upper, const char *work, const char *target)
{
        _cleanup_free_ char *options = str_format("lowerdir=%s,upperdir=%s,workdir=%s", lower, upper, work);

        if (!options)
                return err_origin(-ENOMEM);
        return err_trace(do_mount("overlay", target, "overlay", MS_NOSUID | MS_NODEV, options));
}

/* Where the host's file is bound to; what is in the way of a device is gone with the overlay. */
static int bind_device(const char *directory, const char *name)
{
        _cleanup_free_ char *from = str_format("/dev/%s", name), *to = str_format("%s/%s", directory, name);
        int fd;

        if (!from || !to)
                return err_origin(-ENOMEM);
        fd = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
        if (fd < 0)
                return err_origin(-errno);
        safe_close(fd);
        return err_trace(do_mount(from, to, NULL, MS_BIND, NULL));
}

static int furnish_dev(const char *root)
{
        static const char *const devices[] = { "null", "zero", "full", "random", "urandom" };
        _cleanup_free_ char *directory = str_format("%s/dev", root), *fds = str_format("%s/dev/fd", root);
        int r;

        if (!directory || !fds)
                return err_origin(-ENOMEM);
        if (mkdir(directory, 0755) < 0 && errno != EEXIST)
                return err_origin(-errno);
        r = do_mount("tmpfs", directory, "tmpfs", MS_NOSUID | MS_NOEXEC, "mode=0755,size=64k");
        for (size_t i = 0; r == 0 && i < ELEMENTSOF(devices); i++)
                r = bind_device(directory, devices[i]);
        if (r)
                return err_trace(r);
        /* Shells open it for <( ). */
        return symlink("/proc/self/fd", fds) < 0 ? err_origin(-errno) : 0;
}

int mountspace_furnish(const char *root)
{
        _cleanup_free_ char *proc = str_format("%s/proc", root);
        int r;

        if (!proc)
                return err_origin(-ENOMEM);
        if (mkdir(proc, 0755) < 0 && errno != EEXIST)
                return err_origin(-errno);
        r = do_mount("proc", proc, "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
        return r ? err_trace(r) : err_trace(furnish_dev(root));
}

int mountspace_take(const char *path, bool writable, int *ret_fd)
{
        struct mount_attr attributes = {
                .attr_set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | (writable ? 0 : MOUNT_ATTR_RDONLY),
        };
        _cleanup_close_ int fd = -EBADF;

        fd = open_tree(AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
        if (fd < 0 || mount_setattr(fd, "", AT_EMPTY_PATH, &attributes, sizeof(attributes)) < 0)
                return err_origin(-errno);
        *ret_fd = fd;
        fd = -EBADF;
        return 0;
}

int mountspace_show(int fd, const char *path)
{
        if (move_mount(fd, "", AT_FDCWD, path, MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_SYMLINKS) < 0)
                return err_origin(-errno);
        return 0;
}
