/* SPDX-License-Identifier: Apache-2.0 */

/* PREPARE to PUBLISH: the Build object under the manager's plan. */

#include <ctype.h>

#include "base/result.h"
#include "base/str.h"
#include "manager.h"
#include "sys/store.h"

static void on_progress(void *userdata, FsmState stage, const char *text)
{
        Manager *m = userdata;
        _cleanup_free_ char *shown = str_format("%s %s", fsm_state_to_string(stage), text);

        if (shown)
                shown[0] = (char)toupper((unsigned char)shown[0]);
        manager_progress(m, shown);
}

static void on_log(void *userdata, int level, const char *text)
{
        Manager *m = userdata;

        log_message(m->log, level, NULL, "%s", text);
}

static void on_stage(void *userdata, FsmState stage, Code code, const char *detail)
{
        Manager *m = userdata;

        if (code != CODE_OK) {
                manager_stage_failed(m, code, "%s", strempty(detail));
                return;
        }
        if (stage == FSM_PUBLISH) {
                const char *path = startswith(build_result(m->build), m->root->prefix);

                if (!path || str_replace(&m->build_path, path) < 0) {
                        manager_stage_failed(m, CODE_INTERNAL, "The build's path is not known.");
                        return;
                }
                log_info(m->log, "Build %s is published.", path);
        }
        manager_progress(m, NULL);
        manager_stage_done(m);
}

void stage_build_drop(Manager *m)
{
        m->build = build_free(m->build);
        m->toolchain = toolchain_free(m->toolchain);
}

static int begin(Manager *m)
{
        static const BuildHandler handler = {
                .on_progress = on_progress,
                .on_log = on_log,
                .on_stage = on_stage,
        };
        _cleanup_free_ char *builds = str_format("%s/" STORE_BUILDS, m->config->store_directory);
        BuildRequest request = {
                .root = m->root,
                .config = m->config,
                .kernel = &m->facts.kernel,
                .tree = m->plan.tree,
                .tree_verdict = m->plan.tree_verdict,
                .source = m->plan.source,
                .base = m->plan.base,
                .signer = m->plan.sign ? &m->facts.signing.signer : NULL,
                .toolchain = m->toolchain,
                .store = m->config->store_directory,
                .builds = builds,
                .locked = true,
        };

        if (!builds)
                return err_origin(-ENOMEM);
        return err_trace(build_new(m->pool, &request, &handler, m, &m->build));
}

void stage_build_enter(Manager *m, FsmState state)
{
        int r = 0;

        if (!m->build)
                r = begin(m);
        if (r < 0)
                manager_stage_failed(m, code_of_write(r, CODE_STORE_FAILED), "%s: %s.",
                                m->config->store_directory, strerror(-r));
        else
                build_run(m->build, state);
}
