/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The manager: one event loop, one queue of events, one state machine.
 *
 * Events are queued and handled from a deferred source, never inside the
 * function that posts them. So a stage may report its end from within its own
 * beginning, and the state changes only at one place: dispatch().
 */

#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>

#include "base/result.h"
#include "base/str.h"
#include "build-config.h"
#include "bus.h"
#include "failure.h"
#include "instance.h"
#include "manager.h"
#include "manager-face.h"
#include "paths.h"
#include "stage-services.h"
#include "statusfile.h"
#include "sys/clock.h"
#include "sys/kernel.h"
#include "sys/notify.h"

usec_t manager_now(Manager *m)
{
        uint64_t now;

        return sd_event_now(m->event, CLOCK_MONOTONIC, &now) >= 0 ? now : now_usec();
}

void manager_post(Manager *m, const FsmEvent *event)
{
        /*
         * Every stage posts once and timers once: a full queue is a bug of ours, not of the outside. An
         * event that is lost may leave the machine standing for ever; a new process adopts the driver.
         */
        if (m->n_queue == EVENT_QUEUE_MAX) {
                log_error(m->log, "The event queue is full, no room for event %s.",
                                fsm_event_to_string(event->type));
                abort();
        }
        m->queue[m->n_queue++] = *event;
        (void)sd_event_source_set_enabled(m->defer, SD_EVENT_ONESHOT);
}

void manager_stage_done(Manager *m)
{
        manager_post(m, &(FsmEvent){ .type = FSM_EV_DONE, .token = m->fsm.token });
}

void manager_stage_failed(Manager *m, Code code, const char *format, ...)
{
        char detail[2000];
        va_list ap;

        va_start(ap, format);
        (void)vsnprintf(detail, sizeof(detail), format, ap);
        va_end(ap);
        (void)str_replace(&m->detail, detail);
        log_code(m->log, LOG_ERR, code, detail);
        if (fsm_makes_do(&m->fsm))
                manager_make_do(m, code, detail);
        manager_post(m, &(FsmEvent){ .type = FSM_EV_FAILED, .code = code, .token = m->fsm.token });
}

void manager_leave(Manager *m)
{
        stage_check_leave(m);
        stage_build_drop(m);
        module_work_reset(m);
        stage_devices_leave(m);
        stage_busy_leave(m);
}

static void forget_attempt(Manager *m)
{
        stage_devices_end(m);
        plan_done(&m->plan);
        facts_done(&m->facts);
        node_facts_done(&m->nodes);
        health_done(&m->health);
        m->lacking = strv_free(m->lacking);
        m->dead = (free(m->dead), NULL);
        m->build_path = (free(m->build_path), NULL);
        m->adopting = false;
}

/* CHECK begins everything anew. */
static void begin_attempt(Manager *m)
{
        /* The first attempt began with this process. */
        if (m->facts.kernel.release)
                m->attempt_began = now_usec();
        manager_fallback_begin(m);
        forget_attempt(m);
        stage_check_enter(m);
}

static void on_idle(void *userdata)
{
        Manager *m = userdata;

        if (m->fsm.state == FSM_FAILED)
                (void)sd_event_exit(m->event, 0);
        else
                manager_stop_when_idle(m);
}

static void enter(Manager *m)
{
        switch (m->fsm.state) {
        case FSM_CHECK:
                begin_attempt(m);
                return;
        case FSM_ADOPT:
                stage_adopt_enter(m);
                return;
        case FSM_CLEAR:
                stage_clear_enter(m);
                return;
        case FSM_PREPARE:
        case FSM_COMPILE:
        case FSM_LINK:
        case FSM_PUBLISH:
                stage_build_enter(m, m->fsm.state);
                return;
        case FSM_LOAD:
                stage_build_drop(m);
                stage_load_enter(m);
                return;
        case FSM_AWAIT_DEVICES:
                stage_devices_enter(m);
                return;
        case FSM_SERVICES:
                stage_services_enter(m);
                return;
        case FSM_READY:
                holding_forget(m);
                stage_devices_leave(m);
                manager_face_ready(m);
                stage_adopt_ready(m);
                stage_ready_retire(m);
                manager_discard_staging(m);
                watch_kernel_show(m);
                manager_fallback_ready(m);
                manager_health_show(m);
                /* They were looked at a moment ago. */
                stage_devices_soon(m);
                return;
        case FSM_DEGRADED:
                manager_progress(m, NULL);
                /* Nobody looked while something was repaired. */
                stage_devices_look(m);
                manager_health_show(m);
                return;
        case FSM_REPAIR:
                if (stage_reload_is_due(m))
                        stage_reload_enter(m);
                else
                        stage_repair_enter(m);
                return;
        case FSM_STOPPING:
                manager_stop_enter(m);
                return;
        case FSM_UNLOAD:
                stage_devices_end(m);
                /* A stop has waited for the services, as long as it may. */
                if (m->fsm.stop_wanted)
                        stage_unload_enter(m);
                else
                        stage_services_end(m, stage_unload_enter);
                return;
        case FSM_BACKOFF:
        case FSM_FAILED:
                if (m->fsm.state == FSM_FAILED)
                        manager_fallback_explain(m);
                holding_forget(m);
                /* A full disk is not to become fuller with every attempt. */
                stage_build_drop(m);
                manager_discard_staging(m);
                (void)stage_nodes_tidy(m, /* last= */ false);
                return;
        case FSM_BUSY:
                /* Nothing is built for as long as somebody is busy, and the configuration may change. */
                stage_build_drop(m);
                stage_busy_enter(m);
                return;
        case FSM_START:
        case FSM_STUCK:
        case FSM_STOPPED:
        case _FSM_STATE_MAX:
        case _FSM_STATE_INVALID:
                return;
        }
}

