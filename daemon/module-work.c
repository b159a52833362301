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

/* What a stop leaves to an operation that begins when its time is nearly over. */
#define OPERATION_LEAST (2 * USEC_PER_SEC)

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
        m->work.next(m);
}

/* When an operation that began at @began is stuck: once a stop is wanted, as soon as that has to end. */
static usec_t operation_due(const Manager *m, usec_t began)
{
        usec_t limit = usec_add(began, m->config->load_timeout);

        if (!m->fsm.stop_wanted || m->fsm.config.patient)
                return limit;
        return MIN(limit, MAX(m->fsm.stop_due, usec_add(began, OPERATION_LEAST)));
}

int module_work_run(Manager *m, char **argv, void (*next)(Manager *m))
{
        static const JobHandler handler = {
                .on_line = on_line, .on_overdue = on_overdue, .on_exit = on_helper_exit
        };
        usec_t now = manager_now(m), due = operation_due(m, now);
        JobSpec spec = {
                .argv = argv,
                .overdue = due == USEC_INFINITY ? USEC_INFINITY : due - now,
                .untouchable = true,
                .log_fd = -EBADF,
        };

        m->work.reported = false;
        m->work.moving = 0;
        m->work.error = VERDICT_NO_WORD;
        m->work.evidence = strv_free(m->work.evidence);
        m->work.next = next;
        return err_trace(job_start(m->pool, &spec, &handler, m, &m->work.job));
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

        m->work.again = sd_event_source_disable_unref(m->work.again);
        m->work.next(m);
        return 0;
}

void module_work_again(Manager *m, usec_t delay, void (*next)(Manager *m))
{
        int r;

        m->work.next = next;
        m->work.again = sd_event_source_disable_unref(m->work.again);
        r = sd_event_add_time_relative(m->event, &m->work.again, CLOCK_MONOTONIC, delay, 0, on_again, m);
        if (r < 0)
                manager_stage_failed(m, CODE_INTERNAL, "timer: %s.", strerror(-r));
}

void module_work_wait(Manager *m, usec_t delay, void (*next)(Manager *m))
{
        usec_t now = manager_now(m);

        if (!m->work.moving)
                m->work.moving = now;
        if (!m->work.reported && now >= operation_due(m, m->work.moving)) {
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
        free(m->work.aside);
        free(m->work.current);
        free(m->work.detail);
        sd_event_source_disable_unref(m->work.again);
        /* A helper in the kernel answers to nobody any more, but is not signalled. */
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
        if (r < 0) {
                manager_stage_failed(m, CODE_INTERNAL, "/sys/module cannot be read: %s.", strerror(-r));
                return false;
        }
        *ret = judge(m->work.error, fact.state, ret_code);
        module_fact_done(&fact);
        return true;
}
