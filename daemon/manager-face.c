/* SPDX-License-Identifier: Apache-2.0 */

/*
 * STATUS=, READY=, EXTEND_TIMEOUT_USEC=, the journal and the bus' status, all
 * from one place, so that they never contradict each other.
 *
 * EXTEND_TIMEOUT_USEC= is sent when something really went forward (an object
 * was compiled, a stage was entered) and never from a timer: a hanging build is
 * ended by the service manager's timeout, as it should be.
 */

#include <ctype.h>
#include <inttypes.h>

#include "base/result.h"
#include "base/str.h"
#include "build-config.h"
#include "failure.h"
#include "manager-face.h"
#include "readyfile.h"
#include "settings.h"
#include "stage-services.h"
#include "statusfile.h"
#include "sys/clock.h"
#include "sys/notify.h"
#include "sys/procsignal.h"
#include "sys/statusjson.h"

/* Every message wakes the service manager; people do not read faster than this. */
#define STATUS_INTERVAL (250 * USEC_PER_MSEC)

/* READY=1 is repeated until it was sent: the start would run into the service manager's timeout. */
#define REPEAT_INTERVAL (1 * USEC_PER_SEC)

/* Longer than any single compiler run takes on a slow machine. */
#define EXTENSION (3 * USEC_PER_MINUTE)

/* The state machine keeps the reason for what it was doing; in STUCK people want to know why it does not go
 * on. */
static Code shown_code(const Manager *m)
{
        return m->fsm.state == FSM_STUCK ? CODE_STUCK : m->fsm.code;
}

static char *state_text(Manager *m)
{
        _cleanup_free_ char *holders = NULL;
        Code code = shown_code(m);
        const ModuleFact *nvidia = module_facts_find(&m->facts.modules, "nvidia");
        const char *version = m->loading_manifest.driver_version;
        char *text;

        if (m->progress)
                return strdup(m->progress);
        if (m->fsm.state == FSM_READY)
                return str_format("Ready: NVIDIA driver %s, %zu GPU%s%s",
                                version  ? version
                                : nvidia ? strna(nvidia->version)
                                         : "",
                                m->facts.gpus.n, m->facts.gpus.n == 1 ? "" : "s",
                                m->plan.foreign ? ", foreign" : "");
        holders = m->fsm.state == FSM_BUSY ? holding_brief(m) : NULL;
        if (holders)
                text = str_format("%s: the driver has to go and is in use by %s",
                                fsm_state_to_string(m->fsm.state), holders);
        else if (code != CODE_OK)
                text = str_format("%s: %s (%s)", fsm_state_to_string(m->fsm.state), code_sentence(code),
                                code_to_string(code));
        else
                text = strdup(fsm_state_to_string(m->fsm.state));
        if (text)
                text[0] = (char)toupper((unsigned char)text[0]);
        return text;
}

static void repeat_later(Manager *m)
{
        if (notify_is_owed() && sd_event_source_set_time_relative(m->notify_timer, REPEAT_INTERVAL) >= 0)
                (void)sd_event_source_set_enabled(m->notify_timer, SD_EVENT_ONESHOT);
}

static int on_notify_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
        if (!notify_repeat())
                repeat_later(userdata);
        return 0;
}

static void send_status(Manager *m, bool went_forward)
{
        _cleanup_free_ char *text = state_text(m);

        manager_status_changed(m);
        if (!text)
                return;
        m->status_timer = sd_event_source_disable_unref(m->status_timer);
        m->status_sent = manager_now(m);
        if (went_forward && !m->fsm.promised && !m->fsm.stop_wanted)
                notify_sendf("STATUS=%s\nEXTEND_TIMEOUT_USEC=%" PRIu64, text, (uint64_t)EXTENSION);
        else
                notify_sendf("STATUS=%s", text);
        repeat_later(m);
}

static int on_status_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
        Manager *m = userdata;

        if (m->progress)
                send_status(m, true);
        else
                m->status_timer = sd_event_source_disable_unref(m->status_timer);
        return 0;
}

/* What came too soon after the last one is sent when its time has come: it may be the text of what hangs. */
static void send_progress(Manager *m)
{
        if (manager_now(m) - m->status_sent >= STATUS_INTERVAL)
                send_status(m, true);
        else if (!m->status_timer)
                (void)sd_event_add_time(m->event, &m->status_timer, CLOCK_MONOTONIC,
                                m->status_sent + STATUS_INTERVAL, 0, on_status_timer, m);
}

