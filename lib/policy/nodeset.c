/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The rules are those of NVIDIA's own nvidia-modprobe, which makes nodes when
 * a program asks for them: the numbers, and owner and mode from the driver's
 * parameters, with ModifyDeviceFiles=0 for "hands off". Beyond it: nodes that
 * nobody answers to any more are removed, and each one has its link in
 * /dev/char, by which container engines look a device up.
 *
 * What is dead is not remembered but seen: a node is dead if the kernel or the
 * driver does not know its number (any more). So it does not matter which
 * process made it, or whether that one lived to take it away.
 */

#include "base/result.h"
#include "base/str.h"
#include "policy/nodelink.h"
#include "policy/nodeset.h"

enum {
        NVIDIA_MAJOR = 195, /* assigned for ever, Documentation/admin-guide/devices.txt */
        MINOR_CTL = 255,
        MINOR_MODESET = 254,
        MINOR_UVM = 0,
        MINOR_UVM_TOOLS = 1,
        DRM_MAJOR = 226,
        MINOR_MAX = (1 << 20) - 1,
};

#define CAPS_DIRECTORY "nvidia-caps/"
#define DRM_DIRECTORY  "dri/"
#define LINK_DIRECTORY "char/"

typedef enum NodeClass {
        CLASS_NONE,
        CLASS_GPU,
        CLASS_CTL,
        CLASS_MODESET,
        CLASS_UVM,
        CLASS_CAP,
        CLASS_DRM,
        CLASS_LEFTOVER, /* of somebody who was killed while he made one */
} NodeClass;

void node_actions_done(NodeActions *actions)
{
        for (size_t i = 0; i < actions->n; i++) {
                free(actions->items[i].name);
                free(actions->items[i].target);
        }
        free(actions->items);
        *actions = (NodeActions){};
}

static bool is_number(const char *s, unsigned *ret)
{
        uint64_t value;

        if (!s || str_to_u64(s, 10, 0, MINOR_MAX, &value) != 0)
                return false;
        *ret = (unsigned)value;
        return true;
}

static NodeClass classify(const char *name)
{
        const char *slash = strrchr(name, '/'), *base = slash ? slash + 1 : name, *rest;
        unsigned number;

        if (startswith(base, DEV_TEMPORARY))
                return CLASS_LEFTOVER;
        if (streq(name, "nvidiactl"))
                return CLASS_CTL;
        if (streq(name, "nvidia-modeset"))
                return CLASS_MODESET;
        if (streq(name, "nvidia-uvm") || streq(name, "nvidia-uvm-tools"))
                return CLASS_UVM;
        if ((rest = startswith(name, CAPS_DIRECTORY)))
                return is_number(startswith(rest, "nvidia-cap"), &number) ? CLASS_CAP : CLASS_NONE;
        if ((rest = startswith(name, DRM_DIRECTORY)))
                return is_number(startswith(rest, "card"), &number) ||
                                                       is_number(startswith(rest, "renderD"), &number)
                                       ? CLASS_DRM
                                       : CLASS_NONE;
        return is_number(startswith(name, "nvidia"), &number) ? CLASS_GPU : CLASS_NONE;
}

bool nodeset_is_ours(const char *name)
{
        switch (classify(name)) {
        case CLASS_GPU:
        case CLASS_CTL:
        case CLASS_MODESET:
        case CLASS_UVM:
        case CLASS_CAP:
                return true;
        case CLASS_NONE:
        case CLASS_DRM:
        case CLASS_LEFTOVER:
                return false;
        }
        return false;
}

/* What has to be there. */

static int want(DevNodes *nodes, const DevNode *like, const char *format, ...) _printf_(3, 4);
static int want(DevNodes *nodes, const DevNode *like, const char *format, ...)
{
        DevNode node = *like;
        va_list ap;
        int n, r;

        va_start(ap, format);
        n = vasprintf(&node.name, format, ap);
        va_end(ap);
        if (n < 0)
                return err_origin(-ENOMEM);
        r = dev_nodes_add(nodes, &node);
        if (r)
                dev_node_done(&node);
        return err_trace(r);
}

