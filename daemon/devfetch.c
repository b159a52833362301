/* SPDX-License-Identifier: Apache-2.0 */

#include <signal.h>

#include "base/result.h"
#include "base/str.h"
#include "devfetch.h"
#include "helper.h"
#include "paths.h"

struct DevFetch {
        DevFetchHandler handler;
        void *userdata;
        Job *job;
        char *detail, *image;
};

static void on_line(void *userdata, const char *line)
{
        DevFetch *f = userdata;
        const char *value;

        if ((value = startswith(line, HELPER_KEY_PROGRESS "=")))
                f->handler.on_progress(f->userdata, value);
        else if ((value = startswith(line, HELPER_KEY_NOTE "=")))
                f->handler.on_note(f->userdata, value);
        else if ((value = startswith(line, HELPER_KEY_DETAIL "=")))
                (void)str_replace(&f->detail, value);
        else if ((value = startswith(line, HELPER_KEY_IMAGE "=")))
                (void)str_replace(&f->image, value);
        else
                f->handler.on_note(f->userdata, line);
}

static void on_exit_of_fetch(void *userdata, const JobResult *result)
{
        DevFetch *f = userdata;
        Code code = code_from_exit_status(result->status);

        f->job = NULL;
        if (code == _CODE_INVALID || (code == CODE_OK && !f->image))
                code = CODE_INTERNAL;
        if (code != CODE_OK && !f->detail)
                f->detail = str_format("nvidia-driverd-fetch ended with %s %d.",
                                result->signal ? "signal" : "status",
                                result->signal ? result->signal : result->status);
        f->handler.on_done(f->userdata, code, strempty(f->detail), f->image);
}

static int push_arguments(char ***argv, const Root *root, const Config *config)
{
        int r;

        r = strv_push(argv, path_of_fetch());
        if (r == 0)
                r = strv_push(argv, "container");
        if (r == 0)
                r = strv_push(argv, root_is_host(root) ? "/" : root->prefix);
        if (r == 0)
                r = strv_push(argv, config->store_directory);
        if (r == 0)
                r = strv_push(argv, strempty(config->toolchain_checksum));
        if (r == 0)
                r = strv_pushf(argv, "%llu", (unsigned long long)config->toolchain_stall);
        STRV_FOREACH (mirror, config->toolchain_mirrors)
                if (r == 0)
                        r = strv_push(argv, *mirror);
        return err_trace(r);
}

int devfetch_start(JobPool *pool, const Root *root, const Config *config, const DevFetchHandler *handler,
                void *userdata, DevFetch **ret)
{
        static const JobHandler job_handler = { .on_line = on_line, .on_exit = on_exit_of_fetch };
        _cleanup_(devfetch_freep) DevFetch *f = calloc(1, sizeof(*f));
        _cleanup_strv_ char **argv = NULL;
        JobSpec spec = { .death_signal = SIGTERM, .log_fd = -EBADF };
        int r;

        if (!f)
                return err_origin(-ENOMEM);
        f->handler = *handler;
        f->userdata = userdata;
        r = push_arguments(&argv, root, config);
        spec.argv = argv;
        if (r == 0)
                r = job_start(pool, &spec, &job_handler, f, &f->job);
        if (r)
                return err_trace(r);
        *ret = TAKE_PTR(f);
        return 0;
}

DevFetch *devfetch_free(DevFetch *f)
{
        if (!f)
                return NULL;
        job_cancel(f->job);
        free(f->detail);
        free(f->image);
        free(f);
        return NULL;
}
