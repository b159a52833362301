/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A pid file that another program writes. The number in it is never believed:
 * the process may have ended long ago, and the number may be anybody's (trap
 * T8). Nothing is ever signalled because of one.
 */

#include <sys/types.h>

#include "base/root.h"

enum {
        _PIDFILE_E_SUCCESS,
        PIDFILE_E_ABSENT,
        PIDFILE_E_STALE, /* it is there, and nobody who could have written it */
};

#define PIDFILE_HIDDEN ((pid_t)-1) /* locked by a process in another pid namespace */

/*
 * Who runs @program and has this file: the process that has it locked, or the
 * one it names if that is called @program.
 * Returns 0, one of the above (STALE with the number in *@ret, 0 if there is
 * none), or a negative errno.
 */
int pidfile_owner(const Root *root, const char *path, const char *program, pid_t *ret);
