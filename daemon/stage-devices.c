/* SPDX-License-Identifier: Apache-2.0 */

/*
 * AWAIT_DEVICES, and the watch that goes on in READY and DEGRADED. The monitor
 * is on before the first module is loaded; then an enumeration says what is
 * there already; then every event leads to another enumeration. The goal is
 * the set (a card and a render node under each GPU, and the driver's own
 * nodes, which stage-nodes.c has made), not an event.
 *
 * In a container udev's events may not arrive, or there is no udevd (T17).
 * Then it is looked again and again: often while somebody waits, rarely later.
 * While waiting it is looked from time to time in any case, because an event
 * that does not come, for whatever reason, must not cost the whole deadline.
 */

#include "base/result.h"
#include "base/str.h"
#include "manager.h"
#include "policy/devset.h"
#include "sys/sysmod.h"

#define POLL_AWAIT_DEAF (200 * USEC_PER_MSEC)
#define POLL_AWAIT      (1 * USEC_PER_SEC)
#define POLL_WATCH_DEAF (2 * USEC_PER_SEC)
/* One look for all the changes that come with a change. */
#define SETTLE_DELAY (100 * USEC_PER_MSEC)

static void look(Manager *m, bool polled);

static bool is_watching(const Manager *m)
{
        return m->fsm.state == FSM_READY || m->fsm.state == FSM_DEGRADED;
}

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

/* DRM nodes and our own, for people; NULL if all are there. */
static char *missing_nodes(Manager *m)
{
        _cleanup_strv_ char **missing = NULL;
        const char *own = stage_nodes_absent(m);

        if (drm_is_wanted(m) && devset_missing(&m->facts.gpus, &m->nodes, &missing) < 0)
                return NULL;
        if (own)
                (void)strv_push(&missing, own);
        return missing ? strv_join(missing, ", ") : NULL;
}

/* A minor that the kernel has and nobody has made a node for. */
static bool has_minor_without_node(const Manager *m)
{
        for (size_t i = 0; i < m->nodes.n; i++)
                if (!m->nodes.items[i].there)
                        return true;
        return false;
}

static void watch(Manager *m)
{
        _cleanup_free_ char *modules = missing_modules(m), *nodes = missing_nodes(m), *detail = NULL;
        const char *failure = stage_nodes_failure(m), *repair = stage_repair_detail(m);

        detail = modules ? str_format("Gone: module %s.", modules) : NULL;
        manager_complain(m, HEALTH_MODULES, modules ? CODE_MODULES_LOST : CODE_OK, detail);

        /* A minor that lacks nothing but its node is having it made. */
        if (has_minor_without_node(m) && stage_nodes_is_mending(m))
                return;
        free(detail);
        detail = failure ? str_format("%s.", failure)
                 : nodes ? str_format("Gone: %s.%s%s", nodes, repair ? " " : "", strempty(repair))
                         : NULL;
        manager_complain(m, HEALTH_DEVICES,
                        failure ? CODE_NODES_FAILED
                        : nodes ? CODE_DEVICES_LOST
                                : CODE_OK,
                        detail);
}

static void await(Manager *m)
{
        bool drm = !drm_is_wanted(m) || devset_complete(&m->facts.gpus, &m->nodes);
        _cleanup_free_ char *progress = NULL;
        DevsetCount count;

        if (drm && stage_nodes_complete(m)) {
                manager_progress(m, NULL);
                manager_stage_done(m);
                return;
        }
        if (stage_nodes_failure(m)) {
                manager_stage_failed(m, CODE_NODES_FAILED, "%s.", stage_nodes_failure(m));
                return;
        }
        devset_count(&m->facts.gpus, &m->nodes, &count);
        progress = drm ? str_format("Waiting for device nodes%s%s", stage_nodes_absent(m) ? ": " : "",
                                         strempty(stage_nodes_absent(m)))
                       : str_format("Waiting for device nodes, %zu/%zu cards, %zu/%zu render nodes",
                                         count.n_cards, count.n_gpus, count.n_renders, count.n_gpus);
        manager_progress(m, progress);
}

