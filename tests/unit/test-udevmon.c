/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The monitor against umockdev's /sys and events. Runs with the preload library
 * of umockdev (see tests/meson.build). umockdev knows neither real device
 * numbers of nodes nor /run/udev, so both are made in a fixture root; that needs
 * the right to make device nodes.
 *
 * The functions of libudev that must fail on demand are defined here and stand
 * before the library's own, which they call.
 */

#include "unit.h"

#include <dlfcn.h>
#include <poll.h>
#include <sys/sysmacros.h>
#include <umockdev.h>

#include "base/str.h"
#include "sys/udevmon.h"
#include "tmproot.h"

struct udev;
struct udev_device;
struct udev_enumerate;
struct udev_monitor;

/* What the next calls fail with, 0 for not at all. */
static struct {
        int errors[4]; /* of receive_device, used up one by one */
        unsigned n_errors;
        int new_from_netlink;
        int enable_receiving;
        int enumerate_new;
        int scan_devices;
        bool udev_new;
} inject;

#define REAL(function) ((typeof(&(function)))dlsym(RTLD_NEXT, #function))

struct udev_device *udev_monitor_receive_device(struct udev_monitor *m);
struct udev_monitor *udev_monitor_new_from_netlink(struct udev *u, const char *name);
int udev_monitor_enable_receiving(struct udev_monitor *m);
struct udev_enumerate *udev_enumerate_new(struct udev *u);
int udev_enumerate_scan_devices(struct udev_enumerate *e);
struct udev *udev_new(void);

struct udev_device *udev_monitor_receive_device(struct udev_monitor *m)
{
        if (inject.n_errors > 0) {
                errno = inject.errors[--inject.n_errors];
                return NULL;
        }
        return REAL(udev_monitor_receive_device)(m);
}

struct udev_monitor *udev_monitor_new_from_netlink(struct udev *u, const char *name)
{
        if (inject.new_from_netlink) {
                errno = inject.new_from_netlink;
                return NULL;
        }
        return REAL(udev_monitor_new_from_netlink)(u, name);
}

int udev_monitor_enable_receiving(struct udev_monitor *m)
{
        return inject.enable_receiving ? -inject.enable_receiving : REAL(udev_monitor_enable_receiving)(m);
}

struct udev_enumerate *udev_enumerate_new(struct udev *u)
{
        if (inject.enumerate_new) {
                errno = inject.enumerate_new > 0 ? inject.enumerate_new : 0;
                return NULL;
        }
        return REAL(udev_enumerate_new)(u);
}

int udev_enumerate_scan_devices(struct udev_enumerate *e)
{
        return inject.scan_devices ? -inject.scan_devices : REAL(udev_enumerate_scan_devices)(e);
}

struct udev *udev_new(void)
{
        return inject.udev_new ? NULL : REAL(udev_new)();
}

/* A machine: umockdev's devices, and a root with their nodes. */
typedef struct Machine {
        UMockdevTestbed *bed;
        TmpRoot t;
        UdevMon *m;
} Machine;

static Machine machine_new(void)
{
        Machine k = { .bed = umockdev_testbed_new(), .t = tmproot_new() };

        tmproot_mkdir(&k.t, "dev/dri");
        tmproot_mkdir(&k.t, "run/udev/data");
        tmproot_write(&k.t, "run/udev/control", "");
        ck_assert_int_eq(udevmon_new(&k.m), 0);
        return k;
}

static void machine_done(Machine *k)
{
        udevmon_free(k->m);
        tmproot_done(&k->t);
        g_object_unref(k->bed);
}

static char *add_gpu(Machine *k, const char *address)
{
        char *path = umockdev_testbed_add_device(
                        k->bed, "pci", address, NULL, "vendor", "0x10de", NULL, NULL);

        ck_assert_ptr_nonnull(path);
        return path;
}

/* A DRM device; @minor < 0: without a node. umockdev sends its "add". */
static char *add_drm(Machine *k, const char *parent, const char *name, int minor_number)
{
        _cleanup_free_ char *dev = str_format("226:%d", minor_number);
        _cleanup_free_ char *node = str_format("/dev/dri/%s", name);
        _cleanup_free_ char *text = str_format("%d", minor_number);
        char *path;

        if (minor_number < 0)
                path = umockdev_testbed_add_device(k->bed, "drm", name, parent, NULL, NULL);
        else
                path = umockdev_testbed_add_device(k->bed, "drm", name, parent, "dev", dev, NULL, "DEVNAME",
                                node, "MAJOR", "226", "MINOR", text, NULL);
        ck_assert_ptr_nonnull(path);
        return path;
}