static int on_state_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
        Manager *m = userdata;

        manager_post(m, &(FsmEvent){ .type = FSM_EV_TIMER, .token = m->fsm.token });
        return 0;
}

static void arm_state_timer(Manager *m, usec_t due)
{
        int r;

        r = sd_event_source_set_time(m->state_timer, due);
        if (r >= 0)
                r = sd_event_source_set_enabled(m->state_timer, SD_EVENT_ONESHOT);
        if (r < 0)
                log_error(m->log, "timer: %s", strerror(-r));
}

static void perform(Manager *m, const FsmAction *action)
{
        switch (action->type) {
        case FSM_ACT_CANCEL:
                manager_leave(m);
                return;
        case FSM_ACT_ENTER:
                enter(m);
                return;
        case FSM_ACT_TIMER:
                arm_state_timer(m, action->due);
                return;
        case FSM_ACT_EXIT:
                if (action->code == CODE_STUCK)
                        module_work_report_stuck(m);
                m->exit_code = action->code;
                /* The second time: what is tidied up does not come to an end. */
                if (m->exiting) {
                        (void)sd_event_exit(m->event, 0);
                        return;
                }
                m->exiting = true;
                if (m->fsm.state == FSM_STOPPED && action->code != CODE_STUCK &&
                                stage_nodes_tidy(m, /* last= */ true))
                        return;
                /* A failed build is tidied up first; nothing else runs then that could keep us. */
                if (m->fsm.state != FSM_FAILED || job_pool_is_idle(m->pool))
                        (void)sd_event_exit(m->event, 0);
                return;
        }
}

static int dispatch(sd_event_source *source, void *userdata)
{
        Manager *m = userdata;

        FsmEvent event = m->queue[0];
        FsmState before = m->fsm.state;
        FsmActions actions;

        if (m->n_queue == 0)
                return 0;
        memmove(m->queue, m->queue + 1, --m->n_queue * sizeof(*m->queue));
        fsm_step(&m->fsm, &event, manager_now(m), &actions);
        if (m->fsm.state != before) {
                m->since_realtime = now_realtime_usec();
                (void)sd_event_source_set_enabled(m->state_timer, SD_EVENT_OFF);
                if (before == FSM_STOPPING)
                        manager_stop_left(m);
                manager_face_state(m, before);
                bus_state_changed(m->bus);
        }
        for (unsigned i = 0; i < actions.n; i++)
                perform(m, &actions.items[i]);
        /* Its own turn for each, so that who asks in between is answered in between. */
        return m->n_queue > 0 ? sd_event_source_set_enabled(source, SD_EVENT_ONESHOT) : 0;
}

static int on_stop(sd_event_source *source, const struct signalfd_siginfo *si, void *userdata)
{
        Manager *m = userdata;

        log_info(m->log, "Stopping: signal %" PRIu32 " from process %" PRIu32 ".", si->ssi_signo,
                        si->ssi_pid);
        if (m->fsm.state == FSM_FAILED)
                (void)sd_event_exit(m->event, 0);
        /* Whoever waits for programs at a terminal has waited long enough. */
        if (m->unloading)
                m->config->stop_policy = STOP_POLICY_LEAVE;
        manager_post(m, &(FsmEvent){ .type = FSM_EV_STOP });
        return 0;
}

static int on_reload(sd_event_source *source, const struct signalfd_siginfo *si, void *userdata)
{
        manager_face_reload(userdata);
        return 0;
}

static int describe(void *userdata, char **ret)
{
        return manager_face_describe(userdata, ret);
}

static const char *state_of(void *userdata)
{
        Manager *m = userdata;

        return fsm_state_to_string(m->fsm.state);
}

