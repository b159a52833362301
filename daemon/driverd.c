/* SPDX-License-Identifier: Apache-2.0 */

/*
 * nvidia-driverd: arguments, log, configuration, then the manager until the
 * end. The exit status is that of a Code (policy/code.h).
 */

#include <getopt.h>
#include <signal.h>
#include <sys/prctl.h>

#include "base/result.h"
#include "base/str.h"
#include "build-config.h"
#include "manager.h"
#include "paths.h"
#include "settings.h"

typedef struct Arguments {
        const char *root;
        const char *config;
        bool verbose;
        bool unload;        /* of nvidia-driver unload: only unload what an earlier daemon left */
        char **assignments; /* SECTION.KEY=VALUE */
} Arguments;

static int help(void)
{
        (void)printf("nvidia-driverd [OPTIONS...]\n\n"
                     "Keeps the NVIDIA kernel driver of this host loaded and ready.\n\n"
                     "  -h --help                      Show this help\n"
                     "     --version                   Show the version\n"
                     "     --root=DIR                  Work on the machine below DIR\n"
                     "     --config=FILE               Read FILE instead of the usual places\n"
                     "     --unload                    Only unload what a stop had to leave, see\n"
                     "                                 nvidia-driver(1)\n"
                     "  -o --set=SECTION.KEY=VALUE     Override a setting\n"
                     "  -v --verbose                   Log debug messages too\n\n"
                     "See nvidia-driverd(8) and driverd.conf(5).\n");
        return 0;
}

enum { ARG_VERSION = 0x100, ARG_ROOT, ARG_CONFIG, ARG_UNLOAD };

static const struct option options[] = {
        { "help", no_argument, NULL, 'h' },
        { "version", no_argument, NULL, ARG_VERSION },
        { "root", required_argument, NULL, ARG_ROOT },
        { "config", required_argument, NULL, ARG_CONFIG },
        { "unload", no_argument, NULL, ARG_UNLOAD },
        { "set", required_argument, NULL, 'o' },
        { "verbose", no_argument, NULL, 'v' },
        {},
};

/* Returns -1 to go on, else the exit status. */
static int parse_arguments(int argc, char **argv, Arguments *a)
{
        int c;

        while ((c = getopt_long(argc, argv, "ho:v", options, NULL)) >= 0) {
                switch (c) {
                case 'h':
                        return help();
                case ARG_VERSION:
                        (void)printf("nvidia-driverd %s\n", PROJECT_VERSION);
                        return 0;
                case ARG_ROOT:
                        a->root = optarg;
                        paths_allow_environment(true);
                        break;
                case ARG_CONFIG:
                        a->config = optarg;
                        break;
                case ARG_UNLOAD:
                        a->unload = true;
                        break;
                case 'o':
                        if (strv_push(&a->assignments, optarg) < 0)
                                return code_exit_status(CODE_RESOURCES);
                        break;
                case 'v':
                        a->verbose = true;
                        break;
                default:
                        return code_exit_status(CODE_USAGE);
                }
        }
        if (optind < argc) {
                (void)fprintf(stderr, "nvidia-driverd: unexpected argument \"%s\"\n", argv[optind]);
                return code_exit_status(CODE_USAGE);
        }
        return -1;
}

static Code run(const Arguments *a, Log *log)
{
        _cleanup_(root_freep) Root *root = NULL;
        _cleanup_(manager_freep) Manager *m = NULL;
        _cleanup_(config_freep) Config *config = NULL;
        _cleanup_strv_ char **problems = NULL;
        int r;

        r = root_new(a->root ? a->root : "/", &root);
        if (r < 0) {
                log_fatal(log, r, a->root ? a->root : "/");
                return code_of_error(r) == CODE_RESOURCES ? CODE_RESOURCES : CODE_USAGE;
        }
        r = settings_load(root, a->config, environ, a->assignments, &problems, &config);
        if (r == SETTINGS_E_BAD_ASSIGNMENT) {
                log_error(log, "%s", problems[strv_length(problems) - 1]);
                return CODE_USAGE;
        }
        if (r > 0) {
                log_error(log, "%s cannot be read: %s.", strna(a->config), strerror(errno));
                return CODE_CONFIG_INVALID;
        }
        if (r == 0)
                r = manager_new(root, config, problems, log, &m);
        if (r == MANAGER_E_RUNNING)
                return CODE_ALREADY_RUNNING;
        if (r < 0) {
                log_fatal(log, r, "start");
                return r == -EACCES || r == -EPERM ? CODE_NOT_PERMITTED : code_of_error(r);
        }
        (void)TAKE_PTR(config);
        (void)TAKE_PTR(problems);
        m->config_file = a->config;
        m->assignments = a->assignments;

        r = a->unload ? manager_run_unload(m) : manager_run(m);
        if (r < 0) {
                log_fatal(log, r, "event loop");
                return code_of_error(r);
        }
        return m->exit_code;
}

/* Before anything else: sd-event takes signals from a file descriptor. */
static int block_signals(void)
{
        sigset_t set;

        (void)sigemptyset(&set);
        (void)sigaddset(&set, SIGTERM);
        (void)sigaddset(&set, SIGINT);
        (void)sigaddset(&set, SIGHUP);
        (void)signal(SIGPIPE, SIG_IGN);
        return sigprocmask(SIG_BLOCK, &set, NULL);
}

int main(int argc, char **argv)
{
        _cleanup_(log_freep) Log *log = NULL;
        Arguments a = {};
        Code code;
        int status;

        status = parse_arguments(argc, argv, &a);
        if (status >= 0) {
                strv_free(a.assignments);
                return status;
        }
        if (block_signals() < 0 || log_new("nvidia-driverd", a.verbose ? LOG_DEBUG : LOG_INFO,
                                                   a.root ? a.root : "/", &log) < 0)
                return code_exit_status(CODE_RESOURCES);

        code = run(&a, log);
        strv_free(a.assignments);
        return code_exit_status(code);
}
