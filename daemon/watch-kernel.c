/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The watch of the kernel log. Only what the kernel itself says counts
 * (facility 0): the log is open for writing to programs too, and a line of
 * theirs is no reason to refuse an unload.
 *
 * A storm of messages must not stall the loop, and neither must the past, which
 * may be a whole log: so many records are read per turn, after everything else
 * that waits, and what is overwritten meanwhile is lost. The complaint is made
 * once per turn, never per line.
 *
 * Until the reader has caught up with the log ("the past") nothing is said
 * line by line: those errors were another daemon's to report. What of them
 * still holds is complained of like the rest.
 *
 * Only a reload takes back that a GPU has fallen off the bus, and for as long as
 * it counts there is none. So the log is not believed alone: the GPU itself is
 * asked, by a helper, because a read of its configuration space may hang. One
 * that answers has an error like others.
 */

#include "base/result.h"
#include "base/str.h"
#include "helper.h"
#include "manager.h"
#include "paths.h"
#include "policy/gpufault.h"
#include "sys/kmsg.h"
#include "sys/pci.h"

enum {
        RECORDS_PER_TURN = 32,
        RECORDS_PER_VETO = 100000, /* a whole log of 16 MB; a stop must not wait for a storm to end */
        PRIORITY = SD_EVENT_PRIORITY_NORMAL + 20,
};

/* A device that is there answers in microseconds; a bus that waits for one in milliseconds. */
#define ASK_TIMEOUT (2 * USEC_PER_SEC)
#define ASK_DELAY   (20 * USEC_PER_MSEC)

struct KernelWatch {
        Kmsg *log;
        sd_event_source *source, *rest, *timer;
        GpuFaults faults;
        bool caught_up;
        bool changed; /* since the last complaint */
        Job *asking;  /* whether a GPU answers */
        char asked[XID_ADDRESS_SIZE];
};

static void take(Manager *m, const KmsgRecord *record)
{
        KernelWatch *w = m->kernel_watch;
        usec_t now = manager_now(m);
        XidEvent event;

        if (record->facility != 0 || xid_parse(record->text, &event) == XID_NONE)
                return;
        event.stamp = record->stamp;
        w->changed |= gpu_faults_note(&w->faults, &event, w->caught_up ? now : MIN(now, record->stamp));
}

/* Looks at the machine: not for every message, but when it is time to. */
static void heal(Manager *m)
{
        GpuFaults *f = &m->kernel_watch->faults;
        GpuFacts gpus = {};
        size_t before = f->n;

        if (before == 0)
                return;
        if (pci_read_gpus(m->root, &gpus) == 0)
                gpu_faults_heal(f, &gpus, m->config->watch_quiet, manager_now(m));
        gpu_facts_done(&gpus);
        m->kernel_watch->changed |= f->n != before;
}

static void catch_up(Manager *m)
{
        KernelWatch *w = m->kernel_watch;

        if (w->caught_up)
                return;
        w->caught_up = true;
        w->changed = true;
        gpu_faults_hush(&w->faults, manager_now(m));
        heal(m);
}

/* No more can ever be read: the faults that are known stay. */
static void end_reading(Manager *m, const char *why)
{
        KernelWatch *w = m->kernel_watch;

        log_warning(m->log,
                        "The kernel log cannot be read any more: %s. Errors of GPUs will not be noticed.",
                        why);
        w->source = sd_event_source_disable_unref(w->source);
        w->rest = sd_event_source_disable_unref(w->rest);
        w->log = kmsg_free(w->log);
        catch_up(m);
}

/* Up to @max records. Returns whether there may be more. */
static bool drain(Manager *m, unsigned max)
{
        KernelWatch *w = m->kernel_watch;
        KmsgRecord record;
        int r = 0;

        for (unsigned n = 0; w->log && n < max; n++) {
                r = kmsg_next(w->log, &record);
                if (r == 0)
                        take(m, &record);
                else if (r != KMSG_E_LOST)
                        break;
        }
        if (r == KMSG_E_AGAIN)
                catch_up(m);
        else if (r == KMSG_E_END)
                end_reading(m, "it has ended");
        else if (r < 0)
                end_reading(m, strerror(-r));
        return w->log && r != KMSG_E_AGAIN;
}

