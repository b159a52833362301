/* SPDX-License-Identifier: Apache-2.0 */

/*
 * One helper run per kernel operation. The helper's answers explain, they do
 * not decide: after each run the stage reads /sys/module. A helper that passes
 * the deadline is reported (STUCK) and left alone, even when the daemon ends:
 * what the kernel does cannot be called back, and a fatal signal makes
 * functions that the driver's init calls fail, which drivers survive badly.
 */

#include "base/result.h"
#include "base/str.h"
#include "helper.h"
#include "manager.h"
#include "paths.h"
#include "policy/verdict.h"
#include "sys/sysmod.h"

/* After an error that passes, and how often before it counts as one that does not. */
#define PASSING_DELAY (100 * USEC_PER_MSEC)
enum { PASSING_MAX = 100 };

/* How often to look for a module that has been on its way for very long. */
#define STUCK_DELAY (500 * USEC_PER_MSEC)

static void on_line(void *userdata, const char *line)
{
        Manager *m = userdata;
        const char *value;
        uint64_t error;

        if ((value = startswith(line, HELPER_KEY_ERRNO "="))) {
                if (str_to_u64(value, 10, 0, 4095, &error) == 0)
                        m->work.error = (int)error;
        } else if ((value = startswith(line, HELPER_KEY_KERNEL "="))) {
                (void)strv_push(&m->work.evidence, value);
        } else if ((value = startswith(line, HELPER_KEY_DETAIL "="))) {
                log_info(m->log, "%s", value);
                (void)str_replace(&m->work.detail, value);
        } else {
                log_debug(m->log, "helper: %s", line);
        }
}

/* Where the kernel hangs; readable for root only, and not on every kernel. */
static char *read_stack(Manager *m)
{
        char path[64];
        char *text = NULL;

        (void)snprintf(path, sizeof(path), "proc/%d/stack", (int)job_pid(m->work.job));
        if (root_read_file(m->root, path, 65536, &text, NULL) != 0)
                return NULL;
        for (char *p = text; *p; p++)
                if (*p == '\n')
                        *p = ' ';
        return text;
}

static char *describe_job(Manager *m)
{
        _cleanup_free_ char *stack = read_stack(m);

        return str_format("%s %s, helper process %d%s%s.",
                        m->work.current && strchr(m->work.current, ':') ? "GPU" : "Module",
                        strna(m->work.current), (int)job_pid(m->work.job), stack ? ", kernel stack: " : "",
                        strempty(stack));
}

/* Somebody else's operation, or that of a helper which died in it: there is no process to show. */
static char *describe_moving(Manager *m)
{
        _cleanup_free_ char *took = str_from_usec(manager_now(m) - m->work.moving);
        ModuleFact fact = {};
        char *text;

        if (sysmod_read(m->root, m->work.current, &fact) < 0)
                return NULL;
        text = str_format("Module %s has been %s for %s, and no helper of ours does that.", m->work.current,
                        mod_state_to_string(fact.state), strna(took));
        module_fact_done(&fact);
        return text;
}

/* Once for each operation, whether its own deadline passed or that of a stop. */
void module_work_report_stuck(Manager *m)
{
        _cleanup_free_ char *detail = NULL;

        if ((!m->work.job && !m->work.moving) || m->work.reported)
                return;
        m->work.reported = true;
        detail = m->work.job ? describe_job(m) : describe_moving(m);
        (void)str_replace(&m->detail, detail);
        log_code(m->log, LOG_ERR, CODE_STUCK, detail);
}

static void on_overdue(void *userdata)
{
        Manager *m = userdata;

        module_work_report_stuck(m);
        manager_post(m, &(FsmEvent){ .type = FSM_EV_OVERDUE, .token = m->fsm.token });
}

static void on_helper_exit(void *userdata, const JobResult *result)
{
        Manager *m = userdata;

        m->work.job = NULL;
        m->work.counted = false;
        fsm_kernel_left(&m->fsm, m->fsm.token);
        m->work.next(m);
}

bool module_work_passes(Manager *m, int error, void (*next)(Manager *m))
{
        usec_t due = fsm_stop_due(&m->fsm);

        if (code_of_error(error) != CODE_RESOURCES)
                return false;
        if (m->fsm.state == FSM_UNLOAD)
                due = MIN(due, m->stopping.deadline);
        if (m->fsm.stop_wanted ? manager_now(m) >= due : m->work.n_passed >= PASSING_MAX)
                return false;
        if (m->work.n_passed++ == 0)
                log_warning(m->log, "%s, trying again.", strerror(-error));
        module_work_again(m, PASSING_DELAY, next);
        return true;
}

