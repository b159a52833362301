/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Lines of somebody who may say a lot: how many of them go to the log, and the
 * last ones, which tell why it ended.
 */

#include "base/macro.h"

/* At most so many lines in each period. */
enum { LINE_LIMIT_BURST = 500 };
#define LINE_LIMIT_PERIOD (10 * USEC_PER_SEC)

typedef struct LineLimit {
        usec_t began; /* of the period */
        unsigned n;
        unsigned long n_held; /* kept back and not told of yet */
} LineLimit;

/*
 * Whether a line that comes now may go to the log. *@ret_held is the number of
 * those kept back in the period before, to be told of first; usually 0.
 */
bool line_limit_allows(LineLimit *l, usec_t now, unsigned long *ret_held);

enum { LAST_LINES_MAX = 5, LAST_LINE_SIZE = 300 };

typedef struct LastLines {
        char lines[LAST_LINES_MAX][LAST_LINE_SIZE];
        unsigned next, n;
} LastLines;

/* Bytes that are not for a log become '?', what is too long is cut. An empty line is left out. */
void last_lines_add(LastLines *l, const char *line);
void last_lines_forget(LastLines *l);

/* "first | second", NULL on out of memory. */
char *last_lines_join(const LastLines *l);
