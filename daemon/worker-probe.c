/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The host's own modules that ours need (drm, video, i2c_core ...), as modprobe
 * would load them. A module that this kernel does not have is no failure: what
 * is really needed shows itself later, as a symbol by name.
 */

#include "base/root.h"
#include "helper.h"
#include "base/str.h"
#include "sys/kmodule.h"
#include "sys/moduletree.h"
#include "sys/sysmod.h"

/* Built in, or loaded by somebody else: that it is in no module tree does not matter. */
static bool is_there(const Root *root, const char *name)
{
        ModuleFact fact = {};
        bool there = sysmod_read(root, name, &fact) == 0 && fact.state != MOD_ABSENT;

        module_fact_done(&fact);
        return there;
}

static void say_no_tree(const char *release, const char *name)
{
        _cleanup_free_ char *why = moduletree_explain_absence(release);

        helper_say(HELPER_KEY_DETAIL, "%s: not loaded, %s", name, strna(why));
}

static Code probe(const Root *root, const char *release, const char *name)
{
        int error = 0, r = kmodule_probe(root, release, name, &error);

        if (r == KMODULE_E_ABSENT || r == KMODULE_E_NO_TREE) {
                if (is_there(root, name))
                        return CODE_OK;
                if (r == KMODULE_E_NO_TREE)
                        say_no_tree(release, name);
                else
                        helper_say(HELPER_KEY_DETAIL, "%s: this kernel does not have it, ignoring", name);
        } else if (r == KMODULE_E_BLACKLISTED) {
                helper_say(HELPER_KEY_DETAIL, "%s: blacklisted, ignoring", name);
        } else if (r) {
                helper_say(HELPER_KEY_DETAIL, "%s: %s", name, strerror(r < 0 ? -r : error));
                return CODE_LOAD_FAILED;
        }
        return CODE_OK;
}

Code worker_probe(char **arguments)
{
        _cleanup_(root_freep) Root *root = NULL;
        const char *release = arguments[0];
        Code code = CODE_OK;

        if (root_new("/", &root) < 0)
                return CODE_INTERNAL;

        for (char **name = arguments + 1; *name; name++) {
                Code one = probe(root, release, *name);

                if (one != CODE_OK)
                        code = one;
                helper_say(HELPER_KEY_MODULE, "%s", *name);
        }
        return code;
}
