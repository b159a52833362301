/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The status of a driver that a stop left because it was in use: who used it
 * then may have gone long ago, so it is looked up who uses it now.
 */

#include <sys/stat.h>

#include "base/result.h"
#include "base/str.h"
#include "cli.h"
#include "holders.h"
#include "jobloop.h"
#include "loaded.h"
#include "paths.h"
#include "policy/busy.h"

typedef struct Look {
        JobLoop loop;
        Status *status;
        int result;
} Look;

static void on_scanned(void *userdata, const Holders *l)
{
        Look *look = userdata;
        Status *s = look->status;

        for (size_t i = 0; l && look->result == 0 && i < l->n; i++) {
                _cleanup_(holder_done) Holder copy = {};

                s->n_holders += i == 0 || l->items[i].pid != l->items[i - 1].pid;
                look->result = holder_copy(&l->items[i], &copy);
                if (look->result == 0)
                        look->result = holders_add(&s->holders, &copy);
        }
        job_loop_end(&look->loop);
}

static int look_for_holders(const Cli *cli, Status *s)
{
        _cleanup_(holders_scan_freep) HoldersScan *scan = NULL;
        Look look = { .status = s };
        int r;

        r = job_loop_new(&look.loop);
        if (r == 0)
                r = holders_scan(look.loop.pool, cli->root, on_scanned, &look, &scan);
        if (r == 0)
                r = job_loop_run(&look.loop);
        scan = holders_scan_free(scan);
        job_loop_done(&look.loop);
        return r < 0 ? err_trace(r) : err_trace(look.result);
}

static const char *describe_now(const Status *s, const Busy *busy)
{
        if (s->modules.n == 0)
                return "The driver is not loaded any more.";
        return busy->busy ? "It is still in use." : "Nobody uses it any more.";
}

int cli_fill_busy(const Cli *cli, Status *s)
{
        _cleanup_(busy_done) Busy busy = {};
        _cleanup_strv_ char **owned = NULL;
        char *detail;
        int r;

        r = look_for_holders(cli, s);
        if (r == 0)
                r = loaded_read(cli->root, &owned);
        if (r == 0)
                r = busy_judge(&s->holders, &s->modules, owned, &busy);
        if (r)
                return err_trace(r);
        detail = str_format("%s The stop found: %s", describe_now(s, &busy), strna(s->detail));
        if (!detail)
                return err_origin(-ENOMEM);
        free(s->detail);
        s->detail = detail;
        return 0;
}

void cli_fill_failure_time(const Cli *cli, Status *s)
{
        struct stat st;

        if (root_stat(cli->root, RUNTIME_FAILURE, &st) == 0)
                s->since = (usec_t)st.st_mtim.tv_sec * USEC_PER_SEC + (usec_t)st.st_mtim.tv_nsec / 1000;
}