static int want_all(DevNodes *nodes, const DevNodes *more)
{
        int r = 0;

        for (size_t i = 0; r == 0 && i < more->n; i++)
                r = want(nodes, &more->items[i], "%s", more->items[i].name);
        return err_trace(r);
}

static const DriverGpu *find_gpu(const DriverNodes *driver, const char *address)
{
        for (size_t i = 0; i < driver->n_gpus; i++)
                if (streq(driver->gpus[i].address, address))
                        return &driver->gpus[i];
        return NULL;
}

static int want_gpus(const DriverNodes *driver, const NodesetWish *wish, DevNodes *nodes, char ***missing)
{
        DevNode node = { .major = NVIDIA_MAJOR, .rights = driver->rights };
        int r = 0;

        for (size_t i = 0; r == 0 && i < driver->n_gpus; i++) {
                node.minor = driver->gpus[i].minor;
                if (driver->gpus[i].has_minor)
                        r = want(nodes, &node, "nvidia%u", node.minor);
        }
        /* A driver that does not list its GPUs cannot be asked. */
        STRV_FOREACH (address, driver->lists_gpus ? wish->gpus : NULL) {
                const DriverGpu *gpu = find_gpu(driver, *address);

                if (r == 0 && (!gpu || !gpu->has_minor))
                        r = strv_pushf(missing, "nvidia node of %s", *address);
        }
        return err_trace(r);
}

static int want_uvm(const DriverNodes *driver, DevNodes *nodes, char ***missing)
{
        DevNode node = { .rights = driver->rights };
        int r;

        if (driver->uvm_major < 0)
                return err_trace(strv_push(missing, "nvidia-uvm"));
        node.major = (unsigned)driver->uvm_major;
        node.minor = MINOR_UVM;
        r = want(nodes, &node, "nvidia-uvm");
        node.minor = MINOR_UVM_TOOLS;
        return r ? err_trace(r) : err_trace(want(nodes, &node, "nvidia-uvm-tools"));
}

int nodeset_wanted(const DriverNodes *driver, const NodesetWish *wish, DevNodes *ret, char ***ret_missing)
{
        const DevNode ctl = { .major = NVIDIA_MAJOR, .minor = MINOR_CTL, .rights = driver->rights };
        const DevNode modeset = { .major = NVIDIA_MAJOR, .minor = MINOR_MODESET, .rights = driver->rights };
        _cleanup_(dev_nodes_done) DevNodes nodes = {};
        _cleanup_strv_ char **missing = NULL;
        int r = 0;

        if (driver->nvidia) {
                r = want(&nodes, &ctl, "nvidiactl");
                if (r == 0)
                        r = want_gpus(driver, wish, &nodes, &missing);
                if (r == 0 && wish->modeset)
                        r = want(&nodes, &modeset, "nvidia-modeset");
                if (r == 0 && wish->uvm)
                        r = want_uvm(driver, &nodes, &missing);
                if (r == 0 && driver->caps_major >= 0)
                        r = want_all(&nodes, &driver->caps);
        }
        if (r == 0)
                r = want_all(&nodes, &driver->drm);
        if (r)
                return err_trace(r);

        *ret = nodes;
        nodes = (DevNodes){};
        *ret_missing = TAKE_PTR(missing);
        return 0;
}

/* What to do. */

typedef struct Judge {
        const DriverNodes *driver;
        const NodesetWish *wish;
        const DevNodes *wanted;
        const NodesetDir *dir;
        NodeActions actions;
} Judge;

static int act(Judge *j, NodeAction action, const char *name, const char *target)
{
        NodeAction *grown = reallocarray(j->actions.items, j->actions.n + 1, sizeof(*grown));

        if (!grown)
                return err_origin(-ENOMEM);
        j->actions.items = grown;
        action.name = strdup(name);
        action.target = target ? strdup(target) : NULL;
        grown[j->actions.n++] = action;
        return action.name && (action.target || !target) ? 0 : err_origin(-ENOMEM);
}

static int act_on_node(Judge *j, NodeActionType type, const DevNode *node)
{
        NodeAction action = {
                .type = type, .major = node->major, .minor = node->minor, .rights = node->rights
        };

        return err_trace(act(j, action, node->name, NULL));
}

