/* SPDX-License-Identifier: Apache-2.0 */

/*
 * nftw(3) with FTW_MOUNT compares device numbers, and a bind mount has those of
 * where it comes from: a tree with a part of the same file system mounted in it
 * would be emptied through that, which may be the root of the machine. So every
 * directory is opened by openat2(2) with RESOLVE_NO_XDEV, which knows mounts
 * (Linux 5.6), and no path is looked up twice.
 */

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>

#include "base/result.h"
#include "base/root.h"
#include "base/str.h"
#include "sys/treeremove.h"

/* An open directory each. Kernel sources have some 15. */
#define DEPTH_MAX 200

typedef struct Removal {
        TreeremoveTrouble trouble;
        void *userdata;
        bool left;
} Removal;

static void tell(Removal *removal, const char *name, int error)
{
        removal->left = true;
        if (removal->trouble)
                removal->trouble(removal->userdata, name, error);
}

static int open_here(int fd, const char *name)
{
        const struct open_how how = {
                .flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC,
                .resolve = RESOLVE_NO_XDEV | RESOLVE_NO_SYMLINKS,
        };

        return (int)syscall(SYS_openat2, fd, name, &how, sizeof(how));
}

static void remove_entry(Removal *removal, int parent, const char *name, unsigned depth);

static void remove_content(Removal *removal, int fd, unsigned depth)
{
        _cleanup_closedir_ DIR *d = NULL;
        struct dirent *entry;
        int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);

        d = copy < 0 ? NULL : fdopendir(copy);
        if (!d) {
                tell(removal, ".", errno);
                safe_close(copy);
                return;
        }
        while ((entry = readdir(d)))
                if (!streq(entry->d_name, ".") && !streq(entry->d_name, ".."))
                        remove_entry(removal, fd, entry->d_name, depth + 1);
}

static void remove_directory(Removal *removal, int parent, const char *name, unsigned depth)
{
        _cleanup_close_ int fd = depth < DEPTH_MAX ? open_here(parent, name) : -EBADF;
        bool left = removal->left;

        if (fd < 0) {
                if (depth == DEPTH_MAX)
                        errno = ELOOP;
                if (errno != ENOENT)
                        tell(removal, name, errno);
                return;
        }
        removal->left = false;
        remove_content(removal, fd, depth);
        /* What is left in it has been told. */
        if (!removal->left && unlinkat(parent, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
                tell(removal, name, errno);
        removal->left = removal->left || left;
}

static void remove_entry(Removal *removal, int parent, const char *name, unsigned depth)
{
        if (unlinkat(parent, name, 0) == 0 || errno == ENOENT)
                return;
        /* Of a directory: EISDIR on Linux, EPERM by POSIX and in some file systems. */
        if (errno == EISDIR || errno == EPERM)
                remove_directory(removal, parent, name, depth);
        else
                tell(removal, name, errno);
}

int treeremove(int fd, const char *name, TreeremoveTrouble trouble, void *userdata)
{
        Removal removal = { .trouble = trouble, .userdata = userdata };

        if (!*name || strchr(name, '/') || streq(name, ".") || streq(name, ".."))
                return err_origin(-EINVAL);
        remove_entry(&removal, fd, name, 0);
        return removal.left ? TREEREMOVE_E_LEFT : 0;
}
