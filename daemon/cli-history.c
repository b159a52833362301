/* SPDX-License-Identifier: Apache-2.0 */

/* nvidia-driver history: read from the store, with or without a daemon. */

#include <inttypes.h>
#include <time.h>

#include "base/result.h"
#include "base/str.h"
#include "cli.h"
#include "sys/history.h"
#include "sys/historyjson.h"

static void print_time(usec_t time)
{
        time_t seconds = (time_t)(time / USEC_PER_SEC);
        char text[64] = "";
        struct tm tm;

        if (localtime_r(&seconds, &tm))
                (void)strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &tm);
        (void)printf("%s.%03u  ", text, (unsigned)(time / USEC_PER_MSEC % 1000));
}

/* A detail may quote the kernel log, and whoever can write to the store can write the file. */
static void make_printable(HistoryEntry *e)
{
        char *texts[] = { e->boot, e->from, e->state, e->code, e->detail };

        for (size_t i = 0; i < ELEMENTSOF(texts); i++)
                (void)str_printable(texts[i]);
}

static void print_entry(const HistoryEntry *e)
{
        _cleanup_free_ char *took = str_from_usec(e->took);

        print_time(e->time);
        switch (e->kind) {
        case HISTORY_STARTED:
                (void)printf("started, %s, pid %" PRId64, strempty(e->detail), e->pid);
                break;
        case HISTORY_STATE:
                (void)printf("%-17s  after %s of %s", strna(e->state), strna(took), strna(e->from));
                if (e->code)
                        (void)printf("  [%s]", e->code);
                if (!isempty(e->detail))
                        (void)printf("  %s", e->detail);
                break;
        case HISTORY_GPU:
                (void)printf("kernel: %s", strempty(e->detail));
                if (e->count > 1)
                        (void)printf(", %u times", e->count);
                break;
        case HISTORY_ENDED:
                (void)printf("ended  [%s]", strna(e->code));
                break;
        case _HISTORY_KIND_MAX:
        case _HISTORY_KIND_INVALID:
                break;
        }
        (void)printf("\n");
}

static int print_all(HistoryEntries *l, bool json)
{
        const char *boot = NULL;

        for (size_t i = 0; i < l->n; i++) {
                HistoryEntry *e = &l->items[i];
                _cleanup_free_ char *line = NULL;
                int r;

                if (json) {
                        r = historyjson_format(e, &line);
                        if (r)
                                return err_trace(r);
                        (void)fputs(line, stdout);
                        continue;
                }
                make_printable(e);
                if (!streq_ptr(boot, e->boot))
                        (void)printf("-- boot %s --\n", strna(e->boot));
                boot = e->boot;
                print_entry(e);
        }
        return 0;
}

Code cli_history(Cli *cli)
{
        _cleanup_(config_freep) Config *config = NULL;
        HistoryEntries l = {};
        Code code;
        int r;

        code = cli_config(cli, &config);
        if (code)
                return code;
        r = history_read(cli->root, config->store_directory, &l);
        if (r == -EACCES)
                return cli_fail(CODE_NOT_PERMITTED, "The history names processes of all users.");
        if (r == 0)
                r = print_all(&l, cli->json);
        if (r == 0 && l.n_damaged > 0)
                (void)fprintf(stderr, "nvidia-driver: %u damaged entries were left out\n", l.n_damaged);
        history_entries_done(&l);
        return r < 0 ? cli_fatal(r, "history") : CODE_OK;
}
