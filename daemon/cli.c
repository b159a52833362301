/* SPDX-License-Identifier: Apache-2.0 */

/*
 * nvidia-driver: the command that people type and containers start. Options
 * may stand before or after the verb, as people know it from systemctl. The
 * old script's options (-a, -m, -k) are understood where they meant something.
 */

#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>

#include "base/result.h"
#include "base/str.h"
#include "build-config.h"
#include "cli.h"
#include "paths.h"
#include "settings.h"

typedef struct Verb {
        const char *name;
        const char *help;
        Code (*run)(Cli *cli);
        int n_arguments; /* at most */
} Verb;

static Code cli_init(Cli *cli);

static const Verb verbs[] = {
        { "init", "Become the daemon: load the driver and keep it (for containers)", cli_init },
        { "status", "Show state, plan, modules and devices", cli_status },
        { "holders", "Show who keeps the driver in use", cli_holders },
        { "unload", "Unload a driver that a stop left because it was in use", cli_unload },
        { "plan", "Show what a start would do on this machine, and why", cli_plan },
        { "build", "Build the driver for a kernel, here or for another machine", cli_build },
        { "update", "The same under its old name", cli_build },
        { "history", "Show what happened: states with their times, errors of GPUs", cli_history },
        { "builds", "List, show, verify, export, import and collect builds of the store", cli_builds,
                        INT_MAX },
        { "toolchain", "Get the developer container to build in, ahead of time (toolchain fetch)",
                        cli_toolchain, 1 },
        { "explain", "Explain a failure code", cli_explain, 1 },
};

static int help(void)
{
        (void)printf("nvidia-driver [OPTIONS...] COMMAND [ARGUMENTS...]\n\n"
                     "Looks after the NVIDIA kernel driver of this host.\n\nCommands:\n");
        for (size_t i = 0; i < ELEMENTSOF(verbs); i++)
                (void)printf("  %-10s %s\n", verbs[i].name, verbs[i].help);
        (void)printf("\nOptions:\n"
                     "  -h --help                   Show this help\n"
                     "     --version                Show the version\n"
                     "     --json                   Print JSON (status, plan, holders, history,\n"
                     "                              builds)\n"
                     "     --wait[=TIMEOUT]         Wait until nobody holds the driver (holders,\n"
                     "                              unload), or writes to the store (builds)\n"
                     "     --evict                  Ask those who hold the driver to end (unload)\n"
                     "     --dry-run                Only say what would be removed (builds gc)\n"
                     "  -v --verbose                Log debug messages too (init)\n"
                     "     --root=DIR               Work on the machine below DIR\n"
                     "     --config=FILE            Read FILE instead of the usual places\n"
                     "  -o --set=SECTION.KEY=VALUE  Override a setting, see driverd.conf(5)\n"
                     "\nOptions of build:\n"
                     "  -k --kernel=RELEASE         Build for this kernel, not the running one; also\n"
                     "                              for builds import\n"
                     "     --kernel-tree=DIR        Its headers, build tree or source\n"
                     "     --driver-source=PATH     Unpacked NVIDIA kernel module source, or a .run file\n"
                     "     --output=DIR             Put the build into DIR, not into the store\n"
                     "  -m --max-threads=N          Run N compilers at a time\n"
                     "  -s --sign=KEY               Sign with this key: a PEM file or a pkcs11: URI\n"
                     "  -t --tag=TAG                Accepted and ignored, as of older scripts\n"
                     "  -a --accept-license         Accepted and ignored, as of older scripts\n\n"
                     "See nvidia-driver(1) and driverd.conf(5).\n");
        return 0;
}

enum {
        ARG_VERSION = 0x100,
        ARG_JSON,
        ARG_WAIT,
        ARG_EVICT,
        ARG_DRY_RUN,
        ARG_ROOT,
        ARG_CONFIG,
        ARG_TREE,
        ARG_SOURCE,
        ARG_OUTPUT
};

static const struct option options[] = {
        { "help", no_argument, NULL, 'h' },
        { "version", no_argument, NULL, ARG_VERSION },
        { "json", no_argument, NULL, ARG_JSON },
        { "wait", optional_argument, NULL, ARG_WAIT },
        { "evict", no_argument, NULL, ARG_EVICT },
        { "dry-run", no_argument, NULL, ARG_DRY_RUN },
        { "verbose", no_argument, NULL, 'v' },
        { "root", required_argument, NULL, ARG_ROOT },
        { "config", required_argument, NULL, ARG_CONFIG },
        { "set", required_argument, NULL, 'o' },
        { "kernel", required_argument, NULL, 'k' },
        { "kernel-tree", required_argument, NULL, ARG_TREE },
        { "driver-source", required_argument, NULL, ARG_SOURCE },
        { "output", required_argument, NULL, ARG_OUTPUT },
        { "max-threads", required_argument, NULL, 'm' },
        { "jobs", required_argument, NULL, 'm' },
        { "sign", required_argument, NULL, 's' },
        { "tag", required_argument, NULL, 't' },
        { "accept-license", no_argument, NULL, 'a' },
        {},
};

