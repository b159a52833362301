/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Starting a child process the one way this project does it: own process
 * group, clean signals, no inherited file descriptors, stdin from /dev/null,
 * stdout and stderr in one pipe, a death signal tied to this process.
 */

#include <sys/types.h>

#include "base/macro.h"

/* The exit status of a child whose program could not be executed, as in a shell. */
enum { PROC_STATUS_NO_EXEC = 127 };

typedef struct ProcSpec {
        char *const *argv;        /* argv[0] is looked up in the child's PATH */
        char *const *environment; /* complete; NULL inherits ours */
        const char *directory;    /* working directory, NULL for "/" */
        int death_signal;         /* sent to the child when this process dies; 0 for none */
        int keep_fd;              /* the one file descriptor that the child inherits; 0 for none */
        bool guarded;             /* when this process dies, the whole group is killed, see below */
} ProcSpec;

/*
 * @ret_pid: the child, leader of its own process group; the caller reaps it.
 * @ret_output: read end of its output, O_NONBLOCK; owned by the caller.
 *
 * A death signal goes to the child alone. What it has started, and what that has, may
 * go on for minutes: make passes the signal to a shell, and the shell to nobody. With
 * @guarded there is one process more, the leader of the group, which kills all of
 * the group when this process dies, and otherwise ends as the program did.
 *
 * A program that cannot be executed makes the child exit with PROC_STATUS_NO_EXEC and a
 * line of output that says why.
 *
 * Return: 0 or a negative errno.
 */
int proc_spawn(const ProcSpec *spec, pid_t *ret_pid, int *ret_output);

/* Signals the whole process group of @pid; a group that is gone is fine. */
void proc_kill_group(pid_t pid, int signal);
