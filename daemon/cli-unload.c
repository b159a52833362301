/* SPDX-License-Identifier: Apache-2.0 */

/*
 * nvidia-driver unload: what a stop of the service does, for a driver that a
 * stop had to leave because it was in use. The daemon's own program does it,
 * under the daemon's lock, so that there is one way out of the kernel only.
 */

#include <unistd.h>

#include "base/result.h"
#include "base/str.h"
#include "bus.h"
#include "cli.h"
#include "paths.h"

static int add_terms(const Cli *cli, char ***argv)
{
        int r = 0;

        if (cli->evict)
                r = strv_push(argv, "--set=Stop.Policy=evict");
        else if (cli->wait && cli->wait_timeout == USEC_INFINITY)
                r = strv_push(argv, "--set=Stop.Policy=wait");
        else
                r = strv_push(argv, "--set=Stop.Policy=leave");
        if (r == 0 && cli->wait && cli->wait_timeout != USEC_INFINITY)
                r = strv_pushf(argv, "--set=Stop.TimeoutSec=%" PRIu64 "us", (uint64_t)cli->wait_timeout);
        return err_trace(r);
}

static int make_argv(const Cli *cli, char ***ret)
{
        _cleanup_strv_ char **argv = NULL;
        int r;

        r = strv_push(&argv, "nvidia-driverd");
        if (r == 0)
                r = strv_push(&argv, "--unload");
        if (r == 0 && cli->root_path)
                r = strv_pushf(&argv, "--root=%s", cli->root_path);
        if (r == 0 && cli->config_file)
                r = strv_pushf(&argv, "--config=%s", cli->config_file);
        if (r == 0 && cli->verbose)
                r = strv_push(&argv, "--verbose");
        if (r == 0)
                r = add_terms(cli, &argv);
        STRV_FOREACH (assignment, cli->assignments)
                if (r == 0)
                        r = strv_pushf(&argv, "--set=%s", *assignment);
        if (r)
                return err_trace(r);
        *ret = TAKE_PTR(argv);
        return 0;
}

Code cli_unload(Cli *cli)
{
        _cleanup_strv_ char **argv = NULL;
        _cleanup_free_ char *text = NULL;
        int r;

        if (geteuid() != 0 && !cli->root_path)
                return cli_fail(CODE_NOT_PERMITTED, "Modules are unloaded by root only.");
        if (bus_ask_describe(cli->root, &text) == 0)
                return cli_fail(CODE_ALREADY_RUNNING,
                                "The service is running: systemctl stop nvidia-driverd unloads the driver.");
        r = make_argv(cli, &argv);
        if (r < 0)
                return cli_fatal(r, "unload");
        /* Its messages are for whoever sits here, not for the service manager of somebody else. */
        (void)unsetenv("NOTIFY_SOCKET");
        (void)execv(path_of_daemon(), argv);
        return cli_fatal(errno, path_of_daemon());
}