static void report_one(Manager *m, const GpuFault *g, unsigned count)
{
        static const int levels[_XID_KIND_MAX] = {
                [XID_APPLICATION] = LOG_INFO,
                [XID_NOTICE] = LOG_NOTICE,
                [XID_FAULT] = LOG_WARNING,
                [XID_LOST] = LOG_ERR,
        };
        _cleanup_free_ char *what = xid_describe(g->event.number, g->event.text), *often = NULL,
                            *number = NULL, *text = NULL;

        if (count > 1)
                often = str_format(", %u times", count);
        if (g->event.number > 0)
                number = str_format("%u", g->event.number);
        log_field(m->log, "GPU", *g->event.address ? g->event.address : NULL);
        log_field(m->log, "XID", number);
        log_field(m->log, "KIND", xid_kind_to_string(g->event.kind));
        text = str_format("%s%s: %s", *g->event.address ? "GPU " : "A GPU", g->event.address, strna(what));
        log_message(m->log, levels[g->event.kind], LOG_ID_GPU, "%s%s%s.", strna(text), strempty(often),
                        g->event.kind == XID_APPLICATION ? ", caused by a program that uses it" : "");
        manager_history_gpu(m, text, count);
}

static void report(Manager *m)
{
        GpuFault g;
        unsigned count;

        while (gpu_faults_report(&m->kernel_watch->faults, manager_now(m), &g, &count))
                report_one(m, &g, count);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata);

static void arm(Manager *m)
{
        KernelWatch *w = m->kernel_watch;
        usec_t due = gpu_faults_due(&w->faults, m->config->watch_quiet, manager_now(m));
        int r;

        w->timer = sd_event_source_disable_unref(w->timer);
        if (due == USEC_INFINITY)
                return;
        r = sd_event_add_time(m->event, &w->timer, CLOCK_MONOTONIC, due, 0, on_timer, m);
        if (r < 0)
                log_error(m->log, "timer: %s", strerror(-r));
}

void watch_kernel_show(Manager *m)
{
        _cleanup_free_ char *detail = NULL;
        Code code;

        if (!m->kernel_watch || !m->kernel_watch->caught_up)
                return;
        m->kernel_watch->changed = false;
        if (gpu_faults_judge(&m->kernel_watch->faults, &code, &detail) < 0)
                log_error(m->log, "Errors of GPUs: out of memory.");
        else
                manager_complain(m, HEALTH_GPU, code, detail);
        arm(m);
}

static void ask(Manager *m);
static void look(Manager *m);

static void take_answer(Manager *m, bool answers)
{
        KernelWatch *w = m->kernel_watch;

        if (gpu_faults_answered(&w->faults, w->asked, answers)) {
                w->changed = true;
                if (answers)
                        log_notice(m->log, "GPU %s answers: it has not fallen off the bus.", w->asked);
        }
        look(m);
}

static void on_asked(void *userdata, const JobResult *result)
{
        Manager *m = userdata;

        m->kernel_watch->asking = NULL;
        take_answer(m, result->status == 0);
}

/* It hangs in the kernel: a GPU that is well does not do that. */
static void on_overdue(void *userdata)
{
        Manager *m = userdata;

        job_cancel(m->kernel_watch->asking);
        m->kernel_watch->asking = NULL;
        take_answer(m, false);
}

static int ask_one(Manager *m)
{
        static const JobHandler handler = { .on_overdue = on_overdue, .on_exit = on_asked };
        KernelWatch *w = m->kernel_watch;
        _cleanup_free_ char *root = root_path(m->root, "");
        char *argv[] = { (char *)path_of_helper(), (char *)"answers", root, w->asked, NULL };
        JobSpec spec = { .argv = argv, .overdue = ASK_TIMEOUT, .background = true, .log_fd = -EBADF };

        if (!root)
                return err_origin(-ENOMEM);
        return err_trace(job_start(m->pool, &spec, &handler, m, &w->asking));
}

/* One after the other. A GPU that cannot be asked counts as lost. */
static void ask(Manager *m)
{
        KernelWatch *w = m->kernel_watch;
        const char *address;

        while (!w->asking && (address = gpu_faults_unasked(&w->faults))) {
                int r;

                memcpy(w->asked, address, sizeof(w->asked));
                r = ask_one(m);
                if (r == 0)
                        return;
                log_warning(m->log, "GPU %s cannot be asked whether it answers: %s.", w->asked,
                                strerror(-r));
                w->changed |= gpu_faults_answered(&w->faults, w->asked, false);
        }
}

