// SPDX-License-Identifier: GPL-2.0
/*
 * simgpu: simulated NVIDIA Tesla T4 boards for the lab's virtual machine
 *
 * The real driver decides at three places whether it has something to drive: the PCI core matches its id table, its probe
 * function wants an interrupt line and a mapped register BAR, and the core object reads two identification registers through
 * that BAR. This module satisfies exactly these three and nothing behind them: it registers a PCI host bridge of its own whose
 * configuration space is an array in memory, and whose "device memory" is RAM that the kernel was told not to use (mem= on its
 * command line). Everything from there up is real: the PCI core, sysfs, udev, and NVIDIA's unmodified modules.
 *
 * What it cannot do is answer after identification. Opening /dev/nvidiaN starts real initialisation, which fails with EIO.
 *
 * Kernel facts relied upon (6.1 and 6.12, x86):
 *  - On x86, bus->sysdata is a struct pci_sysdata and the domain is taken from it. Domain 0 belongs to the machine's own bridge
 *    (fixed numbers, BIOS quirks), so the boards live in domain 1.
 *  - The 64-bit prefetchable BARs are placed before the 32-bit one: BAR0 is wherever the core put it, not at the window's start.
 *  - No interrupt pin is announced, because a pin would send the core looking for an ACPI routing entry that does not exist.
 *    pci_dev->irq is then 0, and the driver gives up with "Can't find an IRQ"; so the line is set by hand.
 *  - A device that was removed through sysfs and found again by a rescan is a new struct pci_dev, with BARs perhaps elsewhere.
 *    BUS_NOTIFY_BIND_DRIVER comes after BAR assignment and right before probe, hence that is where line and registers are set:
 *    hotplug then needs no special case.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/io.h>
#include <linux/log2.h>
#include <linux/module.h>
#include <linux/notifier.h>
#include <linux/pci.h>
#include <linux/sizes.h>
#include <asm/pci.h>

#define SIMGPU_DOMAIN     1
#define SIMGPU_MAX        16
#define SIMGPU_CFG_SIZE   256

/* Identification registers, offsets into BAR0. */
#define PMC_BOOT_0        0x0000
#define PMC_BOOT_42       0x0a00

/* Where the capabilities sit in configuration space. Free choice, real boards use the same two places. */
#define CAP_PM            0x60
#define CAP_EXP           0x78

/*
 * The line is never raised. It only has to be a number that request_irq() accepts as shared, and 11 is where QEMU's PIIX routes
 * PCI interrupts anyway.
 */
#define SIMGPU_IRQ        11

static unsigned int gpus = 1;
module_param(gpus, uint, 0444);
MODULE_PARM_DESC(gpus, "Number of boards, 0 to 16");

static unsigned long window = 0x70000000;
module_param(window, ulong, 0444);
MODULE_PARM_DESC(window, "Physical address of the RAM that stands in for device memory");

static unsigned long window_mb = 224;
module_param(window_mb, ulong, 0444);
MODULE_PARM_DESC(window_mb, "Size of that RAM in MB");

static ushort device = 0x1eb8;
module_param(device, ushort, 0444);
MODULE_PARM_DESC(device, "PCI device id (0x1eb8: Tesla T4)");

/*
 * TU104. A value that names no known chip makes the driver print "not supported by the NVIDIA ... driver release" and return
 * ENODEV: a failure worth having on demand.
 */
static uint boot0 = 0x164000a1;
module_param(boot0, uint, 0644);
MODULE_PARM_DESC(boot0, "Register PMC_BOOT_0");

static uint boot42 = 0x164a1000;
module_param(boot42, uint, 0644);
MODULE_PARM_DESC(boot42, "Register PMC_BOOT_42");

static bool lost;
module_param(lost, bool, 0644);
MODULE_PARM_DESC(lost, "The vendor reads as all ones, as of boards that have fallen off the bus");

/*
 * Says a line into the kernel log as the kernel itself does. What a program writes to /dev/kmsg is marked as a program's, and
 * rightly believed by nobody; a driver's message about a dying GPU can only be had from inside.
 */
static int say_set(const char *val, const struct kernel_param *kp)
{
	/* Without its newline a record is not shown to readers until the next one comes. */
	printk(KERN_ERR "%s\n", val);
	return 0;
}

static const struct kernel_param_ops say_ops = {
	.set = say_set,
};
module_param_cb(say, &say_ops, NULL, 0200);
MODULE_PARM_DESC(say, "Line to print into the kernel log");

struct simgpu {
	u8 cfg[SIMGPU_CFG_SIZE];
	u32 bar_mask[6];                /* writable bits of each BAR register; 0: no such BAR */
};

static struct simgpu boards[SIMGPU_MAX];
static struct pci_bus *root_bus;

static struct resource mem_window = {
	.name = "simgpu window",
	.flags = IORESOURCE_MEM,
};

static struct resource bus_window = {
	.name = "simgpu bus",
	.start = 0,
	.end = 0,
	.flags = IORESOURCE_BUS,
};

