/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Shared by the plan*.c files only. */

#include "policy/plan.h"

/* Nothing can be done: takes @detail over. Returns 0, or -ENOMEM if it is NULL. */
int plan_refuse(Plan *plan, Code code, char *detail);

/*
 * plan-store.c: no build of the store serves, and none can be made for the
 * reason of @code and @detail; says of the newest why it does not. Returns 0 or -ENOMEM.
 */
int plan_refuse_unserved(
                const Config *config, const PlanFacts *facts, Plan *plan, Code code, const char *detail);

/*
 * plan-conflicts.c: what stands between the wanted GPUs and the driver. Comes
 * after plan->loaded is known and may change it; may refuse. Returns 0 or -ENOMEM.
 */
int plan_check_parameters(const Config *config, const PlanFacts *facts, Plan *plan);
int plan_check_nodes(const PlanFacts *facts, Plan *plan);
int plan_check_gpus(const Config *config, const PlanFacts *facts, Plan *plan);

/*
 * plan-signing.c: the build to load. If that is not signed as it has to be,
 * another one of the same driver may be; if none is, it is the base of one that
 * we sign.
 */
void plan_choose_build(const Config *config, const PlanFacts *facts, Plan *plan);
void plan_choose_among(const PlanFacts *facts, const BuildManifests *builds, const BuildWish *wish,
                const BuildManifest **ret_build, const BuildManifest **ret_base);

/* The kernel will not take modules of this signer (NULL, empty: of nobody). */
bool plan_is_refused(const PlanFacts *facts, const Signer *signer);

/*
 * plan-shared.c: what is to be loaded (@loads) and cannot be had from the store
 * may be in a shared one. Comes after the choices above.
 */
void plan_choose_shared(const Config *config, const PlanFacts *facts, Plan *plan, bool loads);

/* plan-fallback.c: the build that worked last, if it is another one and may be loaded; and its use. May
 * refuse. */
int plan_choose_spare(const Config *config, const PlanFacts *facts, Plan *plan);

/* Whether the kernel will take the signature of what @loads says is loaded; may refuse. Returns 0 or
 * -ENOMEM. */
int plan_check_signature(const PlanFacts *facts, Plan *plan, bool loads);

/*
 * plan-live.c. True if the driver is live and drives a wanted GPU, whoever
 * loaded it: then it is never taken away because of what else is wanted.
 */
bool plan_driver_works(const PlanFacts *facts);

/* Something that is wanted will not be had: takes @detail over. Returns 0, or -ENOMEM if it is NULL. */
int plan_lack(Plan *plan, Code code, char *detail);

/* @detail with the wanted modules that are not live. Returns 0 or -ENOMEM. */
int plan_explain_lack(const Config *config, const PlanFacts *facts, const char *detail, char **ret);

/*
 * Turns a refused plan into the adoption of the driver that works, and the
 * refusal into what is lacking; the steps are left to be made. Leaves the plan
 * refused if there is no such driver. Returns 0 or -ENOMEM.
 */
int plan_make_do(const Config *config, const PlanFacts *facts, Plan *plan);
