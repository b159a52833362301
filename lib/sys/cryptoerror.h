/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What libcrypto has to say about its last failure. */

#include "base/macro.h"

/*
 * "WHAT: bad decrypt", or WHAT alone if it says nothing; it forgets its
 * errors. The caller's; NULL on out of memory. No key is ever part of it.
 */
char *crypto_error(const char *what);

/* Forgets errors that do not matter. */
void crypto_forget(void);