/* Without node, dev_to_node() of every board would be 0 by accident; -1 says "no affinity". */
static struct pci_sysdata sysdata = {
	.domain = SIMGPU_DOMAIN,
	.node = NUMA_NO_NODE,
};

static void put16(struct simgpu *b, int where, u16 v)
{
	b->cfg[where] = v & 0xff;
	b->cfg[where + 1] = v >> 8;
}

static void put32(struct simgpu *b, int where, u32 v)
{
	put16(b, where, v & 0xffff);
	put16(b, where + 2, v >> 16);
}

static u32 get32(const struct simgpu *b, int where)
{
	return b->cfg[where] | b->cfg[where + 1] << 8 | b->cfg[where + 2] << 16 | (u32)b->cfg[where + 3] << 24;
}

static void add_bar32(struct simgpu *b, int bar, u32 size)
{
	b->bar_mask[bar] = ~(size - 1);
	put32(b, PCI_BASE_ADDRESS_0 + 4 * bar, PCI_BASE_ADDRESS_MEM_TYPE_32);
}

static void add_bar64(struct simgpu *b, int bar, u32 size)
{
	b->bar_mask[bar] = ~(size - 1);
	b->bar_mask[bar + 1] = ~0U;
	put32(b, PCI_BASE_ADDRESS_0 + 4 * bar, PCI_BASE_ADDRESS_MEM_TYPE_64 | PCI_BASE_ADDRESS_MEM_PREFETCH);
}

static void board_init(struct simgpu *b)
{
	/* One board has a T4's real register sizes; several share the window, so that 16 fit below 4 GB. */
	bool crowded = gpus > 1;

	put16(b, PCI_VENDOR_ID, PCI_VENDOR_ID_NVIDIA);
	put16(b, PCI_DEVICE_ID, device);
	put16(b, PCI_STATUS, PCI_STATUS_CAP_LIST);
	b->cfg[PCI_REVISION_ID] = 0xa1;
	put16(b, PCI_CLASS_DEVICE, PCI_CLASS_DISPLAY_3D);
	b->cfg[PCI_HEADER_TYPE] = PCI_HEADER_TYPE_NORMAL;
	put16(b, PCI_SUBSYSTEM_VENDOR_ID, PCI_VENDOR_ID_NVIDIA);
	put16(b, PCI_SUBSYSTEM_ID, 0x12a2);

	add_bar32(b, 0, SZ_16M);
	add_bar64(b, 1, crowded ? SZ_16M : SZ_64M);
	add_bar64(b, 3, crowded ? SZ_4M : SZ_32M);

	b->cfg[PCI_CAPABILITY_LIST] = CAP_PM;
	b->cfg[CAP_PM] = PCI_CAP_ID_PM;
	b->cfg[CAP_PM + PCI_CAP_LIST_NEXT] = CAP_EXP;
	put16(b, CAP_PM + PCI_PM_PMC, 3);               /* version 1.2 */
	put16(b, CAP_PM + PCI_PM_CTRL, PCI_PM_CTRL_NO_SOFT_RESET);

	b->cfg[CAP_EXP] = PCI_CAP_ID_EXP;
	put16(b, CAP_EXP + PCI_EXP_FLAGS, 2 | PCI_EXP_TYPE_ENDPOINT << 4);
	put32(b, CAP_EXP + PCI_EXP_LNKCAP, PCI_EXP_LNKCAP_SLS_8_0GB | 16 << 4);
	put16(b, CAP_EXP + PCI_EXP_LNKSTA, PCI_EXP_LNKSTA_CLS_8_0GB | PCI_EXP_LNKSTA_NLW_X8 << 1);
}

static struct simgpu *board_at(struct pci_bus *bus, unsigned int devfn)
{
	if (bus->number != 0 || PCI_FUNC(devfn) != 0 || PCI_SLOT(devfn) >= gpus)
		return NULL;
	return &boards[PCI_SLOT(devfn)];
}

static int simgpu_read(struct pci_bus *bus, unsigned int devfn, int where, int size, u32 *val)
{
	const struct simgpu *b = board_at(bus, devfn);

	if (!b) {
		*val = ~0U;
		return PCIBIOS_DEVICE_NOT_FOUND;
	}

	/* Extended space exists (PCIe) and is empty: zeroes end the list of extended capabilities. */
	*val = 0;
	/* The vendor is enough for whoever asks whether the board answers; the loaded driver keeps the rest. */
	if (lost && where < 4)
		*val = ~0U;
	else if (where + size <= SIMGPU_CFG_SIZE)
		*val = get32(b, where & ~3) >> (8 * (where & 3));
	if (size < 4)
		*val &= (1U << (8 * size)) - 1;
	return PCIBIOS_SUCCESSFUL;
}