void manager_progress(Manager *m, const char *text)
{
        if (streq_ptr(m->progress, text))
                return;
        (void)str_replace(&m->progress, text);
        if (!text)
                return;
        log_debug(m->log, "%s", text);
        send_progress(m);
}

void manager_face_state(Manager *m, FsmState before)
{
        static const int levels[_FSM_STATE_MAX] = {
                [FSM_DEGRADED] = LOG_WARNING,
                [FSM_REPAIR] = LOG_NOTICE,
                [FSM_BUSY] = LOG_WARNING,
                [FSM_BACKOFF] = LOG_WARNING,
                [FSM_STUCK] = LOG_ERR,
                [FSM_FAILED] = LOG_ERR,
        };
        FsmState state = m->fsm.state;

        (void)str_replace(&m->progress, NULL);
        readyfile_review(m->root, m->log, state);
        manager_history_state(m, before);
        log_field(m->log, "STATE", fsm_state_to_string(state));
        log_field(m->log, "CODE", code_to_string(shown_code(m)));
        if (state == FSM_BUSY) {
                log_message(m->log, LOG_WARNING, LOG_ID_STATE,
                                "State %s -> %s, until nobody uses the driver.", fsm_state_to_string(before),
                                fsm_state_to_string(state));
        } else if (state == FSM_BACKOFF) {
                _cleanup_free_ char *delay = str_from_usec(
                                backoff_delay(&m->fsm.config.retry, m->fsm.attempt));

                log_message(m->log, LOG_WARNING, LOG_ID_STATE, "State %s -> %s, trying again in %s.",
                                fsm_state_to_string(before), fsm_state_to_string(state), strna(delay));
        } else {
                log_message(m->log, levels[state] ? levels[state] : LOG_DEBUG, LOG_ID_STATE,
                                "State %s -> %s.", fsm_state_to_string(before), fsm_state_to_string(state));
        }
        if (state == FSM_DEGRADED)
                log_code(m->log, LOG_WARNING, m->fsm.code, m->detail);
        /* In a later attempt a stage that is entered again is no progress: only what it then does. */
        send_status(m, fsm_state_is_stage(state) && m->fsm.attempt == 0);
        /* Stages that have nothing to do follow each other at once; what people wait for is seen at once. */
        if (fsm_state_is_stage(state) || state == FSM_CHECK)
                statusfile_soon(m->status_file);
        else
                statusfile_write(m->status_file);
        manager_status_changed(m);
}

void manager_face_ready(Manager *m)
{
        _cleanup_free_ char *text = state_text(m);

        (void)str_replace(&m->detail, NULL);
        notify_sendf("READY=1\nSTATUS=%s", strempty(text));
        repeat_later(m);
        log_message(m->log, LOG_NOTICE, LOG_ID_READY, "%s. Done, now waiting for signal", strempty(text));
}

static bool can_change_config(FsmState state)
{
        return state == FSM_READY || state == FSM_DEGRADED || state == FSM_BACKOFF || state == FSM_BUSY;
}

static void replace_config(Manager *m)
{
        _cleanup_strv_ char **problems = NULL;
        Config *config = NULL;
        bool changed;
        int r;

        r = settings_load(m->root, m->config_file, environ, m->assignments, &problems, &config);
        if (r) {
                log_warning(m->log, "The configuration%s%s cannot be read: %s, keeping the old one.",
                                m->config_file ? " " : "", strempty(m->config_file),
                                strerror(r < 0 ? -r : errno));
                return;
        }
        STRV_FOREACH (problem, problems)
                log_warning(m->log, "%s", *problem);
        changed = !config_equal(m->config, config);
        config_free(m->config);
        m->config = config;
        manager_configure(m);
        strv_free(m->problems);
        m->problems = TAKE_PTR(problems);
        log_notice(m->log,
                        "The configuration was read again; what concerns the driver applies when it is next loaded.");
        manager_wishes_foresee(m);
        if (changed && m->fsm.fallback)
                manager_post(m, &(FsmEvent){ .type = FSM_EV_RETRY });
}

void manager_face_reload(Manager *m)
{
        /* Before READY there is nothing to reload for systemd, and READY=1 may not be said. */
        bool announced = m->fsm.promised;

        if (announced)
                notify_sendf("RELOADING=1\nMONOTONIC_USEC=%" PRIu64, (uint64_t)now_usec());
        if (can_change_config(m->fsm.state))
                replace_config(m);
        else
                log_warning(m->log, "The configuration is in use in state %s, ignoring the reload.",
                                fsm_state_to_string(m->fsm.state));
        if (announced)
                notify_sendf("READY=1");
        send_status(m, false);
}