static void add_drm_quietly(Machine *k, const char *parent, const char *name, int minor_number)
{
        free(add_drm(k, parent, name, minor_number));
}

static void make_node(Machine *k, const char *name, mode_t type, int minor_number)
{
        _cleanup_free_ char *path = str_format("%s/dev/dri/%s", k->t.path, name);

        ck_assert_msg(mknod(path, type | 0600, makedev(226, (unsigned)minor_number)) == 0, "mknod: %m");
}

static void finish(Machine *k, int minor_number)
{
        _cleanup_free_ char *path = str_format("run/udev/data/c226:%d", minor_number);

        tmproot_write(&k->t, path, "I:1000\n");
}

/* All that udev does for a minor. */
static void announce(Machine *k, const char *parent, const char *name, int minor_number)
{
        add_drm_quietly(k, parent, name, minor_number);
        make_node(k, name, S_IFCHR, minor_number);
        finish(k, minor_number);
}

static void assert_node(const NodeFact *n, const char *gpu, NodeKind kind, const char *node, bool present)
{
        ck_assert_str_eq(n->gpu, gpu);
        ck_assert_int_eq(n->kind, kind);
        ck_assert_str_eq(n->node, node);
        ck_assert_int_eq(n->present, present);
}

static void assert_change(Machine *k, unsigned n_added, unsigned n_removed, bool overflow)
{
        _cleanup_(udev_change_done) UdevChange c = {};

        ck_assert_int_eq(udevmon_receive(k->m, &c), 0);
        ck_assert_uint_eq(c.n_added, n_added);
        ck_assert_uint_eq(c.n_removed, n_removed);
        ck_assert_int_eq(c.overflow, overflow);
        ck_assert_int_eq(udev_change_any(&c), n_added || n_removed || overflow);
}

START_TEST(test_nothing)
{
        _cleanup_(machine_done) Machine k = machine_new();
        NodeFacts nodes = {};

        ck_assert_int_ge(udevmon_fd(k.m), 0);
        assert_change(&k, 0, 0, false);
        ck_assert_int_eq(udevmon_enumerate(k.m, k.t.root, &nodes), 0);
        ck_assert_uint_eq(nodes.n, 0);
}
END_TEST

/* Two GPUs, render nodes first, numbers crossed. */
START_TEST(test_enumerate)
{
        _cleanup_(machine_done) Machine k = machine_new();
        _cleanup_free_ char *first = add_gpu(&k, "0001:00:00.0"), *second = add_gpu(&k, "0001:00:01.0");
        _cleanup_(node_facts_done) NodeFacts nodes = {};

        announce(&k, first, "renderD129", 129);
        announce(&k, second, "renderD128", 128);
        announce(&k, first, "card0", 0);
        announce(&k, second, "card10", 10);
        ck_assert_int_eq(udevmon_enumerate(k.m, k.t.root, &nodes), 0);
        ck_assert_uint_eq(nodes.n, 4);
        assert_node(&nodes.items[0], "0001:00:00.0", NODE_CARD, "/dev/dri/card0", true);
        assert_node(&nodes.items[1], "0001:00:01.0", NODE_CARD, "/dev/dri/card10", true);
        assert_node(&nodes.items[2], "0001:00:01.0", NODE_RENDER, "/dev/dri/renderD128", true);
        assert_node(&nodes.items[3], "0001:00:00.0", NODE_RENDER, "/dev/dri/renderD129", true);
}
END_TEST

START_TEST(test_not_minors)
{
        static const char *const names[] = { "card0-DP-1", "controlD64", "version", "card", "renderD",
                "cardx", "ttm" };
        _cleanup_(machine_done) Machine k = machine_new();
        _cleanup_free_ char *gpu = add_gpu(&k, "0001:00:00.0");
        NodeFacts nodes = {};

        add_drm_quietly(&k, NULL, "card7", 7); /* no PCI device above it: vgem, vkms */
        add_drm_quietly(&k, gpu, "card8", -1); /* no node */
        for (int i = 0; i < (int)ELEMENTSOF(names); i++)
                add_drm_quietly(&k, gpu, names[i], 20 + i);
        ck_assert_int_eq(udevmon_enumerate(k.m, k.t.root, &nodes), 0);
        ck_assert_uint_eq(nodes.n, 0);
}
END_TEST