static int set_up_loop(Manager *m)
{
        int r;

        r = sd_event_new(&m->event);
        if (r >= 0)
                r = sd_event_set_watchdog(m->event, true);
        if (r >= 0)
                r = sd_event_add_signal(m->event, NULL, SIGTERM, on_stop, m);
        if (r >= 0)
                r = sd_event_add_signal(m->event, NULL, SIGINT, on_stop, m);
        if (r >= 0)
                r = sd_event_add_signal(m->event, NULL, SIGHUP, on_reload, m);
        if (r >= 0)
                r = sd_event_add_defer(m->event, &m->defer, dispatch, m);
        if (r >= 0)
                r = sd_event_source_set_enabled(m->defer, SD_EVENT_OFF);
        if (r >= 0)
                r = sd_event_add_time(m->event, &m->state_timer, CLOCK_MONOTONIC, USEC_INFINITY, 0,
                                on_state_timer, m);
        if (r >= 0)
                r = module_work_prepare(m);
        return r < 0 ? err_origin(r) : 0;
}

int manager_new(Root *root, Config *config, char **problems, Log *log, Manager **ret)
{
        static const BusHandler bus_handler = { .describe = describe, .state = state_of };
        _cleanup_(manager_freep) Manager *m = NULL;
        int r;

        m = calloc(1, sizeof(*m));
        if (!m)
                return err_origin(-ENOMEM);
        m->root = root;
        m->log = log;
        m->attempt_began = now_usec();

        r = instance_begin(m);
        if (r)
                return r < 0 ? err_trace(r) : MANAGER_E_RUNNING;

        r = set_up_loop(m);
        if (r == 0)
                r = job_pool_new(m->event, on_idle, m, &m->pool);
        if (r == 0)
                r = bus_new(m->event, root, &bus_handler, m, &m->bus);
        if (r == 0)
                r = manager_face_open(m);
        if (r == 0)
                r = failure_forget(root);
        if (r < 0)
                return err_trace(r);
        instance_watch(m);

        m->config = config;
        m->problems = problems;
        *ret = TAKE_PTR(m);
        return 0;
}

static void remove_runtime(Manager *m)
{
        /* The directory goes when it is empty: the record of loaded modules or of a failure keeps it. */
        (void)unlinkat(m->root->fd, RUNTIME_DIRECTORY, AT_REMOVEDIR);
}

Manager *manager_free(Manager *m)
{
        if (!m)
                return NULL;

        if (m->event) {
                manager_leave(m);
                forget_attempt(m);
        }
        holding_forget(m);
        m->state_timer = sd_event_source_disable_unref(m->state_timer);
        m->again = sd_event_source_disable_unref(m->again);
        m->status_timer = sd_event_source_disable_unref(m->status_timer);
        m->notify_timer = sd_event_source_disable_unref(m->notify_timer);
        watch_kernel_stop(m);
        stage_services_free(m);
        stage_nodes_done(m);
        sd_event_source_disable_unref(m->udev_source);
        udevmon_free(m->udev);
        bus_free(m->bus);
        statusfile_free(m->status_file);
        job_pool_free(m->pool);
        m->lock_watch = sd_event_source_disable_unref(m->lock_watch);
        sd_event_source_disable_unref(m->defer);
        sd_event_unref(m->event);
        build_manifest_done(&m->loading_manifest);
        strv_free(m->owned);
        strv_free(m->problems);
        strv_free(m->pending);
        free(m->fallback_wanted);
        free(m->fallback_reason);
        free(m->boot);
        free(m->detail);
        free(m->progress);
        config_free(m->config);
        if (m->lock) {
                remove_runtime(m);
                instance_end(m);
        }
        free(m);
        return NULL;
}

void manager_configure(Manager *m)
{
        m->fsm.config = (FsmConfig){
                .retry = { .base = m->config->retry_delay, .limit = m->config->retry_max_delay },
                .attempts = m->config->retry_attempts,
                .stop_deadline = m->config->stop_timeout,
                .patient = m->config->stop_policy == STOP_POLICY_WAIT,
        };
}

int manager_run(Manager *m)
{
        int r;

        fsm_init(&m->fsm, &(FsmConfig){}, manager_now(m));
        manager_configure(m);
        m->watch.log = m->log;
        m->since_realtime = now_realtime_usec();
        STRV_FOREACH (problem, m->problems)
                log_warning(m->log, "%s", *problem);
        if (build_discard_stale(m->pool, m->root, m->config->store_directory) < 0)
                log_warning(m->log, "What earlier runs left in staging could not be removed, ignoring.");

        manager_history_started(m);
        watch_kernel_start(m);
        r = stage_services_new(m);
        if (r < 0)
                return err_trace(r);
        manager_post(m, &(FsmEvent){ .type = m->unloading ? FSM_EV_STOP : FSM_EV_START });
        r = loop_run(m->event, &m->watch);
        if (r < 0)
                return err_trace(r);
        stage_clear_unblock(m);
        manager_face_exit(m);
        return 0;
}
