/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Lines. The FIFO to the daemon holds 64 KiB. When it is full the service waits
 * for the daemon, but for a second at most: a daemon that is dead, or stopped,
 * must not stop the services. From then on lines are dropped and counted until
 * there is room again.
 */

#include <fcntl.h>

#include "keeper.h"

#define PATIENCE USEC_PER_SEC

void keeper_output_init(KeeperOutput *o, int fifo)
{
        *o = (KeeperOutput){ .pipe = -EBADF, .fifo = fifo };
}

void keeper_output_done(KeeperOutput *o)
{
        o->pipe = safe_close(o->pipe);
        o->fifo = safe_close(o->fifo);
}

bool keeper_output_is_blocked(const KeeperOutput *o)
{
        return o->blocked > 0 || o->ready_wanted;
}

usec_t keeper_output_due(const KeeperOutput *o)
{
        return o->blocked > 0 ? o->blocked + PATIENCE : USEC_INFINITY;
}

static bool put(KeeperOutput *o, char kind, const char *text, size_t n)
{
        char line[KEEPER_LINE_MAX];

        n = MIN(n, sizeof(line) - 2);
        line[0] = kind;
        memcpy(line + 1, text, n);
        line[n + 1] = '\n';
        /* Not more than PIPE_BUF: all of it or nothing. */
        return write(o->fifo, line, n + 2) == (ssize_t)(n + 2);
}

static bool put_news(KeeperOutput *o)
{
        char number[32];

        if (o->ready_wanted && !put(o, KEEPER_LINE_READY, "", 0))
                return false;
        o->ready_wanted = false;
        if (o->n_dropped > 0) {
                (void)snprintf(number, sizeof(number), "%lu", o->n_dropped);
                if (!put(o, KEEPER_LINE_DROPPED, number, strlen(number)))
                        return false;
                o->n_dropped = 0;
        }
        return true;
}

/* Returns false if the line has to wait. */
static bool put_line(KeeperOutput *o, usec_t now)
{
        if (!put_news(o) || !put(o, KEEPER_LINE_OUTPUT, o->line, o->n_line)) {
                if (o->n_dropped == 0 && o->blocked == 0)
                        o->blocked = now;
                if (o->n_dropped == 0 && now < o->blocked + PATIENCE)
                        return false;
                o->n_dropped++;
        }
        o->blocked = 0;
        o->n_line = 0;
        return true;
}

/* Hands on what was read, up to the first line that has to wait. */
static void work(KeeperOutput *o, usec_t now)
{
        for (; o->at < o->n_buffer; o->at++) {
                char c = o->buffer[o->at];

                if (c == '\n') {
                        if (!put_line(o, now))
                                return;
                } else if (o->n_line < sizeof(o->line)) {
                        o->line[o->n_line++] = c;
                }
        }
}

size_t keeper_output_read(KeeperOutput *o, usec_t now)
{
        ssize_t n = read(o->pipe, o->buffer, sizeof(o->buffer));

        if (n > 0) {
                o->at = 0;
                o->n_buffer = (size_t)n;
                work(o, now);
                return (size_t)n;
        }
        if (n == 0 || (errno != EAGAIN && errno != EINTR))
                o->pipe = safe_close(o->pipe);
        return 0;
}

void keeper_output_flush(KeeperOutput *o, usec_t now)
{
        if (o->blocked > 0)
                work(o, now);
        else
                (void)put_news(o);
}

void keeper_output_ready(KeeperOutput *o)
{
        o->ready_wanted = true;
        (void)put_news(o);
}

void keeper_output_finish(KeeperOutput *o, usec_t now)
{
        if (o->n_line > 0 && o->blocked == 0)
                (void)put_line(o, now);
        (void)put_news(o);
}