/* Step by step to presence: known, finished by udev, a wrong node, the right one. */
START_TEST(test_presence)
{
        _cleanup_(machine_done) Machine k = machine_new();
        _cleanup_free_ char *gpu = add_gpu(&k, "0001:00:00.0");

        add_drm_quietly(&k, gpu, "card0", 0);
        for (unsigned step = 0; step < 6; step++) {
                _cleanup_(node_facts_done) NodeFacts nodes = {};

                if (step == 1)
                        finish(&k, 0);
                if (step == 2)
                        make_node(&k, "card0", S_IFREG, 0);
                if (step == 3 || step == 4)
                        tmproot_rm(&k.t, "dev/dri/card0");
                if (step == 3)
                        make_node(&k, "card0", S_IFCHR, 1);
                if (step == 4)
                        make_node(&k, "card0", S_IFCHR, 0);
                if (step == 5)
                        tmproot_rm(&k.t, "run/udev/data/c226:0");
                ck_assert_int_eq(udevmon_enumerate(k.m, k.t.root, &nodes), 0);
                ck_assert_uint_eq(nodes.n, 1);
                assert_node(&nodes.items[0], "0001:00:00.0", NODE_CARD, "/dev/dri/card0", step == 4);
        }
}
END_TEST

/* On "/" it is libudev that is asked; umockdev's devices are never finished there. */
START_TEST(test_host_root)
{
        _cleanup_(machine_done) Machine k = machine_new();
        _cleanup_(node_facts_done) NodeFacts nodes = {};
        _cleanup_(root_freep) Root *host = NULL;
        _cleanup_free_ char *gpu = add_gpu(&k, "0001:00:00.0");

        add_drm_quietly(&k, gpu, "card0", 250);
        ck_assert_int_eq(root_new("/", &host), 0);
        ck_assert_int_eq(udevmon_enumerate(k.m, host, &nodes), 0);
        ck_assert_uint_eq(nodes.n, 1);
        ck_assert(!nodes.items[0].present);
}
END_TEST

START_TEST(test_events)
{
        _cleanup_(machine_done) Machine k = machine_new();
        _cleanup_free_ char *gpu = add_gpu(&k, "0001:00:00.0");
        struct pollfd p = { .fd = udevmon_fd(k.m), .events = POLLIN };
        UdevChange bus = {};

        /* A GPU that comes or goes is told by the bus alone: its minors may say nothing. */
        ck_assert_int_eq(poll(&p, 1, 5000), 1);
        ck_assert_int_eq(udevmon_receive(k.m, &bus), 0);
        ck_assert_uint_ge(bus.n_bus, 1);
        ck_assert_uint_eq(bus.n_added, 0);
        ck_assert(udev_change_any(&bus));
        udev_change_done(&bus);
        announce(&k, gpu, "renderD128", 128);
        announce(&k, gpu, "card0", 0);
        ck_assert_int_eq(poll(&p, 1, 5000), 1);
        assert_change(&k, 2, 0, false);
        assert_change(&k, 0, 0, false);
}
END_TEST

/* rmmod of nvidia_uvm takes no device along that udev knows. */
START_TEST(test_modules)
{
        _cleanup_(machine_done) Machine k = machine_new();
        _cleanup_(udev_change_done) UdevChange c = {};
        _cleanup_free_ char *uvm = umockdev_testbed_add_device(
                        k.bed, "module", "nvidia_uvm", NULL, NULL, NULL);
        struct pollfd p = { .fd = udevmon_fd(k.m), .events = POLLIN };

        umockdev_testbed_uevent(k.bed, uvm, "remove");
        ck_assert_int_eq(poll(&p, 1, 5000), 1);
        ck_assert_int_eq(udevmon_receive(k.m, &c), 0);
        ck_assert_uint_eq(c.n_modules, 2);
        ck_assert_uint_eq(c.n_added + c.n_removed + c.n_bus, 0);
        ck_assert(udev_change_any(&c));
}
END_TEST

