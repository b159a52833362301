/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Reads the output of make and ld while it comes: progress by object, the
 * first real error lines, and what kind of failure they are about.
 */

#include "base/macro.h"
#include "base/str.h"
#include "policy/code.h"

enum {
        BUILDLOG_LINE_MAX = 300, /* bytes kept of a line; the rest of it is dropped */
        BUILDLOG_ERRORS_MAX = 12,
};

typedef enum BuildStage {
        BUILD_STAGE_PREPARE,
        BUILD_STAGE_COMPILE,
        BUILD_STAGE_LINK,
        _BUILD_STAGE_MAX,
        _BUILD_STAGE_INVALID = -EINVAL,
} BuildStage;

typedef struct BuildLog {
        BuildStage stage;
        unsigned n_tests;    /* NVIDIA's questions to the kernel, before the first object */
        unsigned n_objects;  /* objects compiled so far */
        unsigned n_expected; /* 0: not known */
        char module[32];     /* what was compiled last: "nvidia-uvm", "" before the first */
        char *errors[BUILDLOG_ERRORS_MAX];
        unsigned n_errors;                /* kept */
        char *telling;                    /* the first of the most telling error lines; NULL if none */
        unsigned strength;                /* of that one; less is stronger */
        unsigned n_error_lines;           /* seen */
        Code code;                        /* of the most telling error line; CODE_OK if none */
        char line[BUILDLOG_LINE_MAX + 1]; /* the unfinished one */
        size_t n_line;
        bool in_long_line;
} BuildLog;

void buildlog_init(BuildLog *log, BuildStage stage, unsigned n_expected);
void buildlog_done(BuildLog *log);

/*
 * The next command begins: what the last one complained of is no error of this
 * one. A compiler that was only asked for its version, and is not there, must
 * not explain why another one fails later. What was counted stays.
 */
void buildlog_forget_errors(BuildLog *log);

/*
 * Takes the next @size bytes, any split. Bytes that are no printable ASCII are
 * replaced by '?' in what is kept. @ret_changed (may be NULL): the progress did.
 * Returns 0 or -ENOMEM.
 */
int buildlog_feed(BuildLog *log, const char *data, size_t size, bool *ret_changed);

/* Takes the last line, if it had no newline. Returns 0 or -ENOMEM. */
int buildlog_finish(BuildLog *log);

/* "112/184, nvidia-uvm"; "3, nvidia" if the total is not known; "kernel test 17" before the first object.
 * NULL on out of memory; the caller's. */
char *buildlog_progress(const BuildLog *log);

/* Why the stage failed, given that it did; never CODE_OK. @killed: it died by SIGKILL. */
Code buildlog_code(const BuildLog *log, bool killed);

/* True if it makes sense to try once more with one job. */
bool buildlog_is_memory(const BuildLog *log, bool killed);
