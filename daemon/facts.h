/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * All facts that a plan is made of, gathered in one go. Sources and kernel
 * trees are looked at only when the store has no build that serves: a warm
 * start reads a few small files of /sys, /proc and the store, nothing else.
 */

#include "base/root.h"
#include "policy/drivertype.h"
#include "policy/plan.h"
#include "policy/status.h"

typedef struct Facts {
        KernelFact kernel;
        GpuFacts gpus;     /* that are to be used */
        GpuFacts excluded; /* that are not */
        bool has_pins;     /* a GPU that is to be used was excluded */
        ModuleFacts modules;
        char **owned;
        char **blocked; /* what removes the files in the way of device nodes, see nodeblock.h */
        BuildManifests builds;
        char **problems;       /* of the store */
        BuildManifests shared; /* of the shared stores, once somebody has looked: see sharing.h */
        char *damaged;         /* a damaged build that would serve, see PlanFacts */
        char *good;            /* the build that worked last on this kernel, or NULL */
        bool fall_back;        /* to that one; whoever makes the plan sets it */
        DriverSources sources;
        SourceJudgement source;
        EnforcementFacts enforcement; /* of the running kernel; nothing is known for another one */
        SigningFact signing;
        TreeFactsList trees;
        TreeJudgement tree;
        size_t tree_index;
        bool has_tree;
        bool has_inside; /* the toolchain root was looked into */
        ServiceFacts services;
} Facts;

/* What a build is for, when it is not the running kernel. All may be NULL. */
typedef struct FactsTarget {
        const char *release; /* never mixed with the running kernel's identity */
        bool always_build;   /* look at sources and trees even if the store has a build */
        char *const *bad;    /* kept trees that cannot be used */
        const Root *inside;  /* the toolchain root, once it is open: trees may be there, too */
} FactsTarget;

/* Returns 0 or a negative errno; *@ret is to be freed with facts_done(), also after a failure. */
int facts_gather(const Root *root, const Config *config, const FactsTarget *target, Facts *ret);
void facts_done(Facts *f);

/*
 * The kept tree that has to be verified before anything is built: the one that was chosen, or one that
 * was not although nothing else is ready, so that it is no silent loss. NULL if there is none.
 */
const TreeFacts *facts_kept_tree(const Facts *f);

/* Makes the plan from facts; it points into them. Returns 0 or -ENOMEM. */
int facts_plan(const Facts *f, const Config *config, Plan *ret);

/* Fills the machine's part of a status: kernel, GPUs, modules as they are now. @config may be NULL. */
int facts_fill_status(const Root *root, const Config *config, Status *s);

/* The GPUs as they are now: those to be used, and those that are not. Returns 0 or a negative errno. */
int facts_read_gpus(const Root *root, const Config *config, GpuFacts *wanted, GpuFacts *excluded);

/* The steps and the problems of a plan. */
int facts_plan_status(const Facts *f, const Plan *plan, Status *s);