START_TEST(test_removal)
{
        _cleanup_(machine_done) Machine k = machine_new();
        _cleanup_free_ char *gpu = add_gpu(&k, "0001:00:00.0");
        _cleanup_free_ char *card = add_drm(&k, gpu, "card0", 0);
        _cleanup_free_ char *connector = add_drm(&k, card, "card0-DP-1", -1);
        _cleanup_(udev_change_done) UdevChange c = {};
        NodeFacts nodes = {};

        assert_change(&k, 2, 0, false);
        umockdev_testbed_uevent(k.bed, connector, "remove");
        umockdev_testbed_uevent(k.bed, card, "remove");
        umockdev_testbed_remove_device(k.bed, gpu);
        ck_assert_int_eq(udevmon_receive(k.m, &c), 0);
        ck_assert_uint_eq(c.n_removed, 2);
        ck_assert_uint_eq(strv_length(c.removed), 1);
        ck_assert_str_eq(c.removed[0], "/dev/dri/card0");
        ck_assert_int_eq(udevmon_enumerate(k.m, k.t.root, &nodes), 0);
        ck_assert_uint_eq(nodes.n, 0);
}
END_TEST

static const struct {
        int error;
        int result;
        bool overflow;
        unsigned n_added; /* what is behind it in the queue is still read */
} errors[] = {
        { ENOBUFS, 0, true, 1 },
        { EINVAL, 0, true, 1 },
        { EBADMSG, 0, true, 1 },
        { EINTR, 0, false, 1 },
        { EAGAIN, 0, false, 0 },
        { 0, 0, false, 0 },
        { ENOMEM, -ENOMEM, 0, 0 },
        { EBADF, -EBADF, 0, 0 },
};

START_TEST(test_receive_errors)
{
        _cleanup_(machine_done) Machine k = machine_new();
        _cleanup_free_ char *gpu = add_gpu(&k, "0001:00:00.0");
        _cleanup_(udev_change_done) UdevChange c = {};

        add_drm_quietly(&k, gpu, "card0", 0);
        inject.errors[0] = errors[_i].error;
        inject.n_errors = 1;
        ck_assert_int_eq(udevmon_receive(k.m, &c), errors[_i].result);
        ck_assert_uint_eq(c.n_added, errors[_i].n_added);
        ck_assert_int_eq(c.overflow, errors[_i].overflow);
}
END_TEST

START_TEST(test_new_fails)
{
        UdevMon *m = NULL;

        inject.udev_new = true;
        ck_assert_int_eq(udevmon_new(&m), -ENOMEM);
        inject.udev_new = false;
        ck_assert_ptr_null(m);
        ck_assert_ptr_null(udevmon_free(NULL));
}
END_TEST

static const struct {
        int new_from_netlink, enable_receiving;
        const char *why;
} deafs[] = {
        { EAFNOSUPPORT, 0, "Address family not supported by protocol" },
        { 0, EPERM, "Operation not permitted" },
};

/* No monitor is no reason not to look. */
START_TEST(test_no_monitor)
{
        _cleanup_(machine_done) Machine k = machine_new();
        _cleanup_free_ char *gpu = add_gpu(&k, "0001:00:00.0");
        _cleanup_(node_facts_done) NodeFacts nodes = {};

        udevmon_free(k.m);
        inject.new_from_netlink = deafs[_i].new_from_netlink;
        inject.enable_receiving = deafs[_i].enable_receiving;
        ck_assert_int_eq(udevmon_new(&k.m), 0);
        ck_assert_int_lt(udevmon_fd(k.m), 0);
        ck_assert_str_eq(udevmon_deafness(k.m, k.t.root), deafs[_i].why);
        assert_change(&k, 0, 0, false);
        announce(&k, gpu, "card0", 0);
        ck_assert_int_eq(udevmon_enumerate(k.m, k.t.root, &nodes), 0);
        ck_assert_uint_eq(nodes.n, 1);
        ck_assert(nodes.items[0].present);
}
END_TEST

