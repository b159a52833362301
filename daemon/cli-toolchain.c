/* SPDX-License-Identifier: Apache-2.0 */

/*
 * nvidia-driver toolchain fetch: the developer container ahead of time, while
 * there is a network and nobody waits; the daemon then finds it in the store.
 */

#include "base/result.h"
#include "base/str.h"
#include "cli.h"
#include "devfetch.h"
#include "jobloop.h"

typedef struct FetchRun {
        const Cli *cli;
        JobLoop loop;
        Code code;
        bool terminal;
} FetchRun;

static void on_progress(void *userdata, const char *text)
{
        FetchRun *run = userdata;

        (void)fprintf(stderr, run->terminal ? "\r\033[K%s" : "%s\n", text);
}

static void on_note(void *userdata, const char *text)
{
        FetchRun *run = userdata;

        if (run->terminal)
                (void)fputs("\r\033[K", stderr);
        cli_line(stderr, "%s", text);
}

static void on_done(void *userdata, Code code, const char *detail, const char *image)
{
        FetchRun *run = userdata;

        if (run->terminal)
                (void)fputs("\r\033[K", stderr);
        run->code = code == CODE_OK ? CODE_OK : cli_fail(code, "%s", detail);
        if (code == CODE_OK)
                (void)printf("%s\n", image);
        job_loop_end(&run->loop);
}

static int fetch(FetchRun *run, const Config *config)
{
        static const DevFetchHandler handler = {
                .on_progress = on_progress, .on_note = on_note, .on_done = on_done
        };
        DevFetch *f = NULL;
        int r;

        /* A signal ends this program, and with it the fetch. */
        r = job_loop_new(&run->loop);
        if (r == 0)
                r = devfetch_start(run->loop.pool, run->cli->root, config, &handler, run, &f);
        if (r == 0)
                r = job_loop_run(&run->loop);
        devfetch_free(f);
        job_loop_done(&run->loop);
        return err_trace(r);
}

Code cli_toolchain(Cli *cli)
{
        _cleanup_(config_freep) Config *config = NULL;
        FetchRun run = { .cli = cli, .terminal = isatty(STDERR_FILENO) };
        Code code;
        int r;

        if (!cli->arguments[0] || !streq(cli->arguments[0], "fetch"))
                return cli_fail(CODE_USAGE, "It is: nvidia-driver toolchain fetch.");
        code = cli_config(cli, &config);
        if (code)
                return code;
        r = fetch(&run, config);
        return r < 0 ? cli_fatal(r, "toolchain") : run.code;
}
