/* SPDX-License-Identifier: Apache-2.0 */

/*
 * AWAIT_DEVICES, and the watch that goes on in READY and DEGRADED. The monitor
 * is on before the first module is loaded; then an enumeration says what is
 * there already; then every event leads to another enumeration. The goal is
 * the set (a card and a render node under each GPU), not an event.
 */

#include "base/result.h"
#include "base/str.h"
#include "manager.h"
#include "policy/devset.h"
#include "sys/sysmod.h"

static bool drm_is_wanted(const Manager *m)
{
        STRV_FOREACH (name, m->config->modules)
                if (modname_eq(*name, "nvidia_drm"))
                        return true;
        return false;
}

static char *missing_modules(Manager *m)
{
        _cleanup_strv_ char **gone = NULL;
        ModuleFacts facts = {};

        if (sysmod_read_set(m->root, m->config->modules, &facts) < 0)
                return NULL;
        for (size_t i = 0; i < facts.n; i++)
                if (facts.items[i].state == MOD_ABSENT || facts.items[i].state == MOD_GOING)
                        (void)strv_push(&gone, facts.items[i].name);
        module_facts_done(&facts);
        return gone ? strv_join(gone, ", ") : NULL;
}

static char *missing_nodes(Manager *m)
{
        _cleanup_strv_ char **missing = NULL;

        if (!drm_is_wanted(m) || devset_missing(&m->facts.gpus, &m->nodes, &missing) < 0 || !missing)
                return NULL;
        return strv_join(missing, ", ");
}

static void complain(Manager *m, HealthSource source, Code code, const char *what, const char *names)
{
        _cleanup_free_ char *detail = names ? str_format("Gone: %s%s.", what, names) : NULL;

        manager_complain(m, source, names ? code : CODE_OK, detail);
}

static void watch(Manager *m)
{
        _cleanup_free_ char *modules = missing_modules(m), *nodes = missing_nodes(m);

        complain(m, HEALTH_MODULES, CODE_MODULES_LOST, "module ", modules);
        complain(m, HEALTH_DEVICES, CODE_DEVICES_LOST, "", nodes);
}

static void await(Manager *m)
{
        DevsetCount count;
        _cleanup_free_ char *progress = NULL;

        if (devset_complete(&m->facts.gpus, &m->nodes)) {
                manager_progress(m, NULL);
                manager_stage_done(m);
                return;
        }
        devset_count(&m->facts.gpus, &m->nodes, &count);
        progress = str_format("Waiting for device nodes, %zu/%zu cards, %zu/%zu render nodes", count.n_cards,
                        count.n_gpus, count.n_renders, count.n_gpus);
        manager_progress(m, progress);
}

static void look(Manager *m)
{
        int r;

        node_facts_done(&m->nodes);
        r = udevmon_enumerate(m->udev, m->root, &m->nodes);
        if (r < 0) {
                log_warning(m->log, "The device nodes cannot be listed: %s, ignoring.", strerror(-r));
                return;
        }

        if (m->fsm.state == FSM_AWAIT_DEVICES)
                await(m);
        else if (m->fsm.state == FSM_READY || m->fsm.state == FSM_DEGRADED)
                watch(m);
}

static int on_udev(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
        Manager *m = userdata;
        UdevChange change = {};
        int r;

        r = udevmon_receive(m->udev, &change);
        if (r < 0)
                log_warning(m->log, "udev: %s, ignoring.", strerror(-r));
        else if (udev_change_any(&change))
                look(m);
        udev_change_done(&change);
        return 0;
}

int stage_devices_monitor(Manager *m)
{
        int r;

        if (m->udev)
                return 0;
        r = udevmon_new(&m->udev);
        if (r)
                return err_trace(r);
        r = sd_event_add_io(m->event, &m->udev_source, udevmon_fd(m->udev), EPOLLIN, on_udev, m);
        return r < 0 ? err_origin(r) : 0;
}

static int on_deadline(sd_event_source *source, uint64_t usec, void *userdata)
{
        Manager *m = userdata;
        _cleanup_free_ char *nodes = NULL, *limit = str_from_usec(m->config->device_timeout);

        /* An event may have been lost, or there is no udevd: what is there now is what counts. */
        look(m);
        if (m->n_queue > 0)
                return 0;
        nodes = missing_nodes(m);
        manager_stage_failed(m, CODE_DEVICES_MISSING, "After %s still missing: %s.", strna(limit),
                        strempty(nodes));
        return 0;
}

void stage_devices_leave(Manager *m)
{
        m->device_timer = sd_event_source_disable_unref(m->device_timer);
}

void stage_devices_enter(Manager *m)
{
        int r;

        r = stage_devices_monitor(m);
        if (r == 0 && m->config->device_timeout != USEC_INFINITY) {
                stage_devices_leave(m);
                r = sd_event_add_time_relative(m->event, &m->device_timer, CLOCK_MONOTONIC,
                                m->config->device_timeout, 0, on_deadline, m);
        }
        if (r < 0)
                manager_stage_failed(m, CODE_INTERNAL, "udev: %s.", strerror(-r));
        else
                look(m);
}