static int start_helper(Manager *m)
{
        static const JobHandler handler = {
                .on_line = on_line, .on_overdue = on_overdue, .on_exit = on_helper_exit
        };
        JobSpec spec = {
                .argv = m->work.argv,
                .overdue = m->config->load_timeout,
                .untouchable = true,
                .log_fd = -EBADF,
        };
        int r;

        r = job_start(m->pool, &spec, &handler, m, &m->work.job);
        if (r < 0)
                return err_trace(r);
        m->work.n_passed = 0;
        m->work.counted = true;
        fsm_kernel_entered(&m->fsm, manager_now(m));
        return 0;
}

/* Instead of the operation's own end, until it could be begun. */
static void start_again(Manager *m)
{
        void (*next)(Manager * m) = m->work.started;
        int r;

        /* Nothing of it has begun, and nothing will. */
        if (m->fsm.stop_wanted && m->fsm.state != FSM_UNLOAD) {
                next(m);
                return;
        }
        r = start_helper(m);
        if (r == 0)
                m->work.next = next;
        else if (!module_work_passes(m, r, start_again))
                manager_stage_failed(m, code_of_error(r), "helper: %s.", strerror(-r));
}

int module_work_run(Manager *m, char **argv, void (*next)(Manager *m))
{
        _cleanup_strv_ char **copy = NULL;
        int r;

        m->work.reported = false;
        m->work.moving = 0;
        m->work.error = VERDICT_NO_WORD;
        m->work.evidence = strv_free(m->work.evidence);
        m->work.next = m->work.started = next;
        r = strv_copy(argv, &copy);
        if (r < 0)
                return err_trace(r);
        strv_free(m->work.argv);
        m->work.argv = TAKE_PTR(copy);
        r = start_helper(m);
        return r < 0 && module_work_passes(m, r, start_again) ? 0 : err_trace(r);
}

int module_work_start(Manager *m, const char *operation, const char *argument, const char *parameters,
                void (*next)(Manager *m))
{
        char *argv[] = { (char *)path_of_helper(), (char *)operation, (char *)argument, (char *)parameters,
                NULL };

        return err_trace(module_work_run(m, argv, next));
}

static int on_again(sd_event_source *source, uint64_t usec, void *userdata)
{
        Manager *m = userdata;

        if (m->work.next)
                m->work.next(m);
        return 0;
}

int module_work_prepare(Manager *m)
{
        int r;

        r = sd_event_add_time(m->event, &m->again, CLOCK_MONOTONIC, USEC_INFINITY, 0, on_again, m);
        return r < 0 ? err_origin(r) : 0;
}

void module_work_again(Manager *m, usec_t delay, void (*next)(Manager *m))
{
        int r;

        m->work.next = next;
        r = sd_event_source_set_time_relative(m->again, delay);
        if (r >= 0)
                r = sd_event_source_set_enabled(m->again, SD_EVENT_ONESHOT);
        if (r < 0)
                manager_stage_failed(m, code_of_error(r), "timer: %s.", strerror(-r));
}

void module_work_wait(Manager *m, usec_t delay, void (*next)(Manager *m))
{
        usec_t now = manager_now(m);

        if (!m->work.moving)
                m->work.moving = now;
        if (!m->work.reported && now >= usec_add(m->work.moving, m->config->load_timeout)) {
                module_work_report_stuck(m);
                manager_post(m, &(FsmEvent){ .type = FSM_EV_OVERDUE, .token = m->fsm.token });
        }
        module_work_again(m, m->work.reported ? MAX(delay, STUCK_DELAY) : delay, next);
}

void module_work_reset(Manager *m)
{
        strv_free(m->work.order);
        strv_free(m->work.evidence);
        strv_free(m->work.probing);
        strv_free(m->work.argv);
        free(m->work.aside);
        free(m->work.current);
        free(m->work.detail);
        if (m->again)
                (void)sd_event_source_set_enabled(m->again, SD_EVENT_OFF);
        job_cancel(m->work.verifier);
        job_cancel(m->work.publisher);
        /* A helper in the kernel answers to nobody any more, but is not signalled. */
        if (m->work.counted)
                job_detach(m->work.job);
        else
                job_cancel(m->work.job);
        m->work = (ModuleWork){ .error = VERDICT_NO_WORD };
}

char *module_work_evidence(const Manager *m)
{
        return strv_join(m->work.evidence, " | ");
}

bool module_work_judge(Manager *m, Verdict (*judge)(int error, ModState after, Code *ret_code), Verdict *ret,
                Code *ret_code)
{
        ModuleFact fact = {};
        int r;

        r = sysmod_read(m->root, m->work.current, &fact);
        if (r < 0 && module_work_passes(m, r, m->work.next))
                return false;
        if (r < 0) {
                manager_stage_failed(m, code_of_error(r), "/sys/module cannot be read: %s.", strerror(-r));
                return false;
        }
        *ret = judge(m->work.error, fact.state, ret_code);
        module_fact_done(&fact);
        return true;
}
