/* SPDX-License-Identifier: Apache-2.0 */

/*
 * nvidia-driver status. With a daemon, its own words, over the private socket
 * or, for those who may not open that, from the status file;
 * without one, the machine as it is and why the last daemon ended. Exit
 * status: 0 when the driver is ready, 3 when no daemon runs (as systemctl
 * status), 5 while it is on its way, else that of the code.
 */

#include <inttypes.h>
#include <time.h>

#include "base/result.h"
#include "base/str.h"
#include "build-config.h"
#include "bus.h"
#include "cli.h"
#include "facts.h"
#include "failure.h"
#include "policy/fsm.h"
#include "settings.h"
#include "statusfile.h"
#include "sys/clock.h"
#include "sys/devnodes.h"
#include "sys/statusjson.h"
#include "sys/udevmon.h"

static const char *colour_of(const Cli *cli, const char *state)
{
        if (!cli->colour)
                return "";
        if (streq(state, "ready"))
                return "\033[1;32m";
        if (streq(state, "degraded") || streq(state, "repairing") || streq(state, "busy") ||
                        streq(state, "backoff"))
                return "\033[1;33m";
        if (streq(state, "failed") || streq(state, "stuck"))
                return "\033[1;31m";
        return "\033[1m";
}

static void print_since(usec_t since)
{
        usec_t now = now_realtime_usec();
        _cleanup_free_ char *ago = NULL;
        time_t seconds = (time_t)(since / USEC_PER_SEC);
        char text[64] = "";
        struct tm tm;

        if (since == 0 || !localtime_r(&seconds, &tm))
                return;
        (void)strftime(text, sizeof(text), "%a %Y-%m-%d %H:%M:%S %Z", &tm);
        ago = str_from_usec(now > since ? now - since : 0);
        (void)printf(" since %s; %s ago", text, strna(ago));
}

static void print_head(const Cli *cli, const Status *s)
{
        (void)printf("    State: %s%s%s", colour_of(cli, s->state), s->state, cli->colour ? "\033[0m" : "");
        print_since(s->since);
        (void)printf("\n");
        if (s->progress)
                (void)printf(" Progress: %s\n", s->progress);
        if (!streq(s->code, "ok")) {
                Code code = code_from_string(s->code);

                (void)printf("   Reason: %s [%s]\n", code_sentence(code), s->code);
                if (!isempty(s->detail))
                        (void)printf("           %s\n", s->detail);
                (void)printf("Next step: %s\n", code_remedy(code));
        }
        (void)printf("   Kernel: %s %s\n", strna(s->kernel_release), strempty(s->kernel_version));
        (void)printf("   Driver: %s%s%s%s%s\n", s->driver_version ? s->driver_version : "not loaded",
                        s->foreign ? " (loaded by somebody else)" : "", s->driver_wanted ? ", wanted " : "",
                        strempty(s->driver_wanted), "");
        if (s->build)
                (void)printf("    Build: %s\n", s->build);
        if (s->fallback)
                (void)printf(" Fallback: %s\n", s->fallback);
        if (s->signature)
                (void)printf("Signature: %s\n", s->signature);
        if (s->pid)
                (void)printf("   Daemon: nvidia-driverd %s, pid %" PRId64 "\n", strna(s->version), s->pid);
}

static void print_plan(const Status *s)
{
        for (size_t i = 0; i < s->n_steps; i++)
                (void)printf("%s %-17s %-4s  %s\n", i == 0 ? "     Plan:" : "          ", s->steps[i].stage,
                                s->steps[i].run ? "run" : "skip", s->steps[i].reason);
}

static void print_modules(const Status *s)
{
        for (size_t i = 0; i < s->modules.n; i++) {
                const ModuleFact *f = &s->modules.items[i];
                _cleanup_free_ char *holders = strv_join(f->holders, ", "), *count = NULL;

                count = f->refcnt < 0 ? strdup("-") : str_format("%d", f->refcnt);
                (void)printf("%s %-17s %-7s refcount %-3s %s%s\n", i == 0 ? "  Modules:" : "          ",
                                f->name, mod_state_to_string(f->state), strna(count),
                                isempty(holders) ? "" : "held by ", strempty(holders));
        }
}

static void print_gpus(const Status *s)
{
        for (size_t i = 0; i < s->gpus.n; i++) {
                const GpuFact *g = &s->gpus.items[i];

                (void)printf("%s %s %04x:%04x, driver %s", i == 0 ? "     GPUs:" : "          ", g->address,
                                g->vendor, g->device, g->driver ? g->driver : "none");
                for (size_t n = 0; n < s->nodes.n; n++)
                        if (streq(s->nodes.items[n].gpu, g->address))
                                (void)printf(", %s%s", s->nodes.items[n].node,
                                                s->nodes.items[n].present ? "" : " (not there)");
                (void)printf("%s\n", g->excluded ? ", excluded" : "");
        }
        if (s->gpus.n == 0)
                (void)printf("     GPUs: none\n");
}

static void print_services(const Status *s)
{
        for (size_t i = 0; i < s->n_services; i++) {
                const StatusService *service = &s->services[i];
                _cleanup_free_ char *pid = service->pid ? str_format("pid %" PRId64, service->pid)
                                                        : strdup("");

                (void)printf("%s %-19s %-8s%s %s", i == 0 ? " Services:" : "          ", service->name,
                                service->state, service->required ? " required," : "", strempty(pid));
                print_since(service->since);
                if (service->restarts > 0)
                        (void)printf(", %" PRId64 " restart%s", service->restarts,
                                        service->restarts == 1 ? "" : "s");
                if (service->last_end)
                        (void)printf(", last end: %s", service->last_end);
                (void)printf("\n");
        }
}

