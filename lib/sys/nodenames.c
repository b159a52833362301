/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Two kinds of devices hold the driver:
 *
 *  - Its own majors. 195 is assigned to it for ever; the others are dynamic and
 *    have their names in /proc/devices, each with its own way to name nodes.
 *  - Devices of the kernel's classes that it implements: DRM (card and render
 *    nodes), frame buffers, the I2C busses of the connectors. They share a major
 *    with other drivers', so their place in sysfs tells whose they are: below a
 *    PCI device that the driver "nvidia" is bound to.
 *
 * A device that was unplugged has no place in sysfs any more, although it may
 * still be open. It is not guessed at.
 */

#include <sys/sysmacros.h>

#include "base/result.h"
#include "base/str.h"
#include "sys/nodenames.h"

enum {
        MAJOR_FB = 29,
        MAJOR_I2C = 89,
        MAJOR_NVIDIA = 195,
        MAJOR_DRM = 226,
        DEVICES_MAX = 64 * 1024,
        UEVENT_MAX = 4096,
};

/* A device once looked up; name NULL: none of ours. */
typedef struct Entry {
        dev_t device;
        char *name;
} Entry;

typedef struct Major {
        unsigned number;
        char *name;
} Major;

struct NodeNames {
        const Root *root;
        Major *majors; /* the dynamic ones */
        size_t n_majors;
        Entry *entries;
        size_t n_entries;
};

NodeNames *node_names_free(NodeNames *names)
{
        if (!names)
                return NULL;

        for (size_t i = 0; i < names->n_majors; i++)
                free(names->majors[i].name);
        for (size_t i = 0; i < names->n_entries; i++)
                free(names->entries[i].name);
        free(names->majors);
        free(names->entries);
        free(names);
        return NULL;
}

static int add_major(NodeNames *names, unsigned number, const char *name)
{
        Major *grown = reallocarray(names->majors, names->n_majors + 1, sizeof(*grown));

        if (!grown)
                return err_origin(-ENOMEM);
        names->majors = grown;
        grown[names->n_majors] = (Major){ number, strdup(name) };
        if (!grown[names->n_majors].name)
                return err_origin(-ENOMEM);
        names->n_majors++;
        return 0;
}

/* "195 nvidia-frontend", as far as "Block devices:". gdrdrv is GPUDirect's module, which holds ours. */
static int parse_devices(NodeNames *names, const char *text)
{
        _cleanup_strv_ char **lines = NULL;
        int r;

        r = strv_split_lines(text, &lines);
        STRV_FOREACH (line, lines) {
                char *number = str_strip(*line), *name = strchr(number, ' ');
                uint64_t major;

                if (r || streq(number, "Block devices:"))
                        break;
                if (!name)
                        continue;
                *name++ = '\0';
                if ((startswith(name, "nvidia") || streq(name, "gdrdrv")) &&
                                str_to_u64(number, 10, 0, UINT32_MAX, &major) == 0)
                        r = add_major(names, (unsigned)major, name);
        }
        return err_trace(r);
}

int node_names_new(const Root *root, NodeNames **ret)
{
        _cleanup_(node_names_freep) NodeNames *names = NULL;
        _cleanup_free_ char *text = NULL;
        int r;

        names = calloc(1, sizeof(*names));
        if (!names)
                return err_origin(-ENOMEM);
        names->root = root;

        r = root_read_file(root, "proc/devices", DEVICES_MAX, &text, NULL);
        if (r == 0)
                r = parse_devices(names, text);
        if (r < 0)
                return err_trace(r);
        *ret = TAKE_PTR(names);
        return 0;
}

static char *name_of_nvidia(unsigned minor)
{
        if (minor == 255)
                return strdup("/dev/nvidiactl");
        if (minor == 254)
                return strdup("/dev/nvidia-modeset");
        return str_format("/dev/nvidia%u", minor);
}

static char *name_of_dynamic(const Major *m, unsigned minor)
{
        if (streq(m->name, "nvidia-uvm") && minor <= 1)
                return strdup(minor == 0 ? "/dev/nvidia-uvm" : "/dev/nvidia-uvm-tools");
        if (streq(m->name, "nvidia-caps"))
                return str_format("/dev/nvidia-caps/nvidia-cap%u", minor);
        if (streq(m->name, "nvidia-caps-imex-channels"))
                return str_format("/dev/nvidia-caps-imex-channels/channel%u", minor);
        if (streq(m->name, "nvidia-nvswitch"))
                return minor == 255 ? strdup("/dev/nvidia-nvswitchctl")
                                    : str_format("/dev/nvidia-nvswitch%u", minor);
        if (minor == 0 && !streq(m->name, "nvidia-fs"))
                return str_format("/dev/%s", m->name); /* nvidia-nvlink, gdrdrv */
        return str_format("/dev/%s%u", m->name, minor);
}

/* "0000:01:00.0"; a domain may have more digits. */
static bool is_pci_address(const char *s)
{
        const char *hex = "0123456789abcdef";
        size_t n = strspn(s, hex);

        return n >= 4 && s[n] == ':' && strspn(s + n + 1, hex) == 2 && s[n + 3] == ':' &&
               strspn(s + n + 4, hex) == 2 && s[n + 6] == '.' && s[n + 7] >= '0' && s[n + 7] <= '7' &&
               !s[n + 8];
}

