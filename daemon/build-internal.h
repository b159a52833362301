/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Shared by the build-*.c files only. */

#include "build.h"
#include "policy/buildlog.h"
#include "policy/recipe.h"

typedef void (*BuildStepDone)(Build *b, const JobResult *result);
typedef void (*BuildStepLine)(Build *b, const char *line);

struct Build {
        BuildRequest request;
        char *store, *builds; /* our own copies, which request points to */
        BuildHandler handler;
        void *userdata;
        JobPool *pool;
        Job *job;

        FsmState stage;
        BuildLog log;        /* of the stage that runs */
        int log_fd;          /* build.log, the whole output of all stages */
        unsigned jobs;       /* make -j */
        usec_t deadline;     /* of the whole build, CLOCK_MONOTONIC */
        bool memory_retried; /* the one repetition with -j1 was used */

        char *staging; /* in the root */
        int staging_lock;
        int tree_lock; /* of the kept tree that is built in */
        char *result;

        char *source_digest;   /* of what is compiled, hex */
        DriverSource unpacked; /* what was in the .run file */
        bool is_unpacked;

        TreeFacts prepared; /* of the tree that PREPARE made */
        bool is_prepared;
        char **new_symbols;
        char *linked_directory; /* the first one found in a source that is to be copied */
        void (*farm_done)(Build *b), (*unpack_done)(Build *b);

        char **compilers; /* candidates, and the --version line of each (NULL: not there) */
        char **compiler_texts;
        size_t compiler_at;
        void (*compiler_done)(Build *b);
        char *compiler; /* the chosen one */
        char *compiler_text;
        char *linker_text;
        char *hash; /* that is signed */

        RecipeModules modules;
        size_t module_at;
        const char *objtool_object; /* the interface object that it is for */
        bool objtool_used;
        void (*objtool_done)(Build *b);
        char *answer_detail; /* what the helper said */
        char **error_lines;

        bool step_inside; /* it runs in the toolchain root */
        BuildStepDone step_done;
        BuildStepLine step_line;
};

/* The tree to build against: the prepared one or the one that was ready. */
const TreeFacts *build_tree(const Build *b);

/*
 * The tree may be in the toolchain root, and a prepared one is of the machine,
 * while its source may still be inside: the Root that its files are read in,
 * and the two directories as a command has to name them.
 */
const Root *build_tree_root(const Build *b);
char *build_tree_path(const Build *b);
char *build_tree_source_path(const Build *b);

/* Makes the command one that runs inside. Returns 0 or a negative errno. */
int build_enter(const Build *b, RecipeStep *step);

/* Whether it was the toolchain root that failed, and not the command in it. Then the stage has failed. */
bool build_inside_failed(Build *b, const JobResult *result);

/* The directory to build from: the named one, or what was in a .run file. */
const DriverSource *build_source(const Build *b);

/* A path of this machine: root prefix, staging directory, @name. NULL on out of memory. */
char *build_path(const Build *b, const char *name);

/* The same, but in the Root. */
char *build_root_path(const Build *b, const char *name);
char *build_host_path(const Build *b, const char *path);

/*
 * Starts @step; takes its content over. @line may be NULL. If it cannot be
 * started the stage fails, so callers just return afterwards.
 */
void build_step(Build *b, RecipeStep *step, BuildStepLine line, BuildStepDone done);

/* The worker program with the arguments given, NULL-terminated, and @more after them. Its "detail" answers
 * are kept in answer_detail. */
void build_worker(Build *b, BuildStepDone done, char *const *more, const char *operation, ...) _sentinel_;

/*
 * Fails the stage if the worker did: with its own code and detail, else with
 * how it ended and @otherwise, or out-of-memory if it was killed. True if it did.
 */
bool build_worker_failed(Build *b, const JobResult *result, Code otherwise);

/* Runs @spec as the current step, for what is left of the build's time. If it cannot be started the stage
 * fails. */
void build_start(Build *b, JobSpec *spec);

/* The stage is over. */
void build_succeed(Build *b);
void build_fail(Build *b, Code code, const char *format, ...) _printf_(3, 4);

/* The build's time was over. */
void build_fail_late(Build *b);

/* Fails the stage if the step did, with the code and the first error lines of its output. True if it did. */
bool build_step_failed(Build *b, const JobResult *result);

/* A fatal error of ours. */
void build_fatal(Build *b, int error, const char *what);
void build_log(Build *b, int level, const char *format, ...) _printf_(3, 4);

/* Makes staging/kernel-source, a copy of links to the source; then @done. Fails the stage if it cannot. */
void build_run_farm(Build *b, void (*done)(Build *b));

/* build-unpack.c: a .run file becomes staging/run; then @done. Fails the stage if it cannot. */
void build_run_unpack(Build *b, void (*done)(Build *b));

/*
 * build-kconfig.c: olddefconfig has run in staging/kernel. Logs what it changed
 * in the kernel's own configuration, and fails the stage if modules might not
 * fit the kernel. True if it did.
 */
bool build_config_changed(Build *b);

/*
 * build-objtool.c: the interface object staging/build/@object goes through the
 * kernel's objtool if this kernel needs that; then @done. If that fails, it is
 * only logged.
 */
void build_run_objtool(Build *b, const char *object, void (*done)(Build *b));

/*
 * build-compile.c: finds the compiler that the kernel was built with; then
 * @done. Fails the stage if there is none that may be used. The kernel's own
 * configuration counts: that of a prepared tree tells what it was prepared with.
 */
void build_choose_compiler(Build *b, void (*done)(Build *b));

void build_run_prepare(Build *b);
void build_run_compile(Build *b);
void build_run_link(Build *b);
void build_run_publish(Build *b);

/* build-tree.c: returns 0 or a negative errno. */
int build_lock_tree(Build *b);

/* After PUBLISH: keeps the tree that was prepared, if that is wanted, and ends the stage. */
void build_keep_tree(Build *b);
void build_kept_line(Build *b, const char *line);

/*
 * build-keep.c: what a package needs so that the modules can be linked once
 * more, without a kernel tree: the linker script and .module-common.o in the
 * build, the core objects' digests in the manifest.
 */
char *build_module_common(const Build *b);
int build_keep_link_inputs(Build *b);
int build_add_files(const Build *b, BuildManifest *m);
int build_list_cores(const Build *b, char ***ret);

/* The modules in staging/build are complete: checks them and ends the stage. */
void build_check(Build *b);

/* build-sign.c: signs the modules in staging/build if that is wanted, and ends the stage. */
void build_sign(Build *b);

/* LINK when there is only a build to be signed, and the manifest's draft after it (the caller's). */
void build_run_base(Build *b);
int build_base_draft(Build *b, char **ret);

/* For the manifest: who has signed; empty if nobody. Returns 0 or -ENOMEM. */
int build_signer(const Build *b, Signer *ret);

/* An answer of the worker that a check may give. */
void build_check_line(Build *b, const char *line);
