/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The daemon's log: passed in, never global. Entries go to the journal with
 * fields when stderr is connected to it, else as plain lines to stderr. Only
 * daemon/ logs; lib/ is silent.
 */

#include <syslog.h>

#include "base/macro.h"
#include "policy/code.h"

typedef struct Log Log;

/*
 * @name is the program's, shown in front of plain lines. @max_level as
 * syslog(3). @root: where the journal's socket is below. No entry waits for its
 * reader; those that are lost are counted. Returns 0 or a negative errno.
 */
int log_new(const char *name, int max_level, const char *root, Log **ret);
Log *log_free(Log *log);
DEFINE_CLEANUP(Log, log_free);

/* Fields for the next entry only; @name without the common prefix. */
void log_field(Log *log, const char *name, const char *value);

void log_message(Log *log, int level, const char *message_id, const char *format, ...) _printf_(4, 5);

#define log_debug(log, ...)   log_message((log), LOG_DEBUG, NULL, __VA_ARGS__)
#define log_info(log, ...)    log_message((log), LOG_INFO, NULL, __VA_ARGS__)
#define log_notice(log, ...)  log_message((log), LOG_NOTICE, NULL, __VA_ARGS__)
#define log_warning(log, ...) log_message((log), LOG_WARNING, NULL, __VA_ARGS__)
#define log_error(log, ...)   log_message((log), LOG_ERR, NULL, __VA_ARGS__)

/* A failure: its sentence, what happened here, the next step, with the code as a field. */
void log_code(Log *log, int level, Code code, const char *detail);

/* A fatal error of ours: what was tried, errno's text and the trace of err_origin(). */
void log_fatal(Log *log, int error, const char *what);

/* Message ids, stable for journalctl MESSAGE_ID= and the catalog. */
#define LOG_ID_STATE   "5f0c2b0a6d5e4c0f9d6a37d6b8b0b5a1"
#define LOG_ID_READY   "a2b7c0de5c0e4a9f8c1d6f3a1d2e9c44"
#define LOG_ID_FAILURE "c7f7ad1e0f6b4d2b9a54b8a3f0c1e7d9"
#define LOG_ID_HOLDER  "3d1f6c1b9c0a4f3e8e5b7a2d94c6f018"
#define LOG_ID_STOPPED "0d7b2b8f3c1a4e6b8e9f5d4c3b2a1908"
#define LOG_ID_GPU     "aa581a103d3a411485e7997327c47faa"
