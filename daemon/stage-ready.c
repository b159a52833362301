/* SPDX-License-Identifier: Apache-2.0 */

/*
 * READY: the build that was loaded has proved itself, so the store may do
 * without the oldest ones. They leave by a rename into the staging area and are
 * removed there in the background, like everything else that is left over.
 */

#include "base/result.h"
#include "base/str.h"
#include "kept.h"
#include "manager.h"
#include "paths.h"
#include "policy/retention.h"
#include "sys/store.h"
#include "sys/storelock.h"

static void on_marked(void *userdata, const JobResult *result)
{
        Manager *m = userdata;

        if (result->status != 0)
                log_warning(m->log, "That this build works could not be recorded, ignoring.");
}

/* It syncs, so the worker does it. */
static void mark_good(Manager *m)
{
        static const JobHandler handler = { .on_exit = on_marked };
        _cleanup_free_ char *store = root_path(m->root, m->config->store_directory);
        JobSpec spec = { .timeout = USEC_PER_MINUTE, .background = true, .log_fd = -EBADF };
        Job *job;

        if (!store)
                return;
        spec.argv = (char *[]){ (char *)path_of_worker(), (char *)"good", store,
                m->loading_manifest.kernel_release, m->loading_manifest.id, NULL };
        if (job_start(m->pool, &spec, &handler, m, &job) < 0)
                log_warning(m->log, "That this build works could not be recorded, ignoring.");
}

/* One that cannot be moved is no reason to leave the others. */
static int retire_trees(Manager *m, const BuildManifests *builds)
{
        _cleanup_strv_ char **list = NULL;
        int r, worst = 0;

        r = kept_list_surplus(
                        m->root, m->config->store_directory, m->config->store_keep_trees, builds, &list);
        if (r)
                return err_trace(r);
        STRV_FOREACH (kept, list) {
                r = kept_retire(m->root, m->config->store_directory, *kept);
                if (r == 0)
                        log_info(m->log, "Kept kernel tree %s is retired.", *kept);
                worst = MIN(worst, r);
        }
        return err_trace(worst);
}

static int retire_builds(Manager *m, const BuildManifests *builds, const bool *gone)
{
        int worst = 0;

        for (size_t i = 0; i < builds->n; i++) {
                int r = gone[i] ? store_retire(m->root, m->config->store_directory,
                                                  builds->items[i].directory)
                                : 0;

                if (gone[i] && r == 0)
                        log_info(m->log, "Build %s is retired, newer ones are there.", builds->items[i].id);
                worst = MIN(worst, r);
        }
        return err_trace(worst);
}

void stage_ready_retire(Manager *m)
{
        _cleanup_strv_ char **problems = NULL, **good = NULL;
        _cleanup_free_ bool *gone = NULL;
        _cleanup_close_ int lock = -EBADF;
        BuildManifests list = {};
        pid_t holder = 0;
        int r;

        if (!m->loading_manifest.id)
                return;
        mark_good(m);
        r = storelock_acquire(m->root, m->config->store_directory, &lock, &holder);
        if (r == STORELOCK_E_HELD) {
                log_debug(m->log, "Process %d writes to the store, old builds are removed another time.",
                                (int)holder);
                return;
        }
        if (r == 0)
                r = store_list(m->root, m->config->store_directory, &list, &problems);
        if (r == 0)
                r = store_good_list(m->root, m->config->store_directory, &good);
        if (r == 0)
                r = retention_choose(&list,
                                &(RetentionRules){
                                                .keep = m->config->store_keep,
                                                .kernels = m->config->store_keep_kernels,
                                                .running = m->facts.kernel.release,
                                                .in_use = (char *[]){ m->loading_manifest.id, NULL },
                                                .good = good,
                                },
                                &gone);
        if (r >= 0) {
                int trees = retire_trees(m, &list);

                r = retire_builds(m, &list, gone);
                r = r < 0 ? r : trees;
        }
        build_manifests_done(&list);
        if (r < 0)
                log_warning(m->log, "Old builds could not be removed: %s, ignoring.", strerror(-r));
}
