/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Signals for a process that is known by its pid and its start time, and for
 * no other: a bare pid may be anybody's by the time the signal is sent.
 */

#include "base/root.h"

enum {
        _PROCSIGNAL_E_SUCCESS,
        PROCSIGNAL_E_GONE, /* it has ended; the pid may be another process' now */
};

/* When process @pid of @host began, as below. Returns 0, PROCSIGNAL_E_GONE or a negative errno. */
int procsignal_start(const Root *host, pid_t pid, uint64_t *ret);

/*
 * Never blocks. @host: the root whose proc is this kernel's own; a fixture's
 * start times must not decide about processes of the machine that it is
 * replayed on. @start: field 22 of /proc/PID/stat.
 *
 * Returns 0, PROCSIGNAL_E_GONE or a negative errno (-EPERM: not ours to signal).
 */
int procsignal_send(const Root *host, pid_t pid, uint64_t start, int signal);