static usec_t poll_delay(Manager *m)
{
        bool deaf = udevmon_deafness(m->udev, m->root) != NULL;

        if (m->fsm.state == FSM_AWAIT_DEVICES)
                return MIN(deaf ? POLL_AWAIT_DEAF : POLL_AWAIT, stage_nodes_delay(m));
        return MIN(MIN(deaf ? POLL_WATCH_DEAF : USEC_INFINITY, stage_nodes_delay(m)), stage_repair_delay(m));
}

static int on_poll(sd_event_source *source, uint64_t usec, void *userdata)
{
        look(userdata, /* polled= */ true);
        return 0;
}

static void arm_poll(Manager *m, usec_t delay)
{
        int r;

        m->device_poll = sd_event_source_disable_unref(m->device_poll);
        if (delay == USEC_INFINITY)
                return;
        r = sd_event_add_time_relative(
                        m->event, &m->device_poll, CLOCK_MONOTONIC, MAX(delay, SETTLE_DELAY), 0, on_poll, m);
        if (r < 0)
                log_error(m->log, "timer: %s", strerror(-r));
}

static void look(Manager *m, bool polled)
{
        bool deaf = udevmon_deafness(m->udev, m->root) != NULL;
        int r;

        if (m->fsm.state != FSM_AWAIT_DEVICES && !is_watching(m))
                return;
        node_facts_done(&m->nodes);
        r = udevmon_enumerate(m->udev, m->root, &m->nodes);
        if (r < 0)
                log_warning(m->log, "The device nodes cannot be listed: %s, ignoring.", strerror(-r));

        /* Between udev's events a node may be on its way. */
        stage_nodes_review(m, (deaf || polled) && has_minor_without_node(m));
        if (is_watching(m) && drm_is_wanted(m))
                stage_repair_review(m);
        arm_poll(m, poll_delay(m));
        if (m->fsm.state == FSM_AWAIT_DEVICES)
                await(m);
        else
                watch(m);
}

void stage_devices_look(Manager *m)
{
        look(m, /* polled= */ false);
}

void stage_devices_soon(Manager *m)
{
        if (is_watching(m))
                arm_poll(m, SETTLE_DELAY);
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
                look(m, /* polled= */ false);
        udev_change_done(&change);
        return 0;
}

int stage_devices_monitor(Manager *m)
{
        const char *deafness;
        int r;

        if (m->udev)
                return 0;
        r = udevmon_new(&m->udev);
        if (r)
                return err_trace(r);
        deafness = udevmon_deafness(m->udev, m->root);
        if (deafness)
                log_info(m->log, "No events of udev: %s. Device nodes are looked for from time to time.",
                                deafness);
        if (udevmon_fd(m->udev) < 0)
                return 0;
        r = sd_event_add_io(m->event, &m->udev_source, udevmon_fd(m->udev), EPOLLIN, on_udev, m);
        return r < 0 ? err_origin(r) : 0;
}

static int on_deadline(sd_event_source *source, uint64_t usec, void *userdata)
{
        Manager *m = userdata;
        _cleanup_free_ char *nodes = NULL, *limit = str_from_usec(m->config->device_timeout);

        /* What is there now is what counts. */
        look(m, /* polled= */ true);
        if (m->n_queue > 0)
                return 0;
        nodes = missing_nodes(m);
        manager_stage_failed(m, CODE_DEVICES_MISSING, "After %s still missing: %s.", strna(limit),
                        nodes ? nodes : "an answer of the driver about its device nodes");
        return 0;
}

void stage_devices_leave(Manager *m)
{
        m->device_timer = sd_event_source_disable_unref(m->device_timer);
}

void stage_devices_end(Manager *m)
{
        stage_devices_leave(m);
        m->device_poll = sd_event_source_disable_unref(m->device_poll);
        stage_nodes_forget(m);
        m->repair.taken_out = false;
        stage_repair_forget(m);
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
        if (r < 0) {
                manager_stage_failed(m, CODE_INTERNAL, "udev: %s.", strerror(-r));
                return;
        }
        stage_nodes_urge(m);
        /* Nothing is complete while the helper is at it, and its end is a reason to look. */
        if (!stage_nodes_is_running(m)) {
                look(m, /* polled= */ false);
                return;
        }
        manager_progress(m, "Waiting for device nodes");
        arm_poll(m, POLL_AWAIT_DEAF);
}
