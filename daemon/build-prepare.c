/* SPDX-License-Identifier: Apache-2.0 */

/*
 * PREPARE: a kernel source tree becomes a tree that modules can be built in,
 * without a byte written to the source.
 *
 *   staging/kernel          O=: .config, Module.symvers, then all that make makes
 *   staging/kernel-source   only for a dirty source: links to every file of it
 *
 * "make O=" refuses a source that holds results of an earlier build (its own
 * .config, include/config, ...). A copy made of symbolic links takes seconds
 * and no space; "make mrproper" in the copy removes links, not files.
 *
 * No question can be asked: olddefconfig gives every new option its default,
 * stdin is /dev/null for all children. What is new is listed in the log. What
 * it changed ends the stage if modules might not fit the kernel (build-kconfig.c).
 */

#include <fcntl.h>
#include <syslog.h>

#include "base/result.h"
#include "base/str.h"
#include "build-internal.h"
#include "policy/kconfig.h"
#include "sys/packedfile.h"
#include "sys/treefacts.h"
#include "sys/treesupply.h"

enum { NEW_SYMBOLS_SHOWN = 200 };

static bool needs_copy(const Build *b)
{
        return b->request.tree_verdict == TREE_DIRTY;
}

/* Where the clean source is, on this machine. */
static char *clean_source(const Build *b)
{
        if (needs_copy(b))
                return build_path(b, "kernel-source");
        return build_tree_source_path(b);
}

static void run_make(Build *b, PrepareStep which, BuildStepLine line, BuildStepDone done)
{
        _cleanup_free_ char *source = clean_source(b), *output = build_path(b, "kernel");
        PrepareInput in = {
                .source = source,
                .output = output,
                .release = b->request.kernel->release,
                .compiler = b->compiler,
                .jobs = b->jobs,
        };
        RecipeStep step = {};
        int r;

        r = source && output ? recipe_prepare(which, &in, &step) : err_origin(-ENOMEM);
        if (r)
                build_fatal(b, r, prepare_step_to_string(which));
        else
                build_step(b, &step, line, done);
}

/* modules_prepare succeeded, and yet no module can be built in its tree. */
static void fail_unprepared(Build *b, const TreeJudgement *judgement)
{
        _cleanup_free_ char *missing = strv_join(judgement->missing, ", ");
        const char *release = b->prepared.release, *wanted = b->request.kernel->release;

        if (release && !streq(release, wanted))
                build_fail(b, CODE_TREE_MISMATCH, "The prepared tree is for kernel %s, not %s.", release,
                                wanted);
        else if (judgement->missing)
                build_fail(b, CODE_PREPARE_FAILED, "modules_prepare left no %s.", strna(missing));
        else
                build_fail(b, judgement->code ? judgement->code : CODE_PREPARE_FAILED, "%s",
                                strna(judgement->evidence));
}

/*
 * The new tree's Makefile names a source that is only seen inside, or a copy
 * whose links lead to there. What was found in it before is what counts.
 */
static int complete_inside(Build *b)
{
        static const TreePart parts[] = { TREE_PART_KBUILD, TREE_PART_HEADERS, TREE_PART_FULL_SOURCE };
        const TreeFacts *from = b->request.tree;
        TreeFacts *t = &b->prepared;

        if (!from->inside)
                return 0;
        for (size_t i = 0; i < ELEMENTSOF(parts); i++)
                t->parts[parts[i]] = from->parts[parts[i]];
        t->source_inside = !needs_copy(b);
        free(t->source);
        t->source = t->source_inside ? strdup(from->source) : build_root_path(b, "kernel-source");
        return t->source ? err_trace(str_replace(&t->makefile_version, from->makefile_version))
                         : err_origin(-ENOMEM);
}

static void judge_result(Build *b)
{
        _cleanup_free_ char *path = build_root_path(b, "kernel");
        TreeJudgement judgement = {};
        int r;

        r = path ? treefacts_read(b->request.root, path + strspn(path, "/"), &b->prepared)
                 : err_origin(-ENOMEM);
        if (r == 0)
                r = complete_inside(b);
        if (r == 0 && !b->prepared.source)
                r = str_replace(&b->prepared.source, path + strspn(path, "/"));
        if (r == 0)
                r = tree_facts_derive(&b->prepared);
        if (r == 0)
                r = tree_judge(&b->prepared, b->request.kernel, &judgement);
        if (r) {
                build_fatal(b, r < 0 ? r : -ENOENT, "reading the prepared tree");
        } else if (judgement.verdict != TREE_READY) {
                fail_unprepared(b, &judgement);
        } else {
                b->is_prepared = true;
                build_succeed(b);
        }
        tree_judgement_done(&judgement);
}

