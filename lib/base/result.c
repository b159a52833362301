/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The trace of the last fatal error. It is process-wide and not locked: no
 * program of this project has threads (blocking work happens in processes).
 * A new origin starts a new trace; frames beyond the limit are dropped, the
 * innermost ones are what helps.
 */

#include <errno.h>

#include "base/result.h"

static ErrFrame frames[ERR_TRACE_MAX];
static unsigned n_frames;

int err_record(int error, const char *file, int line, const char *function, int is_origin)
{
        if (error >= 0)
                return error;

        if (is_origin)
                n_frames = 0;

        if (n_frames < ERR_TRACE_MAX)
                frames[n_frames++] = (ErrFrame){
                        .file = file,
                        .function = function,
                        .line = line,
                        .error = error,
                };

        return error;
}

int err_folded(int error, const char *file, int line, const char *function)
{
        if (error <= 0)
                return err_record(error, file, line, function, 0);

        return err_record(-ENOTRECOVERABLE, file, line, function, 1);
}

const ErrFrame *err_frames(unsigned *ret_n)
{
        *ret_n = n_frames;
        return frames;
}
