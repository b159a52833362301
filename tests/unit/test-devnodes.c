/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Nodes in a /dev of a fixture root: needs the right to make device nodes. The
 * calls that must fail, or meet somebody else's doing, are defined here and
 * stand before the C library's own, which they call.
 */

#include "unit.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "base/str.h"
#include "sys/devnodes.h"
#include "tmproot.h"

/* What the next call fails with, 0 for not at all; @meanwhile is done before. */
static struct {
        int mknodat, renameat2, fchownat, symlinkat;
        void (*meanwhile)(void);
} inject;

#define REAL(function) ((typeof(&(function)))dlsym(RTLD_NEXT, #function))

static bool fails(int error)
{
        if (inject.meanwhile)
                inject.meanwhile();
        inject.meanwhile = NULL;
        errno = error;
        return error != 0;
}

int mknodat(int fd, const char *name, mode_t mode, dev_t dev)
{
        return fails(inject.mknodat) ? -1 : REAL(mknodat)(fd, name, mode, dev);
}

int renameat2(int from, const char *a, int to, const char *b, unsigned flags)
{
        return fails(inject.renameat2) ? -1 : REAL(renameat2)(from, a, to, b, flags);
}

int fchownat(int fd, const char *name, uid_t uid, gid_t gid, int flags)
{
        return fails(inject.fchownat) ? -1 : REAL(fchownat)(fd, name, uid, gid, flags);
}

int symlinkat(const char *target, int fd, const char *name)
{
        return fails(inject.symlinkat) ? -1 : REAL(symlinkat)(target, fd, name);
}

static char written[128]; /* what write_meanwhile() writes to */

static const char *acl_of; /* the node that has one */

ssize_t lgetxattr(const char *path, const char *name, void *value, size_t size)
{
        const char *slash = strrchr(path, '/');

        ck_assert_str_eq(name, "system.posix_acl_access");
        if (acl_of && slash && streq(slash + 1, acl_of))
                return 44;
        errno = ENODATA;
        return -1;
}

typedef struct Dev {
        TmpRoot t;
        DevDir *d;
} Dev;

static Dev dev_new(void)
{
        Dev dev = { .t = tmproot_new() };

        tmproot_mkdir(&dev.t, "dev");
        ck_assert_int_eq(devdir_open(dev.t.root, "dev", "proc/self/mountinfo", &dev.d), 0);
        return dev;
}

static void dev_done(Dev *dev)
{
        dev->d = devdir_free(dev->d);
        tmproot_done(&dev->t);
}

static struct stat stat_of(const Dev *dev, const char *name)
{
        struct stat st = {};