static const DevEntry *find_entry(const Judge *j, const char *name)
{
        for (size_t i = 0; i < j->dir->present->n; i++)
                if (streq(j->dir->present->items[i].name, name))
                        return &j->dir->present->items[i];
        return NULL;
}

/*
 * On a devtmpfs a DRM minor is left to the kernel until udev has seen it: a
 * node that is there before the kernel's own would never be removed by it.
 */
static bool is_due(const Judge *j, const DevNode *node)
{
        if (j->wish->remove_only || !node->rights.modify)
                return false;
        return !node->by_kernel || !j->dir->kernel_makes || node->settled;
}

static bool same_rights(const DevNode *node, const DevEntry *e)
{
        return e->uid == node->rights.uid && e->gid == node->rights.gid && e->mode == node->rights.mode;
}

static int judge_node(Judge *j, const DevNode *node)
{
        const DevEntry *e = find_entry(j, node->name);

        if (!e)
                return err_trace(act_on_node(j, NODE_ACT_MAKE, node));
        if (e->kind == DEV_ENTRY_EMPTY)
                return err_trace(act_on_node(j, NODE_ACT_REPLACE, node));
        if (e->kind != DEV_ENTRY_NODE)
                return err_trace(act_on_node(j, NODE_ACT_OBSTRUCTED, node));
        if (e->major != node->major || e->minor != node->minor)
                return err_trace(act_on_node(j, NODE_ACT_REPLACE, node));
        /* Whoever puts access control lists on nodes (logind) wants them. */
        if (!node->by_kernel && !e->has_acl && !same_rights(node, e))
                return err_trace(act_on_node(
                                j, j->wish->keep_rights ? NODE_ACT_KEEP : NODE_ACT_CORRECT, node));
        return 0;
}

/* Where a link in /dev/char leads, as a name below /dev; udev writes "../nvidia0", nvidia-ctk
 * "/dev/nvidia0". */
static const char *link_name(const DevEntry *link)
{
        const char *rest = startswith(link->target, "../");

        return rest ? rest : startswith(link->target, "/dev/");
}

static int judge_link_to(Judge *j, const DevNode *node)
{
        _cleanup_free_ char *name = str_format(LINK_DIRECTORY "%u:%u", node->major, node->minor),
                            *target = str_format("../%s", node->name);
        const DevEntry *e;

        if (!name || !target)
                return err_origin(-ENOMEM);
        e = find_entry(j, node->name);
        if (e && e->kind != DEV_ENTRY_NODE && e->kind != DEV_ENTRY_EMPTY)
                return 0;
        e = find_entry(j, name);
        if (e && e->kind != DEV_ENTRY_LINK)
                return err_trace(act(j, (NodeAction){ .type = NODE_ACT_OBSTRUCTED }, name, NULL));
        if (e && streq_ptr(link_name(e), node->name))
                return 0;
        return err_trace(act(j, (NodeAction){ .type = NODE_ACT_LINK }, name, target));
}

static bool is_listed(const DriverNodes *driver, unsigned minor)
{
        for (size_t i = 0; i < driver->n_gpus; i++)
                if (!driver->gpus[i].has_minor || driver->gpus[i].minor == minor)
                        return true;
        return !driver->lists_gpus;
}

/* One that may come is as good: somebody has made its node before. */
static bool is_cap(const DriverNodes *driver, const char *name)
{
        unsigned minor;

        if (is_number(startswith(name, CAPS_DIRECTORY "nvidia-cap"), &minor) &&
                        number_set_has(&driver->cap_minors, minor))
                return true;
        for (size_t i = 0; i < driver->caps.n; i++)
                if (streq(driver->caps.items[i].name, name))
                        return true;
        return false;
}

static bool drm_is_alive(const DriverNodes *driver, unsigned major, unsigned minor)
{
        char number[32];

        if (major != DRM_MAJOR || !driver->lists_drm)
                return true;
        (void)snprintf(number, sizeof(number), "%u:%u", major, minor);
        return strv_contains(driver->drm_numbers, number);
}

