/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * One build of the driver for one kernel: prepare, compile, link, publish,
 * each run when its stage is asked for, each a chain of child processes on the
 * caller's loop. The daemon and "nvidia-driver build" use the same object.
 *
 * Inputs (kernel tree, driver source) are never written to. All work happens
 * in a staging directory of the store; the result appears by one rename.
 */

#include <systemd/sd-event.h>

#include "base/root.h"
#include "job.h"
#include "policy/config.h"
#include "policy/driversource.h"
#include "policy/fsm.h"
#include "policy/kerneltree.h"
#include "policy/manifest.h"
#include "toolchain.h"

typedef struct Build Build;

/* What to build. All but the two paths is borrowed and must live as long as the build. */
typedef struct BuildRequest {
        const Root *root;
        const Config *config;
        const KernelFact *kernel; /* the kernel it is for */
        const TreeFacts *tree;
        TreeVerdict tree_verdict;
        const DriverSource *source;
        const BuildManifest *base;  /* sign this one instead: tree and source are not needed then; or NULL */
        const Signer *signer;       /* who signs, with the configured key; NULL: nobody */
        const Toolchain *toolchain; /* where everything is compiled, open; NULL: with the host's tools */
        const char *store;          /* absolute, in the root: staging happens there */
        const char *builds; /* absolute, in the root: where the finished build goes; same file system */
        bool locked;        /* @store is a store: its lock is taken to publish */
} BuildRequest;

typedef struct BuildHandler {
        /* "112/184, nvidia-uvm": real progress was made. */
        void (*on_progress)(void *userdata, FsmState stage, const char *text);
        /* Something for the log, level as syslog(3). */
        void (*on_log)(void *userdata, int level, const char *text);
        /*
         * The stage is over. @detail is NULL or what happened; both strings are
         * borrowed. After a failure no further stage can be run.
         */
        void (*on_stage)(void *userdata, FsmState stage, Code code, const char *detail);
} BuildHandler;

int build_new(JobPool *pool, const BuildRequest *request, const BuildHandler *handler, void *userdata,
                Build **ret);

/* Ends what runs (in the background) and gives the staging directory up; build_discard() removes it. */
Build *build_free(Build *b);
DEFINE_CLEANUP(Build, build_free);

/*
 * Begins a stage: FSM_PREPARE, FSM_COMPILE, FSM_LINK or FSM_PUBLISH. Its end is
 * reported by on_stage, exactly once, perhaps before this returns; the build
 * must not be freed in there.
 */
void build_run(Build *b, FsmState stage);

/* After PUBLISH: the path of the build on this machine (with the root's prefix). */
const char *build_result(const Build *b);

/*
 * Removes staging directories nobody works in, in the background.
 * Returns 0 or a negative errno; failures to remove are not reported.
 */
int build_discard_stale(JobPool *pool, const Root *root, const char *store);
