/* SPDX-License-Identifier: Apache-2.0 */

/* What a driver says about its nodes, from a /proc and a /sys of files. */

#include "unit.h"

#include <sys/sysmacros.h>

#include "base/str.h"
#include "sys/nodefacts.h"
#include "tmproot.h"

#define PROC "proc/driver/nvidia"

static void write_driver(TmpRoot *t)
{
        tmproot_write(t, "sys/module/nvidia/initstate", "live\n");
        tmproot_write(t, "sys/module/nvidia_modeset/initstate", "live\n");
        tmproot_write(t, "proc/devices",
                        "Character devices:\n  1 mem\n195 nvidia-frontend\n226 drm\n242 nvidia-uvm\n245 nvidia-caps\n"
                        "246 nvidia-caps-imex-channels\n\nBlock devices:\n  7 loop\n");
        tmproot_write(t, PROC "/params",
                        "RmLogonRC: 1\nModifyDeviceFiles: 1\nDeviceFileUID: 3\nDeviceFileGID: 4\nDeviceFileMode: 432\n");
        tmproot_write(t, PROC "/gpus/0001:00:00.0/information",
                        "Model: \t\t Unknown\nIRQ:   \t\t 11\nBus Location: \t 0001:00:00.0\nDevice Minor: \t 5\n"
                        "GPU Excluded:\t No\n");
        tmproot_write(t, PROC "/gpus/0001:00:01.0/information", "Model: \t\t Unknown\n");
        tmproot_write(t, PROC "/capabilities/mig/config",
                        "DeviceFileMinor: 1\nDeviceFileMode: 256\nDeviceFileModify: 1\n");
        tmproot_write(t, PROC "/capabilities/gpu0/mig/gi1/ci0/access",
                        "DeviceFileMinor: 37\nDeviceFileMode: 292\nDeviceFileModify: 0\n");
        tmproot_write(t, "proc/driver/nvidia-caps/mig-minors",
                        "config 1\nmonitor 2\ngpu0/gi0/access 3\nbad line x\n\n 4");
        tmproot_write(t, "proc/driver/nvidia-caps/nvlink-minors", "fabric-mgmt 0\n");
        tmproot_write(t, PROC "/capabilities/README", "Nothing to see here.\n");
}

static DriverNodes read_all(const TmpRoot *t)
{
        DriverNodes d = {};

        ck_assert_int_eq(nodefacts_read(t->root, &d), 0);
        return d;
}

START_TEST(test_nothing)
{
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();
        _cleanup_(driver_nodes_done) DriverNodes d = read_all(&t);

        ck_assert(!d.nvidia && !d.modeset && !d.lists_gpus && !d.lists_drm);
        ck_assert_int_eq(d.uvm_major, -1);
        ck_assert_int_eq(d.caps_major, -1);
        ck_assert_uint_eq(d.n_gpus + d.caps.n + d.drm.n, 0);
        ck_assert_uint_eq(d.rights.mode, 0666);
        ck_assert(d.rights.modify);
}
END_TEST

START_TEST(test_driver)
{
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();
        _cleanup_(driver_nodes_done) DriverNodes d = {};

        write_driver(&t);
        d = read_all(&t);
        ck_assert(d.nvidia && d.modeset && d.lists_gpus && d.rights.modify);
        ck_assert_int_eq(d.uvm_major, 242);
        ck_assert_int_eq(d.caps_major, 245);
        ck_assert_uint_eq(d.rights.uid, 3);
        ck_assert_uint_eq(d.rights.gid, 4);
        ck_assert_uint_eq(d.rights.mode, 0660);
        ck_assert_uint_eq(d.n_gpus, 2);
        ck_assert_str_eq(d.gpus[0].address, "0001:00:00.0");
        ck_assert(d.gpus[0].has_minor && !d.gpus[1].has_minor);
        ck_assert_uint_eq(d.gpus[0].minor, 5);
        ck_assert_uint_eq(d.caps.n, 2);
        ck_assert_str_eq(d.caps.items[0].name, "nvidia-caps/nvidia-cap37");
        ck_assert(!d.caps.items[0].rights.modify);
        ck_assert_str_eq(d.caps.items[1].name, "nvidia-caps/nvidia-cap1");
        ck_assert_uint_eq(d.caps.items[1].major, 245);
        ck_assert_uint_eq(d.caps.items[1].minor, 1);
        ck_assert_uint_eq(d.caps.items[1].rights.mode, 0400);
        ck_assert(d.caps.items[1].rights.modify);
}
END_TEST

