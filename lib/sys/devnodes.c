/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Device nodes by mknodat(2), always relative to the directory's descriptor and
 * always under a temporary name first: whoever opens the final name finds
 * nothing, or the finished node. The temporary name is the same every time, so
 * what a killed process left is found and taken away by the next one.
 *
 * Others make the same nodes at the same time (nvidia-modprobe, on demand). To
 * lose that race is no failure; callers look again when they are done.
 */

#include <fcntl.h>
#include <limits.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "base/result.h"
#include "base/str.h"
#include "sys/devnodes.h"

enum { MOUNTS_SIZE_MAX = 4 * 1024 * 1024 };

/* mountinfo(5): "22 1 0:5 / /dev rw,nosuid shared:9 - devtmpfs devtmpfs rw". */
static bool line_is_devtmpfs(const char *line, dev_t dev)
{
        const char *type = strstr(line, " - ");
        unsigned a, b;

        return type && startswith(type + 3, "devtmpfs ") && sscanf(line, "%*u %*u %u:%u ", &a, &b) == 2 &&
               makedev(a, b) == dev;
}

/* There is one devtmpfs in all of the kernel, so it is known by its number, wherever it is mounted. */
static bool is_devtmpfs(const Root *root, const char *mounts, dev_t dev)
{
        _cleanup_free_ char *text = NULL;
        _cleanup_strv_ char **lines = NULL;

        if (root_read_file(root, mounts, MOUNTS_SIZE_MAX, &text, NULL) != 0 ||
                        strv_split(text, "\n", &lines) < 0)
                return true;
        STRV_FOREACH (line, lines)
                if (line_is_devtmpfs(*line, dev))
                        return true;
        return false;
}

int devdir_open(const Root *root, const char *path, const char *mounts, DevDir **ret)
{
        _cleanup_(devdir_freep) DevDir *d = NULL;
        struct stat st;
        int r;

        d = calloc(1, sizeof(*d));
        if (!d)
                return err_origin(-ENOMEM);
        d->fd = -EBADF;
        d->path = strdup(path);
        if (!d->path)
                return err_origin(-ENOMEM);
        r = root_open(root, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, &d->fd);
        if (r)
                return r < 0 ? err_trace(r) : DEVDIR_E_ABSENT;
        if (fstat(d->fd, &st) < 0)
                return err_origin(-errno);
        d->dev = st.st_dev;
        d->ino = st.st_ino;
        d->kernel_makes = is_devtmpfs(root, mounts, st.st_dev);
        *ret = TAKE_PTR(d);
        return 0;
}

DevDir *devdir_free(DevDir *d)
{
        if (!d)
                return NULL;
        safe_close(d->fd);
        free(d->path);
        free(d);
        return NULL;
}

bool devdir_same(const DevDir *a, const DevDir *b)
{
        return a->dev == b->dev && a->ino == b->ino;
}

/* What is there. */

/* Positive: it has vanished. */
static int read_target(int directory, const char *name, char **ret)
{
        char target[PATH_MAX];
        ssize_t n;

        n = readlinkat(directory, name, target, sizeof(target) - 1);
        if (n < 0)
                return errno == ENOENT ? DEVDIR_E_ABSENT : err_origin(-errno);
        target[n] = '\0';
        return err_trace(str_replace(ret, target));
}

static bool is_empty_file(const struct stat *st)
{
        return S_ISREG(st->st_mode) && st->st_size == 0 && st->st_uid == 0 && st->st_nlink == 1;
}

static bool has_acl(int directory, const char *name)
{
        char path[64 + NAME_MAX];

        (void)snprintf(path, sizeof(path), "/proc/self/fd/%d/%s", directory, name);
        return lgetxattr(path, "system.posix_acl_access", NULL, 0) > 0;
}

