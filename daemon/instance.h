/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * That this is the only daemon: the instance lock, and its files made again
 * when somebody removes them. NVIDIA's k8s-driver-manager unlinks the pid file
 * of a running driver.
 */

#include "manager.h"

/* Returns 0, MANAGER_E_RUNNING (logged already) or a negative errno. */
int instance_begin(Manager *m);

/* From here on the files are watched; m->event is there. That they cannot be is logged. */
void instance_watch(Manager *m);

/* Gives the lock back and removes the files. */
void instance_end(Manager *m);
