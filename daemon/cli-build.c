/* SPDX-License-Identifier: Apache-2.0 */

/*
 * nvidia-driver build: the daemon's build, on a loop of its own, with its
 * progress on the terminal. For another kernel nothing of the running kernel's
 * identity is read (trap T6).
 */

#include <fcntl.h>
#include <signal.h>
#include <systemd/sd-event.h>
#include <sys/stat.h>
#include <syslog.h>

#include "base/result.h"
#include "base/str.h"
#include "build.h"
#include "cli.h"
#include "facts.h"
#include "policy/kconfig.h"
#include "signing.h"
#include "sys/store.h"
#include "treecheck.h"

typedef struct BuildRun {
        const Cli *cli;
        sd_event *event;
        sd_event_source *defer;
        JobPool *pool;
        Toolchain *toolchain;
        bool opened;
        Build *build;
        FsmState stages[4];
        size_t n_stages, at;
        Code code;
        bool failed, finished, discarding;
        bool terminal;
        const char *store;
} BuildRun;

static void clear_line(const BuildRun *run)
{
        if (run->terminal)
                (void)fputs("\r\033[K", stderr);
}

static void on_progress(void *userdata, FsmState stage, const char *text)
{
        BuildRun *run = userdata;

        clear_line(run);
        (void)fprintf(stderr, "%s %s%s", fsm_state_to_string(stage), text, run->terminal ? "" : "\n");
        (void)fflush(stderr);
}

static void on_log(void *userdata, int level, const char *text)
{
        BuildRun *run = userdata;

        clear_line(run);
        cli_line(stderr, "%s", text);
}

static void wake(BuildRun *run)
{
        (void)sd_event_source_set_enabled(run->defer, SD_EVENT_ONESHOT);
}

static void on_stage(void *userdata, FsmState stage, Code code, const char *detail)
{
        BuildRun *run = userdata;

        clear_line(run);
        if (code != CODE_OK) {
                run->code = cli_fail(code, "%s", strempty(detail));
                run->failed = true;
        } else {
                (void)fprintf(stderr, "%s: done\n", fsm_state_to_string(stage));
                run->at++;
        }
        wake(run);
}

/* After the last stage the staging directory goes; the loop ends when nothing runs any more. */
static void wind_up(BuildRun *run)
{
        if (!run->finished && !run->failed && build_result(run->build))
                (void)printf("%s\n", build_result(run->build));
        run->finished = true;
        run->build = build_free(run->build);
        run->toolchain = toolchain_free(run->toolchain);
        if (!job_pool_is_idle(run->pool))
                return;
        if (!run->discarding) {
                run->discarding = true;
                (void)build_discard_stale(run->pool, run->cli->root, run->store);
        }
        if (job_pool_is_idle(run->pool))
                (void)sd_event_exit(run->event, 0);
}

static int step(sd_event_source *source, void *userdata)
{
        BuildRun *run = userdata;

        if (!run->build && !run->finished)
                return 0; /* a signal while the toolchain was being opened */
        if (run->finished || run->failed || run->at == run->n_stages)
                wind_up(run);
        else
                build_run(run->build, run->stages[run->at]);
        return 0;
}

static void on_idle(void *userdata)
{
        BuildRun *run = userdata;

        if (run->finished)
                wake(run);
}

static int on_signal(sd_event_source *source, const struct signalfd_siginfo *si, void *userdata)
{
        BuildRun *run = userdata;

        clear_line(run);
        (void)fprintf(stderr, "nvidia-driver: interrupted, nothing was changed\n");
        run->failed = run->finished = true;
        run->code = CODE_INTERRUPTED;
        wake(run);
        return 0;
}

static int set_up(BuildRun *run)
{
        sigset_t set;
        int r;

        (void)sigemptyset(&set);
        (void)sigaddset(&set, SIGTERM);
        (void)sigaddset(&set, SIGINT);
        if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
                return err_origin(-errno);

        r = sd_event_new(&run->event);
        if (r >= 0)
                r = sd_event_add_signal(run->event, NULL, SIGTERM, on_signal, run);
        if (r >= 0)
                r = sd_event_add_signal(run->event, NULL, SIGINT, on_signal, run);
        if (r >= 0)
                r = sd_event_add_defer(run->event, &run->defer, step, run);
        if (r < 0)
                return err_origin(r);
        return err_trace(job_pool_new(run->event, on_idle, run, &run->pool));
}

