/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The build object: its staging directory, its chain of child processes and
 * how a stage ends. The four stages are in build-prepare.c, build-compile.c
 * and build-link.c.
 *
 * A stage is a chain of steps. Each step is one child; when it is gone its
 * "done" function looks at the result and starts the next one or ends the
 * stage. A stage can fail before its first child exists, so on_stage may be
 * called from within build_run(): callers note it and go on from their loop.
 */

#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <syslog.h>

#include "base/result.h"
#include "base/str.h"
#include "build-config.h"
#include "build-internal.h"
#include "paths.h"
#include "sys/clock.h"
#include "sys/resources.h"
#include "sys/store.h"

/* A compiler of the kernel's size needs about this much at its peak. */
#define MEMORY_PER_JOB (512ULL * 1024 * 1024)

static unsigned count_jobs(const BuildRequest *request)
{
        unsigned jobs = request->config->build_jobs;
        uint64_t memory;

        if (jobs > 0)
                return jobs;

        jobs = resources_cpus();
        if (resources_memory(request->root, &memory) == 0)
                jobs = (unsigned)MIN((uint64_t)jobs, memory / MEMORY_PER_JOB);
        return MAX(jobs, 1U);
}

static int open_log(Build *b)
{
        _cleanup_free_ char *directory = build_root_path(b, "build"),
                            *path = build_path(b, "build/build.log");
        int r;

        if (!directory || !path)
                return err_origin(-ENOMEM);
        r = root_mkdirs(b->request.root, directory, 0755);
        if (r)
                return err_trace(r);
        b->log_fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0644);
        return b->log_fd < 0 ? err_origin(-errno) : 0;
}

int build_new(JobPool *pool, const BuildRequest *request, const BuildHandler *handler, void *userdata,
                Build **ret)
{
        _cleanup_(build_freep) Build *b = NULL;
        int r;

        b = calloc(1, sizeof(*b));
        if (!b)
                return err_origin(-ENOMEM);
        b->log_fd = b->staging_lock = b->tree_lock = -EBADF;
        b->request = *request;
        b->handler = *handler;
        b->userdata = userdata;
        b->pool = pool;
        b->stage = _FSM_STATE_INVALID;
        b->jobs = count_jobs(request);
        b->deadline = usec_add(now_usec(), request->config->build_timeout);

        r = str_replace(&b->store, request->store);
        if (r == 0)
                r = str_replace(&b->builds, request->builds);
        if (r)
                return err_trace(r);
        b->request.store = b->store;
        b->request.builds = b->builds;

        r = build_lock_tree(b);
        if (r == 0)
                r = store_stage(request->root, b->store, &b->staging, &b->staging_lock);
        if (r == 0)
                r = open_log(b);
        if (r)
                return err_trace(r);

        *ret = TAKE_PTR(b);
        return 0;
}

Build *build_free(Build *b)
{
        if (!b)
                return NULL;

        job_cancel(b->job);
        buildlog_done(&b->log);
        safe_close(b->log_fd);
        safe_close(b->staging_lock);
        safe_close(b->tree_lock);
        tree_facts_done(&b->prepared);
        driver_source_done(&b->unpacked);
        recipe_modules_done(&b->modules);
        strv_free(b->new_symbols);
        strv_free(b->compilers);
        strv_free(b->compiler_texts);
        strv_free(b->error_lines);
        free(b->store);
        free(b->builds);
        free(b->staging);
        free(b->result);
        free(b->compiler);
        free(b->compiler_text);
        free(b->linker_text);
        free(b->hash);
        free(b->source_digest);
        free(b->answer_detail);
        free(b->linked_directory);
        free(b);
        return NULL;
}

const TreeFacts *build_tree(const Build *b)
{
        return b->is_prepared ? &b->prepared : b->request.tree;
}

const DriverSource *build_source(const Build *b)
{
        return b->is_unpacked ? &b->unpacked : b->request.source;
}

const char *build_result(const Build *b)
{
        return b->result;
}

char *build_root_path(const Build *b, const char *name)
{
        return str_format("%s/%s", b->staging, name);
}

char *build_host_path(const Build *b, const char *path)
{
        return root_path(b->request.root, path);
}

char *build_path(const Build *b, const char *name)
{
        _cleanup_free_ char *path = build_root_path(b, name);

        return path ? build_host_path(b, path) : NULL;
}

void build_log(Build *b, int level, const char *format, ...)
{
        char text[1024];
        va_list ap;

        va_start(ap, format);
        (void)vsnprintf(text, sizeof(text), format, ap);
        va_end(ap);
        b->handler.on_log(b->userdata, level, text);
}

void build_succeed(Build *b)
{
        b->handler.on_stage(b->userdata, b->stage, CODE_OK, NULL);
}

/* A log of a failed build is worth keeping; the staging directory is not. */
static char *keep_log(Build *b)
{
        _cleanup_free_ char *from = build_path(b, "build/build.log"), *to = NULL, *kept = NULL;

        kept = str_format("%s/failed-build.log", b->request.store);
        to = kept ? build_host_path(b, kept) : NULL;
        if (!from || !to || rename(from, to) < 0)
                return NULL;
        return TAKE_PTR(to);
}

void build_fail(Build *b, Code code, const char *format, ...)
{
        _cleanup_free_ char *text = NULL, *log = keep_log(b);
        char detail[1500];
        va_list ap;

        va_start(ap, format);
        (void)vsnprintf(detail, sizeof(detail), format, ap);
        va_end(ap);
        if (log)
                text = str_format("%s (whole log: %s)", detail, log);
        b->handler.on_stage(b->userdata, b->stage, code, text ? text : detail);
}

