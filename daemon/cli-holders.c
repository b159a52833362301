/* SPDX-License-Identifier: Apache-2.0 */

/*
 * nvidia-driver holders: who keeps the driver in use. It needs no daemon; the
 * walk over /proc is the worker's here too, because it may hang where a driver
 * does. Exit status: 0 if nobody holds it, that of "busy" if somebody does.
 */

#include <systemd/sd-event.h>

#include "base/result.h"
#include "base/str.h"
#include "cli.h"
#include "holders.h"
#include "jobloop.h"
#include "loaded.h"
#include "policy/busy.h"
#include "sys/clock.h"
#include "sys/holdersjson.h"
#include "sys/sysmod.h"

#define DELAY_MIN (100 * USEC_PER_MSEC)
#define DELAY_MAX USEC_PER_SEC

typedef struct Look {
        const Cli *cli;
        JobLoop loop;
        HoldersScan *scan;
        sd_event_source *again;
        usec_t began, delay;
        bool shown; /* who is waited for */
        Code code;
} Look;

enum { COLUMNS = 6 };

static const char *const titles[COLUMNS] = { "PID", "USER", "COMMAND", "WHERE", "NODE", "FD" };

static char *cell(const Holder *h, unsigned column)
{
        switch (column) {
        case 0:
                return str_format("%d", (int)h->pid);
        case 1:
                return h->user ? strdup(h->user) : str_format("%u", (unsigned)h->uid);
        case 2:
                return strdup(isempty(h->command) ? "-" : h->command);
        case 3:
                return holder_home_describe(&h->home);
        case 4:
                return strdup(h->node);
        default:
                return h->kind == HOLDER_FD ? str_format("%d", h->fd) : strdup("map");
        }
}

/* Widths are counted in bytes: a name with other letters only loses its alignment. */
static void print_processes(const Holders *l)
{
        size_t widths[COLUMNS];

        for (unsigned c = 0; c < COLUMNS; c++) {
                widths[c] = strlen(titles[c]);
                for (size_t i = 0; i < l->n; i++) {
                        _cleanup_free_ char *text = cell(&l->items[i], c);

                        widths[c] = MAX(widths[c], strlen(strempty(text)));
                }
        }
        for (size_t row = 0; l->n > 0 && row <= l->n; row++)
                for (unsigned c = 0; c < COLUMNS; c++) {
                        _cleanup_free_ char *text = row > 0 ? cell(&l->items[row - 1], c)
                                                            : strdup(titles[c]);

                        if (c + 1 < COLUMNS)
                                (void)printf("%-*s  ", (int)widths[c], strna(text));
                        else
                                (void)printf("%s\n", strna(text));
                }
}

static void print_modules(const ModuleFacts *modules)
{
        int width = (int)strlen("MODULE");

        for (size_t i = 0; i < modules->n; i++)
                width = MAX(width, (int)strlen(modules->items[i].name));
        if (modules->n > 0)
                (void)printf("%-*s  REFCOUNT  HELD BY\n", width, "MODULE");
        for (size_t i = 0; i < modules->n; i++) {
                const ModuleFact *f = &modules->items[i];
                _cleanup_free_ char *by = strv_join(f->holders, ", "), *count = NULL;

                count = f->refcnt < 0 ? strdup("-") : str_format("%d", f->refcnt);
                (void)printf("%-*s  %-8s  %s\n", width, f->name, strna(count), isempty(by) ? "-" : by);
        }
}

static void print(const Holders *l, const ModuleFacts *modules, const Busy *busy)
{
        print_processes(l);
        if (l->n > 0 && modules->n > 0)
                (void)printf("\n");
        print_modules(modules);
        if (busy->remarks && (l->n > 0 || modules->n > 0))
                (void)printf("\n");
        STRV_FOREACH (remark, busy->remarks)
                (void)printf("%s\n", *remark);
        if (!busy->busy)
                (void)printf("%s%s\n", modules->n > 0 && !busy->remarks ? "\n" : "",
                                modules->n > 0 ? "Nobody holds the driver." : "The driver is not loaded.");
        (void)fflush(stdout);
}