/* Whether anybody answers to a node of that name and number. */
static bool is_alive(const Judge *j, const DevEntry *e)
{
        const DriverNodes *d = j->driver;
        unsigned number = 0;

        switch (classify(e->name)) {
        case CLASS_GPU:
                return d->nvidia && is_number(startswith(e->name, "nvidia"), &number) &&
                       is_listed(d, number);
        case CLASS_CTL:
                return d->nvidia;
        case CLASS_MODESET:
                return d->modeset;
        case CLASS_UVM:
                return d->uvm_major >= 0 && e->major == (unsigned)d->uvm_major;
        case CLASS_CAP:
                return d->caps_major >= 0 && e->major == (unsigned)d->caps_major && is_cap(d, e->name);
        case CLASS_DRM:
                return drm_is_alive(d, e->major, e->minor);
        case CLASS_LEFTOVER:
                return false;
        case CLASS_NONE:
                break;
        }
        return true;
}

static bool may_remove(const Judge *j, NodeClass class)
{
        return class == CLASS_DRM || class == CLASS_LEFTOVER ||
               (class != CLASS_NONE && !j->wish->hands_off &&
                               (!j->driver->nvidia || j->driver->rights.modify));
}

static bool is_wanted(const Judge *j, const char *name)
{
        for (size_t i = 0; i < j->wanted->n; i++)
                if (streq(j->wanted->items[i].name, name))
                        return true;
        return false;
}

static bool is_wanted_number(const Judge *j, unsigned major, unsigned minor)
{
        for (size_t i = 0; i < j->wanted->n; i++)
                if (j->wanted->items[i].major == major && j->wanted->items[i].minor == minor)
                        return true;
        return false;
}

/* The link of a node that goes, or went before; of the others' nodes, whose names we do not know, none. */
static bool link_is_dead(const Judge *j, const DevEntry *link)
{
        const char *name = nodelink_target(link);
        NodeClass class = name ? classify(name) : CLASS_NONE;
        const DevEntry *node;
        unsigned major, minor;

        if (!nodelink_number(link, &major, &minor))
                return false;
        if (nodelink_is_left_over(j->driver, j->wish, major))
                return may_remove(j, CLASS_CTL);
        if (class == CLASS_NONE || class == CLASS_LEFTOVER || !may_remove(j, class))
                return false;
        if (class == CLASS_DRM)
                return !drm_is_alive(j->driver, major, minor);
        if (is_wanted_number(j, major, minor) || nodelink_is_expected(j->driver, major, minor))
                return false;
        node = find_entry(j, name);
        return !node || node->major != major || node->minor != minor || !is_alive(j, node);
}

static int judge_present(Judge *j, const DevEntry *e)
{
        NodeAction action = { .type = NODE_ACT_REMOVE_NODE, .major = e->major, .minor = e->minor };

        if (e->kind == DEV_ENTRY_LINK) {
                if (classify(e->name) != CLASS_LEFTOVER && !link_is_dead(j, e))
                        return 0;
                action.type = NODE_ACT_REMOVE_LINK;
                return err_trace(act(j, action, e->name, e->target));
        }
        if (e->kind != DEV_ENTRY_NODE || is_wanted(j, e->name) || !may_remove(j, classify(e->name)) ||
                        is_alive(j, e))
                return 0;
        return err_trace(act(j, action, e->name, NULL));
}

int nodeset_actions(const DriverNodes *driver, const NodesetWish *wish, const DevNodes *wanted,
                const NodesetDir *dir, NodeActions *ret)
{
        Judge j = { .driver = driver, .wish = wish, .wanted = wanted, .dir = dir };
        int r = 0;

        for (size_t i = 0; r == 0 && i < wanted->n; i++)
                if (is_due(&j, &wanted->items[i]))
                        r = judge_node(&j, &wanted->items[i]);
        for (size_t i = 0; r == 0 && i < wanted->n; i++)
                if (is_due(&j, &wanted->items[i]))
                        r = judge_link_to(&j, &wanted->items[i]);
        for (size_t i = 0; r == 0 && i < dir->present->n; i++)
                r = judge_present(&j, &dir->present->items[i]);
        if (r) {
                node_actions_done(&j.actions);
                return err_trace(r);
        }
        *ret = j.actions;
        return 0;
}
