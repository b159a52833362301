/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Growing delays between attempts: base, twice, four times ... up to a limit. */

#include "base/macro.h"

typedef struct Backoff {
        usec_t base;
        usec_t limit;
} Backoff;

/* The delay before attempt @attempt (1 is the first retry). Never 0 unless base is. */
static inline usec_t backoff_delay(const Backoff *b, unsigned attempt)
{
        usec_t delay = b->base;

        for (unsigned i = 1; i < attempt && delay < b->limit; i++)
                delay = delay > b->limit / 2 ? b->limit : delay * 2;
        return MIN(delay, b->limit);
}
