/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The wanted driver could not be had, and the last one that worked is loaded:
 * for the machine that is READY, for the administrator DEGRADED, with the first
 * failure as the reason. Whether it comes to that is policy/fsm's decision,
 * which build it is policy/plan's.
 */

#include "base/result.h"
#include "base/str.h"
#include "manager.h"

static const char *wanted_version(const Manager *m)
{
        if (m->config->driver_version)
                return m->config->driver_version;
        if (m->plan.build)
                return m->plan.build->driver_version;
        if (m->plan.base)
                return m->plan.base->driver_version;
        return m->plan.source ? m->plan.source->version : NULL;
}

void manager_fallback_begin(Manager *m)
{
        Code code = m->fsm.failed;

        if (!m->fsm.fallback) {
                m->fallback_wanted = (free(m->fallback_wanted), NULL);
                m->fallback_reason = (free(m->fallback_reason), NULL);
                return;
        }
        /* A later attempt to fall back. */
        if (m->fallback_reason)
                return;
        (void)str_replace(&m->fallback_wanted, wanted_version(m));
        m->fallback_reason = str_format(
                        "%s: %s %s", code_to_string(code), code_sentence(code), strempty(m->detail));
        log_warning(m->log, "Driver %s failed (%s), falling back to the last build that worked.",
                        m->fallback_wanted ? m->fallback_wanted : "as wanted", code_to_string(code));
}

void manager_fallback_ready(Manager *m)
{
        _cleanup_free_ char *text = NULL;

        if (!m->plan.fallback)
                return;
        text = str_format("Wanted is driver %s, loaded is %s, build %s. %s",
                        m->fallback_wanted ? m->fallback_wanted : "of any version",
                        m->plan.build->driver_version, m->plan.build->id, strempty(m->fallback_reason));
        manager_complain(m, HEALTH_FALLBACK, CODE_DRIVER_FALLBACK, strempty(text));
}

void manager_fallback_explain(Manager *m)
{
        _cleanup_free_ char *text = NULL;

        if (!m->fsm.fallback)
                return;
        text = str_format("%s The last build that worked could not be used: %s",
                        strempty(m->fallback_reason), strempty(m->detail));
        (void)str_replace(&m->detail, text);
        log_code(m->log, LOG_ERR, m->fsm.code, m->detail);
}
