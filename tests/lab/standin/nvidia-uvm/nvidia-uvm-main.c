// SPDX-License-Identifier: GPL-2.0
/* Stand-in for nvidia-uvm.ko: a character device with a dynamic major (nvidia-uvm is minor 0, nvidia-uvm-tools minor 1). */
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/pci.h>

#include "standin.h"

static int major;

static const struct file_operations uvm_fops = {
	.owner = THIS_MODULE,
};

static int __init uvm_init(void)
{
	struct pci_dev *pdev;

	/* Only to depend on nvidia.ko by a symbol, as the real one does. */
	if (nvidia_standin_get_gpu(0, &pdev) == 0)
		pci_dev_put(pdev);

	major = register_chrdev(0, "nvidia-uvm", &uvm_fops);
	return major < 0 ? major : 0;
}

static void __exit uvm_exit(void)
{
	unregister_chrdev(major, "nvidia-uvm");
}

module_init(uvm_init);
module_exit(uvm_exit);

MODULE_DESCRIPTION("Stand-in for nvidia-uvm.ko, for tests");
MODULE_VERSION(NV_VERSION_STRING);
MODULE_LICENSE("GPL");
