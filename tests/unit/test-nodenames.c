/* SPDX-License-Identifier: Apache-2.0 */

/* Numbers of devices and the names they have on the host, as /proc/devices and sysfs tell. */

#include "unit.h"

#include <sys/sysmacros.h>

#include "base/str.h"
#include "sys/nodenames.h"
#include "tmproot.h"

#define DEVICES                                                                                             \
        "Character devices:\n  1 mem\n  4 /dev/vc/0\n  4 tty\n 29 fb\n 89 i2c\n"                            \
        "195 nvidia\n195 nvidia-modeset\n226 drm\n"                                                         \
        "505 gdrdrv\n506 nvidia-strange\n507 nvidia-fs\n508 nvidia-nvlink\n509 nvidia-nvswitch\n"           \
        "510 nvidia-caps-imex-channels\n511 nvidia-caps\n512 nvidia-uvm\nx nvidia-none\n\n"                 \
        "Block devices:\n  8 sd\n254 nvidia-disk\n"

static void device(TmpRoot *t, const char *number, const char *place, const char *devname)
{
        _cleanup_free_ char *link = str_format("sys/dev/char/%s", number),
                            *target = str_format("../../%s", place),
                            *uevent = str_format("sys/%s/uevent", place),
                            *text = devname ? str_format("MAJOR=1\nDEVNAME=%s\nDEVTYPE=x\n", devname) : NULL;
        char full[200];

        (void)snprintf(full, sizeof(full), "sys/%s", place);
        tmproot_mkdir(t, full);
        if (text)
                tmproot_write(t, uevent, text);
        tmproot_link(t, target, link);
}

static void bind(TmpRoot *t, const char *address, const char *driver)
{
        _cleanup_free_ char *link = str_format("sys/bus/pci/devices/%s/driver", address),
                            *target = str_format("../../../../bus/pci/drivers/%s", driver);

        tmproot_link(t, target, link);
}

static TmpRoot machine(void)
{
        TmpRoot t = tmproot_new();

        tmproot_write(&t, "proc/devices", DEVICES);
        bind(&t, "0000:01:00.0", "nvidia");
        bind(&t, "10000:02:00.0", "nvidia");
        bind(&t, "0000:03:00.0", "amdgpu");
        bind(&t, "0000:00:01.0", "pcieport");
        device(&t, "226:0", "devices/pci0000:00/0000:00:01.0/0000:01:00.0/drm/card0", "dri/card0");
        device(&t, "226:128", "devices/pci0000:00/0000:00:01.0/0000:01:00.0/drm/renderD128",
                        "dri/renderD128");
        device(&t, "226:129", "devices/pci10000:00/10000:02:00.0/drm/renderD129", "dri/renderD129");
        device(&t, "226:1", "devices/pci0000:00/0000:03:00.0/drm/card1", "dri/card1");
        device(&t, "226:2", "devices/pci0000:00/0000:04:00.0/drm/card2", "dri/card2"); /* no driver */
        device(&t, "226:3", "devices/platform/vgem/drm/card3", "dri/card3");
        device(&t, "29:0", "devices/pci0000:00/0000:00:01.0/0000:01:00.0/graphics/fb0", "fb0");
        device(&t, "89:7", "devices/pci0000:00/0000:00:01.0/0000:01:00.0/i2c-7/i2c-dev/i2c-7", NULL);
        /* A monitor's USB hub is not the GPU. */
        device(&t, "189:1", "devices/pci0000:00/0000:00:01.0/0000:01:00.0/usb1", "bus/usb/001/001");
        tmproot_link(&t, "../../devices/pci0000:00/0000:00:01.0/0000:01:00.0/drm/card0",
                        "sys/class/drm/card0");
        tmproot_link(&t, "../../devices/pci0000:00/0000:03:00.0/drm/card1", "sys/class/drm/card1");
        return t;
}

static const struct {
        unsigned major, minor;
        const char *name; /* NULL: none of ours */
} devices[] = {
        { 195, 255, "/dev/nvidiactl" },
        { 195, 254, "/dev/nvidia-modeset" },
        { 195, 0, "/dev/nvidia0" },
        { 195, 31, "/dev/nvidia31" },
        { 512, 0, "/dev/nvidia-uvm" },
        { 512, 1, "/dev/nvidia-uvm-tools" },
        { 512, 2, "/dev/nvidia-uvm2" },
        { 511, 1, "/dev/nvidia-caps/nvidia-cap1" },
        { 510, 3, "/dev/nvidia-caps-imex-channels/channel3" },
        { 509, 0, "/dev/nvidia-nvswitch0" },
        { 509, 255, "/dev/nvidia-nvswitchctl" },
        { 508, 0, "/dev/nvidia-nvlink" },
        { 507, 0, "/dev/nvidia-fs0" },
        { 507, 3, "/dev/nvidia-fs3" },
        { 506, 0, "/dev/nvidia-strange" },
        { 506, 1, "/dev/nvidia-strange1" },
        { 505, 0, "/dev/gdrdrv" },
        { 254, 0, NULL }, /* a block device's major */
        { 226, 0, "/dev/dri/card0" },
        { 226, 128, "/dev/dri/renderD128" },
        { 226, 129, "/dev/dri/renderD129" },
        { 226, 1, NULL },
        { 226, 2, NULL },
        { 226, 3, NULL },
        { 226, 64, NULL }, /* unplugged */
        { 29, 0, "/dev/fb0" },
        { 29, 1, NULL },
        { 89, 7, "/dev/char/89:7" },
        { 189, 1, NULL },
        { 1, 3, NULL },
        { 4, 0, NULL },
};

