/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * RUNTIME_STATUS: the status for everybody who may not open the bus. Written in
 * one step whenever something changed, and never from a clock: an idle daemon
 * does not write. It names the daemon by pid and start time, so that a file
 * that a killed daemon left behind is recognized.
 */

#include <systemd/sd-event.h>

#include "base/root.h"
#include "log.h"
#include "policy/status.h"

typedef struct StatusFile StatusFile;

/* The status as everybody may see it, as JSON; the caller frees it. Returns 0 or a negative errno. */
typedef int (*StatusFileDescribe)(void *userdata, char **ret);

/* Writes nothing yet. Returns 0 or a negative errno. */
int statusfile_new(sd_event *event, const Root *root, Log *log, StatusFileDescribe describe, void *userdata,
                StatusFile **ret);

/* Removes the file. Takes NULL, returns NULL. */
StatusFile *statusfile_free(StatusFile *f);

/*
 * Something that the file shows is different now. The first writes it at once; the
 * second when the loop has nothing else to do; the third within half a
 * second, and not more often than that. A failure is logged, once, and the
 * next change tries again. They take NULL.
 */
void statusfile_write(StatusFile *f);
void statusfile_soon(StatusFile *f);
void statusfile_changed(StatusFile *f);

enum {
        _STATUSFILE_E_SUCCESS,
        STATUSFILE_E_ABSENT, /* no file, or its daemon does not run any more */
};

/* Returns 0, STATUSFILE_E_ABSENT or a negative errno (-EBADMSG: it is no status). */
int statusfile_read(const Root *root, Status *ret);
