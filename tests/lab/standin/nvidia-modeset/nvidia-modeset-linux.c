// SPDX-License-Identifier: GPL-2.0
/* Stand-in for nvidia-modeset.ko: character device 195:254, half of it in a core object. */
#include <linux/module.h>
#include <linux/pci.h>

#include "standin.h"

int nvidia_modeset_standin_version(void)
{
	return standin_modeset_core_answer(0);
}
EXPORT_SYMBOL_GPL(nvidia_modeset_standin_version);

static int __init modeset_init(void)
{
	struct pci_dev *pdev;

	if (nvidia_standin_get_gpu(0, &pdev) == 0)
		pci_dev_put(pdev);
	pr_info("nvidia-modeset: stand-in %s, core answers %d\n", NV_VERSION_STRING, nvidia_modeset_standin_version());
	return 0;
}

static void __exit modeset_exit(void)
{
}

module_init(modeset_init);
module_exit(modeset_exit);

MODULE_DESCRIPTION("Stand-in for nvidia-modeset.ko, for tests");
MODULE_VERSION(NV_VERSION_STRING);
MODULE_LICENSE("GPL");
