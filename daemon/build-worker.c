/* SPDX-License-Identifier: Apache-2.0 */

/* The worker program as a part of a build: its answers, and what it means when it fails. */

#include <signal.h>
#include <stdarg.h>
#include <string.h>

#include "base/result.h"
#include "base/str.h"
#include "build-internal.h"
#include "helper.h"
#include "paths.h"
#include "sys/proc.h"

static void on_worker_line(Build *b, const char *line)
{
        const char *value;

        if ((value = startswith(line, HELPER_KEY_DETAIL "=")))
                (void)str_replace(&b->answer_detail, value);
        else if ((value = startswith(line, HELPER_KEY_BUILD "=")))
                (void)str_replace(&b->result, value);
        else if ((value = startswith(line, HELPER_KEY_SOURCE "=")))
                (void)str_replace(&b->source_digest, value);
        else if (startswith(line, HELPER_KEY_KEPT "="))
                build_kept_line(b, line);
        else
                build_check_line(b, line);
}

void build_worker(Build *b, BuildStepDone done, char *const *more, const char *operation, ...)
{
        _cleanup_strv_ char **argv = NULL;
        JobSpec spec = { .death_signal = SIGTERM, .log_fd = b->log_fd };
        const char *argument;
        va_list ap;
        int r;

        r = strv_push(&argv, path_of_worker());
        if (r == 0)
                r = strv_push(&argv, operation);
        va_start(ap, operation);
        while (r == 0 && (argument = va_arg(ap, const char *)))
                r = strv_push(&argv, argument);
        va_end(ap);
        STRV_FOREACH (m, more)
                if (r == 0)
                        r = strv_push(&argv, *m);
        if (r < 0) {
                build_fatal(b, r, operation);
                return;
        }

        spec.argv = argv;
        b->step_inside = false;
        b->step_line = on_worker_line;
        b->step_done = done;
        build_start(b, &spec);
}

bool build_worker_failed(Build *b, const JobResult *result, Code otherwise)
{
        Code code = result->status < 0 ? _CODE_INVALID : code_from_exit_status(result->status);

        if (result->status == 0)
                return false;
        if (result->timed_out)
                build_fail_late(b);
        else if (code > CODE_OK)
                build_fail(b, code, "%s", strempty(b->answer_detail));
        else if (result->signal)
                build_fail(b, result->signal == SIGKILL ? CODE_OUT_OF_MEMORY : otherwise,
                                "The worker ended by signal %d (%s).", result->signal,
                                strsignal(result->signal));
        else if (result->status == PROC_STATUS_NO_EXEC)
                build_fail(b, CODE_INTERNAL, "%s cannot be executed.", path_of_worker());
        else
                build_fail(b, otherwise, "The worker ended with status %d.", result->status);
        return true;
}
