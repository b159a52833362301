/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The service manager's notification socket; without one every call is a no-op. */

#include "base/macro.h"

/*
 * Sends one message of newline separated assignments, see sd_notify(3). What is
 * not taken is lost, but for READY=1 or STOPPING=1 at the beginning of a
 * message: these go with the next one, or with notify_repeat(). Waits for a
 * tenth of a second at most, and not again before the manager has read.
 */
void notify_sendf(const char *format, ...) _printf_(1, 2);

/* Whether something has to be repeated; repeats it, and returns true if nothing is left to be. */
bool notify_is_owed(void);
bool notify_repeat(void);

/* The period within which WATCHDOG=1 is expected; 0 if no watchdog watches us. */
usec_t notify_watchdog_usec(void);
