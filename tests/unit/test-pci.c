/* SPDX-License-Identifier: Apache-2.0 */

#include "unit.h"

#include "base/str.h"
#include "sys/pci.h"
#include "tmproot.h"

static void add_at(
                TmpRoot *t, const char *directory, const char *vendor, const char *device, const char *class)
{
        const char *const names[] = { "vendor", "device", "class" };
        const char *const values[] = { vendor, device, class };

        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                _cleanup_free_ char *path = str_format("%s/%s", directory, names[i]);

                if (values[i])
                        tmproot_write(t, path, values[i]);
        }
}

/* As a plain directory. */
static void add(TmpRoot *t, const char *address, const char *vendor, const char *device, const char *class)
{
        _cleanup_free_ char *directory = str_format("sys/bus/pci/devices/%s", address);

        add_at(t, directory, vendor, device, class);
}

/* As the kernel does it: a symlink into /sys/devices. */
static void add_linked(
                TmpRoot *t, const char *address, const char *vendor, const char *device, const char *class)
{
        _cleanup_free_ char *directory = str_format("sys/devices/pci0000:00/%s", address);
        _cleanup_free_ char *target = str_format("../../../devices/pci0000:00/%s", address);
        _cleanup_free_ char *path = str_format("sys/bus/pci/devices/%s", address);

        add_at(t, directory, vendor, device, class);
        tmproot_link(t, target, path);
}

START_TEST(test_no_bus)
{
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();
        GpuFacts gpus = {};

        ck_assert_int_eq(pci_read_gpus(t.root, &gpus), 0);
        ck_assert_uint_eq(gpus.n, 0);
        tmproot_mkdir(&t, "sys/bus/pci/devices");
        ck_assert_int_eq(pci_read_gpus(t.root, &gpus), 0);
        ck_assert_uint_eq(gpus.n, 0);
}
END_TEST

START_TEST(test_gpus)
{
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();
        _cleanup_(gpu_facts_done) GpuFacts gpus = {};

        add(&t, "0001:00:00.0", "0x10de\n", "0x1eb8\n", "0x030200\n");
        add_linked(&t, "0000:01:00.0", "0x10de\n", "0x1b80\n", "0x030000\n");
        add(&t, "0000:01:00.1", "0x10de\n", "0x10f0\n", "0x040300\n"); /* its sound */
        add(&t, "0000:00:02.0", "0x8086\n", "0x1912\n", "0x030000\n"); /* another maker's */
        add(&t, "0000:03:00.0", "0x10de\n", "0x22a3\n", "0x068000\n"); /* NVSwitch */
        tmproot_link(&t, "../../../../bus/pci/drivers/nvidia", "sys/bus/pci/devices/0001:00:00.0/driver");

        tmproot_write(&t, "sys/bus/pci/devices/0001:00:00.0/driver_override", "(null)\n");
        tmproot_write(&t, "sys/devices/pci0000:00/0000:01:00.0/driver_override", "vfio-pci\n");

        ck_assert_int_eq(pci_read_gpus(t.root, &gpus), 0);
        ck_assert_uint_eq(gpus.n, 2);
        ck_assert_str_eq(gpus.items[0].override, "vfio-pci");
        ck_assert_ptr_null(gpus.items[1].override);
        ck_assert_str_eq(gpus.items[0].address, "0000:01:00.0");
        ck_assert_uint_eq(gpus.items[0].class, 0x030000);
        ck_assert_ptr_null(gpus.items[0].driver);
        ck_assert_str_eq(gpus.items[1].address, "0001:00:00.0");
        ck_assert_uint_eq(gpus.items[1].vendor, 0x10de);
        ck_assert_uint_eq(gpus.items[1].device, 0x1eb8);
        ck_assert_uint_eq(gpus.items[1].class, 0x030200);
        ck_assert_str_eq(gpus.items[1].driver, "nvidia");
}
END_TEST

/* Half of a device, as seen while it is being removed, and nonsense: left out. */
START_TEST(test_vanishing)
{
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();
        _cleanup_(gpu_facts_done) GpuFacts gpus = {};

        tmproot_link(&t, "../../../devices/gone", "sys/bus/pci/devices/0000:01:00.0");
        add(&t, "0000:02:00.0", NULL, "0x1eb8\n", "0x030200\n");
        add(&t, "0000:03:00.0", "0x10de\n", NULL, "0x030200\n");
        add(&t, "0000:04:00.0", "0x10de\n", "0x1eb8\n", NULL);
        add(&t, "0000:05:00.0", "ten\n", "0x1eb8\n", "0x030200\n");
        add(&t, "0000:06:00.0", "0x10de\n", "0x1eb8\n", "0x1030200\n");
        add(&t, "0000:07:00.0", "0x10de\n", "0x1eb8\n", "0x030200\n");
        tmproot_link(&t, "bare-name", "sys/bus/pci/devices/0000:07:00.0/driver");

        ck_assert_int_eq(pci_read_gpus(t.root, &gpus), 0);
        ck_assert_uint_eq(gpus.n, 1);
        ck_assert_str_eq(gpus.items[0].driver, "bare-name");
}
END_TEST

