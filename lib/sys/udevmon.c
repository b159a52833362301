/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The one place that talks to libudev. The monitor listens to what udevd sends
 * after it has run its rules (group "udev"): at that moment the node has its
 * owner, mode and links. The kernel's own group would be too early. Where there
 * is no udevd, nobody finishes anything: a node that is there is all there is.
 *
 * An event is a hint, the enumeration is the truth: nothing here remembers
 * devices between two calls. That makes duplicates, reordering and a receive
 * buffer that ran over (ENOBUFS) harmless.
 *
 * The monitor works across network namespaces no further than netlink does:
 * udevd sends in the host's. In a container with a network of its own nothing
 * ever arrives, and a caller that waits has to look again by itself.
 * udevmon_deafness() knows.
 */

#include <libudev.h>
#include <sys/sysmacros.h>

#include "base/result.h"
#include "base/str.h"
#include "sys/udevmon.h"

enum {
        /* systemd uses the same; 16 GPUs at once send some hundred events. */
        RECEIVE_BUFFER = 128 * 1024 * 1024,
        EVENTS_AT_ONCE = 4096,
};

struct UdevMon {
        struct udev *udev;
        struct udev_monitor *monitor; /* NULL: @error says why there is none */
        int error;
};

#define UDEVD "run/udev/control"

static void udev_device_unrefp(struct udev_device **d)
{
        if (*d)
                (void)udev_device_unref(*d);
}

static void udev_enumerate_unrefp(struct udev_enumerate **e)
{
        if (*e)
                (void)udev_enumerate_unref(*e);
}

/* libudev reports most failures by NULL and errno, and not every path of it sets errno. */
static int errno_or(int fallback)
{
        return errno > 0 ? -errno : -fallback;
}

UdevMon *udevmon_free(UdevMon *m)
{
        if (!m)
                return NULL;
        if (m->monitor)
                (void)udev_monitor_unref(m->monitor);
        if (m->udev)
                (void)udev_unref(m->udev);
        free(m);
        return NULL;
}

static int start(struct udev_monitor *monitor)
{
        int r;

        r = udev_monitor_filter_add_match_subsystem_devtype(monitor, "drm", /* devtype= */ NULL);
        /* A GPU that is taken out of the bus keeps its minors (nvidia-drm 535), only the bus tells. */
        if (r >= 0)
                r = udev_monitor_filter_add_match_subsystem_devtype(monitor, "pci", /* devtype= */ NULL);
        /* rmmod of a module without DRM devices changes nothing else that udev knows. */
        if (r >= 0)
                r = udev_monitor_filter_add_match_subsystem_devtype(monitor, "module", /* devtype= */ NULL);
        if (r < 0)
                return err_origin(r);
        /* Needs CAP_NET_ADMIN; without it the default holds, and an overflow is told. */
        (void)udev_monitor_set_receive_buffer_size(monitor, RECEIVE_BUFFER);
        r = udev_monitor_enable_receiving(monitor);
        return r < 0 ? err_origin(r) : 0;
}

static int start_monitor(UdevMon *m)
{
        int r;

        errno = 0;
        m->monitor = udev_monitor_new_from_netlink(m->udev, "udev");
        if (!m->monitor)
                return err_origin(errno_or(ENOMEM));
        r = start(m->monitor);
        if (r)
                m->monitor = udev_monitor_unref(m->monitor);
        return r ? err_trace(r) : 0;
}

int udevmon_new(UdevMon **ret)
{
        _cleanup_(udevmon_freep) UdevMon *m = NULL;

        m = calloc(1, sizeof(*m));
        if (!m)
                return err_origin(-ENOMEM);
        m->udev = udev_new();
        if (!m->udev)
                return err_origin(-ENOMEM);
        m->error = -start_monitor(m);
        *ret = TAKE_PTR(m);
        return 0;
}