static int assign(Cli *cli, const char *key, const char *value)
{
        return strv_pushf(&cli->assignments, "%s=%s", key, value) < 0 ? code_exit_status(CODE_INTERNAL) : -1;
}

/* A path given on the command line is relative to where the person stands; configuration wants it absolute.
 */
static int assign_path(Cli *cli, const char *key, const char *value)
{
        _cleanup_free_ char *absolute = realpath(value, NULL);

        if (!absolute) {
                (void)fprintf(stderr, "nvidia-driver: %s: %s\n", value, strerror(errno));
                return code_exit_status(CODE_USAGE);
        }
        return assign(cli, key, absolute);
}

/*
 * The old script took the name of a key in a key server here, and what it could
 * not find it went on without. Who asks for signed modules gets no others.
 */
static int take_key(Cli *cli, const char *key)
{
        _cleanup_free_ char *absolute = NULL;

        if (startswith(key, CONFIG_PKCS11))
                return assign(cli, "Signing.Key", key);
        absolute = realpath(key, NULL);
        if (absolute)
                return assign(cli, "Signing.Key", absolute);
        (void)cli_fail(CODE_KEY_UNUSABLE, "--sign=%s: %s; it takes a PEM file or a " CONFIG_PKCS11 " URI.",
                        key, strerror(errno));
        return code_exit_status(CODE_KEY_UNUSABLE);
}

static int take_wait(Cli *cli, const char *timeout)
{
        cli->wait = true;
        cli->wait_timeout = USEC_INFINITY;
        if (!timeout || str_to_usec(timeout, &cli->wait_timeout) == 0)
                return -1;
        (void)fprintf(stderr, "nvidia-driver: --wait=%s: not a time span\n", timeout);
        return code_exit_status(CODE_USAGE);
}

static int parse_option(Cli *cli, int c)
{
        switch (c) {
        case 'h':
                return help();
        case ARG_VERSION:
                (void)printf("nvidia-driver %s\n", PROJECT_VERSION);
                return 0;
        case ARG_JSON:
                cli->json = true;
                return -1;
        case ARG_WAIT:
                return take_wait(cli, optarg);
        case ARG_EVICT:
                cli->evict = true;
                return -1;
        case ARG_DRY_RUN:
                cli->dry_run = true;
                return -1;
        case 'v':
                cli->verbose = true;
                return -1;
        case ARG_ROOT:
                cli->root_path = optarg;
                paths_allow_environment(true);
                return -1;
        case ARG_CONFIG:
                cli->config_file = optarg;
                return -1;
        case 'o':
                return strv_push(&cli->assignments, optarg) < 0 ? code_exit_status(CODE_INTERNAL) : -1;
        case 'k':
                cli->kernel = optarg;
                return -1;
        case ARG_TREE:
                return assign_path(cli, "Kernel.Tree", optarg);
        case ARG_SOURCE:
                return assign_path(cli, "Driver.Source", optarg);
        case ARG_OUTPUT:
                cli->output = optarg;
                return -1;
        case 'm':
                return assign(cli, "Build.Jobs", optarg);
        case 's':
                return take_key(cli, optarg);
        case 't':
                (void)fprintf(stderr,
                                "nvidia-driver: --tag=%s: builds are known by what they are made of, ignoring\n",
                                optarg);
                return -1;
        case 'a':
                (void)fprintf(stderr,
                                "nvidia-driver: --accept-license: nothing here asks for it, ignoring\n");
                return -1;
        default:
                return code_exit_status(CODE_USAGE);
        }
}

void cli_line(FILE *file, const char *format, ...)
{
        char line[4096];
        va_list ap;

        va_start(ap, format);
        (void)vsnprintf(line, sizeof(line), format, ap);
        va_end(ap);
        (void)fprintf(file, "%s\n", str_printable(line));
}

