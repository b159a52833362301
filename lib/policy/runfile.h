/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The command lines that unpack a .run file of NVIDIA's driver; lib/sys/runfile reads them. */

#include "policy/recipe.h"

typedef enum RunFileStep {
        RUNFILE_CHECK,
        RUNFILE_EXTRACT,
        _RUNFILE_STEP_MAX,
        _RUNFILE_STEP_INVALID = -EINVAL,
} RunFileStep;

/*
 * @file, @target, @temporary: absolute paths without signs that a shell would
 * take apart; @target must not exist yet, and programs can be executed in
 * @temporary. Returns 0 or -ENOMEM.
 */
int runfile_step(RunFileStep step, const char *file, const char *target, const char *temporary,
                RecipeStep *ret);
