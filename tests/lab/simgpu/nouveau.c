// SPDX-License-Identifier: GPL-2.0
/*
 * nouveau: a stand-in that has the name and the GPUs of the real one
 *
 * The kernel's own nouveau finds no video BIOS on a simulated board and gives up in its probe: udev loads it, but it binds
 * nothing. This one binds every NVIDIA display device that is free. It is not in the module tree; stories insert it by path.
 */
#include <linux/delay.h>
#include <linux/module.h>
#include <linux/pci.h>

static unsigned int remove_ms;
module_param(remove_ms, uint, 0644);
MODULE_PARM_DESC(remove_ms, "How long it takes to let go of a device");

static int nouveau_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	return 0;
}

static void nouveau_remove(struct pci_dev *pdev)
{
	msleep(remove_ms);
}

static const struct pci_device_id nouveau_ids[] = {
	{ PCI_DEVICE(PCI_VENDOR_ID_NVIDIA, PCI_ANY_ID), .class = PCI_BASE_CLASS_DISPLAY << 16, .class_mask = 0xff0000 },
	{ }
};

static struct pci_driver nouveau_driver = {
	.name = "nouveau",
	.id_table = nouveau_ids,
	.probe = nouveau_probe,
	.remove = nouveau_remove,
};
module_pci_driver(nouveau_driver);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Stand-in for nouveau on simulated boards");