static int start(Look *look);

static int on_again(sd_event_source *source, uint64_t usec, void *userdata)
{
        Look *look = userdata;
        int r;

        look->scan = holders_scan_free(look->scan);
        r = start(look);
        if (r < 0) {
                look->code = cli_fatal(r, "holders");
                job_loop_end(&look->loop);
        }
        return 0;
}

static bool is_over(const Look *look)
{
        usec_t waited = now_usec() - look->began;

        return !look->cli->wait ||
               (look->cli->wait_timeout != USEC_INFINITY && waited >= look->cli->wait_timeout);
}

/* The last look is at the very end of the time, not up to a second before. */
static int look_again(Look *look)
{
        usec_t delay = look->delay, waited = now_usec() - look->began;
        int r;

        if (look->cli->wait_timeout != USEC_INFINITY && look->cli->wait_timeout > waited)
                delay = MIN(delay, look->cli->wait_timeout - waited);
        look->delay = MIN(look->delay * 3 / 2, DELAY_MAX);
        look->again = sd_event_source_disable_unref(look->again);
        r = sd_event_add_time_relative(
                        look->loop.event, &look->again, CLOCK_MONOTONIC, delay, 0, on_again, look);
        return r < 0 ? err_origin(r) : 0;
}

static int show(Look *look, const Holders *l, const ModuleFacts *modules, const Busy *busy)
{
        _cleanup_free_ char *text = NULL;
        int r;

        if (!look->cli->json) {
                if (look->shown)
                        (void)printf("\n");
                print(l, modules, busy);
                return 0;
        }
        r = holders_format(l, modules, busy->remarks, busy->busy, &text);
        if (r)
                return err_trace(r);
        (void)fputs(text, stdout);
        return 0;
}

static int judge(Look *look, const Holders *l)
{
        _cleanup_(module_facts_done) ModuleFacts modules = {};
        _cleanup_(busy_done) Busy busy = {};
        _cleanup_strv_ char **owned = NULL;
        bool over;
        int r;

        r = sysmod_list_family(look->cli->root, &modules);
        if (r == 0)
                r = loaded_read(look->cli->root, &owned);
        if (r == 0)
                r = busy_judge(l, &modules, owned, &busy);
        if (r)
                return err_trace(r);

        over = !busy.busy || is_over(look);
        look->code = busy.busy ? CODE_BUSY : CODE_OK;
        /* Who is waited for is said once; in JSON there is one document, at the end. */
        if (over || (!look->shown && !look->cli->json))
                r = show(look, l, &modules, &busy);
        look->shown = true;
        if (r == 0)
                r = over ? sd_event_exit(look->loop.event, 0) : look_again(look);
        return err_trace(r);
}

static void on_scanned(void *userdata, const Holders *l)
{
        Look *look = userdata;
        int r = 0;

        if (l)
                r = judge(look, l);
        else
                look->code = cli_fail(CODE_INTERNAL, "Looking at the processes: %s.",
                                holders_scan_reason(look->scan));
        if (r < 0)
                look->code = cli_fatal(r, "holders");
        if (!l || r < 0)
                job_loop_end(&look->loop);
}

static int start(Look *look)
{
        return err_trace(holders_scan(look->loop.pool, look->cli->root, on_scanned, look, &look->scan));
}

static int run(Look *look)
{
        int r;

        r = job_loop_new(&look->loop);
        if (r == 0)
                r = start(look);
        return r < 0 ? err_trace(r) : job_loop_run(&look->loop);
}

Code cli_holders(Cli *cli)
{
        Look look = { .cli = cli, .began = now_usec(), .delay = DELAY_MIN };
        int r;

        r = run(&look);
        holders_scan_free(look.scan);
        sd_event_source_disable_unref(look.again);
        job_loop_done(&look.loop);
        return r < 0 ? cli_fatal(r, "holders") : look.code;
}
