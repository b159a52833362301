/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The loop of a program that does nothing but wait for its jobs, as most of
 * nvidia-driver's commands do. The daemon and a build have loops of their own,
 * because they listen to more than that.
 */

#include "job.h"

typedef struct JobLoop {
        sd_event *event;
        JobPool *pool;
} JobLoop;

/* Returns 0 or a negative errno. What was made is the caller's to free, on failure too. */
int job_loop_new(JobLoop *ret);

/* Runs until job_loop_end. Returns 0 or a negative errno. */
int job_loop_run(JobLoop *loop);
void job_loop_end(JobLoop *loop);

/* Ends what still runs. What was started on the loop has to be freed before. */
void job_loop_done(JobLoop *loop);
