/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The driver's own account of its nodes, the one that NVIDIA's nvidia-modprobe
 * goes by. Major numbers beside 195 are dynamic: another one each time the
 * module is loaded, told by /proc/devices.
 *
 * Everything may vanish while it is read; what has vanished was not there.
 */

#include <fcntl.h>
#include <sys/sysmacros.h>

#include "base/result.h"
#include "base/str.h"
#include "sys/nodefacts.h"
#include "sys/pci.h"
#include "sys/sysmod.h"

#define PROC "proc/driver/nvidia"

enum {
        FILE_SIZE_MAX = 65536,
        CAPS_DEPTH_MAX = 8,
        CAPS_MAX = 4096,
        MINORS_SIZE_MAX = 1024 * 1024,
        CAP_MINORS_MAX = 8192,
        MINOR_MAX = (1 << 20) - 1,
};

/* NULL: there is none, or it is not like what the driver writes. */
static int read_text(const Root *root, const char *path, char **ret)
{
        int r = root_read_file(root, path, FILE_SIZE_MAX, ret, NULL);

        return r < 0 ? err_trace(r) : 0;
}

static int read_module(const Root *root, const char *name, bool *ret)
{
        ModuleFact fact = {};
        int r;

        r = sysmod_read(root, name, &fact);
        if (r)
                return err_trace(r);
        *ret = fact.state != MOD_ABSENT;
        module_fact_done(&fact);
        return 0;
}

static int read_rights(const Root *root, NodeRights *rights)
{
        _cleanup_free_ char *text = NULL;
        int r;

        r = read_text(root, PROC "/params", &text);
        if (r)
                return err_trace(r);
        if (text)
                node_rights_from_string(text, rights);
        return 0;
}

static int read_gpu(const Root *root, const char *address, DriverNodes *d)
{
        _cleanup_free_ char *path = str_format(PROC "/gpus/%s/information", address), *text = NULL;
        unsigned minor = 0;
        bool has_minor;
        int r;

        if (!path)
                return err_origin(-ENOMEM);
        /* For this file the driver asks the GPU, and one that is gone may keep it for ever (535.309.01 on
         * 6.1: a soft lockup). Without its minor its node stays as it is. */
        r = pci_is_lost(root, address) ? 0 : read_text(root, path, &text);
        if (r)
                return err_trace(r);
        has_minor = text && node_number_from_string(text, "Device Minor", MINOR_MAX, &minor);
        return err_trace(driver_nodes_add_gpu(d, address, has_minor, minor));
}

static int read_gpus(const Root *root, DriverNodes *d)
{
        _cleanup_strv_ char **addresses = NULL;
        int r;

        r = root_list(root, PROC "/gpus", &addresses);
        if (r)
                return r < 0 ? err_trace(r) : 0;
        d->lists_gpus = true;
        STRV_FOREACH (address, addresses) {
                r = read_gpu(root, *address, d);
                if (r)
                        return err_trace(r);
        }
        return 0;
}

static int add_major(DriverNodes *d, unsigned major, const char *name)
{
        int r;

        r = number_set_add(&d->registered, major);
        if (r == 0 && startswith(name, "nvidia"))
                r = number_set_add(&d->majors, major);
        if (streq(name, "nvidia-uvm"))
                d->uvm_major = (int)major;
        else if (streq(name, "nvidia-caps"))
                d->caps_major = (int)major;
        return err_trace(r);
}

/* " 242 nvidia-uvm" below "Character devices:"; numbers of block devices, which follow, are others. */
static int read_majors(const Root *root, DriverNodes *d)
{
        _cleanup_free_ char *text = NULL;
        _cleanup_strv_ char **lines = NULL;
        int r;

        r = read_text(root, "proc/devices", &text);
        if (r == 0 && text)
                r = strv_split(text, "\n", &lines);
        STRV_FOREACH (line, lines) {
                char name[64];
                int major;

                if (startswith(*line, "Block devices:"))
                        break;
                if (r == 0 && sscanf(*line, "%d %63s", &major, name) == 2 && major >= 0)
                        r = add_major(d, (unsigned)major, name);
        }
        return err_trace(r);
}

