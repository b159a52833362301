/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A major that another driver got in the meantime is that one's, and so are its
 * links. 195 is NVIDIA's for ever.
 */

#include "base/str.h"
#include "policy/nodelink.h"

enum { NVIDIA_MAJOR = 195 };

static const char *const roots[] = {
        "../", /* udev */
        "/dev/",
        "/run/nvidia/driver/dev/",
        "/var/run/nvidia/driver/dev/",
};

bool nodelink_number(const DevEntry *link, unsigned *ret_major, unsigned *ret_minor)
{
        const char *number = startswith(link->name, "char/");

        return number && sscanf(number, "%u:%u", ret_major, ret_minor) == 2;
}

const char *nodelink_target(const DevEntry *link)
{
        for (size_t i = 0; i < ELEMENTSOF(roots); i++) {
                const char *rest = startswith(link->target, roots[i]);

                if (rest)
                        return rest;
        }
        return NULL;
}

bool nodelink_is_expected(const DriverNodes *driver, unsigned major, unsigned minor)
{
        return driver->caps_major >= 0 && major == (unsigned)driver->caps_major &&
               number_set_has(&driver->cap_minors, minor);
}

bool nodelink_is_left_over(const DriverNodes *driver, const NodesetWish *wish, unsigned major)
{
        if (driver->registered.n == 0 || number_set_has(&driver->registered, major))
                return false;
        return major == NVIDIA_MAJOR || number_set_has(&wish->majors, major);
}