START_TEST(test_many)
{
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();
        _cleanup_(gpu_facts_done) GpuFacts gpus = {};

        for (unsigned i = 16; i-- > 0;) {
                _cleanup_free_ char *address = str_format("%04x:00:00.0", i);

                add_linked(&t, address, "0x10de\n", "0x1eb8\n", "0x030200\n");
        }
        ck_assert_int_eq(pci_read_gpus(t.root, &gpus), 0);
        ck_assert_uint_eq(gpus.n, 16);
        for (unsigned i = 1; i < 16; i++)
                ck_assert_int_lt(strcmp(gpus.items[i - 1].address, gpus.items[i].address), 0);
}
END_TEST

START_TEST(test_unreadable)
{
        static const char *const paths[] = { "vendor", "class", "device" };
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();
        _cleanup_free_ char *path = str_format("sys/bus/pci/devices/0000:01:00.0/%s", paths[_i]);
        GpuFacts gpus = {};

        add(&t, "0000:01:00.0", "0x10de\n", "0x1eb8\n", "0x030200\n");
        tmproot_rm(&t, path);
        tmproot_mkdir(&t, path);
        ck_assert_int_eq(pci_read_gpus(t.root, &gpus), -EISDIR);
        ck_assert_uint_eq(gpus.n, 0);
}
END_TEST

/* A "driver" that is no link is an error of the fixture, not a driver. */
START_TEST(test_driver_no_link)
{
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();
        GpuFacts gpus = {};

        add(&t, "0000:01:00.0", "0x10de\n", "0x1eb8\n", "0x030200\n");
        tmproot_write(&t, "sys/bus/pci/devices/0000:01:00.0/driver", "nvidia\n");
        (void)pci_read_gpus(t.root, &gpus);
        ck_assert(gpus.n == 0 || !gpus.items[0].driver);
        gpu_facts_done(&gpus);
}
END_TEST

START_TEST(test_nvswitch)
{
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();
        bool there = true;

        ck_assert_int_eq(pci_has_nvswitch(t.root, &there), 0);
        ck_assert(!there);
        add(&t, "0000:01:00.0", "0x10de\n", "0x1eb8\n", "0x030200\n");
        add(&t, "0000:02:00.0", "0x15b3\n", "0x1021\n", "0x068000\n"); /* another maker's bridge */
        add(&t, "0000:04:00.0", "0x10de\n", "0x22a3\n", NULL);         /* being removed */
        ck_assert_int_eq(pci_has_nvswitch(t.root, &there), 0);
        ck_assert(!there);
        add_linked(&t, "0000:03:00.0", "0x10de\n", "0x22a3\n", "0x068000\n");
        ck_assert_int_eq(pci_has_nvswitch(t.root, &there), 0);
        ck_assert(there);
        tmproot_rm(&t, "sys/bus/pci/devices/0000:01:00.0/vendor");
        tmproot_mkdir(&t, "sys/bus/pci/devices/0000:01:00.0/vendor");
        ck_assert_int_eq(pci_has_nvswitch(t.root, &there), -EISDIR);
}
END_TEST

START_TEST(test_driver_has_devices)
{
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();
        bool has = true;

        ck_assert_int_eq(pci_driver_has_devices(t.root, "nouveau", &has), 0);
        ck_assert(!has);
        tmproot_write(&t, "sys/bus/pci/drivers/nouveau/unbind", "");
        tmproot_link(&t, "../../../../module/nouveau", "sys/bus/pci/drivers/nouveau/module");
        has = true;
        ck_assert_int_eq(pci_driver_has_devices(t.root, "nouveau", &has), 0);
        ck_assert(!has);
        tmproot_link(&t, "../../../../devices/x", "sys/bus/pci/drivers/nouveau/0000:01:00.0");
        ck_assert_int_eq(pci_driver_has_devices(t.root, "nouveau", &has), 0);
        ck_assert(has);
}
END_TEST

UNIT_MAIN("pci", UNIT_TEST(test_driver_has_devices), UNIT_TEST(test_no_bus), UNIT_TEST(test_gpus),
                UNIT_TEST(test_vanishing), UNIT_TEST(test_many), UNIT_LOOP(test_unreadable, 3),
                UNIT_TEST(test_driver_no_link), UNIT_TEST(test_nvswitch))
