/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The service manager's notification socket; without one every call is a no-op. */

#include "base/macro.h"

/* Sends one message of newline separated assignments, see sd_notify(3). */
void notify_sendf(const char *format, ...) _printf_(1, 2);

/* The period within which WATCHDOG=1 is expected; 0 if no watchdog watches us. */
usec_t notify_watchdog_usec(void);
