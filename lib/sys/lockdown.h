/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the running kernel says about signatures of modules: sysfs, securityfs, efivarfs, /proc. */

#include "base/root.h"
#include "policy/enforcement.h"

/* What cannot be read is not known; that is no error. Returns 0 or a negative errno. */
int lockdown_read(const Root *root, EnforcementFacts *ret);
