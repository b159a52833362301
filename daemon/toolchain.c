/* SPDX-License-Identifier: Apache-2.0 */

/*
 * One child, nvidia-driverd-toolchain, keeps the mounts in a namespace of its
 * own. This program looks into it through /proc/PID/root, and sends commands
 * into it by the same program. Ending the child is all that there is to do.
 */

#include <signal.h>
#include <sys/wait.h>

#include "base/result.h"
#include "base/str.h"
#include "devfetch.h"
#include "paths.h"
#include "sys/store.h"
#include "toolchain.h"
#include "toolroot.h"

struct Toolchain {
        JobPool *pool;
        const Root *machine;
        const Config *config;
        ToolchainHandler handler;
        void *userdata;
        DevFetch *fetch;
        Job *job;
        char *source;    /* in the root */
        char *directory; /* of this machine: where it is mounted, in the other namespace */
        char *name, *detail;
        pid_t pid;
        Root *root; /* once it is open */
};

bool toolchain_is_wanted(const Config *config)
{
        return config->toolchain_root;
}

static void fail(Toolchain *t, Code code, const char *detail)
{
        t->handler.on_done(t->userdata, code, detail);
}

static void fail_fatal(Toolchain *t, int r, const char *what)
{
        _cleanup_free_ char *detail = str_format("%s: %s.", what, strerror(-r));

        fail(t, code_of_write(r, code_of_error(r)), strna(detail));
}

static int look_inside(Toolchain *t, const char *name)
{
        _cleanup_free_ char *path = NULL;
        int r;

        t->pid = job_pid(t->job);
        path = str_format("/proc/%d/root", (int)t->pid);
        if (!path)
                return err_origin(-ENOMEM);
        r = root_new(path, &t->root);
        if (r)
                return err_trace(r);
        t->name = str_format("%s (%s)", t->source, name);
        return t->name ? 0 : err_origin(-ENOMEM);
}

static void on_line(void *userdata, const char *line)
{
        Toolchain *t = userdata;
        const char *value;
        int r;

        if ((value = startswith(line, HELPER_KEY_DETAIL "="))) {
                (void)str_replace(&t->detail, value);
        } else if ((value = startswith(line, HELPER_KEY_NAME "=")) && !t->root) {
                r = look_inside(t, value);
                if (r < 0) {
                        fail_fatal(t, r, t->source);
                } else {
                        job_lift_timeout(t->job);
                        fail(t, CODE_OK, NULL);
                }
        } else if (*line) {
                value = startswith(line, HELPER_KEY_NOTE "=");
                t->handler.on_note(t->userdata, value ? value : line);
        }
}

/* Before it was open that is a failure; afterwards the next command says that it is lost. */
static void on_exit_of_root(void *userdata, const JobResult *result)
{
        Toolchain *t = userdata;
        Code code = code_from_exit_status(result->status);
        _cleanup_free_ char *detail = NULL;

        t->job = NULL;
        if (t->root)
                return;
        if (result->status <= 0 || code < 0)
                code = CODE_INTERNAL;
        if (result->timed_out) {
                _cleanup_free_ char *limit = str_from_usec(t->config->build_timeout);

                detail = str_format("Opening %s took longer than %s.", t->source, strna(limit));
                fail(t, CODE_BUILD_TIMEOUT, strna(detail));
                return;
        }
        detail = t->detail ? str_format("%s.", t->detail)
                           : str_format("nvidia-driverd-toolchain ended with %s %d.",
                                             result->signal ? "signal" : "status",
                                             result->signal ? result->signal : result->status);
        fail(t, code, strna(detail));
}

static int start(Toolchain *t)
{
        static const JobHandler handler = { .on_line = on_line, .on_exit = on_exit_of_root };
        bool container = streq(t->config->toolchain_root, TOOLCHAIN_CONTAINER);
        _cleanup_free_ char *source = root_path(t->machine, t->source),
                            *directory = str_format("%s/" STORE_TOOLCHAIN, t->config->store_directory);
        JobSpec spec = { .timeout = t->config->build_timeout, .death_signal = SIGKILL, .log_fd = -EBADF };
        _cleanup_strv_ char **argv = NULL;
        int r;

        if (!source || !directory)
                return err_origin(-ENOMEM);
        r = root_mkdirs(t->machine, directory, 0755);
        if (r)
                return err_trace(r);
        t->directory = root_path(t->machine, directory);
        if (!t->directory)
                return err_origin(-ENOMEM);

        r = strv_push(&argv, path_of_toolchain());
        if (r == 0)
                r = strv_push(&argv, "open");
        if (r == 0)
                r = strv_push(&argv, root_is_host(t->machine) ? "/" : t->machine->prefix);
        if (r == 0)
                r = strv_push(&argv, source);
        if (r == 0)
                r = strv_push(&argv, t->directory);
        if (r == 0)
                r = strv_push(&argv, container ? TOOLROOT_CONTAINER : TOOLROOT_ANY);
        spec.argv = argv;
        return r ? err_trace(r) : err_trace(job_start(t->pool, &spec, &handler, t, &t->job));
}

