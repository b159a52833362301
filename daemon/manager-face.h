/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the manager shows to the outside: service manager, log, bus. */

#include "manager.h"

/* The status file. Returns 0 or a negative errno. */
int manager_face_open(Manager *m);

/* The state changed; @before is the one that was left. */
void manager_face_state(Manager *m, FsmState before);
void manager_face_ready(Manager *m);

/* SIGHUP: reads the configuration again; keeps the old one if it cannot be used now. */
void manager_face_reload(Manager *m);
int manager_face_describe(Manager *m, char **ret);

/* The loop has ended: the last words, and the record for "status". */
void manager_face_exit(Manager *m);
