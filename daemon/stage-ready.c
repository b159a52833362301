/* SPDX-License-Identifier: Apache-2.0 */

/*
 * READY: the build that was loaded has proved itself, so the store may do
 * without the oldest ones. They leave by a rename into the staging area and are
 * removed there in the background, like everything else that is left over.
 */

#include "base/result.h"
#include "base/str.h"
#include "manager.h"
#include "policy/retention.h"
#include "sys/store.h"

void stage_ready_retire(Manager *m)
{
        _cleanup_strv_ char **problems = NULL;
        _cleanup_free_ bool *gone = NULL;
        BuildManifests list = {};
        int r;

        if (!m->loading_manifest.id)
                return;
        r = store_list(m->root, m->config->store_directory, &list, &problems);
        if (r == 0)
                r = retention_choose(&list, m->config->store_keep, m->loading_manifest.id, &gone);
        for (size_t i = 0; r > 0 && i < list.n; i++) {
                if (!gone[i])
                        continue;
                r = store_retire(m->root, m->config->store_directory, list.items[i].directory);
                if (r == 0)
                        log_info(m->log, "Build %s is retired, newer ones are there.", list.items[i].id);
                r = r < 0 ? r : 1;
        }
        build_manifests_done(&list);
        if (r < 0)
                log_warning(m->log, "Old builds could not be removed: %s, ignoring.", strerror(-r));
}
