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
#include "nodeblock.h"
#include "policy/devset.h"
#include "sys/pci.h"
#include "sys/sysmod.h"

#define POLL_AWAIT_DEAF (200 * USEC_PER_MSEC)
#define POLL_AWAIT      (1 * USEC_PER_SEC)
#define POLL_WATCH_DEAF (2 * USEC_PER_SEC)
/* One look for all the changes that come with a change. */
#define SETTLE_DELAY (100 * USEC_PER_MSEC)

static bool look(Manager *m, bool polled);

static bool is_watching(const Manager *m)
{
        return m->fsm.state == FSM_READY || m->fsm.state == FSM_DEGRADED;
}

static bool drm_is_wanted(const Manager *m)
{
        STRV_FOREACH (name, m->config->modules)
                if (modname_eq(*name, "nvidia_drm"))
                        return !manager_lacks(m, *name);
        return false;
}

static char *missing_modules(Manager *m)
{
        _cleanup_strv_ char **gone = NULL;
        ModuleFacts facts = {};

        if (sysmod_read_set(m->root, m->config->modules, &facts) < 0)
                return NULL;
        for (size_t i = 0; i < facts.n; i++)
                if ((facts.items[i].state == MOD_ABSENT || facts.items[i].state == MOD_GOING) &&
                                !manager_lacks(m, facts.items[i].name))
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

/* What is known about nodes that are not as promised; CODE_OK: all are. */
static Code explain_nodes(Manager *m, const char *nodes, char **ret)
{
        const char *failure = stage_nodes_failure(m), *repair = stage_repair_detail(m);
        char *const *blocked = stage_nodes_blocked(m), *const *fought_over = stage_nodes_fought_over(m);

        if (failure) {
                *ret = str_format("%s.", failure);
                return CODE_NODES_FAILED;
        }
        if (blocked) {
                *ret = nodeblock_explain(m->root, blocked);
                return CODE_NODE_BLOCKED;
        }
        if (!nodes && fought_over) {
                _cleanup_free_ char *names = strv_join(fought_over, ", ");

                *ret = str_format(
                                "Somebody keeps changing owner or mode of %s, which the driver's parameters "
                                "(NVreg_DeviceFileUID, NVreg_DeviceFileGID, NVreg_DeviceFileMode) set.",
                                strna(names));
                return CODE_NODES_FAILED;
        }
        if (!nodes)
                return CODE_OK;
        if (m->dead) {
                *ret = str_format("%s. Missing: %s.", m->dead, nodes);
                return CODE_DEVICES_MISSING;
        }
        if (m->node_work.given_up) {
                *ret = str_format("Missing: %s. The driver's parameter NVreg_ModifyDeviceFiles=0 leaves its "
                                  "nodes to somebody else: remove it, or make the nodes.",
                                nodes);
                return CODE_DEVICES_MISSING;
        }
        *ret = str_format("Gone: %s.%s%s", nodes, repair ? " " : "", strempty(repair));
        return CODE_DEVICES_LOST;
}

static void watch(Manager *m)
{
        _cleanup_free_ char *modules = missing_modules(m), *nodes = missing_nodes(m), *detail = NULL;
        Code code;

        manager_wishes_review(m);
        detail = modules ? str_format("Gone: module %s.%s%s", modules, stage_reload_detail(m) ? " " : "",
                                           strempty(stage_reload_detail(m)))
                         : NULL;
        manager_complain(m, HEALTH_MODULES, modules ? CODE_MODULES_LOST : CODE_OK, detail);

        /* A minor that lacks nothing but its node is having it made. */
        if (has_minor_without_node(m) && stage_nodes_is_mending(m))
                return;
        if (!nodes)
                m->dead = (free(m->dead), NULL);
        /* While a run is under way it is not known what is absent. */
        if (!nodes && stage_nodes_complete(m))
                m->node_work.given_up = false;
        detail = (free(detail), NULL);
        code = explain_nodes(m, nodes, &detail);
        manager_complain(m, HEALTH_DEVICES, code, detail);
}

/* True if that was the stage's answer. */
static bool await(Manager *m)
{
        bool drm = !drm_is_wanted(m) || devset_complete(&m->facts.gpus, &m->nodes);
        _cleanup_free_ char *progress = NULL;
        DevsetCount count;

        if (drm && stage_nodes_complete(m)) {
                /* The driver works with all nodes but that one. */
                if (stage_nodes_blocked(m))
                        watch(m);
                manager_progress(m, NULL);
                manager_stage_done(m);
                return true;
        }
        if (stage_nodes_failure(m)) {
                manager_stage_failed(m, CODE_NODES_FAILED, "%s.", stage_nodes_failure(m));
                return true;
        }
        devset_count(&m->facts.gpus, &m->nodes, &count);
        progress = drm ? str_format("Waiting for device nodes%s%s", stage_nodes_absent(m) ? ": " : "",
                                         strempty(stage_nodes_absent(m)))
                       : str_format("Waiting for device nodes, %zu/%zu cards, %zu/%zu render nodes",
                                         count.n_cards, count.n_gpus, count.n_renders, count.n_gpus);
        manager_progress(m, progress);
        return false;
}

static usec_t poll_delay(Manager *m)
{
        bool deaf = udevmon_deafness(m->udev, m->root) != NULL;

        if (m->fsm.state == FSM_AWAIT_DEVICES)
                return MIN(deaf ? POLL_AWAIT_DEAF : POLL_AWAIT, stage_nodes_delay(m));
        return MIN(MIN(deaf ? POLL_WATCH_DEAF : USEC_INFINITY, stage_nodes_delay(m)),
                        MIN(stage_repair_delay(m), stage_reload_delay(m)));
}

static int on_poll(sd_event_source *source, uint64_t usec, void *userdata)
{
        (void)look(userdata, /* polled= */ true);
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

/* True if AWAIT_DEVICES has its answer now. */
static bool look(Manager *m, bool polled)
{
        bool deaf = udevmon_deafness(m->udev, m->root) != NULL;
        int r;

        if (m->fsm.state != FSM_AWAIT_DEVICES && !is_watching(m))
                return false;
        node_facts_done(&m->nodes);
        r = udevmon_enumerate(m->udev, m->root, &m->nodes);
        if (r < 0)
                log_warning(m->log, "The device nodes cannot be listed: %s, ignoring.", strerror(-r));

        /* Between udev's events a node may be on its way. */
        stage_nodes_review(m, (deaf || polled) && has_minor_without_node(m));
        if (is_watching(m) && drm_is_wanted(m))
                stage_repair_review(m);
        if (is_watching(m))
                stage_reload_review(m);
        arm_poll(m, poll_delay(m));
        if (m->fsm.state == FSM_AWAIT_DEVICES)
                return await(m);
        watch(m);
        return false;
}

void stage_devices_look(Manager *m)
{
        (void)look(m, /* polled= */ false);
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
                (void)look(m, /* polled= */ false);
        if (udev_change_any(&change))
                manager_status_changed(m);
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

/* The driver works, or may: it stays, and somebody has to do something about its nodes. */
static bool give_up(Manager *m)
{
        const DevsetLack lack = {
                .drm = drm_is_wanted(m) && !devset_complete(&m->facts.gpus, &m->nodes),
                .hands_off = stage_nodes_is_hands_off(m),
        };

        if (devset_is_fatal(&lack))
                return false;
        m->node_work.given_up = true;
        watch(m);
        manager_progress(m, NULL);
        manager_stage_done(m);
        return true;
}

static const char *why_dead(Manager *m, const GpuFacts *bus, const char *address)
{
        _cleanup_free_ char *listed = str_format("proc/driver/nvidia/gpus/%s", address);

        for (size_t i = 0; i < bus->n; i++)
                if (streq(bus->items[i].address, address)) {
                        if (!streq_ptr(bus->items[i].driver, "nvidia"))
                                return "the driver did not take it";
                        return listed && root_exists(m->root, listed) ? NULL : "the driver does not list it";
                }
        return "it is not on the bus";
}

/*
 * GPUs that the driver does not drive, for people, if they are all that is
 * wrong: then those that work are not taken away. NULL if it is otherwise.
 */
static char *explain_dead(Manager *m)
{
        _cleanup_(gpu_facts_done) GpuFacts bus = {};
        _cleanup_strv_ char **dead = NULL;
        const char *own = stage_nodes_absent(m);
        size_t n_working = 0;

        if (stage_nodes_failure(m) || (own && !strstr(own, "nvidia node of ")) ||
                        pci_read_gpus(m->root, &bus) < 0)
                return NULL;
        for (size_t i = 0; i < m->facts.gpus.n; i++) {
                const GpuFacts one = { .items = &m->facts.gpus.items[i], .n = 1 };
                const char *why = why_dead(m, &bus, one.items->address);

                if (why)
                        (void)strv_pushf(&dead, "GPU %s: %s", one.items->address, why);
                else if (drm_is_wanted(m) && !devset_complete(&one, &m->nodes))
                        return NULL;
                else
                        n_working++;
        }
        return dead && n_working > 0 ? strv_join(dead, "; ") : NULL;
}

static int on_deadline(sd_event_source *source, uint64_t usec, void *userdata)
{
        Manager *m = userdata;
        _cleanup_free_ char *nodes = NULL, *limit = str_from_usec(m->config->device_timeout);

        /* What is there now is what counts. */
        if (look(m, /* polled= */ true))
                return 0;
        if (give_up(m))
                return 0;
        nodes = missing_nodes(m);
        free(m->dead);
        m->dead = explain_dead(m);
        if (m->dead) {
                _cleanup_free_ char *detail = str_format("%s. Missing: %s.", m->dead, strna(nodes));

                log_code(m->log, LOG_ERR, CODE_DEVICES_MISSING, detail);
                manager_complain(m, HEALTH_DEVICES, CODE_DEVICES_MISSING, strempty(detail));
                manager_progress(m, NULL);
                manager_stage_done(m);
                return 0;
        }
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
        stage_reload_forget(m);
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
                manager_stage_failed(m, code_of_error(r), "udev: %s.", strerror(-r));
                return;
        }
        stage_nodes_urge(m);
        /* Nothing is complete while the helper is at it, and its end is a reason to look. */
        if (!stage_nodes_is_running(m)) {
                (void)look(m, /* polled= */ false);
                return;
        }
        manager_progress(m, "Waiting for device nodes");
        arm_poll(m, POLL_AWAIT_DEAF);
}