/* The driver is not asked about a GPU that has fallen off its bus; one that sleeps is not woken up for that.
 */
START_TEST(test_lost)
{
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();
        _cleanup_(driver_nodes_done) DriverNodes lost = {}, asleep = {}, back = {};

        write_driver(&t);
        tmproot_write(&t, "sys/bus/pci/devices/0001:00:00.0/config", "\xff\xff\xff\xff");
        tmproot_write(&t, "sys/bus/pci/devices/0001:00:00.0/power/runtime_status", "active\n");
        lost = read_all(&t);
        ck_assert_uint_eq(lost.n_gpus, 2);
        ck_assert(!lost.gpus[0].has_minor);
        tmproot_write(&t, "sys/bus/pci/devices/0001:00:00.0/power/runtime_status", "suspended\n");
        asleep = read_all(&t);
        ck_assert(asleep.gpus[0].has_minor);
        tmproot_write(&t, "sys/bus/pci/devices/0001:00:00.0/power/runtime_status", "active\n");
        tmproot_write(&t, "sys/bus/pci/devices/0001:00:00.0/config", "\xde\x10\xff\xff");
        back = read_all(&t);
        ck_assert(back.gpus[0].has_minor);
}
END_TEST

/* Damaged, endless and absurd: no crash, no endless recursion, nothing invented. */
START_TEST(test_strange)
{
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();
        _cleanup_(driver_nodes_done) DriverNodes d = {};
        _cleanup_free_ char *big = calloc(1, 100001), *deep = strdup(PROC "/capabilities");

        memset(big, 'x', 100000);
        for (unsigned i = 0; i < 20; i++) {
                char *longer = str_format("%s/d", deep);

                free(deep);
                deep = longer;
        }
        tmproot_mkdir(&t, deep);
        tmproot_write(&t, PROC "/params", big);
        tmproot_write(&t, "proc/devices", "-7 nvidia-uvm\nx nvidia-caps\n12\n 99999999999999 nvidia-uvm\n");
        tmproot_write(&t, PROC "/gpus/0001:00:00.0/information", big);
        tmproot_write(&t, PROC "/gpus/0001:00:01.0/information", "Device Minor: 99999999\n");
        tmproot_mkdir(&t, PROC "/gpus/0001:00:02.0");
        d = read_all(&t);
        ck_assert_uint_eq(d.rights.mode, 0666);
        ck_assert_int_eq(d.caps_major, -1);
        ck_assert_uint_eq(d.n_gpus, 3);
        for (size_t i = 0; i < d.n_gpus; i++)
                ck_assert(!d.gpus[i].has_minor);
        ck_assert_uint_eq(d.caps.n, 0);
}
END_TEST

static void write_minor(
                TmpRoot *t, const char *address, const char *name, unsigned minor, const char *driver)
{
        _cleanup_free_ char *devpath = str_format("devices/pci0001:00/%s/drm/%s", address, name),
                            *dev = str_format("sys/%s/dev", devpath),
                            *link = str_format("sys/class/drm/%s", name),
                            *target = str_format("../../%s", devpath),
                            *number = str_format("226:%u\n", minor), *character = NULL, *binding = NULL,
                            *module = NULL;

        tmproot_write(t, dev, number);
        tmproot_link(t, target, link);
        number[strlen(number) - 1] = '\0';
        character = str_format("sys/dev/char/%s", number);
        tmproot_link(t, target, character);
        binding = str_format("sys/bus/pci/devices/%s/driver", address);
        module = str_format("../../../bus/pci/drivers/%s", driver);
        if (!root_exists(t->root, binding)) {
                char full[4096];

                (void)snprintf(full, sizeof(full), "%s/%s", t->path, binding);
                (void)unlink(full);
                tmproot_link(t, module, binding);
        }
}

