/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * SERVICES, the watch over services once the driver is ready, and their end
 * before the driver goes.
 */

#include "manager.h"

/* At the very start: what an earlier daemon left running is taken over, before anything is decided. */
int stage_services_new(Manager *m);
void stage_services_free(Manager *m);

void stage_services_enter(Manager *m);

/*
 * Ends all services, the one that was started last first, and calls @next when
 * none is left or the time for it is over; at once if there is none. @next is
 * not called if the state has changed by then.
 */
void stage_services_end(Manager *m, void (*next)(Manager *m));

bool stage_services_are_ending(const Manager *m);

/* Some are there, whatever they do. */
bool stage_services_run(const Manager *m);

/*
 * Whether this is a process of one of them. @look_up: not only the known ones,
 * but also their descendants, which costs a few files of /proc.
 */
bool stage_services_own(const Manager *m, pid_t pid, bool look_up);

int stage_services_fill_status(const Manager *m, Status *s);
