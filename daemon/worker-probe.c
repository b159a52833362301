/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The host's own modules that ours need (drm, video, i2c_core ...), as modprobe
 * would load them. A module that this kernel does not have is no failure: what
 * is really needed shows itself later, as a symbol by name.
 */

#include "base/root.h"
#include "helper.h"
#include "sys/kmodule.h"

Code worker_probe(char **arguments)
{
        _cleanup_(root_freep) Root *root = NULL;
        const char *release = arguments[0];
        Code code = CODE_OK;

        if (root_new("/", &root) < 0)
                return CODE_INTERNAL;

        for (char **name = arguments + 1; *name; name++) {
                int error = 0;
                int r = kmodule_probe(root, release, *name, &error);

                if (r == KMODULE_E_ABSENT || r == KMODULE_E_BLACKLISTED) {
                        helper_say(HELPER_KEY_DETAIL, "%s: %s, ignoring", *name,
                                        r == KMODULE_E_ABSENT ? "this kernel does not have it"
                                                              : "blacklisted");
                } else if (r) {
                        helper_say(HELPER_KEY_DETAIL, "%s: %s", *name, strerror(r < 0 ? -r : error));
                        code = CODE_LOAD_FAILED;
                }
                helper_say(HELPER_KEY_MODULE, "%s", *name);
        }
        return code;
}