/* Which bits of a 32-bit configuration register a write changes. Identity and capability headers stay as they are. */
static u32 writable_bits(const struct simgpu *b, int where)
{
	switch (where) {
	case PCI_COMMAND:
		return 0xffff;          /* the upper half is the status register */
	case PCI_BASE_ADDRESS_0 ... PCI_BASE_ADDRESS_5:
		return b->bar_mask[(where - PCI_BASE_ADDRESS_0) / 4];
	case PCI_CACHE_LINE_SIZE:
		return 0xffff;          /* and latency timer; not the header type */
	case PCI_INTERRUPT_LINE:
		return 0xff;
	case CAP_EXP + PCI_EXP_DEVCTL:
	case CAP_EXP + PCI_EXP_LNKCTL:
		return 0xffff;
	default:
		return 0;
	}
}

static int simgpu_write(struct pci_bus *bus, unsigned int devfn, int where, int size, u32 val)
{
	struct simgpu *b = board_at(bus, devfn);
	int word = where & ~3, shift = 8 * (where & 3);
	u32 mask = size < 4 ? (1U << (8 * size)) - 1 : ~0U;

	if (!b)
		return PCIBIOS_DEVICE_NOT_FOUND;
	if (where + size > SIMGPU_CFG_SIZE)
		return PCIBIOS_SUCCESSFUL;

	mask = (mask << shift) & writable_bits(b, word);
	put32(b, word, (get32(b, word) & ~mask) | (val << shift & mask));
	return PCIBIOS_SUCCESSFUL;
}

static struct pci_ops simgpu_ops = {
	.read = simgpu_read,
	.write = simgpu_write,
};

static void write_registers(struct pci_dev *pdev)
{
	void __iomem *regs = ioremap(pci_resource_start(pdev, 0), PAGE_SIZE);

	if (!regs) {
		pci_err(pdev, "cannot map the register BAR, this board will not be recognised\n");
		return;
	}
	writel(boot0, regs + PMC_BOOT_0);
	writel(boot42, regs + PMC_BOOT_42);
	iounmap(regs);
}

static int on_bus_event(struct notifier_block *nb, unsigned long action, void *data)
{
	struct pci_dev *pdev = to_pci_dev(data);

	if (pci_domain_nr(pdev->bus) != SIMGPU_DOMAIN)
		return NOTIFY_DONE;

	switch (action) {
	case BUS_NOTIFY_ADD_DEVICE:
		pdev->irq = SIMGPU_IRQ;
		break;
	case BUS_NOTIFY_BIND_DRIVER:
		pdev->irq = SIMGPU_IRQ;
		write_registers(pdev);
		break;
	}
	return NOTIFY_OK;
}

static struct notifier_block bus_events = {
	.notifier_call = on_bus_event,
};

static int __init simgpu_init(void)
{
	LIST_HEAD(windows);
	unsigned int i;
	int r;

	if (gpus > SIMGPU_MAX)
		return -EINVAL;

	mem_window.start = window;
	mem_window.end = window + window_mb * SZ_1M - 1;

	/* The check that mem= really kept this RAM from the kernel. Writing registers into somebody's pages would be no fun to debug. */
	if (region_intersects(window, window_mb * SZ_1M, IORESOURCE_SYSTEM_RAM, IORES_DESC_NONE) != REGION_DISJOINT) {
		pr_err("window %pR is memory that the kernel uses, boot with mem=%luM\n", &mem_window, window / SZ_1M);
		return -EBUSY;
	}

	for (i = 0; i < gpus; i++)
		board_init(&boards[i]);

	r = request_resource(&iomem_resource, &mem_window);
	if (r) {
		pr_err("window %pR overlaps a resource of the machine\n", &mem_window);
		return r;
	}

	r = bus_register_notifier(&pci_bus_type, &bus_events);
	if (r)
		goto release_window;

	pci_add_resource(&windows, &mem_window);
	pci_add_resource(&windows, &bus_window);

	pci_lock_rescan_remove();
	root_bus = pci_create_root_bus(NULL, 0, &simgpu_ops, &sysdata, &windows);
	if (!root_bus) {
		pci_unlock_rescan_remove();
		pci_free_resource_list(&windows);
		r = -ENOMEM;
		goto unregister;
	}
	pci_scan_child_bus(root_bus);
	pci_bus_assign_resources(root_bus);
	pci_bus_add_devices(root_bus);
	pci_unlock_rescan_remove();

	pr_info("%u simulated board%s in %pR\n", gpus, gpus == 1 ? "" : "s", &mem_window);
	return 0;

unregister:
	bus_unregister_notifier(&pci_bus_type, &bus_events);
release_window:
	release_resource(&mem_window);
	return r;
}

static void __exit simgpu_exit(void)
{
	pci_lock_rescan_remove();
	pci_stop_root_bus(root_bus);
	pci_remove_root_bus(root_bus);
	pci_unlock_rescan_remove();
	bus_unregister_notifier(&pci_bus_type, &bus_events);
	release_resource(&mem_window);
}

module_init(simgpu_init);
module_exit(simgpu_exit);

MODULE_DESCRIPTION("Simulated NVIDIA boards for tests");
MODULE_LICENSE("GPL");
