/* SPDX-License-Identifier: Apache-2.0 */

/*
 * COMPILE: first a .run file is unpacked, see build-unpack.c. Then a copy of the driver's source in
 * staging/source, the compiler that the kernel wants, one make. Progress is counted by the objects that make
 * names; a compiler killed for lack of memory gets one more chance with -j1.
 */

#include <signal.h>
#include <syslog.h>

#include "base/result.h"
#include "base/str.h"
#include "build-internal.h"
#include "policy/compiler.h"

static void run_make(Build *b);

static void on_make(Build *b, const JobResult *result)
{
        bool killed = result->signal == SIGKILL && !result->timed_out;

        if (result->status != 0 && b->jobs > 1 && !b->memory_retried &&
                        buildlog_is_memory(&b->log, killed)) {
                b->memory_retried = true;
                b->jobs = 1;
                build_log(b, LOG_WARNING,
                                "The compiler was killed for lack of memory, retrying with one job.");
                buildlog_done(&b->log);
                buildlog_init(&b->log, BUILD_STAGE_COMPILE,
                                driver_source_objects(build_source(b), b->request.config->modules));
                run_make(b);
                return;
        }
        if (!build_step_failed(b, result))
                build_succeed(b);
}

static void run_make(Build *b)
{
        _cleanup_free_ char *staging = build_path(b, "source"), *source = build_tree_source_path(b),
                            *build = build_tree_path(b);
        CompileInput in = {
                .staging = staging,
                .tree_source = source,
                .tree_build = build,
                .compiler = b->compiler,
                .modules = b->request.config->modules,
                .jobs = b->jobs,
                .debug_info = b->request.config->build_debug_info,
                .ignore_compiler_mismatch = true, /* judged by us already, with a better message */
        };
        RecipeStep step = {};
        int r;

        r = staging && source && build ? recipe_compile(&in, &step) : err_origin(-ENOMEM);
        if (r)
                build_fatal(b, r, "make");
        else
                build_step(b, &step, NULL, on_make);
}

static void on_digest(Build *b, const JobResult *result)
{
        if (build_worker_failed(b, result, CODE_SOURCE_INVALID))
                return;
        if (b->source_digest)
                run_make(b);
        else
                build_fail(b, CODE_INTERNAL, "The worker does not say what the source is.");
}

/* Of the copy, which nobody else changes, and before make adds to it. */
static void on_copied(Build *b, const JobResult *result)
{
        _cleanup_free_ char *source = NULL;

        if (build_step_failed(b, result))
                return;
        source = build_path(b, "source");
        if (source)
                build_worker(b, on_digest, NULL, "source", source, NULL);
        else
                build_fatal(b, -ENOMEM, "digest of the source");
}

static void copy_source(Build *b)
{
        _cleanup_free_ char *from = build_host_path(b, build_source(b)->path), *to = build_path(b, "source"),
                            *directory = build_root_path(b, "source");
        RecipeStep step = {};
        int r;

        r = from && to && directory ? root_mkdirs(b->request.root, directory, 0755) : err_origin(-ENOMEM);
        if (r == 0)
                r = recipe_copy(from, to, &step);
        if (r)
                build_fatal(b, r, "copying the driver source");
        else
                build_step(b, &step, NULL, on_copied);
}

static void choose_compiler(Build *b)
{
        const char *wanted = b->request.tree->compiler;
        _cleanup_free_ CompilerFact *facts = calloc(strv_length(b->compilers) + 1, sizeof(*facts));
        _cleanup_free_ char *why = NULL;
        CompilerChoice choice;

        if (!facts) {
                build_fatal(b, -ENOMEM, "compiler");
                return;
        }
        for (size_t i = 0; i < strv_length(b->compilers); i++) {
                facts[i].program = b->compilers[i];
                facts[i].text = *b->compiler_texts[i] ? b->compiler_texts[i] : NULL;
        }

        choice = compiler_choose(wanted, facts, strv_length(b->compilers),
                        b->request.config->build_ignore_compiler_mismatch);
        if (!choice.found) {
                _cleanup_free_ char *tried = strv_join(b->compilers, ", ");

                build_fail(b, CODE_TOOLCHAIN_MISSING, "No compiler was found, tried %s.", strna(tried));
                return;
        }

        why = compiler_explain(choice.verdict, wanted, facts[choice.index].text);
        if (!choice.usable) {
                build_fail(b, CODE_COMPILER_MISMATCH, "%s", strna(why));
                return;
        }
        if (choice.verdict != COMPILER_SAME)
                build_log(b, LOG_WARNING, "%s", strna(why));
        if (str_replace(&b->compiler, facts[choice.index].program) < 0 ||
                        str_replace(&b->compiler_text, facts[choice.index].text) < 0)
                build_fatal(b, -ENOMEM, "compiler");
        else
                b->compiler_done(b);
}

static void ask_next_compiler(Build *b);

static void on_version_line(Build *b, const char *line)
{
        /* The first line only. */
        if (!b->compiler_text)
                (void)str_replace(&b->compiler_text, line);
}

static void on_version(Build *b, const JobResult *result)
{
        int r;

        r = strv_push(&b->compiler_texts, result->status == 0 ? strempty(b->compiler_text) : "");
        b->compiler_text = (free(b->compiler_text), NULL);
        b->compiler_at++;
        if (r)
                build_fatal(b, r, "compiler");
        else
                ask_next_compiler(b);
}

static void ask_next_compiler(Build *b)
{
        const char *program = b->compilers ? b->compilers[b->compiler_at] : NULL;
        RecipeStep step = {};
        int r;

        if (!program) {
                choose_compiler(b);
                return;
        }
        r = recipe_environment(&step.environment);
        if (r == 0)
                r = strv_push(&step.argv, program);
        if (r == 0)
                r = strv_push(&step.argv, "--version");
        if (r) {
                recipe_step_done(&step);
                build_fatal(b, r, program);
        } else {
                build_step(b, &step, on_version_line, on_version);
        }
}

void build_choose_compiler(Build *b, void (*done)(Build *b))
{
        int r;

        b->compiler_done = done;
        if (b->compiler) {
                done(b);
                return;
        }
        r = compiler_candidates(b->request.tree->compiler, b->request.config->build_compiler, &b->compilers);
        if (r)
                build_fatal(b, r, "compiler");
        else
                ask_next_compiler(b);
}

void build_run_compile(Build *b)
{
        if (b->request.source->folder && !b->is_unpacked) {
                build_run_unpack(b, build_run_compile);
                return;
        }
        build_choose_compiler(b, copy_source);
}
