// SPDX-License-Identifier: GPL-2.0
/*
 * Stand-in for nvidia.ko: binds the boards, makes the same device nodes known, and misbehaves on demand.
 *
 * As in the real driver, the module's init fails with ENODEV where there is no board, /proc/devices names the character
 * devices ("nvidia-frontend", major 195), /proc/driver/nvidia has version, params and gpus/, and nodes in /dev are left to user space.
 */
#define pr_fmt(fmt) "standin: " fmt

#include <linux/delay.h>
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/proc_fs.h>
#include <linux/seq_file.h>
#include <linux/slab.h>

#include "standin.h"

#define NV_MAJOR 195

static uint init_delay_ms;
module_param(init_delay_ms, uint, 0444);
MODULE_PARM_DESC(init_delay_ms, "Time that loading takes");

static uint exit_delay_ms;
module_param(exit_delay_ms, uint, 0644);
MODULE_PARM_DESC(exit_delay_ms, "Time that unloading takes");

static int init_fail;
module_param(init_fail, int, 0444);
MODULE_PARM_DESC(init_fail, "Errno with which loading fails, after init_delay_ms");

static bool interruptible;
module_param(interruptible, bool, 0644);
MODULE_PARM_DESC(interruptible, "Let signals cut the delays short (the real driver does not)");

static struct pci_dev *gpus[STANDIN_MAX_GPUS];
static unsigned int n_gpus;
static DEFINE_MUTEX(gpus_lock);
static struct proc_dir_entry *proc_dir, *proc_gpus;

/* The kernel's module loading cannot be interrupted, and a story about that needs a wait that cannot be either. */
void nvidia_standin_wait(unsigned int ms)
{
	if (interruptible)
		msleep_interruptible(ms);
	else
		msleep(ms);
}
EXPORT_SYMBOL_GPL(nvidia_standin_wait);

int nvidia_standin_get_gpu(unsigned int index, struct pci_dev **ret)
{
	int r = -ENODEV;

	mutex_lock(&gpus_lock);
	if (index < n_gpus) {
		*ret = pci_dev_get(gpus[index]);
		r = 0;
	}
	mutex_unlock(&gpus_lock);
	return r;
}
EXPORT_SYMBOL_GPL(nvidia_standin_get_gpu);

static int nv_open(struct inode *inode, struct file *file)
{
	unsigned int minor = iminor(inode);

	/* 255 is the control node, 254 modeset; the rest are boards. */
	return minor >= 254 || minor < n_gpus ? 0 : -ENODEV;
}

static const struct file_operations nv_fops = {
	.owner = THIS_MODULE,
	.open = nv_open,
};

static int version_show(struct seq_file *m, void *unused)
{
	seq_printf(m, "NVRM version: NVIDIA UNIX x86_64 Kernel Module  %s  Stand-in for tests, core answers %u\n",
		   NV_VERSION_STRING, standin_core_answer(0));
	return 0;
}

static int params_show(struct seq_file *m, void *unused)
{
	seq_puts(m, "DeviceFileUID: 0\nDeviceFileGID: 0\nDeviceFileMode: 438\nModifyDeviceFiles: 1\n");
	return 0;
}

static int information_show(struct seq_file *m, void *unused)
{
	struct pci_dev *pdev = m->private;
	unsigned int i, minor = 0;

	for (i = 0; i < n_gpus; i++)
		if (gpus[i] == pdev)
			minor = i;
	seq_printf(m, "Model: \t\t Stand-in\nIRQ:   \t\t %u\nBus Type: \t PCIe\nBus Location: \t %s\nDevice Minor: \t %u\n",
		   pdev->irq, pci_name(pdev), minor);
	return 0;
}

static int nv_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	struct proc_dir_entry *dir;
	int r;

	r = pci_enable_device(pdev);
	if (r)
		return r;

	mutex_lock(&gpus_lock);
	if (n_gpus < STANDIN_MAX_GPUS)
		gpus[n_gpus++] = pdev;
	mutex_unlock(&gpus_lock);

	dir = proc_mkdir(pci_name(pdev), proc_gpus);
	if (dir)
		proc_create_single_data("information", 0444, dir, information_show, pdev);
	return 0;
}

static void nv_remove(struct pci_dev *pdev)
{
	unsigned int i;

	remove_proc_subtree(pci_name(pdev), proc_gpus);
	mutex_lock(&gpus_lock);
	for (i = 0; i < n_gpus; i++)
		if (gpus[i] == pdev) {
			memmove(&gpus[i], &gpus[i + 1], (n_gpus - i - 1) * sizeof(gpus[0]));
			n_gpus--;
			break;
		}
	mutex_unlock(&gpus_lock);
	pci_disable_device(pdev);
}

static const struct pci_device_id nv_ids[] = {
	{ PCI_DEVICE(PCI_VENDOR_ID_NVIDIA, 0x1eb8) },
	{ }
};
MODULE_DEVICE_TABLE(pci, nv_ids);

static struct pci_driver nv_driver = {
	.name = "nvidia",
	.id_table = nv_ids,
	.probe = nv_probe,
	.remove = nv_remove,
};

static int __init nv_init(void)
{
	int r;

	if (init_delay_ms)
		nvidia_standin_wait(init_delay_ms);
	if (init_fail) {
		pr_err("init fails with %d as it was told to\n", init_fail);
		return -abs(init_fail);
	}

	r = register_chrdev(NV_MAJOR, "nvidia-frontend", &nv_fops);
	if (r < 0)
		return r;

	proc_dir = proc_mkdir("driver/nvidia", NULL);
	proc_gpus = proc_mkdir("gpus", proc_dir);
	proc_create_single("version", 0444, proc_dir, version_show);
	proc_create_single("params", 0444, proc_dir, params_show);

	r = pci_register_driver(&nv_driver);
	if (!r && !n_gpus) {
		pr_err("No NVIDIA GPU found.\n");
		pci_unregister_driver(&nv_driver);
		r = -ENODEV;
	}
	if (r) {
		proc_remove(proc_dir);
		unregister_chrdev(NV_MAJOR, "nvidia-frontend");
		return r;
	}

	pr_info("loading %s, %u boards\n", NV_VERSION_STRING, n_gpus);
	return 0;
}

static void __exit nv_exit(void)
{
	if (exit_delay_ms)
		nvidia_standin_wait(exit_delay_ms);
	pci_unregister_driver(&nv_driver);
	proc_remove(proc_dir);
	unregister_chrdev(NV_MAJOR, "nvidia-frontend");
}

module_init(nv_init);
module_exit(nv_exit);

MODULE_DESCRIPTION("Stand-in for nvidia.ko, for tests");
MODULE_VERSION(NV_VERSION_STRING);
MODULE_LICENSE("GPL");
