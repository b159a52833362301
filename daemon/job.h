/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A child process on the event loop. Its output arrives line by line, bounded;
 * its end arrives once, after all of the output. A job that is let go of
 * (job_cancel) is terminated in the background and reaped by the loop; it
 * calls nobody any more.
 */

#include <systemd/sd-event.h>

#include "base/macro.h"

typedef struct Job Job;
typedef struct JobPool JobPool;

typedef struct JobResult {
        int status;     /* exit status, or -1 if it was killed */
        int signal;     /* the signal that ended it, or 0 */
        bool timed_out; /* it was ended because its time was over */
        usec_t duration;
} JobResult;

typedef struct JobHandler {
        /* One line without its newline, at most JOB_LINE_MAX bytes. May be NULL. */
        void (*on_line)(void *userdata, const char *line);
        /* The deadline of .overdue passed; the child goes on. May be NULL. */
        void (*on_overdue)(void *userdata);
        /* The child is gone and the job freed. */
        void (*on_exit)(void *userdata, const JobResult *result);
} JobHandler;

typedef struct JobSpec {
        char *const *argv;
        char *const *environment; /* NULL inherits */
        const char *directory;
        usec_t timeout; /* relative: then TERM, a grace, KILL; 0 for none */
        usec_t overdue; /* relative: then on_overdue; 0 for none */
        int death_signal;
        bool guarded;    /* all that it has started dies with this program, see sys/proc.h */
        bool background; /* may hang, and nobody waits for its end: it does not keep the pool from being idle
                          */
        bool untouchable; /* is inside the kernel: not even killed when this program ends */
        int log_fd;       /* all of the output is written here too; -EBADF for none; stays the caller's */
} JobSpec;

enum { JOB_LINE_MAX = 4096 };

/* TERM to the process group, KILL after this. Two seconds is the promise for STOP; half of it is ours. */
#define JOB_GRACE (700 * USEC_PER_MSEC)

/*
 * The pool owns every job, also the cancelled ones until they are reaped.
 * @on_idle is called from the loop whenever the last one is gone.
 */
int job_pool_new(sd_event *event, void (*on_idle)(void *userdata), void *userdata, JobPool **ret);
JobPool *job_pool_free(JobPool *pool);
DEFINE_CLEANUP(JobPool, job_pool_free);
bool job_pool_is_idle(const JobPool *pool);

/* Returns 0 or a negative errno. The job belongs to the pool; the pointer is valid until on_exit. */
int job_start(JobPool *pool, const JobSpec *spec, const JobHandler *handler, void *userdata, Job **ret);

/* From now on it may take as long as it likes. */
void job_lift_timeout(Job *job);

/* Ends it; its handler is not called any more. NULL is fine. */
void job_cancel(Job *job);

/* The same without ending it: it may be in the kernel. */
void job_detach(Job *job);

/* Those that keep the pool from being idle, "make (process 17), cp (process 18)"; NULL on out of memory. */
char *job_pool_describe(const JobPool *pool);
pid_t job_pid(const Job *job);