/* "gpu0/gi0/access 3", one line for every capability that there may be. */
static int read_minors(const Root *root, const char *path, DriverNodes *d)
{
        _cleanup_free_ char *text = NULL;
        _cleanup_strv_ char **lines = NULL;
        int r;

        r = root_read_file(root, path, MINORS_SIZE_MAX, &text, NULL);
        if (r == 0)
                r = strv_split(text, "\n", &lines);
        if (r < 0)
                return err_trace(r);
        STRV_FOREACH (line, lines) {
                const char *number = strrchr(*line, ' ');
                uint64_t minor;

                if (!number || d->cap_minors.n == CAP_MINORS_MAX ||
                                str_to_u64(number + 1, 10, 0, MINOR_MAX, &minor) != 0)
                        continue;
                r = number_set_add(&d->cap_minors, (unsigned)minor);
                if (r)
                        return err_trace(r);
        }
        return 0;
}

static int read_cap_minors(const Root *root, DriverNodes *d)
{
        static const char *const files[] = { "mig-minors", "sys-minors", "nvlink-minors" };
        int r = 0;

        for (size_t i = 0; r == 0 && i < ELEMENTSOF(files); i++) {
                _cleanup_free_ char *path = str_format("proc/driver/nvidia-caps/%s", files[i]);

                r = path ? read_minors(root, path, d) : err_origin(-ENOMEM);
        }
        return err_trace(r);
}

static int add_capability(const Root *root, const char *path, DriverNodes *d)
{
        _cleanup_(dev_node_done) DevNode node = { .rights = NODE_RIGHTS_DEFAULT };
        _cleanup_free_ char *text = NULL;
        int r;

        r = read_text(root, path, &text);
        if (r)
                return err_trace(r);
        if (!text || !node_number_from_string(text, "DeviceFileMinor", MINOR_MAX, &node.minor))
                return 0;
        node_rights_from_string(text, &node.rights);
        node.major = (unsigned)MAX(d->caps_major, 0);
        node.name = str_format("nvidia-caps/nvidia-cap%u", node.minor);
        return node.name ? err_trace(dev_nodes_add(&d->caps, &node)) : err_origin(-ENOMEM);
}

/* A tree of which every file is a capability. */
static int read_capabilities(const Root *root, const char *path, unsigned depth, DriverNodes *d)
{
        _cleanup_strv_ char **names = NULL;
        int r;

        r = root_list(root, path, &names);
        if (r < 0)
                return err_trace(r);
        if (r > 0)
                return err_trace(add_capability(root, path, d));

        STRV_FOREACH (name, names) {
                _cleanup_free_ char *below = str_format("%s/%s", path, *name);

                if (!below)
                        return err_origin(-ENOMEM);
                if (depth == CAPS_DEPTH_MAX || d->caps.n == CAPS_MAX)
                        return 0;
                r = read_capabilities(root, below, depth + 1, d);
                if (r)
                        return err_trace(r);
        }
        return 0;
}

/* The PCI device of a minor is the directory above "drm" in its link. NULL: it has none. */
static int drm_address(const Root *root, const char *name, char **ret)
{
        _cleanup_free_ char *path = str_format("sys/class/drm/%s", name), *target = NULL;
        char *end, *slash;
        int r;

        if (!path)
                return err_origin(-ENOMEM);
        r = root_readlink(root, path, &target);
        if (r)
                return r < 0 ? err_trace(r) : 0;
        end = strstr(target, "/drm/");
        if (!end)
                return 0;
        *end = '\0';
        slash = strrchr(target, '/');
        return err_trace(str_replace(ret, slash ? slash + 1 : target));
}

static int is_driven(const Root *root, const char *address, bool *ret)
{
        _cleanup_free_ char *path = str_format("sys/bus/pci/devices/%s/driver", address), *target = NULL;
        const char *slash;
        int r;

        if (!path)
                return err_origin(-ENOMEM);
        r = root_readlink(root, path, &target);
        if (r < 0)
                return err_trace(r);
        slash = target ? strrchr(target, '/') : NULL;
        *ret = slash && streq(slash, "/nvidia");
        return 0;
}

/*
 * Owner and mode are udev's business. Where it does not look after a /dev (that
 * of a container) they are taken from the host's node, once udev has been
 * there; before that a node belongs to root alone.
 */