Code cli_fail(Code code, const char *format, ...)
{
        char detail[2000];
        va_list ap;

        va_start(ap, format);
        (void)vsnprintf(detail, sizeof(detail), format, ap);
        va_end(ap);
        (void)fprintf(stderr, "nvidia-driver: %s%s%s\n  code:      %s (exit status %d)\n  next step: %s\n",
                        code_sentence(code), *detail ? " " : "", str_printable(detail), code_to_string(code),
                        code_exit_status(code), code_remedy(code));
        return code;
}

Code cli_fatal(int error, const char *what)
{
        const ErrFrame *frames;
        unsigned n;

        (void)fprintf(stderr, "nvidia-driver: %s: %s\n", what, strerror(error < 0 ? -error : error));
        frames = err_frames(&n);
        for (unsigned i = 0; i < n; i++)
                (void)fprintf(stderr, "  at %s (%s:%d)\n", frames[i].function, frames[i].file,
                                frames[i].line);
        return CODE_INTERNAL;
}

Code cli_config(const Cli *cli, Config **ret)
{
        _cleanup_strv_ char **problems = NULL;
        int r;

        r = settings_load(cli->root, cli->config_file, environ, cli->assignments, &problems, ret);
        STRV_FOREACH (problem, problems)
                cli_line(stderr, "nvidia-driver: %s", *problem);
        if (r == SETTINGS_E_BAD_ASSIGNMENT)
                return CODE_USAGE;
        if (r > 0)
                return cli_fail(CODE_CONFIG_INVALID, "%s: %s.", strna(cli->config_file), strerror(errno));
        return r < 0 ? cli_fatal(r, "configuration") : CODE_OK;
}

static Code cli_init(Cli *cli)
{
        _cleanup_strv_ char **argv = NULL;
        int r;

        if (cli->kernel)
                return cli_fail(CODE_USAGE,
                                "init is for the running kernel; update --kernel=%s builds for that one.",
                                cli->kernel);

        r = strv_push(&argv, "nvidia-driverd");
        if (r == 0 && cli->root_path)
                r = strv_pushf(&argv, "--root=%s", cli->root_path);
        if (r == 0 && cli->config_file)
                r = strv_pushf(&argv, "--config=%s", cli->config_file);
        if (r == 0 && cli->verbose)
                r = strv_push(&argv, "--verbose");
        STRV_FOREACH (assignment, cli->assignments)
                if (r == 0)
                        r = strv_pushf(&argv, "--set=%s", *assignment);
        if (r < 0)
                return cli_fatal(r, "init");

        (void)execv(path_of_daemon(), argv);
        return cli_fatal(errno, path_of_daemon());
}

static Code run(Cli *cli, const char *name)
{
        int r;

        for (size_t i = 0; i < ELEMENTSOF(verbs); i++) {
                if (!streq(verbs[i].name, name))
                        continue;
                for (int n = 0; cli->arguments[n]; n++) {
                        if (n < verbs[i].n_arguments)
                                continue;
                        (void)fprintf(stderr, "nvidia-driver: unexpected argument \"%s\"\n",
                                        cli->arguments[n]);
                        return CODE_USAGE;
                }
                r = root_new(cli->root_path ? cli->root_path : "/", &cli->root);
                if (r < 0)
                        return cli_fatal(r, cli->root_path ? cli->root_path : "/");
                return verbs[i].run(cli);
        }
        (void)fprintf(stderr, "nvidia-driver: unknown command \"%s\"; see nvidia-driver --help\n", name);
        return CODE_USAGE;
}

/* As systemctl and others do it: see no-color.org and SYSTEMD_COLORS= in systemctl(1). */
static bool wants_colour(void)
{
        const char *terminal = getenv("TERM"), *systemd = getenv("SYSTEMD_COLORS");

        if (!isatty(STDOUT_FILENO) || !isempty(getenv("NO_COLOR")) || streq_ptr(terminal, "dumb"))
                return false;
        return !(systemd && (streq(systemd, "0") || streq(systemd, "no") || streq(systemd, "false")));
}

int main(int argc, char **argv)
{
        Cli cli = { .colour = wants_colour() };
        int c, status = -1;

        while (status < 0 && (c = getopt_long(argc, argv, "hvo:k:m:as:t:", options, NULL)) >= 0)
                status = parse_option(&cli, c);

        if (status < 0 && optind == argc) {
                (void)help();
                status = code_exit_status(CODE_USAGE);
        }
        if (status < 0) {
                cli.arguments = argv + optind + 1;
                status = code_exit_status(run(&cli, argv[optind]));
        }

        root_free(cli.root);
        strv_free(cli.assignments);
        return status;
}
