/* SPDX-License-Identifier: Apache-2.0 */

/*
 * All that can be known of a source is looked at before anything is mounted:
 * what is no system ends here with nothing done.
 */

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "base/result.h"
#include "base/root.h"
#include "base/str.h"
#include "flatcar.h"
#include "policy/envfile.h"
#include "sys/diskimage.h"
#include "sys/loopdevice.h"
#include "sys/mountspace.h"
#include "toolroot.h"

typedef struct Opening {
        const char *source, *directory;
        char *lower;
        bool is_container;
        DevContainer host; /* what the source has to be of, if it is the developer container */
        int fd;            /* the source */
        DiskVolumes volumes;
        bool is_image;
        int tree;   /* a directory, ready to be mounted */
        int device; /* the loop device that is in use */
        char *name;
} Opening;

static void opening_done(Opening *o)
{
        devcontainer_done(&o->host);
        disk_volumes_done(&o->volumes);
        safe_close(o->device);
        safe_close(o->tree);
        safe_close(o->fd);
        free(o->lower);
        free(o->name);
}

static Code invalid(const Opening *o, const char *what)
{
        helper_say(HELPER_KEY_DETAIL, "%s %s", o->source, what);
        return CODE_TOOLCHAIN_INVALID;
}

static Code failed(const Opening *o, const char *what, int r)
{
        helper_say(HELPER_KEY_DETAIL, "%s: %s: %s%s", o->source, what, strerror(-r),
                        r == -EPERM ? " (a unit needs the drop-in toolchain.conf, see nvidia-driverd(8))"
                                    : "");
        return r == -ENOMEM ? CODE_INTERNAL : CODE_TOOLCHAIN_INVALID;
}

/*
 * A system is told by its os-release. *@ret_name: what it calls itself; NULL if
 * there is none.
 */
static Code judge(const Opening *o, const char *path, char **ret_name)
{
        _cleanup_free_ char *release = NULL, *difference = NULL;
        _cleanup_(root_freep) Root *root = NULL;
        int r;

        *ret_name = NULL;
        r = root_new(path, &root);
        if (r == 0)
                r = flatcar_read_release(root, &release);
        if (r == ROOT_E_ABSENT)
                return CODE_OK;
        if (r == 0 && o->is_container)
                r = devcontainer_compare(&o->host, release, &difference);
        if (r == 0)
                r = envfile_get(release, "PRETTY_NAME", ret_name);
        if (r == 0 && !*ret_name)
                r = str_replace(ret_name, "a system without a name");
        if (r)
                return failed(o, "os-release", r);
        if (difference) {
                helper_say(HELPER_KEY_DETAIL, "%s is not the developer container of this host: %s",
                                o->source, difference);
                return CODE_TOOLCHAIN_MISMATCH;
        }
        return CODE_OK;
}

static Code look_at_image(Opening *o)
{
        _cleanup_free_ char *others = NULL;
        int r;

        o->is_image = true;
        r = diskimage_probe(o->fd, &o->volumes);
        if (r)
                return failed(o, "reading the image", r);
        if (o->volumes.n > 0)
                return CODE_OK;
        others = strv_join(o->volumes.passed_over, ", ");
        if (!others)
                return failed(o, "reading the image", -ENOMEM);
        helper_say(HELPER_KEY_DETAIL, "%s is no disk image with a system%s%s%s", o->source,
                        *others ? " (" : "", others, *others ? ")" : "");
        return CODE_TOOLCHAIN_INVALID;
}

