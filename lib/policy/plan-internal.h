/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Shared by the plan*.c files only. */

#include "policy/plan.h"

/* Nothing can be done: takes @detail over. Returns 0, or -ENOMEM if it is NULL. */
int plan_refuse(Plan *plan, Code code, char *detail);

/*
 * plan-conflicts.c: what stands between the wanted GPUs and the driver. Comes
 * after plan->loaded is known and may change it; may refuse. Returns 0 or -ENOMEM.
 */
int plan_check_gpus(const Config *config, const PlanFacts *facts, Plan *plan);
