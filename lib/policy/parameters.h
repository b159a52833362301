/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Parameters of modules as text, "NVreg_X=1 NVreg_Y=\"a b\"", as the kernel cuts and compares them. */

#include "policy/config.h"
#include "policy/manifest.h"

/* True if the module is told the same by both, in whatever order; NULL is no parameters. */
bool parameters_equal(const char *a, const char *b);

/* True if a value as written and one as the kernel shows it are the same: 1 and Y, 16 and 0x10. */
bool parameters_value_equal(const char *shown, const char *written);

/*
 * Holds the parameters that are configured for the modules of @build against
 * those that the modules have. A module of which that is not known has any.
 * Returns 1 if all are known; 0 if one is not, then *@ret_detail names it, its
 * module and the nearest one that there is; or -ENOMEM.
 */
int parameters_check(const Config *config, const BuildManifest *build, char **ret_detail);
