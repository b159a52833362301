// SPDX-License-Identifier: GPL-2.0
/*
 * Stand-in for nvidia-drm.ko: a real DRM device (card and render node) for each board, with faults on demand.
 *
 * Kernel facts relied upon (6.1 and 6.12): drm_dev_register() registers the render minor before the primary one, and calls the
 * driver's debugfs_init() for the primary minor right before its device is added, mounted debugfs or not. Sleeping there is the
 * way to have a render node announced long before the card.
 */
#define pr_fmt(fmt) "standin-drm: " fmt

#include <linux/delay.h>
#include <linux/module.h>
#include <linux/notifier.h>
#include <linux/pci.h>
#include <linux/workqueue.h>
#include <drm/drm_device.h>
#include <drm/drm_drv.h>
#include <drm/drm_file.h>
#include <drm/drm_gem.h>
#include <drm/drm_ioctl.h>

#include "standin.h"

static bool modeset;
module_param(modeset, bool, 0444);
MODULE_PARM_DESC(modeset, "Accepted because the real driver has it, and ignored");

static bool no_nodes;
module_param(no_nodes, bool, 0444);
MODULE_PARM_DESC(no_nodes, "Load, but never announce a device");

static uint nodes_delay_ms;
module_param(nodes_delay_ms, uint, 0444);
MODULE_PARM_DESC(nodes_delay_ms, "Announce the devices this long after loading has returned");

static uint render_first;
module_param(render_first, uint, 0444);
MODULE_PARM_DESC(render_first, "Milliseconds between a board's render node and its card node");

static bool hold;
static int hold_set(const char *val, const struct kernel_param *kp);
static const struct kernel_param_ops hold_ops = { .set = hold_set, .get = param_get_bool };
module_param_cb(hold, &hold_ops, &hold, 0644);
MODULE_PARM_DESC(hold, "Keep a reference to this module, so that it cannot be unloaded; writing 0 lets go");

struct node {
	struct pci_dev *pdev;
	struct drm_device *drm;
};

static struct node nodes[STANDIN_MAX_GPUS];
static DEFINE_MUTEX(nodes_lock);
static bool announced, holding, ready;

static int hold_set(const char *val, const struct kernel_param *kp)
{
	int r = param_set_bool(val, kp);

	/* While parameters are parsed the module is not there yet; its init looks at the value. */
	if (r || !ready || hold == holding)
		return r;
	if (hold)
		__module_get(THIS_MODULE);
	else
		module_put(THIS_MODULE);
	holding = hold;
	return 0;
}

static void on_minor(struct drm_minor *minor)
{
	if (render_first && minor->type == DRM_MINOR_PRIMARY)
		msleep(render_first);
}

DEFINE_DRM_GEM_FOPS(standin_fops);

static const struct drm_driver standin_driver = {
	.driver_features = DRIVER_GEM | DRIVER_RENDER,
	.fops = &standin_fops,
	.debugfs_init = on_minor,
	.name = "nvidia-drm",
	.desc = "Stand-in for NVIDIA DRM",
	.date = "20260101",
};

static void node_add(struct pci_dev *pdev)
{
	struct node *n = NULL;
	unsigned int i;

	for (i = 0; i < STANDIN_MAX_GPUS; i++) {
		if (nodes[i].pdev == pdev)
			return;
		if (!nodes[i].pdev && !n)
			n = &nodes[i];
	}
	if (!n)
		return;

	n->drm = drm_dev_alloc(&standin_driver, &pdev->dev);
	if (IS_ERR(n->drm)) {
		pci_err(pdev, "no DRM device: %ld\n", PTR_ERR(n->drm));
		return;
	}
	if (drm_dev_register(n->drm, 0)) {
		drm_dev_put(n->drm);
		return;
	}
	n->pdev = pci_dev_get(pdev);
}

static void node_remove(struct node *n)
{
	drm_dev_unplug(n->drm);
	drm_dev_put(n->drm);
	pci_dev_put(n->pdev);
	n->pdev = NULL;
}

static void announce(struct work_struct *unused)
{
	struct pci_dev *pdev;
	unsigned int i;

	mutex_lock(&nodes_lock);
	for (i = 0; nvidia_standin_get_gpu(i, &pdev) == 0; i++) {
		node_add(pdev);
		pci_dev_put(pdev);
	}
	announced = true;
	mutex_unlock(&nodes_lock);
}

static DECLARE_DELAYED_WORK(announce_later, announce);

/* Boards come and go while we are loaded. */
static int on_bus_event(struct notifier_block *nb, unsigned long action, void *data)
{
	struct pci_dev *pdev = to_pci_dev(data);
	unsigned int i;

	mutex_lock(&nodes_lock);
	switch (action) {
	case BUS_NOTIFY_BOUND_DRIVER:
		if (announced && pdev->driver && !strcmp(pdev->driver->name, "nvidia"))
			node_add(pdev);
		break;
	case BUS_NOTIFY_UNBIND_DRIVER:
		for (i = 0; i < STANDIN_MAX_GPUS; i++)
			if (nodes[i].pdev == pdev)
				node_remove(&nodes[i]);
		break;
	}
	mutex_unlock(&nodes_lock);
	return NOTIFY_OK;
}

static struct notifier_block bus_events = {
	.notifier_call = on_bus_event,
};

static int __init standin_drm_init(void)
{
	int r;

	pr_info("modeset core answers %d\n", nvidia_modeset_standin_version());
	r = bus_register_notifier(&pci_bus_type, &bus_events);
	if (r)
		return r;

	ready = true;
	if (hold) {
		__module_get(THIS_MODULE);
		holding = true;
	}
	if (no_nodes)
		return 0;
	if (nodes_delay_ms)
		schedule_delayed_work(&announce_later, msecs_to_jiffies(nodes_delay_ms));
	else
		announce(NULL);
	return 0;
}

static void __exit standin_drm_exit(void)
{
	unsigned int i;

	cancel_delayed_work_sync(&announce_later);
	bus_unregister_notifier(&pci_bus_type, &bus_events);
	for (i = 0; i < STANDIN_MAX_GPUS; i++)
		if (nodes[i].pdev)
			node_remove(&nodes[i]);
}

module_init(standin_drm_init);
module_exit(standin_drm_exit);

MODULE_DESCRIPTION("Stand-in for nvidia-drm.ko, for tests");
MODULE_VERSION(NV_VERSION_STRING);
MODULE_LICENSE("GPL");