static int execute(BuildRun *run, const BuildRequest *request)
{
        static const BuildHandler handler = {
                .on_progress = on_progress,
                .on_log = on_log,
                .on_stage = on_stage,
        };
        int r;

        r = build_new(run->pool, request, &handler, run, &run->build);
        if (r)
                return err_trace(r);
        if (request->tree_verdict != TREE_READY)
                run->stages[run->n_stages++] = FSM_PREPARE;
        run->stages[run->n_stages++] = FSM_COMPILE;
        run->stages[run->n_stages++] = FSM_LINK;
        run->stages[run->n_stages++] = FSM_PUBLISH;
        wake(run);
        r = sd_event_loop(run->event);
        return r < 0 ? err_origin(r) : 0;
}

static void tear_down(BuildRun *run)
{
        build_free(run->build);
        toolchain_free(run->toolchain);
        job_pool_free(run->pool);
        sd_event_source_disable_unref(run->defer);
        sd_event_unref(run->event);
}

static void on_opening(void *userdata, const char *text)
{
        BuildRun *run = userdata;

        clear_line(run);
        (void)fprintf(stderr, "%s%s", text, run->terminal ? "" : "\n");
}

static void on_note(void *userdata, const char *text)
{
        on_log(userdata, LOG_INFO, text);
}

static void on_opened(void *userdata, Code code, const char *detail)
{
        BuildRun *run = userdata;

        clear_line(run);
        run->opened = true;
        run->code = code == CODE_OK ? CODE_OK : cli_fail(code, "%s", strempty(detail));
        if (code == CODE_OK)
                cli_line(stderr, "Building in %s.", toolchain_name(run->toolchain));
}

/* On the build's own loop, because it has to stay open for as long. */
static Code open_toolchain(BuildRun *run, const Config *config)
{
        static const ToolchainHandler handler = {
                .on_progress = on_opening, .on_note = on_note, .on_done = on_opened
        };
        int r;

        r = toolchain_open(run->pool, run->cli->root, config, &handler, run, &run->toolchain);
        while (r >= 0 && !run->opened && !run->failed)
                r = sd_event_run(run->event, UINT64_MAX);
        return r < 0 ? cli_fatal(r, "toolchain") : run->code;
}

/* --output: the directory itself takes the place of the store, so the final rename stays on one file system.
 */
static int output_directory(const Cli *cli, char **ret)
{
        _cleanup_free_ char *absolute = NULL;

        if (mkdir(cli->output, 0755) < 0 && errno != EEXIST)
                return err_origin(-errno);
        absolute = realpath(cli->output, NULL);
        if (!absolute)
                return err_origin(-errno);
        *ret = TAKE_PTR(absolute);
        return 0;
}

static Code judge(const Facts *f, const Config *config)
{
        if (f->source.code != CODE_OK)
                return cli_fail(f->source.code, "%s", strempty(f->source.evidence));
        if (!f->has_tree)
                return cli_fail(CODE_TREE_MISSING, "Kernel %s has none%s%s.", f->kernel.release,
                                config->kernel_tree ? " at " : "", strempty(config->kernel_tree));
        if (f->tree.code != CODE_OK && f->tree.verdict != TREE_DIRTY)
                return cli_fail(f->tree.code, "%s", strempty(f->tree.evidence));
        if (f->source.warning)
                cli_line(stderr, "%s.", f->source.warning);
        STRV_FOREACH (note, f->tree.notes)
                cli_line(stderr, "%s", *note);
        return CODE_OK;
}

/* The kernel it is for would refuse it as it comes; a signature may still be put on elsewhere. */
static int warn_unsigned(const TreeFacts *tree)
{
        _cleanup_(kconfig_freep) Kconfig *config = NULL;
        int r;

        r = tree->config ? kconfig_parse(tree->config, tree->config_size, &config) : KCONFIG_E_EMPTY;
        if (r < 0)
                return err_trace(r);
        if (r == 0 && kconfig_enabled(config, "MODULE_SIG_FORCE"))
                (void)fprintf(stderr,
                                "This kernel only loads signed modules (CONFIG_MODULE_SIG_FORCE), and there "
                                "is no Key= in [Signing].\n");
        return 0;
}

