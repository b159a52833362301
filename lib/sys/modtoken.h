/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Keys in PKCS#11 tokens. */

#include "base/macro.h"

struct evp_pkey_st;

enum {
        _MODTOKEN_E_SUCCESS,
        MODTOKEN_E_UNUSABLE, /* one sentence in *@reterr says why; the caller's */
};

/* @pin may be NULL. Returns 0, MODTOKEN_E_UNUSABLE or a negative errno. */
int modtoken_load(const char *uri, const char *pin, struct evp_pkey_st **ret, char **reterr);