void build_fatal(Build *b, int error, const char *what)
{
        Code code = code_of_write(error, code_of_error(error));

        build_fail(b, code, "%s: %s.", what, strerror(-error));
}

void build_fail_late(Build *b)
{
        _cleanup_free_ char *limit = str_from_usec(b->request.config->build_timeout);

        build_fail(b, CODE_BUILD_TIMEOUT, "It was stopped after %s.", strna(limit));
}

bool build_step_failed(Build *b, const JobResult *result)
{
        _cleanup_free_ char *lines = NULL;
        Code code;

        (void)buildlog_finish(&b->log);
        if (result->status == 0)
                return false;

        if (result->timed_out) {
                build_fail_late(b);
                return true;
        }

        for (unsigned i = 0; i < b->log.n_errors; i++)
                build_log(b, LOG_ERR, "%s", b->log.errors[i]);
        lines = b->log.telling ? strdup(b->log.telling) : NULL;
        /* Nothing that looks like an error: the last words are the best guess. */
        if (!lines && b->log.line[0])
                lines = strdup(b->log.line);
        code = buildlog_code(&b->log, result->signal == SIGKILL);
        if (code == CODE_PREPARE_FAILED || code == CODE_COMPILE_FAILED || code == CODE_LINK_FAILED)
                code = resources_is_full(b->staging_lock) ? CODE_NO_SPACE : code;
        build_fail(b, code, "%s%s%d.%s%s", fsm_state_to_string(b->stage),
                        result->signal ? " ended by signal " : " ended with status ",
                        result->signal ? result->signal : result->status,
                        b->log.telling ? " First error: "
                        : lines        ? " Last line: "
                                       : "",
                        strempty(lines));
        return true;
}

static void on_line(void *userdata, const char *line)
{
        Build *b = userdata;
        bool changed = false;

        (void)buildlog_feed(&b->log, line, strlen(line), NULL);
        (void)buildlog_feed(&b->log, "\n", 1, &changed);
        if (changed) {
                _cleanup_free_ char *progress = buildlog_progress(&b->log);

                if (progress)
                        b->handler.on_progress(b->userdata, b->stage, progress);
        }
        if (b->step_line)
                b->step_line(b, line);
}

static void on_exit_of_step(void *userdata, const JobResult *result)
{
        Build *b = userdata;

        b->job = NULL;
        if (result->status == 0 || !b->step_inside || !build_inside_failed(b, result))
                b->step_done(b, result);
}

static const JobHandler step_handler = { .on_line = on_line, .on_exit = on_exit_of_step };

void build_start(Build *b, JobSpec *spec)
{
        usec_t now = now_usec();
        int r;

        /* The limit is one for all that a build runs; 0 would be none. */
        spec->timeout = b->deadline > now ? b->deadline - now : 1;
        r = job_start(b->pool, spec, &step_handler, b, &b->job);
        if (r < 0)
                build_fatal(b, r, spec->argv[0]);
}

void build_step(Build *b, RecipeStep *step, BuildStepLine line, BuildStepDone done)
{
        _cleanup_free_ char *command = recipe_step_to_string(step);
        int r;
        JobSpec spec = {
                .environment = step->environment,
                .directory = step->directory,
                .guarded = true, /* make passes a signal on to shells, and those to nobody */
                .log_fd = b->log_fd,
        };

        if (command)
                (void)dprintf(b->log_fd, "+ %s\n", command);
        b->step_inside = b->request.toolchain && !step->on_host;
        r = b->step_inside ? build_enter(b, step) : 0;
        spec.argv = step->argv;
        b->step_line = line;
        b->step_done = done;
        buildlog_forget_errors(&b->log);
        if (r < 0)
                build_fatal(b, r, step->argv[0]);
        else
                build_start(b, &spec);
        recipe_step_done(step);
}

void build_run(Build *b, FsmState stage)
{
        buildlog_done(&b->log);
        b->stage = stage;

        switch ((int)stage) {
        case FSM_PREPARE:
                buildlog_init(&b->log, BUILD_STAGE_PREPARE, 0);
                build_run_prepare(b);
                return;
        case FSM_COMPILE:
                buildlog_init(&b->log, BUILD_STAGE_COMPILE,
                                driver_source_objects(build_source(b), b->request.config->modules));
                build_run_compile(b);
                return;
        case FSM_LINK:
                buildlog_init(&b->log, BUILD_STAGE_LINK, 0);
                if (b->request.base)
                        build_run_base(b);
                else
                        build_run_link(b);
                return;
        case FSM_PUBLISH:
                buildlog_init(&b->log, BUILD_STAGE_LINK, 0);
                build_run_publish(b);
                return;
        default:
                build_fail(b, CODE_INTERNAL, "%s is no stage of a build.", fsm_state_to_string(stage));
        }
}

static void discarded(void *userdata, const JobResult *result)
{
}

int build_discard_stale(JobPool *pool, const Root *root, const char *store)
{
        static const JobHandler handler = { .on_exit = discarded };
        _cleanup_strv_ char **stale = NULL, **argv = NULL;
        JobSpec spec = { .timeout = 5 * USEC_PER_MINUTE, .log_fd = -EBADF };
        Job *job;
        int r;

        r = store_stale(root, store, &stale);
        if (r < 0 || !stale)
                return err_trace(r);

        r = strv_push(&argv, path_of_worker());
        if (r == 0)
                r = strv_push(&argv, "discard");
        STRV_FOREACH (path, stale)
                if (r == 0)
                        r = strv_push_consume(&argv, root_path(root, *path));
        if (r < 0)
                return err_trace(r);

        spec.argv = argv;
        return err_trace(job_start(pool, &spec, &handler, NULL, &job));
}