int manager_fill_status(Manager *m, Status *s)
{
        int r;

        s->since = m->since_realtime;
        s->pid = getpid();
        s->pid_start = m->pid_start;
        s->foreign = m->plan.foreign;
        s->slowest_turn = m->watch.slowest;
        r = str_replace(&s->state, fsm_state_to_string(m->fsm.state));
        if (r == 0)
                r = str_replace(&s->code, code_to_string(shown_code(m)));
        if (r == 0 && shown_code(m) != CODE_OK)
                r = str_replace(&s->detail, m->detail);
        if (r == 0)
                r = str_replace(&s->progress, m->progress);
        if (r == 0)
                r = str_replace(&s->version, PROJECT_VERSION);
        if (r == 0)
                r = str_replace(&s->driver_wanted,
                                m->plan.fallback ? m->fallback_wanted : m->config->driver_version);
        if (r == 0)
                r = str_replace(&s->build, m->loading_manifest.id ? m->loading_manifest.id
                                           : m->plan.build        ? m->plan.build->id
                                                                  : NULL);
        if (r == 0)
                r = stage_services_fill_status(m, s);
        if (r == 0)
                r = m->loading_manifest.id
                                    ? enforcement_summarize(&m->facts.enforcement,
                                                      &m->loading_manifest.signer, true, &s->signature)
                                    : str_replace(&s->signature, m->plan.signature);
        if (r == 0)
                r = facts_plan_status(&m->facts, &m->plan, s);
        if (r == 0)
                r = strv_copy(m->pending, &s->pending);
        STRV_FOREACH (problem, m->problems)
                if (r == 0)
                        r = strv_push(&s->problems, *problem);
        if (r == 0)
                r = facts_fill_status(m->root, m->config, s);
        if (r == 0)
                r = holding_fill_status(m, s);
        if (r == 0 && m->udev)
                r = udevmon_enumerate(m->udev, m->root, &s->nodes);
        if (r == 0)
                r = stage_nodes_fill(m, s);
        return err_trace(r);
}

int manager_face_describe(Manager *m, char **ret)
{
        Status s = {};
        int r;

        r = manager_fill_status(m, &s);
        if (r == 0)
                r = status_format(&s, ret);
        status_done(&s);
        return err_trace(r);
}

static int describe_to_all(void *userdata, char **ret)
{
        Status s = {};
        int r;

        r = manager_fill_status(userdata, &s);
        if (r == 0) {
                status_hide_holders(&s);
                r = status_format(&s, ret);
        }
        status_done(&s);
        return err_trace(r);
}

int manager_face_open(Manager *m)
{
        _cleanup_(root_freep) Root *host = NULL;
        int r;

        r = root_new("/", &host);
        if (r == 0)
                r = procsignal_start(host, getpid(), &m->pid_start);
        /* A machine without /proc: the pid alone has to do. */
        if (r)
                m->pid_start = 0;
        /* Made now: when there are no descriptors left it could not be made. */
        r = sd_event_add_time(m->event, &m->notify_timer, CLOCK_MONOTONIC, 0, 0, on_notify_timer, m);
        if (r >= 0)
                r = sd_event_source_set_enabled(m->notify_timer, SD_EVENT_OFF);
        if (r < 0)
                return err_origin(r);
        return err_trace(statusfile_new(m->event, m->root, m->log, describe_to_all, m, &m->status_file));
}

void manager_status_changed(Manager *m)
{
        statusfile_changed(m->status_file);
}

void manager_face_exit(Manager *m)
{
        Code code = m->exit_code;

        manager_history_ended(m);
        if (code == CODE_OK) {
                log_message(m->log, LOG_NOTICE, LOG_ID_STOPPED, "Stopped, the driver is %s.",
                                m->kept           ? "left: this kernel cannot unload modules"
                                : m->plan.foreign ? "left as it was found"
                                                  : "unloaded");
                return;
        }
        if (failure_write(m->root, code, m->detail) < 0)
                log_warning(m->log, "The reason could not be recorded for the status command, ignoring.");
        notify_sendf("STATUS=%s: %s", code_to_string(code), code_sentence(code));
}