/* Before anything is compiled: can the key sign, and will this kernel take what it signs? */
static Code judge_signing(const Cli *cli, const Config *config, Facts *f)
{
        const Signer *signer = f->signing.wanted ? &f->signing.signer : NULL;
        _cleanup_free_ char *why = NULL;
        int r;

        r = signer ? signing_check_now(cli->root, config, &f->signing)
                   : warn_unsigned(&f->trees.items[f->tree_index]);
        if (r < 0)
                return cli_fatal(r, "signing");
        STRV_FOREACH (note, f->signing.notes)
                cli_line(stderr, "%s", *note);
        if (f->signing.code != CODE_OK)
                return cli_fail(f->signing.code, "%s", strempty(f->signing.detail));

        if (!enforcement_refuses(enforcement_judge(&f->enforcement, signer)))
                return CODE_OK;
        why = enforcement_explain(&f->enforcement, signer, "this build");
        /* For the store of this machine it is for this machine; in a directory it may be for another one. */
        if (!cli->output)
                return cli_fail(CODE_SIGNATURE_REQUIRED, "%s", strna(why));
        cli_line(stderr, "%s It cannot be loaded on this machine as it is.", strna(why));
        return CODE_OK;
}

static Code build_from(BuildRun *run, const Config *config, const Facts *f)
{
        _cleanup_free_ char *store = NULL, *builds = NULL, *staging = NULL;
        const Cli *cli = run->cli;
        BuildRequest request = { .root = cli->root, .config = config, .kernel = &f->kernel };
        int r;

        r = cli->output ? output_directory(cli, &store) : str_replace(&store, config->store_directory);
        if (r < 0)
                return cli_fail(CODE_STORE_FAILED, "%s: %s.", cli->output, strerror(-r));
        builds = cli->output ? strdup(store) : str_format("%s/" STORE_BUILDS, store);
        staging = str_format("%s/" STORE_STAGING, store);
        if (!builds || !staging)
                return cli_fatal(-ENOMEM, "build");

        request.tree = &f->trees.items[f->tree_index];
        request.tree_verdict = f->tree.verdict;
        request.source = &f->sources.items[f->source.index];
        request.signer = f->signing.wanted ? &f->signing.signer : NULL;
        request.toolchain = run->toolchain;
        request.store = run->store = store;
        request.builds = builds;
        request.locked = !cli->output;
        r = execute(run, &request);
        if (cli->output)
                (void)rmdir(staging);
        if (r < 0)
                return code_of_write(r, CODE_OK) ? cli_fail(CODE_NO_SPACE, "%s.", store)
                                                 : cli_fatal(r, "build");
        return run->code;
}

/* With a kept tree that is what it was, or without one. */
static int gather(const Cli *cli, const Config *config, const FactsTarget *target, Facts *facts)
{
        _cleanup_strv_ char **bad = NULL;

        for (;;) {
                _cleanup_free_ char *detail = NULL;
                FactsTarget now = *target;
                const TreeFacts *tree;
                Code code;
                int r;

                now.bad = bad;
                r = facts_gather(cli->root, config, &now, facts);
                tree = r < 0 ? NULL : facts_kept_tree(facts);
                if (!tree)
                        return err_trace(r);
                r = treecheck_now(cli->root, config, tree->path, !target->release, &code, &detail);
                if (r < 0 || code == CODE_OK)
                        return err_trace(r);
                cli_line(stderr, "Kept kernel tree: %s, not building in it.", strna(detail));
                r = strv_push(&bad, tree->path);
                facts_done(facts);
                if (r)
                        return err_trace(r);
        }
}

/* Everything before the first compiler runs; what is wrong is printed. */
static Code look(BuildRun *run, const Config *config, FactsTarget *target, Facts *facts)
{
        const Cli *cli = run->cli;
        Code code = CODE_OK;
        int r;

        if (toolchain_is_wanted(config)) {
                code = open_toolchain(run, config);
                if (code)
                        return code;
                target->inside = toolchain_root(run->toolchain);
        }
        r = gather(cli, config, target, facts);
        code = r < 0 ? cli_fatal(r, "facts") : judge(facts, config);
        return code == CODE_OK ? judge_signing(cli, config, facts) : code;
}

Code cli_build(Cli *cli)
{
        BuildRun run = { .cli = cli, .terminal = isatty(STDERR_FILENO) };
        FactsTarget target = { .release = cli->kernel, .always_build = true };
        _cleanup_(config_freep) Config *config = NULL;
        Facts facts = {};
        Code code;
        int r;

        code = cli_config(cli, &config);
        if (code)
                return code;
        r = set_up(&run);
        code = r < 0 ? cli_fatal(r, "build") : look(&run, config, &target, &facts);
        if (code == CODE_OK)
                code = build_from(&run, config, &facts);
        tear_down(&run);
        facts_done(&facts);
        return code;
}