static void on_fetch_progress(void *userdata, const char *text)
{
        Toolchain *t = userdata;

        t->handler.on_progress(t->userdata, text);
}

static void on_fetch_note(void *userdata, const char *text)
{
        Toolchain *t = userdata;

        t->handler.on_note(t->userdata, text);
}

static void on_fetched(void *userdata, Code code, const char *detail, const char *image)
{
        Toolchain *t = userdata;
        int r;

        if (code) {
                fail(t, code, detail);
                return;
        }
        r = str_replace(&t->source, image);
        if (r == 0)
                r = start(t);
        if (r < 0)
                fail_fatal(t, r, "nvidia-driverd-toolchain");
}

int toolchain_open(JobPool *pool, const Root *root, const Config *config, const ToolchainHandler *handler,
                void *userdata, Toolchain **ret)
{
        static const DevFetchHandler fetch_handler = {
                .on_progress = on_fetch_progress, .on_note = on_fetch_note, .on_done = on_fetched
        };
        _cleanup_(toolchain_freep) Toolchain *t = calloc(1, sizeof(*t));
        int r;

        if (!t)
                return err_origin(-ENOMEM);
        t->pool = pool;
        t->machine = root;
        t->config = config;
        t->handler = *handler;
        t->userdata = userdata;
        if (streq(config->toolchain_root, TOOLCHAIN_CONTAINER)) {
                r = devfetch_start(pool, root, config, &fetch_handler, t, &t->fetch);
        } else {
                r = str_replace(&t->source, config->toolchain_root);
                if (r == 0)
                        r = start(t);
        }
        if (r)
                return err_trace(r);
        *ret = TAKE_PTR(t);
        return 0;
}

const Root *toolchain_root(const Toolchain *t)
{
        return t->root;
}

const char *toolchain_name(const Toolchain *t)
{
        return t->name;
}

static int push_binds(char ***argv, const char *kind, char *const *paths)
{
        int r = 0;

        STRV_FOREACH (path, paths)
                if (r == 0)
                        r = strv_pushf(argv, "%s%s", kind, *path);
        return err_trace(r);
}

int toolchain_wrap(const Toolchain *t, char *const *shown, char *const *written, RecipeStep *step)
{
        _cleanup_strv_ char **argv = NULL;
        int r;

        r = strv_push(&argv, path_of_toolchain());
        if (r == 0)
                r = strv_push(&argv, "run");
        if (r == 0)
                r = strv_pushf(&argv, "%d", (int)t->pid);
        if (r == 0)
                r = strv_push(&argv, t->directory);
        if (r == 0)
                r = push_binds(&argv, TOOLROOT_SHOW, shown);
        if (r == 0)
                r = push_binds(&argv, TOOLROOT_WRITE, written);
        if (r == 0)
                r = strv_push(&argv, "--");
        STRV_FOREACH (argument, step->argv)
                if (r == 0)
                        r = strv_push(&argv, *argument);
        if (r)
                return err_trace(r);
        strv_free(step->argv);
        step->argv = TAKE_PTR(argv);
        return 0;
}

bool toolchain_is_alive(const Toolchain *t)
{
        siginfo_t info = {};

        /* Our child until its end has been handled, so the number is not somebody else's. */
        return t->job && waitid(P_PID, (id_t)t->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
               info.si_pid == 0;
}

Toolchain *toolchain_free(Toolchain *t)
{
        if (!t)
                return NULL;

        devfetch_free(t->fetch);
        job_cancel(t->job);
        root_free(t->root);
        free(t->source);
        free(t->directory);
        free(t->name);
        free(t->detail);
        free(t);
        return NULL;
}
