/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the vermagic of a kernel's own modules is. */

#include "base/root.h"

enum {
        _HOSTVERMAGIC_E_SUCCESS,
        HOSTVERMAGIC_E_ABSENT, /* the host has no modules of that kernel that can be read */
};

/*
 * The vermagic that modules of kernel @release carry, from the first readable
 * file that modules.dep of their directory lists (moduletree.h). @ret_hash: the digest that
 * it is signed with, NULL if it is not; may be NULL.
 * Returns 0, HOSTVERMAGIC_E_ABSENT or a negative errno.
 */
int hostvermagic_read(const Root *root, const char *release, char **ret, char **ret_hash);