/* What vanishes while we look is left out. */
static int add_entry(int directory, const char *prefix, const char *name, DevEntries *entries)
{
        _cleanup_(dev_entry_done) DevEntry e = { .kind = DEV_ENTRY_OTHER };
        struct stat st;
        int r;

        if (fstatat(directory, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return errno == ENOENT ? 0 : err_origin(-errno);
        if (S_ISCHR(st.st_mode))
                e.kind = DEV_ENTRY_NODE;
        else if (S_ISLNK(st.st_mode))
                e.kind = DEV_ENTRY_LINK;
        else if (is_empty_file(&st))
                e.kind = DEV_ENTRY_EMPTY;
        e.has_acl = e.kind == DEV_ENTRY_NODE && has_acl(directory, name);
        e.major = major(st.st_rdev);
        e.minor = minor(st.st_rdev);
        e.uid = st.st_uid;
        e.gid = st.st_gid;
        e.mode = st.st_mode & 07777;
        e.name = str_format("%s%s", prefix, name);
        if (!e.name)
                return err_origin(-ENOMEM);
        if (e.kind == DEV_ENTRY_LINK) {
                r = read_target(directory, name, &e.target);
                if (r)
                        return r < 0 ? err_trace(r) : 0;
        }
        return err_trace(dev_entries_add(entries, &e));
}

static bool is_nvidia(const char *name)
{
        return startswith(name, "nvidia") || startswith(name, DEV_TEMPORARY);
}

static bool is_drm(const char *name)
{
        return startswith(name, "card") || startswith(name, "renderD") || startswith(name, DEV_TEMPORARY);
}

static bool is_number(const char *name)
{
        return (*name >= '0' && *name <= '9') || startswith(name, DEV_TEMPORARY);
}

static int list(const DevDir *d, const char *below, const char *prefix, bool (*matters)(const char *name),
                DevEntries *entries)
{
        _cleanup_closedir_ DIR *stream = NULL;
        int fd;

        fd = openat(d->fd, below, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0)
                return errno == ENOENT || errno == ENOTDIR || errno == ELOOP ? 0 : err_origin(-errno);
        stream = fdopendir(fd);
        if (!stream) {
                safe_close(fd);
                return err_origin(-errno);
        }

        for (;;) {
                const struct dirent *de;
                int r;

                errno = 0;
                de = readdir(stream);
                if (!de)
                        return errno ? err_origin(-errno) : 0;
                if (!matters(de->d_name))
                        continue;
                r = add_entry(dirfd(stream), prefix, de->d_name, entries);
                if (r)
                        return err_trace(r);
        }
}

int devdir_list(const DevDir *d, DevEntries *ret)
{
        _cleanup_(dev_entries_done) DevEntries entries = {};
        int r;

        r = list(d, ".", "", is_nvidia, &entries);
        if (r == 0)
                r = list(d, "nvidia-caps", "nvidia-caps/", is_nvidia, &entries);
        if (r == 0)
                r = list(d, "dri", "dri/", is_drm, &entries);
        if (r == 0)
                r = list(d, "char", "char/", is_number, &entries);
        if (r)
                return err_trace(r);

        *ret = entries;
        entries = (DevEntries){};
        return 0;
}

/* Making it other. */

typedef struct Place {
        int directory;
        const char *name;
        char temporary[64 + NAME_MAX];
} Place;

static void place_done(Place *p)
{
        p->directory = safe_close(p->directory);
}

static int open_place(const DevDir *d, const char *name, bool make, Place *ret)
{
        _cleanup_free_ char *below = NULL;
        const char *slash = strchr(name, '/');
        int fd;

        below = slash ? strndup(name, (size_t)(slash - name)) : strdup(".");
        if (!below)
                return err_origin(-ENOMEM);
        if (make && slash && mkdirat(d->fd, below, 0755) < 0 && errno != EEXIST)
                return err_origin(-errno);
        fd = openat(d->fd, below, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0)
                return err_origin(-errno);

        ret->directory = fd;
        ret->name = slash ? slash + 1 : name;
        (void)snprintf(ret->temporary, sizeof(ret->temporary), DEV_TEMPORARY "%s", ret->name);
        return 0;
}

static bool is_node(const struct stat *st, const NodeAction *a)
{
        return S_ISCHR(st->st_mode) && st->st_rdev == makedev(a->major, a->minor);
}

/*
 * Through a descriptor, so that it is this node that changes and nothing that
 * took its place. chmod(2) of an O_PATH descriptor goes by its magic link;
 * fchmodat2(2) is too new.
 */
static int set_rights(int directory, const char *name, const NodeAction *a)
{
        _cleanup_close_ int fd = -EBADF;
        char path[64];
        struct stat st;

        fd = openat(directory, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0 || fstat(fd, &st) < 0)
                return err_origin(-errno);
        if (!is_node(&st, a))
                return err_origin(-EBADF);
        if ((st.st_uid != a->rights.uid || st.st_gid != a->rights.gid) &&
                        fchownat(fd, "", a->rights.uid, a->rights.gid, AT_EMPTY_PATH) < 0)
                return err_origin(-errno);
        (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        if ((st.st_mode & 07777) != a->rights.mode && chmod(path, a->rights.mode) < 0)
                return err_origin(-errno);
        return 0;
}

/* Between the look and the replacement somebody may have written to it. */
static bool may_replace(const Place *p)
{
        struct stat st;

        return fstatat(p->directory, p->name, &st, AT_SYMLINK_NOFOLLOW) < 0 || S_ISCHR(st.st_mode) ||
               is_empty_file(&st);
}

static int finish(const Place *p, unsigned flags)
{
        if (renameat2(p->directory, p->temporary, p->directory, p->name, flags) == 0)
                return 0;
        /* Somebody else was faster; whether it is as it should be, the caller sees. */
        if (errno == EEXIST && flags == RENAME_NOREPLACE) {
                (void)unlinkat(p->directory, p->temporary, 0);
                return 0;
        }
        return err_origin(-errno);
}

static int make_node(const Place *p, const NodeAction *a)
{
        int r;

        (void)unlinkat(p->directory, p->temporary, 0);
        /* Nobody's until its owner is set. */
        if (mknodat(p->directory, p->temporary, S_IFCHR, makedev(a->major, a->minor)) < 0)
                return err_origin(-errno);
        r = set_rights(p->directory, p->temporary, a);
        if (r == 0 && a->type == NODE_ACT_REPLACE && !may_replace(p))
                r = err_origin(-EEXIST);
        if (r == 0)
                r = finish(p, a->type == NODE_ACT_MAKE ? RENAME_NOREPLACE : 0);
        if (r)
                (void)unlinkat(p->directory, p->temporary, 0);
        return r ? err_trace(r) : 0;
}

static int make_link(const Place *p, const NodeAction *a)
{
        int r;

        (void)unlinkat(p->directory, p->temporary, 0);
        if (symlinkat(a->target, p->directory, p->temporary) < 0)
                return err_origin(-errno);
        r = finish(p, 0);
        if (r)
                (void)unlinkat(p->directory, p->temporary, 0);
        return r ? err_trace(r) : 0;
}

static int remove_entry(const DevDir *d, const Place *p, const NodeAction *a)
{
        const char *slash = strchr(a->name, '/');
        struct stat st;

        if (fstatat(p->directory, p->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return errno == ENOENT ? 0 : err_origin(-errno);
        /* Another one by now: not what was to go. */
        if (a->type == NODE_ACT_REMOVE_LINK ? !S_ISLNK(st.st_mode) : !is_node(&st, a))
                return 0;
        if (unlinkat(p->directory, p->name, 0) < 0 && errno != ENOENT)
                return err_origin(-errno);
        /* The last one takes its directory along; one that is not empty stays. */
        if (slash && !startswith(a->name, "char/")) {
                char below[NAME_MAX + 1];

                (void)snprintf(below, sizeof(below), "%.*s", (int)(slash - a->name), a->name);
                (void)unlinkat(d->fd, below, AT_REMOVEDIR);
        }
        return 0;
}

int devdir_perform(const DevDir *d, const NodeAction *action)
{
        bool removes = action->type == NODE_ACT_REMOVE_NODE || action->type == NODE_ACT_REMOVE_LINK;
        _cleanup_(place_done) Place p = { .directory = -EBADF };
        int r;

        r = open_place(d, action->name, !removes, &p);
        if (r)
                return err_trace(r);

        switch (action->type) {
        case NODE_ACT_MAKE:
        case NODE_ACT_REPLACE:
                return err_trace(make_node(&p, action));
        case NODE_ACT_CORRECT:
                return err_trace(set_rights(p.directory, p.name, action));
        case NODE_ACT_LINK:
                return err_trace(make_link(&p, action));
        case NODE_ACT_REMOVE_NODE:
        case NODE_ACT_REMOVE_LINK:
                return err_trace(remove_entry(d, &p, action));
        case NODE_ACT_KEEP:
                return 0;
        case NODE_ACT_OBSTRUCTED:
                return err_origin(-EEXIST);
        case _NODE_ACT_MAX:
        case _NODE_ACT_INVALID:
                break;
        }
        return err_origin(-EINVAL);
}

bool devdir_has(const Root *root, const char *path, const DevNode *node)
{
        _cleanup_free_ char *full = str_format("%s/%s", path, node->name);
        _cleanup_close_ int fd = -EBADF;
        struct stat st;

        return full && root_open(root, full, O_PATH | O_NOFOLLOW, &fd) == 0 && fstat(fd, &st) == 0 &&
               S_ISCHR(st.st_mode) && st.st_rdev == makedev(node->major, node->minor);
}

int devdir_find(const Root *root, const char *path, const char *name, DevEntries *entries)
{
        _cleanup_close_ int fd = -EBADF;
        int r;

        r = root_open(root, path, O_PATH | O_DIRECTORY | O_NOFOLLOW, &fd);
        if (r)
                return r == -ENOMEM ? err_trace(r) : 0;
        return err_trace(add_entry(fd, "", name, entries));
}

bool devdir_has_link(const Root *root, const char *path, const DevNode *node)
{
        _cleanup_free_ char *full = str_format("%s/char/%u:%u", path, node->major, node->minor),
                            *target = NULL;

        return full && root_readlink(root, full, &target) == 0;
}
