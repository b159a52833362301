/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Whether anybody holds the driver: processes that were found, and what the kernel counts. */

#include "policy/facts.h"
#include "policy/holder.h"

typedef struct Busy {
        bool busy;
        char **remarks; /* sentences on what the list of processes does not tell */
} Busy;

void busy_done(Busy *b);

/*
 * @modules: the driver as it is loaded, with all that holds it; @owned: those
 * that this product loaded, beside the driver's own four. Other modules that
 * hold one of these make it busy.
 *
 * Reference counts alone name nobody, but when no process was found they tell
 * that there is somebody who cannot be seen. Returns 0 or -ENOMEM.
 */
int busy_judge(const Holders *holders, const ModuleFacts *modules, char *const *owned, Busy *ret);