START_TEST(test_find)
{
        _cleanup_(tmproot_done) TmpRoot t = machine();
        _cleanup_(node_names_freep) NodeNames *names = NULL;

        ck_assert_int_eq(node_names_new(t.root, &names), 0);
        /* The second time it is remembered. */
        for (size_t i = 0; i < 2 * ELEMENTSOF(devices); i++) {
                unsigned major = devices[i / 2].major, minor = devices[i / 2].minor;
                const char *name = NULL;
                int r = node_names_find(names, makedev(major, minor), &name);

                ck_assert_msg(r == (devices[i / 2].name ? 0 : NODE_NAMES_E_OTHER), "%u:%u: %d", major, minor,
                                r);
                ck_assert_msg(streq_ptr(name, devices[i / 2].name), "%u:%u is %s", major, minor, name);
        }
}
END_TEST

/* Names stay where they are while others are looked up. */
START_TEST(test_many)
{
        _cleanup_(tmproot_done) TmpRoot t = machine();
        _cleanup_(node_names_freep) NodeNames *names = NULL;
        const char *first = NULL, *name;

        ck_assert_int_eq(node_names_new(t.root, &names), 0);
        ck_assert_int_eq(node_names_find(names, makedev(195, 0), &first), 0);
        for (unsigned i = 1; i < 256; i++)
                ck_assert_int_eq(node_names_find(names, makedev(195, i), &name), 0);
        ck_assert_str_eq(first, "/dev/nvidia0");
}
END_TEST

static const struct {
        const char *path;
        int result;
} paths[] = {
        { "/dev/nvidiactl", 0 },
        { "/dev/nvidia-caps/nvidia-cap1", 0 },
        { "/dev/gdrdrv", 0 },
        { "/dev/dri/card0", 0 },
        { "/dev/dri/card1", NODE_NAMES_E_OTHER },
        { "/dev/dri/card9", NODE_NAMES_E_OTHER },
        { "/dev/dri/../../x", NODE_NAMES_E_OTHER },
        { "/dev/dri/", NODE_NAMES_E_OTHER },
        { "/dev/null", NODE_NAMES_E_OTHER },
        { "/tmp/dev/nvidiactl", NODE_NAMES_E_OTHER },
        { "socket:[7]", NODE_NAMES_E_OTHER },
        { "", NODE_NAMES_E_OTHER },
};

START_TEST(test_check)
{
        _cleanup_(tmproot_done) TmpRoot t = machine();
        _cleanup_(node_names_freep) NodeNames *names = NULL;

        ck_assert_int_eq(node_names_new(t.root, &names), 0);
        for (size_t i = 0; i < ELEMENTSOF(paths); i++) {
                int r = node_names_check(names, paths[i].path);

                ck_assert_msg(r == paths[i].result, "%s: %d", paths[i].path, r);
        }
}
END_TEST

/* Without /proc/devices only what has a number for ever is known. */
START_TEST(test_no_table)
{
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();
        _cleanup_(node_names_freep) NodeNames *names = NULL;
        const char *name;

        ck_assert_int_eq(node_names_new(t.root, &names), 0);
        ck_assert_int_eq(node_names_find(names, makedev(195, 255), &name), 0);
        ck_assert_int_eq(node_names_find(names, makedev(512, 0), &name), NODE_NAMES_E_OTHER);
        ck_assert_ptr_null(node_names_free(NULL));
}
END_TEST

START_TEST(test_unreadable)
{
        _cleanup_(tmproot_done) TmpRoot t = machine();
        _cleanup_(node_names_freep) NodeNames *names = NULL;
        NodeNames *none = NULL;
        const char *name;

        ck_assert_int_eq(node_names_new(t.root, &names), 0);
        tmproot_rm(&t, "sys/devices/pci0000:00/0000:00:01.0/0000:01:00.0/drm/card0/uevent");
        tmproot_mkdir(&t, "sys/devices/pci0000:00/0000:00:01.0/0000:01:00.0/drm/card0/uevent");
        ck_assert_int_eq(node_names_find(names, makedev(226, 0), &name), -EISDIR);

        tmproot_rm(&t, "proc/devices");
        tmproot_mkdir(&t, "proc/devices");
        ck_assert_int_eq(node_names_new(t.root, &none), -EISDIR);
        ck_assert_ptr_null(none);
}
END_TEST

UNIT_MAIN("nodenames", UNIT_TEST(test_find), UNIT_TEST(test_many), UNIT_TEST(test_check),
                UNIT_TEST(test_no_table), UNIT_TEST(test_unreadable))
