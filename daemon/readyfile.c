/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A daemon that was killed leaves them, and its successor adopts the driver:
 * they are right again. So it is not the start that removes them, but that
 * modules are loaded or unloaded, or a stop.
 */

#include "base/macro.h"
#include "readyfile.h"

static bool ends_readiness(FsmState state)
{
        return state == FSM_LOAD || state == FSM_UNLOAD || state == FSM_STOPPING || state == FSM_FAILED;
}

void readyfile_review(const Root *root, Log *log, FsmState state)
{
        static const char *const files[] = { READYFILE_CONTAINER, READYFILE_DAEMONS };

        if (!ends_readiness(state))
                return;
        for (size_t i = 0; i < ELEMENTSOF(files); i++) {
                int r = root_exists(root, files[i]) ? root_unlink(root, files[i]) : 0;

                if (r < 0)
                        log_warning(log, "/%s cannot be removed: %s, ignoring.", files[i], strerror(-r));
        }
}
