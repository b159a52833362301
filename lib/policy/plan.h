/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The plan: which stages run on this machine now, which are left out and why.
 * Computed once per start from configuration and facts, before anything is
 * done; "nvidia-driver plan" prints the same object.
 */

#include "base/macro.h"
#include "policy/code.h"
#include "policy/config.h"
#include "policy/enforcement.h"
#include "policy/facts.h"
#include "policy/fsm.h"
#include "policy/kerneltree.h"
#include "policy/manifest.h"
#include "policy/serviceplan.h"

/* What is already loaded, against what is wanted. */
typedef enum PlanLoaded {
        PLAN_LOADED_NONE,
        PLAN_LOADED_WANTED,  /* all wanted modules, of the wanted driver */
        PLAN_LOADED_PART,    /* some of them, of the wanted driver */
        PLAN_LOADED_OTHER,   /* another driver, or not as it is wanted now; loaded by us */
        PLAN_LOADED_FOREIGN, /* another driver, loaded by somebody else */
        _PLAN_LOADED_MAX,
        _PLAN_LOADED_INVALID = -EINVAL,
} PlanLoaded;

/* Everything the plan depends on; borrowed. */
typedef struct PlanFacts {
        const KernelFact *kernel;
        const GpuFacts *gpus;       /* that are to be used */
        const GpuFacts *excluded;   /* that are not */
        const ModuleFacts *modules; /* the NVIDIA modules that are loaded now */
        char *const *blocked; /* what has to be done before device nodes can be made: "rm /dev/nvidiactl" */
        char *const *owned;   /* names of those that we loaded in this boot */
        const BuildManifests *builds;
        const BuildManifests
                        *shared; /* of the shared stores; directory says where; empty if not looked at */
        const char *damaged;     /* where a build is that would serve if it were whole, or NULL */
        const char *good;        /* id of the build that worked last on this kernel, or NULL */
        bool fall_back;          /* the wanted driver has failed: that one is to be loaded */
        const EnforcementFacts *enforcement;
        const SigningFact *signing;
        const DriverSources *sources;  /* with trees: only looked at when the store has no build */
        const SourceJudgement *source; /* the choice among them */
        const TreeFactsList *trees;
        const TreeJudgement *tree; /* the choice among them; NULL if there is none at all */
        size_t tree_index;
        bool has_inside; /* trees of the toolchain root are among them */
        const ServiceFacts *services;
} PlanFacts;

typedef struct PlanStep {
        FsmState state;
        bool run;
        char *reason;
} PlanStep;

typedef struct Plan {
        Code code;    /* CODE_OK, or why nothing can be done */
        char *detail; /* the particulars of a code; NULL for CODE_OK */
        Code lack;    /* CODE_OK, or why a start ends degraded: something that is wanted will not be had */
        char *lack_detail;
        bool live;       /* a driver that works is taken over: it stays, whatever else fails */
        char **warnings; /* what is not as the administrator seems to believe, a sentence each */
        PlanLoaded loaded;
        char **obstacles;            /* what CLEAR has to remove, for people */
        bool foreign;                /* the driver is somebody else's: it is never unloaded */
        bool surplus;                /* a module of ours is loaded that is not wanted any more */
        const BuildManifest *build;  /* to load from; NULL: one has to be made; points into the facts */
        const BuildManifest *base;   /* one has to be made by signing this one, nothing has to be compiled */
        bool lacking;                /* the store does not help: shared ones are worth a look */
        const BuildManifest *shared; /* to be copied into the store; there is no @build and no @base then */
        bool shared_is_base;         /* and the copy has to be signed */
        const BuildManifest *spare;  /* to load if this plan fails, or NULL */
        bool fallback;               /* @build is not the wanted one, but that */
        bool sign;                   /* the one that has to be made is signed */
        char *signature; /* "not enforced, build unsigned": for people; NULL if there is no plan */
        const DriverSource *source; /* to build from, if one has to be made */
        const TreeFacts *tree;
        TreeVerdict tree_verdict;
        bool toolchain; /* the toolchain root has to be opened for it, and the plan made once more then */
        ServicePlan services;
        PlanStep *steps; /* in order, each stage once */
        size_t n_steps;
} Plan;

void plan_done(Plan *plan);

/* What the configuration and the GPUs (NULL: not known) want of a build for @kernel; borrows. */
BuildWish plan_wish(const Config *config, const KernelFact *kernel, const GpuFacts *gpus);

/* Returns 0 or -ENOMEM. */
int plan_make(const Config *config, const PlanFacts *facts, Plan *ret);

/* The mask of FSM_STEP(state) for FSM_EV_PLANNED. */
unsigned plan_mask(const Plan *plan);

const char *plan_loaded_to_string(PlanLoaded loaded);