static void print_holders(const Status *s)
{
        _cleanup_strv_ char **lines = NULL;
        const char *title = "  Held by:";

        if (holders_describe(&s->holders, &lines) < 0)
                return;
        STRV_FOREACH (line, lines) {
                (void)printf("%s %s\n", title, *line);
                title = "          ";
        }
        if (s->n_holders > strv_length(lines))
                (void)printf("           and more, see nvidia-driver holders\n");
}

static void print_devices(const Status *s)
{
        for (size_t i = 0; i < s->n_devices; i++)
                (void)printf("%s%s%s%s", i == 0 ? "    Nodes: " : ", ", s->devices[i].node,
                                s->devices[i].present ? "" : " (not there)",
                                i + 1 == s->n_devices ? "\n" : "");
}

void cli_print_status(const Cli *cli, Status *s)
{
        status_make_printable(s);
        print_head(cli, s);
        print_plan(s);
        print_modules(s);
        print_holders(s);
        print_gpus(s);
        print_devices(s);
        print_services(s);
        STRV_FOREACH (pending, s->pending)
                (void)printf("  Pending: %s\n", *pending);
        STRV_FOREACH (problem, s->problems)
                (void)printf("  Warning: %s\n", *problem);
}

/* What of the driver's own nodes there is; which ones there have to be, only the daemon has asked the
 * driver. */
static int list_devices(const Root *root, Status *s)
{
        _cleanup_(dev_entries_done) DevEntries entries = {};
        _cleanup_(devdir_freep) DevDir *dev = NULL;
        int r;

        r = devdir_open(root, "dev", "proc/self/mountinfo", &dev);
        if (r)
                return r < 0 ? err_trace(r) : 0;
        r = devdir_list(dev, &entries);
        for (size_t i = 0; r == 0 && i < entries.n; i++) {
                const DevEntry *e = &entries.items[i];
                _cleanup_free_ char *path = str_format("/dev/%s", e->name);

                if (!path)
                        return err_origin(-ENOMEM);
                if (e->kind == DEV_ENTRY_NODE && nodeset_is_ours(e->name))
                        r = status_add_device(s, path, e->major, e->minor, /* present= */ true);
        }
        return err_trace(r);
}

/* No daemon: the machine as it is, and the last words of the one before. */
static int describe_locally(const Cli *cli, Status *s)
{
        _cleanup_(config_freep) Config *config = NULL;
        _cleanup_free_ char *detail = NULL;
        UdevMon *udev = NULL;
        Code code = CODE_NOT_RUNNING;
        int r;

        /* Only for which GPUs are excluded; a command line that is wrong is no reason to say nothing. */
        r = settings_load(cli->root, cli->config_file, environ, cli->assignments, &s->problems, &config);
        if (r >= 0)
                r = failure_read(cli->root, &code, &detail);
        if (r < 0)
                return err_trace(r);
        s->detail = TAKE_PTR(detail);
        r = str_replace(&s->state, r == 0 ? fsm_state_to_string(FSM_FAILED) : "not-running");
        if (r == 0)
                r = str_replace(&s->code, code_to_string(code));
        if (r == 0)
                r = str_replace(&s->version, PROJECT_VERSION);
        if (r == 0)
                r = facts_fill_status(cli->root, config, s);
        if (r == 0 && s->code && streq(s->state, fsm_state_to_string(FSM_FAILED)))
                cli_fill_failure_time(cli, s);
        if (r == 0 && code == CODE_BUSY)
                r = cli_fill_busy(cli, s);
        if (r == 0)
                r = udevmon_new(&udev);
        if (r == 0)
                r = udevmon_enumerate(udev, cli->root, &s->nodes);
        if (r == 0)
                r = list_devices(cli->root, s);
        udevmon_free(udev);
        return err_trace(r);
}

static int get_status(const Cli *cli, Status *s, bool *ret_running)
{
        _cleanup_free_ char *text = NULL;
        int r;

        r = bus_ask_describe(cli->root, &text);
        if (r == BUS_E_NOT_ALLOWED) {
                r = statusfile_read(cli->root, s);
                *ret_running = r == 0;
                return r > 0 ? err_trace(describe_locally(cli, s)) : err_trace(r);
        }
        *ret_running = r == 0;
        if (r == BUS_E_NOT_RUNNING)
                return err_trace(describe_locally(cli, s));
        if (r < 0)
                return err_trace(r);
        r = status_parse(text, s);
        return r < 0 ? err_trace(r) : err_fold(r);
}

Code cli_status(Cli *cli)
{
        _cleanup_free_ char *text = NULL;
        Status s = {};
        bool running = false;
        Code code = CODE_OK;
        int r;

        r = get_status(cli, &s, &running);
        if (r == 0 && cli->json)
                r = status_format(&s, &text);
        if (r < 0) {
                status_done(&s);
                return cli_fatal(r, "status");
        }

        if (cli->json)
                (void)fputs(text, stdout);
        else
                cli_print_status(cli, &s);
        if (!running)
                code = CODE_NOT_RUNNING;
        else if (!streq(s.state, "ready"))
                code = streq(s.code, "ok") ? CODE_NOT_READY : code_from_string(s.code);
        status_done(&s);
        return code < 0 ? CODE_INTERNAL : code;
}