START_TEST(test_drm)
{
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();
        _cleanup_(driver_nodes_done) DriverNodes d = {};

        write_minor(&t, "0001:00:00.0", "card1", 1, "nvidia");
        write_minor(&t, "0001:00:00.0", "renderD129", 129, "nvidia");
        write_minor(&t, "0000:00:02.0", "card0", 0, "ast");
        tmproot_mkdir(&t, "sys/class/drm/card1-DP-1");
        tmproot_write(&t, "sys/class/drm/version", "drm");
        /* A GPU that is gone; its minor is not, and leads nowhere. */
        tmproot_link(&t, "../../devices/pci0001:00/0001:00:07.0/drm/card7", "sys/class/drm/card7");
        tmproot_link(&t, "../../devices/pci0001:00/0001:00:07.0/drm/card7", "sys/dev/char/226:7");
        tmproot_link(&t, "../../devices/virtual/mem/null", "sys/dev/char/1:3");
        tmproot_write(&t, "etc/group", "root:x:0:\nvideos:x:9:\nvideo:x:44:lightdm\nrender:x:104:\n");
        tmproot_write(&t, "run/udev/data/c226:1", "I:1\n");
        d = read_all(&t);

        ck_assert_uint_eq(d.drm.n, 2);
        ck_assert_str_eq(d.drm.items[0].name, "dri/card1");
        ck_assert(d.drm.items[0].by_kernel && d.drm.items[0].settled);
        ck_assert_uint_eq(d.drm.items[0].major, 226);
        ck_assert_uint_eq(d.drm.items[0].minor, 1);
        ck_assert_uint_eq(d.drm.items[0].rights.gid, 44);
        ck_assert_uint_eq(d.drm.items[0].rights.mode, 0660);
        ck_assert_str_eq(d.drm.items[1].name, "dri/renderD129");
        ck_assert_uint_eq(d.drm.items[1].rights.gid, 104);
        ck_assert(!d.drm.items[1].settled);
        ck_assert(d.lists_drm);
        ck_assert_uint_eq(strv_length(d.drm_numbers), 4);
        ck_assert(strv_contains(d.drm_numbers, "226:7"));
}
END_TEST

/* The host's node tells who may open it, once udev has been there. */
static const struct {
        mode_t mode;
        unsigned minor, gid;
        bool taken;
} hosts[] = {
        { S_IFCHR | 0640, 1, 5, true },
        { S_IFCHR | 0600, 1, 0, false },
        { S_IFCHR | 0666, 2, 5, false },
        { S_IFREG | 0666, 1, 5, false },
};

START_TEST(test_rights_of_the_host)
{
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();
        _cleanup_(driver_nodes_done) DriverNodes d = {};
        char path[4096];

        (void)umask(0);
        write_minor(&t, "0001:00:00.0", "card1", 1, "nvidia");
        tmproot_mkdir(&t, "proc/1/root/dev/dri");
        (void)snprintf(path, sizeof(path), "%s/proc/1/root/dev/dri/card1", t.path);
        ck_assert_int_eq(mknod(path, hosts[_i].mode, makedev(226, hosts[_i].minor)), 0);
        ck_assert_int_eq(chown(path, 0, hosts[_i].gid), 0);
        d = read_all(&t);
        ck_assert_uint_eq(d.drm.n, 1);
        ck_assert_uint_eq(d.drm.items[0].rights.gid, hosts[_i].taken ? hosts[_i].gid : 0);
        ck_assert_uint_eq(d.drm.items[0].rights.mode, hosts[_i].taken ? 0640 : 0660);
}
END_TEST

static void check_numbers(const NumberSet *set, const char *expected)
{
        _cleanup_strv_ char **words = NULL;
        _cleanup_free_ char *got = NULL;

        for (size_t i = 0; i < set->n; i++)
                ck_assert_int_eq(strv_pushf(&words, "%u", set->items[i]), 0);
        got = strv_join(words, " ");
        ck_assert_str_eq(got, expected);
}

/* Numbers of block devices are others. */
START_TEST(test_numbers)
{
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();
        _cleanup_(driver_nodes_done) DriverNodes d = {};

        write_driver(&t);
        d = read_all(&t);
        check_numbers(&d.registered, "1 195 226 242 245 246");
        check_numbers(&d.majors, "195 242 245 246");
        check_numbers(&d.cap_minors, "1 2 3 4 0");
}
END_TEST

UNIT_MAIN("nodefacts", UNIT_TEST(test_numbers), UNIT_TEST(test_nothing), UNIT_TEST(test_driver),
                UNIT_TEST(test_lost), UNIT_TEST(test_strange), UNIT_TEST(test_drm),
                UNIT_LOOP(test_rights_of_the_host, ELEMENTSOF(hosts)))
