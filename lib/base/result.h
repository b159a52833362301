/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Three kinds of result, the doctrine of the whole project:
 *
 *   < 0   a fatal errno. Forwarded to the program's top, never compared with.
 *   = 0   success.
 *   > 0   a condition that this very function documents. The caller handles it
 *         or folds it; it is never forwarded, because it means something else
 *         one level up.
 *
 * err_origin() marks where a negative code is born, err_trace() where it is
 * passed on, err_fold() where a positive one was not expected and turns fatal.
 * Together they leave a short trace that a main program can log. On success
 * nothing is recorded.
 */

enum { ERR_TRACE_MAX = 16 };

typedef struct ErrFrame {
        const char *file;
        const char *function;
        int line;
        int error;
} ErrFrame;

int err_record(int error, const char *file, int line, const char *function, int is_origin);
int err_folded(int error, const char *file, int line, const char *function);

/* Returns the frames of the last fatal error, innermost first, and their number. */
const ErrFrame *err_frames(unsigned *ret_n);

#define err_origin(error) err_record((error), __FILE__, __LINE__, __func__, 1)
#define err_trace(error)  err_record((error), __FILE__, __LINE__, __func__, 0)
#define err_fold(error)   err_folded((error), __FILE__, __LINE__, __func__)