static void look(Manager *m)
{
        report(m);
        ask(m);
        if (m->kernel_watch->changed)
                watch_kernel_show(m);
        else
                arm(m);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
        heal(userdata);
        look(userdata);
        return 0;
}

/* A turn's worth of records. What is left then may wait in our own buffer, where it wakes nobody up: it gets
 * a turn of its own. */
static void read_on(Manager *m)
{
        KernelWatch *w = m->kernel_watch;
        bool more = drain(m, RECORDS_PER_TURN);

        if (w->rest && sd_event_source_set_enabled(w->rest, more ? SD_EVENT_ONESHOT : SD_EVENT_OFF) < 0)
                end_reading(m, "out of memory");
        if (w->caught_up)
                look(m);
}

static int on_kmsg(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
        read_on(userdata);
        return 0;
}

static int on_rest(sd_event_source *source, void *userdata)
{
        read_on(userdata);
        return 0;
}

static int add_sources(Manager *m, KernelWatch *w)
{
        int r;

        r = sd_event_add_io(m->event, &w->source, kmsg_fd(w->log), EPOLLIN, on_kmsg, m);
        if (r >= 0)
                r = sd_event_source_set_priority(w->source, PRIORITY);
        /* At once, too: a log with nothing in it wakes nobody up, and then the past is over already. */
        if (r >= 0)
                r = sd_event_add_defer(m->event, &w->rest, on_rest, m);
        if (r >= 0)
                r = sd_event_source_set_priority(w->rest, PRIORITY);
        return r < 0 ? err_origin(r) : 0;
}

static KernelWatch *watch_free(KernelWatch *w)
{
        if (!w)
                return NULL;
        job_cancel(w->asking);
        sd_event_source_disable_unref(w->timer);
        sd_event_source_disable_unref(w->rest);
        sd_event_source_disable_unref(w->source);
        kmsg_free(w->log);
        free(w);
        return NULL;
}
DEFINE_CLEANUP(KernelWatch, watch_free);

void watch_kernel_start(Manager *m)
{
        _cleanup_(watch_freep) KernelWatch *w = NULL;
        const char *why = "out of memory";
        int r = -ENOMEM;

        if (!m->config->watch_kernel_log)
                return;
        w = calloc(1, sizeof(*w));
        if (w)
                r = kmsg_open(m->root, &w->log, &why);
        if (r == 0)
                r = add_sources(m, w);
        if (r == 0)
                m->kernel_watch = TAKE_PTR(w);
        else
                log_notice(m->log,
                                "The kernel log cannot be watched: %s. Errors of GPUs will not be noticed.",
                                r < 0 ? strerror(-r) : why);
}

void watch_kernel_stop(Manager *m)
{
        m->kernel_watch = watch_free(m->kernel_watch);
}

/* NULL if nothing speaks against an unload. */
static char *veto(Manager *m)
{
        _cleanup_strv_ char **addresses = NULL;
        GpuFacts gpus = {};
        char *text = NULL;

        /* What the kernel said a moment ago counts too, and so does what was said before we came. */
        (void)drain(m, RECORDS_PER_VETO);
        catch_up(m);
        heal(m);
        if (pci_read_gpus(m->root, &gpus) == 0 &&
                        gpu_faults_veto(&m->kernel_watch->faults, &gpus, &addresses) == 0 && addresses)
                text = strv_join(addresses, ", ");
        gpu_facts_done(&gpus);
        return text;
}

bool watch_kernel_vetoes_unload(Manager *m, void (*again)(Manager *m))
{
        _cleanup_free_ char *addresses = NULL;

        /* Nothing of ours is loaded, so nothing will be touched. */
        if (!m->kernel_watch || !m->owned)
                return false;
        addresses = veto(m);
        if (!addresses)
                return false;
        ask(m);
        if (m->kernel_watch->asking) {
                module_work_again(m, ASK_DELAY, again);
                return true;
        }
        if (m->config->unload_lost_gpu) {
                log_warning(m->log,
                                "GPU %s has fallen off the bus; unloading all the same, as UnloadLostGpu= says.",
                                addresses);
                return false;
        }
        manager_stage_failed(m, CODE_GPU_LOST,
                        "GPU %s: an unload would not return from the kernel, so the driver stays loaded.",
                        addresses);
        return true;
}