static void copy_host_rights(const Root *root, DevNode *node)
{
        _cleanup_free_ char *path = str_format("proc/1/root/dev/%s", node->name);
        _cleanup_close_ int fd = -EBADF;
        struct stat st;

        if (!path || root_open(root, path, O_PATH | O_NOFOLLOW, &fd) != 0 || fstat(fd, &st) < 0)
                return;
        if (!S_ISCHR(st.st_mode) || st.st_rdev != makedev(node->major, node->minor) || !(st.st_mode & 0066))
                return;
        node->rights.uid = st.st_uid;
        node->rights.gid = st.st_gid;
        node->rights.mode = st.st_mode & 0777;
}

/* As getgrnam(3), which a static program cannot have. No such group: root's. */
static unsigned group_id(const Root *root, const char *name)
{
        _cleanup_free_ char *text = NULL;
        _cleanup_strv_ char **lines = NULL;

        if (root_read_file(root, "etc/group", FILE_SIZE_MAX, &text, NULL) != 0 ||
                        strv_split(text, "\n", &lines) < 0)
                return 0;
        STRV_FOREACH (line, lines) {
                const char *rest = startswith(*line, name);
                unsigned gid;

                if (rest && sscanf(rest, ":%*[^:]:%u:", &gid) == 1)
                        return gid;
        }
        return 0;
}

static int read_drm_minor(const Root *root, const char *name, DriverNodes *d)
{
        _cleanup_(dev_node_done)
                        DevNode node = { .rights = { .mode = 0660, .modify = true }, .by_kernel = true };
        _cleanup_free_ char *address = NULL, *path = NULL, *number = NULL, *data = NULL;
        bool driven = false;
        int r;

        r = drm_address(root, name, &address);
        if (r == 0 && address)
                r = is_driven(root, address, &driven);
        if (r || !driven)
                return err_trace(r);
        path = str_format("sys/class/drm/%s/dev", name);
        node.name = str_format("dri/%s", name);
        if (!path || !node.name)
                return err_origin(-ENOMEM);
        r = root_read_line(root, path, FILE_SIZE_MAX, &number);
        if (r < 0)
                return err_trace(r);
        if (r > 0 || sscanf(number, "%u:%u", &node.major, &node.minor) != 2)
                return 0;

        data = str_format("run/udev/data/c%u:%u", node.major, node.minor);
        if (!data)
                return err_origin(-ENOMEM);
        node.settled = root_exists(root, data);
        node.rights.gid = group_id(root, startswith(name, "card") ? "video" : "render");
        copy_host_rights(root, &node);
        return err_trace(dev_nodes_add(&d->drm, &node));
}

static bool is_minor(const char *name)
{
        const char *number = startswith(name, "card");

        number = number ? number : startswith(name, "renderD");
        return !isempty(number) && !number[strspn(number, "0123456789")];
}

static int read_drm(const Root *root, DriverNodes *d)
{
        _cleanup_strv_ char **names = NULL, **numbers = NULL;
        int r;

        r = root_list(root, "sys/class/drm", &names);
        if (r >= 0)
                r = root_list(root, "sys/dev/char", &numbers);
        if (r < 0)
                return err_trace(r);
        d->lists_drm = r == 0;

        STRV_FOREACH (name, names) {
                r = is_minor(*name) ? read_drm_minor(root, *name, d) : 0;
                if (r)
                        return err_trace(r);
        }
        STRV_FOREACH (number, numbers) {
                r = startswith(*number, "226:") ? strv_push(&d->drm_numbers, *number) : 0;
                if (r)
                        return err_trace(r);
        }
        return 0;
}

int nodefacts_read(const Root *root, DriverNodes *ret)
{
        _cleanup_(driver_nodes_done)
                        DriverNodes d = { .rights = NODE_RIGHTS_DEFAULT, .uvm_major = -1, .caps_major = -1 };
        int r;

        r = read_module(root, "nvidia", &d.nvidia);
        if (r == 0)
                r = read_module(root, "nvidia_modeset", &d.modeset);
        if (r == 0)
                r = read_rights(root, &d.rights);
        if (r == 0)
                r = read_gpus(root, &d);
        if (r == 0)
                r = read_majors(root, &d);
        if (r == 0)
                r = read_capabilities(root, PROC "/capabilities", 0, &d);
        if (r == 0)
                r = read_cap_minors(root, &d);
        if (r == 0)
                r = read_drm(root, &d);
        if (r)
                return err_trace(r);

        *ret = d;
        d = (DriverNodes){};
        return 0;
}