/* Whether the driver is bound to the innermost PCI device in the text of a link in /sys. */
static int check_place(NodeNames *names, const char *link)
{
        _cleanup_free_ char *text = NULL, *path = NULL, *driver = NULL;
        _cleanup_strv_ char **parts = NULL;
        const char *address = NULL;
        int r;

        r = root_readlink(names->root, link, &text);
        if (r == 0)
                r = strv_split(text, "/", &parts);
        if (r)
                return r < 0 ? err_trace(r) : NODE_NAMES_E_OTHER;
        STRV_FOREACH (part, parts)
                if (is_pci_address(*part))
                        address = *part;
        if (!address)
                return NODE_NAMES_E_OTHER;

        path = str_format("sys/bus/pci/devices/%s/driver", address);
        r = path ? root_readlink(names->root, path, &driver) : err_origin(-ENOMEM);
        if (r)
                return r < 0 ? err_trace(r) : NODE_NAMES_E_OTHER;
        return streq(strrchr(driver, '/') ? strrchr(driver, '/') + 1 : driver, "nvidia")
                               ? 0
                               : NODE_NAMES_E_OTHER;
}

/* What udev is told too: DEVNAME=dri/card0. */
static int name_by_uevent(NodeNames *names, dev_t device, const char *place, char **ret)
{
        _cleanup_free_ char *path = str_format("%s/uevent", place), *text = NULL;
        _cleanup_strv_ char **lines = NULL;
        int r;

        if (!path)
                return err_origin(-ENOMEM);
        r = root_read_file(names->root, path, UEVENT_MAX, &text, NULL);
        if (r == 0)
                r = strv_split_lines(text, &lines);
        if (r < 0)
                return err_trace(r);
        STRV_FOREACH (line, lines) {
                const char *name = startswith(*line, "DEVNAME=");

                if (name && !*ret)
                        *ret = str_format("/dev/%s", name);
        }
        if (!*ret)
                *ret = str_format("/dev/char/%u:%u", major(device), minor(device));
        return *ret ? 0 : err_origin(-ENOMEM);
}

/* *@ret stays NULL for a device that is none of ours. */
static int look_up(NodeNames *names, dev_t device, char **ret)
{
        _cleanup_free_ char *place = NULL;
        int r;

        if (major(device) == MAJOR_NVIDIA) {
                *ret = name_of_nvidia(minor(device));
                return *ret ? 0 : err_origin(-ENOMEM);
        }
        for (size_t i = 0; i < names->n_majors; i++)
                if (names->majors[i].number == major(device)) {
                        *ret = name_of_dynamic(&names->majors[i], minor(device));
                        return *ret ? 0 : err_origin(-ENOMEM);
                }

        place = str_format("sys/dev/char/%u:%u", major(device), minor(device));
        r = place ? check_place(names, place) : err_origin(-ENOMEM);
        if (r)
                return r < 0 ? err_trace(r) : 0;
        return err_trace(name_by_uevent(names, device, place, ret));
}

/* Terminals and the null device come by the ten thousands: no look at sysfs for these. */
static bool is_candidate(const NodeNames *names, unsigned number)
{
        if (number == MAJOR_NVIDIA || number == MAJOR_DRM || number == MAJOR_FB || number == MAJOR_I2C)
                return true;
        for (size_t i = 0; i < names->n_majors; i++)
                if (names->majors[i].number == number)
                        return true;
        return false;
}

int node_names_find(NodeNames *names, dev_t device, const char **ret)
{
        _cleanup_free_ char *name = NULL;
        Entry *grown;
        int r;

        if (!is_candidate(names, major(device)))
                return NODE_NAMES_E_OTHER;
        for (size_t i = 0; i < names->n_entries; i++) {
                if (names->entries[i].device != device)
                        continue;
                *ret = names->entries[i].name;
                return *ret ? 0 : NODE_NAMES_E_OTHER;
        }

        r = look_up(names, device, &name);
        if (r)
                return err_trace(r);
        grown = reallocarray(names->entries, names->n_entries + 1, sizeof(*grown));
        if (!grown)
                return err_origin(-ENOMEM);
        names->entries = grown;
        grown[names->n_entries++] = (Entry){ device, name };
        *ret = name;
        return TAKE_PTR(name) ? 0 : NODE_NAMES_E_OTHER;
}

int node_names_check(NodeNames *names, const char *path)
{
        _cleanup_free_ char *link = NULL;
        const char *dri = startswith(path, "/dev/dri/");
        int r;

        if (startswith(path, "/dev/nvidia") || streq(path, "/dev/gdrdrv"))
                return 0;
        if (!dri || strchr(dri, '/'))
                return NODE_NAMES_E_OTHER;
        link = str_format("sys/class/drm/%s", dri);
        r = link ? check_place(names, link) : err_origin(-ENOMEM);
        return r < 0 ? err_trace(r) : r;
}
