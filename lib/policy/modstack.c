/* SPDX-License-Identifier: Apache-2.0 */

/*
 * On a host with GPUDirect, other programs load modules on top of ours and
 * never take them out again: gdrdrv alone has kept many a driver in a restart
 * loop. Without the driver they are useless, so they go with it when they are
 * idle. Modules that we do not know may belong to anything.
 */

#include "base/result.h"
#include "base/str.h"
#include "policy/modstack.h"

static const char *const driver[] = {
        "nvidia",
        "nvidia_uvm",
        "nvidia_modeset",
        "nvidia_drm",
        "nvidia_peermem",
        "nvidia_vgpu_vfio",
};

static const char *const riders[] = {
        "nvidia_fs", /* GPUDirect Storage */
        "gdrdrv",    /* GDRCopy */
};

bool modstack_is_driver(const char *name)
{
        for (size_t i = 0; i < ELEMENTSOF(driver); i++)
                if (modname_eq(driver[i], name))
                        return true;
        return false;
}

bool modstack_is_known(const char *name)
{
        for (size_t i = 0; i < ELEMENTSOF(riders); i++)
                if (modname_eq(riders[i], name))
                        return true;
        return modstack_is_driver(name);
}

static bool contains(char *const *names, const char *name)
{
        STRV_FOREACH (s, names)
                if (modname_eq(*s, name))
                        return true;
        return false;
}

/* Adds the known holders of @m. */
static int add_holders(const ModuleFact *m, char ***names)
{
        STRV_FOREACH (h, m->holders) {
                int r = modstack_is_known(*h) && !contains(*names, *h) ? strv_push(names, *h) : 0;

                if (r)
                        return err_trace(r);
        }
        return 0;
}

int modstack_removable(const ModuleFacts *facts, char *const *owned, char ***ret)
{
        _cleanup_strv_ char **names = NULL;
        int r;

        r = strv_copy(owned, &names);
        if (r)
                return err_trace(r);

        /* A vector that grows while it is walked ends by itself: there are only so many known names. */
        for (size_t i = 0; contains(owned, "nvidia") && i < strv_length(names); i++) {
                const ModuleFact *m = module_facts_find(facts, names[i]);

                r = m ? add_holders(m, &names) : 0;
                if (r)
                        return err_trace(r);
        }

        *ret = TAKE_PTR(names);
        return 0;
}
