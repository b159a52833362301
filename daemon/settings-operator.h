/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Module parameters from /drivers/MODULE.conf, where the GPU operator puts them. */

#include "base/root.h"
#include "policy/config.h"

/*
 * Assigns what the files say; a sentence for each thing that was wrong and
 * ignored is added to *@problems. Returns 0 or -ENOMEM.
 */
int settings_operator_load(Config *config, const Root *root, char ***problems);
