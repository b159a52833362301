/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The vermagic string, the kernel's own identity check of modules: release,
 * then flags. See include/linux/vermagic.h of the kernel.
 */

#include "base/macro.h"
#include "policy/kconfig.h"

typedef enum VermagicVerdict {
        VERMAGIC_SAME,
        VERMAGIC_ABSENT,  /* the module has none (trap T1) */
        VERMAGIC_RELEASE, /* another release; the flags may differ too */
        VERMAGIC_FLAGS,   /* same release, other flags */
        _VERMAGIC_MAX,
        _VERMAGIC_INVALID = -EINVAL,
} VermagicVerdict;

const char *vermagic_verdict_to_string(VermagicVerdict verdict);

/*
 * What modules of a kernel with this release and configuration carry, without
 * the blank that ends it in the module. @randstruct is the hash in
 * include/generated/randstruct_hash.h, NULL if there is none. The string is
 * the caller's. Returns 0 or a negative errno.
 */
int vermagic_from_config(const char *release, const Kconfig *config, const char *randstruct, char **ret);

/* Blanks at the end and between the words do not count. @have NULL: the module has none. */
VermagicVerdict vermagic_compare(const char *want, const char *have);

/*
 * One sentence that names every difference:
 * "release is 6.1.0-50-amd64, not 6.1.0-56-amd64; modversions is missing".
 * "" if there is none. NULL on out of memory; the string is the caller's.
 */
char *vermagic_explain(const char *want, const char *have);