int udevmon_fd(const UdevMon *m)
{
        return m->monitor ? udev_monitor_get_fd(m->monitor) : -EBADF;
}

/* If it cannot be told, it is the host's: so it is without a container. */
static bool has_host_network(const Root *root)
{
        _cleanup_free_ char *own = NULL, *host = NULL;

        return root_readlink(root, "proc/self/ns/net", &own) != 0 ||
               root_readlink(root, "proc/1/ns/net", &host) != 0 || streq(own, host);
}

const char *udevmon_deafness(const UdevMon *m, const Root *root)
{
        if (!m->monitor)
                return strerror(m->error);
        if (!root_exists(root, UDEVD))
                return "there is no udevd here (/" UDEVD ")";
        if (!has_host_network(root))
                return "the network namespace is not the host's";
        return NULL;
}

bool udev_change_any(const UdevChange *c)
{
        return c->n_added > 0 || c->n_removed > 0 || c->n_bus > 0 || c->n_modules > 0 || c->overflow;
}

void udev_change_done(UdevChange *c)
{
        strv_free(c->removed);
        *c = (UdevChange){};
}

static int note_event(UdevChange *c, struct udev_device *d)
{
        const char *node = udev_device_get_devnode(d);
        int r;

        if (streq_ptr(udev_device_get_subsystem(d), "pci")) {
                c->n_bus++;
                return 0;
        }
        if (streq_ptr(udev_device_get_subsystem(d), "module")) {
                c->n_modules++;
                return 0;
        }
        if (!streq_ptr(udev_device_get_action(d), "remove")) {
                c->n_added++;
                return 0;
        }

        c->n_removed++;
        r = node ? strv_push(&c->removed, node) : 0;
        return r ? err_trace(r) : 0;
}

/*
 * One event. EAGAIN: the queue is empty. ENOBUFS: the kernel has thrown events
 * away. EINVAL and EBADMSG: a message that libudev did not understand; it is
 * off the queue, and what it said is lost too.
 */
static int receive_one(UdevMon *m, UdevChange *c, bool *ret_empty)
{
        _cleanup_(udev_device_unrefp) struct udev_device *d = NULL;
        int r;

        errno = 0;
        d = udev_monitor_receive_device(m->monitor);
        if (d) {
                r = note_event(c, d);
                return r ? err_trace(r) : 0;
        }

        if (errno == ENOBUFS || errno == EINVAL || errno == EBADMSG)
                c->overflow = true;
        else if (errno == EAGAIN || errno == 0)
                *ret_empty = true;
        else if (errno != EINTR)
                return err_origin(-errno);
        return 0;
}

int udevmon_receive(UdevMon *m, UdevChange *ret)
{
        _cleanup_(udev_change_done) UdevChange c = {};
        bool empty = !m->monitor;

        /* Bounded, so that a storm of events cannot keep the caller from its other work. */
        for (unsigned i = 0; i < EVENTS_AT_ONCE && !empty; i++) {
                int r = receive_one(m, &c, &empty);

                if (r)
                        return err_trace(r);
        }

        *ret = c;
        c = (UdevChange){};
        return 0;
}

/* card0 and renderD128 are minors; card0-DP-1 is a connector, controlD64 and version are history. */
static NodeKind kind_from_sysname(const char *name)
{
        const char *number;
        NodeKind kind = NODE_CARD;

        number = startswith(name, "card");
        if (!number) {
                kind = NODE_RENDER;
                number = startswith(name, "renderD");
        }
        if (isempty(number) || number[strspn(number, "0123456789")])
                return _NODE_KIND_INVALID;
        return kind;
}

static int node_exists(const Root *root, const char *node, dev_t devnum, bool *ret)
{
        struct stat st;
        int r;

        r = root_stat(root, node, &st);
        if (r < 0)
                return err_trace(r);
        *ret = r == 0 && S_ISCHR(st.st_mode) && st.st_rdev == devnum;
        return 0;
}

