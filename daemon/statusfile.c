/* SPDX-License-Identifier: Apache-2.0 */

#include <signal.h>

#include "base/result.h"
#include "base/str.h"
#include "paths.h"
#include "statusfile.h"
#include "sys/clock.h"
#include "sys/procsignal.h"
#include "sys/statusjson.h"

#define INTERVAL (500 * USEC_PER_MSEC)

enum { STATUS_SIZE_MAX = 1 << 20 };

struct StatusFile {
        const Root *root;
        Log *log;
        StatusFileDescribe describe;
        void *userdata;
        sd_event_source *timer;
        bool is_armed;
        usec_t written;
        char *text; /* what the file says */
        bool failed;
};

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
        statusfile_write(userdata);
        return 0;
}

int statusfile_new(sd_event *event, const Root *root, Log *log, StatusFileDescribe describe, void *userdata,
                StatusFile **ret)
{
        StatusFile *f = calloc(1, sizeof(*f));
        int r;

        if (!f)
                return err_origin(-ENOMEM);
        f->root = root;
        f->log = log;
        f->describe = describe;
        f->userdata = userdata;
        r = sd_event_add_time(event, &f->timer, CLOCK_MONOTONIC, 0, 1, on_timer, f);
        if (r >= 0)
                r = sd_event_source_set_enabled(f->timer, SD_EVENT_OFF);
        if (r >= 0)
                r = sd_event_source_set_priority(f->timer, SD_EVENT_PRIORITY_IDLE);
        if (r < 0) {
                statusfile_free(f);
                return err_origin(r);
        }
        *ret = f;
        return 0;
}

StatusFile *statusfile_free(StatusFile *f)
{
        if (!f)
                return NULL;
        sd_event_source_disable_unref(f->timer);
        (void)root_unlink(f->root, RUNTIME_STATUS);
        free(f->text);
        free(f);
        return NULL;
}

static int write_text(StatusFile *f)
{
        _cleanup_free_ char *text = NULL;
        int r;

        r = f->describe(f->userdata, &text);
        if (r < 0)
                return err_trace(r);
        if (streq_ptr(text, f->text))
                return 0;
        r = root_mkdirs(f->root, RUNTIME_DIRECTORY, 0755);
        if (r == 0)
                r = root_write_volatile(f->root, RUNTIME_STATUS, text, strlen(text), 0644);
        if (r < 0)
                return err_trace(r);
        free(f->text);
        f->text = TAKE_PTR(text);
        return 0;
}

void statusfile_write(StatusFile *f)
{
        int r;

        if (!f)
                return;
        (void)sd_event_source_set_enabled(f->timer, SD_EVENT_OFF);
        f->is_armed = false;
        f->written = now_usec();
        r = write_text(f);
        if (r < 0 && !f->failed)
                log_warning(f->log, "/%s could not be written: %s, ignoring.", RUNTIME_STATUS, strerror(-r));
        f->failed = r < 0;
}

static void arm(StatusFile *f, usec_t due)
{
        if (sd_event_source_set_time(f->timer, due) >= 0 &&
                        sd_event_source_set_enabled(f->timer, SD_EVENT_ONESHOT) >= 0)
                f->is_armed = true;
}

void statusfile_soon(StatusFile *f)
{
        if (f)
                arm(f, 0);
}

void statusfile_changed(StatusFile *f)
{
        if (f && !f->is_armed)
                arm(f, f->written + INTERVAL);
}

/* Where /proc is mounted with hidepid= its file cannot be read, but the kernel still says whether it is
 * there. */
static bool is_alive(const Status *s)
{
        _cleanup_(root_freep) Root *host = NULL;
        uint64_t start;
        int r;

        if (s->pid <= 0 || s->pid > INT32_MAX)
                return false;
        r = root_new("/", &host);
        if (r == 0)
                r = procsignal_start(host, (pid_t)s->pid, &start);
        if (r == 0)
                return start == s->pid_start || s->pid_start == 0;
        return kill((pid_t)s->pid, 0) == 0 || errno == EPERM;
}

int statusfile_read(const Root *root, Status *ret)
{
        _cleanup_free_ char *text = NULL;
        int r;

        r = root_read_file(root, RUNTIME_STATUS, STATUS_SIZE_MAX, &text, NULL);
        if (r == ROOT_E_ABSENT)
                return STATUSFILE_E_ABSENT;
        if (r)
                return r < 0 ? err_trace(r) : err_origin(-EBADMSG);
        r = status_parse(text, ret);
        if (r)
                return r < 0 ? err_trace(r) : err_origin(-EBADMSG);
        if (is_alive(ret))
                return 0;
        status_done(ret);
        return STATUSFILE_E_ABSENT;
}
