/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/macro.h"

/* CLOCK_MONOTONIC in microseconds: for deadlines and durations, and MONOTONIC_USEC=. */
usec_t now_usec(void);

/* CLOCK_REALTIME in microseconds since 1970: for people and files, never for deadlines. */
usec_t now_realtime_usec(void);

/* CLOCK_PROCESS_CPUTIME_ID: what this process has had of the processors, its exec and its libraries' start
 * included. */
usec_t now_cpu_usec(void);