/*
 * Whether udevd has finished with the minor: it keeps a file for each. Where
 * that is on the host, libudev knows; it cannot be told of another root.
 */
static int is_initialized(const Root *root, struct udev_device *d, bool *ret)
{
        _cleanup_free_ char *path = NULL;
        dev_t devnum = udev_device_get_devnum(d);

        if (root_is_host(root)) {
                *ret = udev_device_get_is_initialized(d) > 0;
                return 0;
        }

        path = str_format("run/udev/data/c%u:%u", major(devnum), minor(devnum));
        if (!path)
                return err_origin(-ENOMEM);
        *ret = root_exists(root, path);
        return 0;
}

/* Leaves @ret->node NULL for what is no minor of a PCI device. */
static int read_node(const Root *root, struct udev_device *d, NodeFact *ret)
{
        const char *name = udev_device_get_sysname(d), *node = udev_device_get_devnode(d);
        struct udev_device *pci;
        bool exists = false, initialized = false;
        int r;

        ret->kind = name ? kind_from_sysname(name) : _NODE_KIND_INVALID;
        /* Not referenced: the parent lives as long as the child. */
        pci = udev_device_get_parent_with_subsystem_devtype(d, "pci", /* devtype= */ NULL);
        if (ret->kind < 0 || !node || !pci)
                return 0;

        r = node_exists(root, node, udev_device_get_devnum(d), &exists);
        if (r == 0)
                r = is_initialized(root, d, &initialized);
        if (r == 0)
                r = str_replace(&ret->gpu, udev_device_get_sysname(pci));
        if (r == 0)
                r = str_replace(&ret->node, node);
        if (r)
                return err_trace(r);
        ret->there = exists;
        ret->present = exists && (initialized || !root_exists(root, UDEVD));
        return 0;
}

static int add_node(UdevMon *m, const Root *root, const char *syspath, NodeFacts *nodes)
{
        _cleanup_(udev_device_unrefp) struct udev_device *d = NULL;
        _cleanup_(node_fact_done) NodeFact n = {};
        int r;

        /* NULL: it went away since the scan. */
        d = udev_device_new_from_syspath(m->udev, syspath);
        if (!d)
                return 0;
        r = read_node(root, d, &n);
        if (r == 0 && n.node)
                r = node_facts_add(nodes, &n);
        return r ? err_trace(r) : 0;
}

static int scan(UdevMon *m, struct udev_enumerate **ret)
{
        _cleanup_(udev_enumerate_unrefp) struct udev_enumerate *e = NULL;
        int r;

        errno = 0;
        e = udev_enumerate_new(m->udev);
        if (!e)
                return err_origin(errno_or(ENOMEM));
        r = udev_enumerate_add_match_subsystem(e, "drm");
        if (r >= 0)
                r = udev_enumerate_scan_devices(e);
        if (r < 0)
                return err_origin(r);

        *ret = TAKE_PTR(e);
        return 0;
}

static int compare_nodes(const void *a, const void *b)
{
        const NodeFact *x = a, *y = b;

        return strverscmp(x->node, y->node);
}

int udevmon_enumerate(UdevMon *m, const Root *root, NodeFacts *ret)
{
        _cleanup_(udev_enumerate_unrefp) struct udev_enumerate *e = NULL;
        _cleanup_(node_facts_done) NodeFacts nodes = {};
        struct udev_list_entry *entry;
        int r;

        r = scan(m, &e);
        if (r)
                return err_trace(r);
        udev_list_entry_foreach(entry, udev_enumerate_get_list_entry(e))
        {
                r = add_node(m, root, udev_list_entry_get_name(entry), &nodes);
                if (r)
                        return err_trace(r);
        }

        if (nodes.n > 0)
                qsort(nodes.items, nodes.n, sizeof(*nodes.items), compare_nodes);
        *ret = nodes;
        nodes = (NodeFacts){};
        return 0;
}
