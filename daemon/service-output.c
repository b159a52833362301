/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What a service says. The keeper writes lines into a FIFO that both ends have
 * open for reading and writing, so neither notices the other's death, and what
 * is in it when the keeper ends is not lost. It is read last of all that the
 * loop has to do, one buffer per turn, and only so many lines go to the log.
 */

#include <ctype.h>
#include <fcntl.h>

#include "base/result.h"
#include "base/str.h"
#include "keeper.h"
#include "service.h"
#include "sys/keep.h"

/* Behind everything else: output can wait, the keeper makes it wait. */
#define PRIORITY (SD_EVENT_PRIORITY_NORMAL + 50)

static usec_t now_of(const Service *s)
{
        uint64_t now = 0;

        (void)sd_event_now(s->host->event, CLOCK_MONOTONIC, &now);
        return now;
}

void service_output_line(Service *s, const char *line)
{
        unsigned long held;
        bool allowed = line_limit_allows(&s->output.limit, now_of(s), &held);

        last_lines_add(&s->output.last, line);
        if (held > 0)
                log_warning(s->host->log, "%s: %lu lines were left out.", s->spec.name, held);
        if (!allowed)
                return;
        log_field(s->host->log, "SERVICE", s->spec.name);
        log_info(s->host->log, "%s: %s", s->spec.name, line);
}

static void take_line(Service *s, const char *line)
{
        switch (*line) {
        case KEEPER_LINE_OUTPUT:
                service_output_line(s, line + 1);
                break;
        case KEEPER_LINE_DROPPED:
                log_warning(s->host->log, "%s: %s lines were lost.", s->spec.name, line + 1);
                break;
        case KEEPER_LINE_READY:
                service_is_ready(s);
                break;
        default:
                break;
        }
}

static void take(Service *s, const char *data, size_t n)
{
        ServiceOutput *o = &s->output;

        for (size_t i = 0; i < n; i++) {
                unsigned char c = (unsigned char)data[i];

                if (c == '\n') {
                        o->line[o->n_line] = '\0';
                        o->n_line = 0;
                        take_line(s, o->line);
                } else if (o->n_line < sizeof(o->line) - 1) {
                        o->line[o->n_line++] = c == '\t' || !iscntrl(c) ? (char)c : '?';
                }
        }
}

static ssize_t read_some(Service *s)
{
        char buffer[16384];
        ssize_t n = read(s->output.fd, buffer, sizeof(buffer));

        if (n > 0)
                take(s, buffer, (size_t)n);
        return n;
}

static int on_output(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
        (void)read_some(userdata);
        return 0;
}

void service_output_drain(Service *s)
{
        int left = s->output.fd >= 0 ? fcntl(s->output.fd, F_GETPIPE_SZ) : 0;

        while (left > 0) {
                ssize_t n = read_some(s);

                if (n <= 0)
                        return;
                left -= (int)n;
        }
}

void service_output_close(ServiceOutput *o)
{
        o->source = sd_event_source_disable_unref(o->source);
        o->fd = safe_close(o->fd);
        o->n_line = 0;
}

int service_output_open(Service *s, int directory)
{
        ServiceOutput *o = &s->output;
        int r;

        service_output_close(o);
        r = keep_open_output(directory, s->spec.name, &o->fd);
        if (r)
                return err_trace(r);
        r = sd_event_add_io(s->host->event, &o->source, o->fd, EPOLLIN, on_output, s);
        if (r >= 0)
                r = sd_event_source_set_priority(o->source, PRIORITY);
        return r < 0 ? err_origin(r) : 0;
}