static Code look(Opening *o)
{
        struct stat st;
        Code code;

        o->fd = open(o->source, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
        if (o->fd < 0 || fstat(o->fd, &st) < 0)
                return failed(o, "it cannot be opened", -errno);
        if (S_ISREG(st.st_mode))
                return look_at_image(o);
        if (!S_ISDIR(st.st_mode))
                return invalid(o, "is neither a directory nor a disk image");
        code = judge(o, o->source, &o->name);
        return code == CODE_OK && !o->name ? invalid(o, "has no etc/os-release: it is no system") : code;
}

/* A volume without a system: *@ret_name is NULL, and nothing is mounted any more. */
static Code try_volume(Opening *o, const DiskVolume *v, char **ret_name)
{
        _cleanup_free_ char *node = NULL;
        Code code;
        int r;

        r = loopdevice_attach(o->fd, v->offset, v->size, &node, &o->device);
        if (r)
                return failed(o, "making a loop device", r);
        r = mountspace_device(node, v->type, o->lower);
        if (r) {
                _cleanup_free_ char *what = str_format("mounting its %s", v->type);

                return failed(o, strna(what), r);
        }
        code = judge(o, o->lower, ret_name);
        if (code == CODE_OK && *ret_name)
                return CODE_OK;
        (void)mountspace_undo(o->lower);
        o->device = safe_close(o->device);
        return code;
}

static Code mount_image(Opening *o)
{
        for (size_t i = 0; i < o->volumes.n && !o->name; i++) {
                Code code = try_volume(o, &o->volumes.items[i], &o->name);

                if (code)
                        return code;
        }
        return o->name ? CODE_OK
                       : invalid(o, "has file systems, but no etc/os-release in any: there is no system");
}

static Code mount_source(Opening *o)
{
        int r;

        if (o->is_image)
                return mount_image(o);
        r = mountspace_show(o->tree, o->lower);
        return r ? failed(o, "mounting it", r) : CODE_OK;
}

/* In memory: where the source and what is written over it meet. */
static int make_places(const Opening *o)
{
        static const char *const names[] = { TOOLROOT_LOWER, "upper", "work", TOOLROOT_ROOT };
        int r = mountspace_memory(o->directory);

        for (size_t i = 0; r == 0 && i < ELEMENTSOF(names); i++) {
                _cleanup_free_ char *path = str_format("%s/%s", o->directory, names[i]);

                if (!path)
                        return err_origin(-ENOMEM);
                if (mkdir(path, 0755) < 0)
                        return err_origin(-errno);
        }
        return err_trace(r);
}

static int lay_over(const Opening *o)
{
        int r;

        /* From within: the names stand in one option, where ':' and ',' of a path would mean something. */
        if (chdir(o->directory) < 0)
                return err_origin(-errno);
        r = mountspace_overlay(TOOLROOT_LOWER, "upper", "work", TOOLROOT_ROOT);
        if (r == 0)
                r = mountspace_furnish(TOOLROOT_ROOT);
        if (r)
                return err_trace(r);
        /* Who looks at /proc/PID/root sees what the commands will see. */
        return chroot(TOOLROOT_ROOT) < 0 || chdir("/") < 0 ? err_origin(-errno) : 0;
}

static Code make(Opening *o)
{
        Code code;
        int r;

        r = mountspace_leave();
        /* Now: its path may be covered by what is mounted next. */
        if (r == 0 && !o->is_image)
                r = mountspace_take(o->source, false, &o->tree);
        if (r == 0)
                r = make_places(o);
        if (r)
                return failed(o, "a mount namespace", r);
        code = mount_source(o);
        if (code)
                return code;
        r = lay_over(o);
        return r ? failed(o, "an overlay", r) : CODE_OK;
}

static Code identify(Opening *o, const char *machine)
{
        _cleanup_(root_freep) Root *root = NULL;
        _cleanup_free_ char *why = NULL;
        int r;

        r = root_new(machine, &root);
        if (r == 0)
                r = flatcar_identify(root, &o->host, &why);
        if (r == DEVCONTAINER_E_FOREIGN) {
                helper_say(HELPER_KEY_DETAIL, "Which developer container this host needs is not known: %s",
                                why);
                return CODE_TOOLCHAIN_INVALID;
        }
        return r ? failed(o, "the host's os-release", r) : CODE_OK;
}

Code toolroot_open(char **arguments)
{
        _cleanup_(opening_done) Opening o = {
                .source = arguments[1],
                .directory = arguments[2],
                .is_container = streq(arguments[3], TOOLROOT_CONTAINER),
                .fd = -EBADF,
                .tree = -EBADF,
                .device = -EBADF,
        };
        Code code;

        o.lower = str_format("%s/" TOOLROOT_LOWER, o.directory);
        if (!o.lower)
                return failed(&o, "opening it", -ENOMEM);
        code = o.is_container ? identify(&o, arguments[0]) : CODE_OK;
        if (code == CODE_OK)
                code = look(&o);
        if (code == CODE_OK)
                code = make(&o);
        if (code)
                return code;
        helper_say(HELPER_KEY_NAME, "%s", o.name);
        /* The namespace lives as long as this process, and that as long as the daemon (its death signal). */
        for (;;)
                (void)pause();
}