        ck_assert_msg(fstatat(dev->d->fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0, "%s: %m", name);
        return st;
}

static bool exists(const Dev *dev, const char *name)
{
        struct stat st;

        return fstatat(dev->d->fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static void check_node(const Dev *dev, const char *name, unsigned major, unsigned minor, unsigned mode)
{
        struct stat st = stat_of(dev, name);
        const DevNode node = { .name = (char *)name, .major = major, .minor = minor };

        ck_assert(S_ISCHR(st.st_mode));
        ck_assert_uint_eq(st.st_rdev, makedev(major, minor));
        ck_assert_uint_eq(st.st_mode & 07777, mode);
        ck_assert(devdir_has(dev->t.root, "dev", &node));
}

/* No temporary file is left anywhere. */
static void check_tidy(const Dev *dev)
{
        _cleanup_(dev_entries_done) DevEntries entries = {};

        ck_assert_int_eq(devdir_list(dev->d, &entries), 0);
        for (size_t i = 0; i < entries.n; i++)
                ck_assert_ptr_null(strstr(entries.items[i].name, DEV_TEMPORARY));
}

static NodeAction make(const char *name, unsigned major, unsigned minor, unsigned mode)
{
        return (NodeAction){ .type = NODE_ACT_MAKE,
                .name = (char *)name,
                .major = major,
                .minor = minor,
                .rights = { .mode = mode } };
}

static void perform(const Dev *dev, NodeAction a)
{
        ck_assert_int_eq(devdir_perform(dev->d, &a), 0);
        check_tidy(dev);
}

static void refuse(const Dev *dev, NodeAction a, int error)
{
        ck_assert_int_eq(devdir_perform(dev->d, &a), -error);
        check_tidy(dev);
}

static NodeAction as(NodeAction a, NodeActionType type)
{
        a.type = type;
        return a;
}

START_TEST(test_make)
{
        _cleanup_(dev_done) Dev dev = dev_new();
        NodeAction a = make("nvidiactl", 195, 255, 0666);

        (void)umask(0077);
        perform(&dev, a);
        check_node(&dev, "nvidiactl", 195, 255, 0666);
        a = make("nvidia-caps/nvidia-cap1", 245, 1, 0400);
        a.rights.uid = 7;
        a.rights.gid = 8;
        perform(&dev, a);
        check_node(&dev, "nvidia-caps/nvidia-cap1", 245, 1, 0400);
        ck_assert_uint_eq(stat_of(&dev, "nvidia-caps/nvidia-cap1").st_uid, 7);
        ck_assert_uint_eq(stat_of(&dev, "nvidia-caps/nvidia-cap1").st_gid, 8);
        /* Numbers beyond eight bits */
        perform(&dev, make("nvidia-uvm", 511, 1 << 19, 0600));
        check_node(&dev, "nvidia-uvm", 511, 1 << 19, 0600);
}
END_TEST

static const Dev *busy;

static void make_another(void)
{
        ck_assert_int_eq(REAL(mknodat)(busy->d->fd, "nvidia0", S_IFCHR | 0600, makedev(1, 3)), 0);
}

/* nvidia-modprobe does it at the same time: what it made stays, and is judged again by whoever looks. */
START_TEST(test_make_together)
{
        _cleanup_(dev_done) Dev dev = dev_new();

        busy = &dev;
        inject.meanwhile = make_another;
        perform(&dev, make("nvidia0", 195, 0, 0666));
        check_node(&dev, "nvidia0", 1, 3, 0600);
}
END_TEST

START_TEST(test_make_after_kill)
{
        _cleanup_(dev_done) Dev dev = dev_new();

        tmproot_write(&dev.t, "dev/" DEV_TEMPORARY "nvidia0", "left by somebody who was killed");
        perform(&dev, make("nvidia0", 195, 0, 0666));
        check_node(&dev, "nvidia0", 195, 0, 0666);
}
END_TEST

START_TEST(test_replace)
{
        _cleanup_(dev_done) Dev dev = dev_new();

        perform(&dev, make("nvidia-uvm", 238, 0, 0600));
        perform(&dev, as(make("nvidia-uvm", 242, 0, 0666), NODE_ACT_REPLACE));
        check_node(&dev, "nvidia-uvm", 242, 0, 0666);
}
END_TEST

static void write_meanwhile(void)
{
        FILE *f = fopen(written, "we");

        ck_assert_ptr_nonnull(f);
        ck_assert_int_ge(fputs("precious", f), 0);
        ck_assert_int_eq(fclose(f), 0);
}

/* An empty file of root's, left by a program that opened the name for writing; anything else is somebody's.
 */
START_TEST(test_replace_file)
{
        _cleanup_(dev_done) Dev dev = dev_new();
        NodeAction a = as(make("nvidiactl", 195, 255, 0666), NODE_ACT_REPLACE);
        _cleanup_free_ char *text = NULL, *path = str_format("%s/dev/nvidiactl", dev.t.path);

        tmproot_write(&dev.t, "dev/nvidiactl", "");
        perform(&dev, a);
        check_node(&dev, "nvidiactl", 195, 255, 0666);

        tmproot_rm(&dev.t, "dev/nvidiactl");
        tmproot_write(&dev.t, "dev/nvidiactl", "");
        (void)snprintf(written, sizeof(written), "%s", path);
        inject.meanwhile = write_meanwhile;
        a = as(make("nvidiactl", 195, 255, 0666), NODE_ACT_REPLACE);
        ck_assert_int_eq(devdir_perform(dev.d, &a), -EEXIST);
        ck_assert_int_eq(root_read_file(dev.t.root, "dev/nvidiactl", 100, &text, NULL), 0);
        ck_assert_str_eq(text, "precious");
}
END_TEST

START_TEST(test_empty_files)
{
        _cleanup_(dev_done) Dev dev = dev_new();
        _cleanup_(dev_entries_done) DevEntries entries = {};
        _cleanup_free_ char *a = str_format("%s/dev/nvidia1", dev.t.path),
                            *b = str_format("%s/other", dev.t.path),
                            *c = str_format("%s/dev/nvidia2", dev.t.path);

        for (unsigned i = 0; i < 4; i++) {
                _cleanup_free_ char *name = str_format("dev/nvidia%u", i);

                tmproot_write(&dev.t, name, i == 3 ? "text" : "");
        }
        ck_assert_int_eq(link(a, b), 0);
        ck_assert_int_eq(chown(c, 1, 0), 0);
        tmproot_mkdir(&dev.t, "dev/nvidia4");
        for (unsigned i = 0; i < 6; i++) {
                _cleanup_free_ char *name = str_format("nvidia%u", i);

                ck_assert_int_eq(devdir_find(dev.t.root, "dev", name, &entries), 0);
        }
        ck_assert_int_eq(devdir_find(dev.t.root, "nowhere", "nvidia0", &entries), 0);
        ck_assert_uint_eq(entries.n, 5);
        for (size_t i = 0; i < entries.n; i++)
                ck_assert_int_eq(entries.items[i].kind, i == 0 ? DEV_ENTRY_EMPTY : DEV_ENTRY_OTHER);
}
END_TEST

START_TEST(test_correct)
{
        _cleanup_(dev_done) Dev dev = dev_new();
        NodeAction a = make("nvidia0", 195, 0, 0600);
        ino_t before;

        a.rights.uid = 3;
        perform(&dev, a);
        before = stat_of(&dev, "nvidia0").st_ino;
        perform(&dev, as(make("nvidia0", 195, 0, 0640), NODE_ACT_CORRECT));
        check_node(&dev, "nvidia0", 195, 0, 0640);
        ck_assert_uint_eq(stat_of(&dev, "nvidia0").st_uid, 0);
        /* The very node: who has it open, or mounted into a container, has the same one. */
        ck_assert_uint_eq(stat_of(&dev, "nvidia0").st_ino, before);
}
END_TEST

/* Owner and mode are changed of the node that was judged, never of what lies behind a link. */
START_TEST(test_correct_another)
{
        _cleanup_(dev_done) Dev dev = dev_new();

        tmproot_write(&dev.t, "precious", "");
        tmproot_link(&dev.t, "../precious", "dev/nvidia0");
        tmproot_write(&dev.t, "dev/nvidia1", "");
        perform(&dev, make("nvidia2", 195, 9, 0600));
        refuse(&dev, as(make("nvidia0", 195, 0, 0666), NODE_ACT_CORRECT), EBADF);
        refuse(&dev, as(make("nvidia1", 195, 1, 0666), NODE_ACT_CORRECT), EBADF);
        refuse(&dev, as(make("nvidia2", 195, 2, 0666), NODE_ACT_CORRECT), EBADF);
        refuse(&dev, as(make("nvidia3", 195, 3, 0666), NODE_ACT_CORRECT), ENOENT);
        ck_assert_uint_eq(stat_of(&dev, "../precious").st_mode & 0777, 0644);
        ck_assert_uint_eq(stat_of(&dev, "nvidia2").st_mode & 0777, 0600);
}
END_TEST

/* A directory of nodes that is a link, or a file, is not gone through. */
START_TEST(test_below_a_link)
{
        _cleanup_(dev_done) Dev dev = dev_new();
        _cleanup_(dev_entries_done) DevEntries entries = {};

        tmproot_mkdir(&dev.t, "elsewhere");
        tmproot_link(&dev.t, "../elsewhere", "dev/nvidia-caps");
        tmproot_write(&dev.t, "dev/char", "");
        refuse(&dev, make("nvidia-caps/nvidia-cap1", 245, 1, 0400), ENOTDIR);
        refuse(&dev,
                        (NodeAction){ .type = NODE_ACT_LINK,
                                        .name = (char *)"char/1:2",
                                        .target = (char *)"x" },
                        ENOTDIR);
        ck_assert(!exists(&dev, "../elsewhere/nvidia-cap1"));
        ck_assert_int_eq(devdir_list(dev.d, &entries), 0);
        ck_assert_uint_eq(entries.n, 1);
        ck_assert_str_eq(entries.items[0].name, "nvidia-caps");
        ck_assert_int_eq(entries.items[0].kind, DEV_ENTRY_LINK);
}
END_TEST

START_TEST(test_link)
{
        _cleanup_(dev_done) Dev dev = dev_new();
        NodeAction a = {
                .type = NODE_ACT_LINK, .name = (char *)"char/195:0", .target = (char *)"../nvidia0"
        };
        _cleanup_free_ char *target = NULL;

        perform(&dev, a);
        ck_assert(devdir_has_link(dev.t.root, "dev", &(DevNode){ .major = 195 }));
        ck_assert(!devdir_has_link(dev.t.root, "dev", &(DevNode){ .major = 195, .minor = 1 }));
        ck_assert(!devdir_has_link(dev.t.root, "nowhere", &(DevNode){ .major = 195 }));
        a.target = (char *)"../nvidia1";
        perform(&dev, a);
        ck_assert_int_eq(root_readlink(dev.t.root, "dev/char/195:0", &target), 0);
        ck_assert_str_eq(target, "../nvidia1");
}
END_TEST

START_TEST(test_remove)
{
        _cleanup_(dev_done) Dev dev = dev_new();
        NodeAction link = {
                .type = NODE_ACT_LINK, .name = (char *)"char/195:0", .target = (char *)"../nvidia0"
        };
        NodeAction cap1 = make("nvidia-caps/nvidia-cap1", 245, 1, 0400),
                   cap2 = make("nvidia-caps/nvidia-cap2", 245, 2, 0400),
                   node = make("nvidia0", 195, 0, 0666);

        perform(&dev, link);
        perform(&dev, cap1);
        perform(&dev, cap2);
        perform(&dev, node);
        /* Another one by now: it stays, and that is no failure. */
        perform(&dev, as(make("nvidia0", 195, 1, 0), NODE_ACT_REMOVE_NODE));
        perform(&dev, as(node, NODE_ACT_REMOVE_LINK));
        perform(&dev, as(link, NODE_ACT_REMOVE_NODE));
        ck_assert(exists(&dev, "nvidia0") && exists(&dev, "char/195:0"));

        perform(&dev, as(node, NODE_ACT_REMOVE_NODE));
        perform(&dev, as(node, NODE_ACT_REMOVE_NODE));
        perform(&dev, as(link, NODE_ACT_REMOVE_LINK));
        ck_assert(!exists(&dev, "nvidia0") && !exists(&dev, "char/195:0"));
        ck_assert(exists(&dev, "char"));
        perform(&dev, as(cap1, NODE_ACT_REMOVE_NODE));
        ck_assert(exists(&dev, "nvidia-caps"));
        perform(&dev, as(cap2, NODE_ACT_REMOVE_NODE));
        ck_assert(!exists(&dev, "nvidia-caps"));
        refuse(&dev, as(cap2, NODE_ACT_REMOVE_NODE), ENOENT);
}
END_TEST

START_TEST(test_failures)
{
        _cleanup_(dev_done) Dev dev = dev_new();
        NodeAction a = make("nvidia0", 195, 0, 0666),
                   link = { .type = NODE_ACT_LINK, .name = (char *)"char/195:0", .target = (char *)"../x" };

        inject.mknodat = EPERM;
        refuse(&dev, a, EPERM);
        inject.mknodat = 0;
        inject.renameat2 = EROFS;
        refuse(&dev, a, EROFS);
        refuse(&dev, link, EROFS);
        inject.renameat2 = 0;
        inject.fchownat = EPERM;
        inject.symlinkat = ENOSPC;
        refuse(&dev, link, ENOSPC);
        perform(&dev, a);
        a.name = (char *)"nvidia1";
        a.rights.gid = 5;
        refuse(&dev, a, EPERM);
        ck_assert(!exists(&dev, "nvidia1"));
        refuse(&dev, as(a, NODE_ACT_OBSTRUCTED), EEXIST);
        refuse(&dev, as(a, _NODE_ACT_MAX), EINVAL);
}
END_TEST

/* What is listed, and what is not ours to look at. */
START_TEST(test_list)
{
        _cleanup_(dev_done) Dev dev = dev_new();
        _cleanup_(dev_entries_done) DevEntries entries = {};
        const DevEntry *e;

        perform(&dev, make("nvidia0", 195, 0, 0640));
        perform(&dev, make("dri/card0", 226, 0, 0660));
        perform(&dev, make("null", 1, 3, 0666));
        tmproot_write(&dev.t, "dev/nvidia1", "");
        tmproot_mkdir(&dev.t, "dev/dri/by-path");
        tmproot_link(&dev.t, "../nvidia0", "dev/char/195:0");
        tmproot_link(&dev.t, "../nvidia0", "dev/char/x");
        ck_assert_int_eq(devdir_list(dev.d, &entries), 0);
        ck_assert_uint_eq(entries.n, 4);
        for (size_t i = 0; i < entries.n; i++) {
                e = &entries.items[i];
                if (streq(e->name, "nvidia0")) {
                        ck_assert_int_eq(e->kind, DEV_ENTRY_NODE);
                        ck_assert_uint_eq(e->major, 195);
                        ck_assert_uint_eq(e->mode, 0640);
                } else if (streq(e->name, "nvidia1")) {
                        ck_assert_int_eq(e->kind, DEV_ENTRY_EMPTY);
                } else if (streq(e->name, "char/195:0")) {
                        ck_assert_int_eq(e->kind, DEV_ENTRY_LINK);
                        ck_assert_str_eq(e->target, "../nvidia0");
                } else {
                        ck_assert_str_eq(e->name, "dri/card0");
                }
        }
}
END_TEST

START_TEST(test_acl)
{
        _cleanup_(dev_done) Dev dev = dev_new();
        _cleanup_(dev_entries_done) DevEntries entries = {};

        perform(&dev, make("nvidia0", 195, 0, 0660));
        perform(&dev, make("nvidia1", 195, 1, 0660));
        acl_of = "nvidia1";
        ck_assert_int_eq(devdir_list(dev.d, &entries), 0);
        acl_of = NULL;
        ck_assert_uint_eq(entries.n, 2);
        for (size_t i = 0; i < 2; i++)
                ck_assert_int_eq(entries.items[i].has_acl, streq(entries.items[i].name, "nvidia1"));
        perform(&dev, as(make("nvidia0", 195, 0, 0666), NODE_ACT_KEEP));
        check_node(&dev, "nvidia0", 195, 0, 0660);
}
END_TEST

START_TEST(test_has)
{
        _cleanup_(dev_done) Dev dev = dev_new();
        DevNode node = { .name = (char *)"nvidia0", .major = 195 };

        ck_assert(!devdir_has(dev.t.root, "dev", &node));
        perform(&dev, make("nvidia1", 195, 0, 0666));
        tmproot_link(&dev.t, "nvidia1", "dev/nvidia0");
        ck_assert(!devdir_has(dev.t.root, "dev", &node));
        node.name = (char *)"nvidia1";
        ck_assert(devdir_has(dev.t.root, "dev", &node));
        ck_assert(!devdir_has(dev.t.root, "nowhere", &node));
        node.minor = 1;
        ck_assert(!devdir_has(dev.t.root, "dev", &node));
}
END_TEST

/* Whose /dev it is: by the mount table; without one the kernel's. */
START_TEST(test_open)
{
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();
        _cleanup_(devdir_freep) DevDir *own = NULL, *other = NULL;
        _cleanup_free_ char *line = NULL;
        struct stat st;

        ck_assert_int_eq(devdir_open(t.root, "dev", "mounts", &own), DEVDIR_E_ABSENT);
        tmproot_mkdir(&t, "dev");
        tmproot_mkdir(&t, "other");
        tmproot_link(&t, "dev", "link");
        ck_assert_int_eq(devdir_open(t.root, "link", "mounts", &own), DEVDIR_E_ABSENT);
        ck_assert_ptr_null(own);
        ck_assert_int_eq(root_stat(t.root, "dev", &st), 0);

        ck_assert_int_eq(devdir_open(t.root, "dev", "mounts", &own), 0);
        ck_assert(own->kernel_makes);
        own = devdir_free(own);
        line = str_format(
                        "1 0 9:9 / / rw - ext4 /dev/vda rw\n22 1 %u:%u / /dev rw shared:9 - devtmpfs x rw\n",
                        major(st.st_dev), minor(st.st_dev));
        tmproot_write(&t, "mounts", line);
        ck_assert_int_eq(devdir_open(t.root, "dev", "mounts", &own), 0);
        ck_assert(own->kernel_makes);
        own = devdir_free(own);
        memcpy(strstr(line, "devtmpfs"), "tmpfs   ", 8);
        tmproot_write(&t, "mounts", line);
        ck_assert_int_eq(devdir_open(t.root, "dev", "mounts", &own), 0);
        ck_assert(!own->kernel_makes);

        ck_assert_int_eq(devdir_open(t.root, "other", "mounts", &other), 0);
        ck_assert(!devdir_same(own, other));
        other = devdir_free(other);
        ck_assert_int_eq(devdir_open(t.root, "other/../dev", "mounts", &other), 0);
        ck_assert(devdir_same(own, other));
        ck_assert_ptr_null(devdir_free(NULL));
}
END_TEST

UNIT_MAIN("devnodes", UNIT_TEST(test_make), UNIT_TEST(test_make_together), UNIT_TEST(test_make_after_kill),
                UNIT_TEST(test_replace_file), UNIT_TEST(test_empty_files), UNIT_TEST(test_acl),
                UNIT_TEST(test_replace), UNIT_TEST(test_correct), UNIT_TEST(test_correct_another),
                UNIT_TEST(test_below_a_link), UNIT_TEST(test_link), UNIT_TEST(test_remove),
                UNIT_TEST(test_failures), UNIT_TEST(test_list), UNIT_TEST(test_has), UNIT_TEST(test_open))