/* Without udevd a node that is there is all one can wait for. */
START_TEST(test_no_udevd)
{
        _cleanup_(machine_done) Machine k = machine_new();
        _cleanup_free_ char *gpu = add_gpu(&k, "0001:00:00.0");
        _cleanup_(node_facts_done) NodeFacts with = {}, without = {}, gone = {};

        ck_assert_ptr_null(udevmon_deafness(k.m, k.t.root));
        add_drm_quietly(&k, gpu, "card0", 0);
        make_node(&k, "card0", S_IFCHR, 0);
        ck_assert_int_eq(udevmon_enumerate(k.m, k.t.root, &with), 0);
        ck_assert(with.items[0].there && !with.items[0].present);
        tmproot_rm(&k.t, "run/udev/control");
        ck_assert_ptr_nonnull(strstr(udevmon_deafness(k.m, k.t.root), "no udevd"));
        ck_assert_int_eq(udevmon_enumerate(k.m, k.t.root, &without), 0);
        ck_assert(without.items[0].there && without.items[0].present);
        tmproot_rm(&k.t, "dev/dri/card0");
        ck_assert_int_eq(udevmon_enumerate(k.m, k.t.root, &gone), 0);
        ck_assert(!gone.items[0].there && !gone.items[0].present);
}
END_TEST

/* In a container: udev's socket may be there, and its events do not come all the same. */
START_TEST(test_other_network)
{
        _cleanup_(machine_done) Machine k = machine_new();

        tmproot_link(&k.t, "net:[4026531840]", "proc/1/ns/net");
        ck_assert_ptr_null(udevmon_deafness(k.m, k.t.root));
        tmproot_link(&k.t, "net:[4026531840]", "proc/self/ns/net");
        ck_assert_ptr_null(udevmon_deafness(k.m, k.t.root));
        tmproot_rm(&k.t, "proc/self/ns/net");
        tmproot_link(&k.t, "net:[4026532008]", "proc/self/ns/net");
        ck_assert_ptr_nonnull(strstr(udevmon_deafness(k.m, k.t.root), "network namespace"));
}
END_TEST

START_TEST(test_enumerate_fails)
{
        _cleanup_(machine_done) Machine k = machine_new();
        NodeFacts nodes = {};

        inject.enumerate_new = EMFILE;
        ck_assert_int_eq(udevmon_enumerate(k.m, k.t.root, &nodes), -EMFILE);
        inject.enumerate_new = -1; /* without an errno */
        ck_assert_int_eq(udevmon_enumerate(k.m, k.t.root, &nodes), -ENOMEM);
        inject.enumerate_new = 0;
        inject.scan_devices = EIO;
        ck_assert_int_eq(udevmon_enumerate(k.m, k.t.root, &nodes), -EIO);
        ck_assert_uint_eq(nodes.n, 0);
}
END_TEST

START_TEST(test_sixteen)
{
        _cleanup_(machine_done) Machine k = machine_new();
        _cleanup_(node_facts_done) NodeFacts nodes = {};

        for (int i = 0; i < 16; i++) {
                _cleanup_free_ char *address = str_format("0001:00:%02x.0", (unsigned)i);
                _cleanup_free_ char *gpu = add_gpu(&k, address), *card = str_format("card%d", 15 - i);
                _cleanup_free_ char *render = str_format("renderD%d", 128 + i);

                announce(&k, gpu, render, 128 + i);
                announce(&k, gpu, card, 15 - i);
                assert_change(&k, 2, 0, false); /* umockdev's queue is short */
        }
        ck_assert_int_eq(udevmon_enumerate(k.m, k.t.root, &nodes), 0);
        ck_assert_uint_eq(nodes.n, 32);
        assert_node(&nodes.items[2], "0001:00:0d.0", NODE_CARD, "/dev/dri/card2", true);
        for (size_t i = 0; i < nodes.n; i++)
                ck_assert(nodes.items[i].present);
}
END_TEST

UNIT_MAIN("udevmon", UNIT_TEST(test_nothing), UNIT_TEST(test_enumerate), UNIT_TEST(test_not_minors),
                UNIT_TEST(test_presence), UNIT_TEST(test_host_root), UNIT_TEST(test_events),
                UNIT_TEST(test_modules), UNIT_TEST(test_removal),
                UNIT_LOOP(test_receive_errors, ELEMENTSOF(errors)), UNIT_TEST(test_new_fails),
                UNIT_LOOP(test_no_monitor, ELEMENTSOF(deafs)), UNIT_TEST(test_no_udevd),
                UNIT_TEST(test_other_network), UNIT_TEST(test_enumerate_fails), UNIT_TEST(test_sixteen))