static void on_modules_prepare(Build *b, const JobResult *result)
{
        if (!build_step_failed(b, result))
                judge_result(b);
}

static void on_olddefconfig(Build *b, const JobResult *result)
{
        if (!build_step_failed(b, result) && !build_config_changed(b))
                run_make(b, PREPARE_MODULES, NULL, on_modules_prepare);
}

static void report_new_symbols(Build *b)
{
        size_t n = strv_length(b->new_symbols), shown = 0;

        if (n == 0)
                return;
        build_log(b, LOG_NOTICE,
                        "The kernel source has %zu options that .config does not know, taking their defaults:",
                        n);
        STRV_FOREACH (symbol, b->new_symbols) {
                if (shown++ == NEW_SYMBOLS_SHOWN)
                        break;
                build_log(b, LOG_NOTICE, "  %s", *symbol);
        }
}

static void on_listnewconfig(Build *b, const JobResult *result)
{
        if (build_step_failed(b, result))
                return;
        report_new_symbols(b);
        run_make(b, PREPARE_OLDDEFCONFIG, NULL, on_olddefconfig);
}

static void on_new_symbol(Build *b, const char *line)
{
        _cleanup_free_ char *name = NULL, *value = NULL;

        if (kconfig_parse_listnew(line, &name, &value) == 0)
                (void)strv_pushf(&b->new_symbols, "CONFIG_%s=%s", name, value);
}

static void list_new(Build *b)
{
        run_make(b, PREPARE_LISTNEWCONFIG, on_new_symbol, on_listnewconfig);
}

static void on_mrproper(Build *b, const JobResult *result)
{
        if (!build_step_failed(b, result))
                list_new(b);
}

static void clean_copy(Build *b)
{
        run_make(b, PREPARE_MRPROPER, NULL, on_mrproper);
}

enum { _WRITE_INPUTS_E_SUCCESS, WRITE_INPUTS_E_FAILED };

/* Positive: the stage has failed. Module.symvers has the CRCs of the kernel's own symbols; without them no
 * module of a modversions kernel loads. */
static int write_inputs(Build *b)
{
        const TreeFacts *t = b->request.tree;
        const Root *root = t->symvers_outside ? b->request.root : build_tree_root(b);
        _cleanup_free_ char *kernel = build_root_path(b, "kernel"), *config = NULL, *symvers = NULL,
                            *from = NULL, *text = NULL;
        size_t size = 0;
        int r;

        config = build_root_path(b, "kernel/.config");
        symvers = build_root_path(b, "kernel/Module.symvers");
        from = t->symvers_from ? strdup(t->symvers_from) : str_format("%s/Module.symvers", t->path);
        if (!kernel || !config || !symvers || !from)
                return err_origin(-ENOMEM);

        r = root_mkdirs(b->request.root, kernel, 0755);
        if (r == 0)
                r = root_write_file(b->request.root, config, t->config, t->config_size, 0644);
        if (r == 0)
                r = packedfile_read(root, from, SYMVERS_SIZE_MAX, &text, &size);
        if (r > 0) {
                build_fail(b, CODE_TREE_UNUSABLE, "/%s cannot be read.", from);
                return WRITE_INPUTS_E_FAILED;
        }
        if (r)
                return err_trace(r);
        return err_trace(root_write_file(b->request.root, symvers, text, size, 0644));
}

static void prepare(Build *b)
{
        const TreeFacts *t = b->request.tree;
        int r;

        /* The judgement (policy/kerneltree) has seen to it that both inputs are there. */
        if (t->config_from)
                build_log(b, LOG_NOTICE, "/%s has no .config, taking /%s.", t->path, t->config_from);
        if (t->symvers_from)
                build_log(b, LOG_NOTICE, "/%s has no Module.symvers, taking /%s.", t->path, t->symvers_from);
        r = write_inputs(b);
        if (r > 0)
                return;
        if (r < 0)
                build_fatal(b, r, "preparing the kernel tree");
        else if (needs_copy(b))
                build_run_farm(b, clean_copy);
        else
                list_new(b);
}

/* With the compiler that will compile the modules: which options there are depends on it. */
void build_run_prepare(Build *b)
{
        build_choose_compiler(b, prepare);
}
