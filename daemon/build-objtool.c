/* SPDX-License-Identifier: Apache-2.0 */

/*
 * An interface object goes through the kernel's objtool before it is linked
 * with NVIDIA's core, where the kernel's own build would run objtool as late
 * as that. The processed object is what the build and a package of it hold:
 * whoever imports that has no objtool.
 *
 * objtool writes into its argument, so it gets a copy. Without it the module
 * still loads, so its failure is a warning; only a full disk ends the build. A
 * tree without objtool does not come here, policy/kerneltree refuses it.
 */

#include <syslog.h>

#include "base/result.h"
#include "base/str.h"
#include "build-internal.h"
#include "policy/objtool.h"
#include "sys/resources.h"

#define COPY "objtool.o"

/* What it means for who runs the kernel. */
#define CONSEQUENCE                                                                                         \
        "it is linked without. Each load of it may then log one kernel warning of an unpatched return "     \
        "thunk (taint W; a panic with panic_on_warn=1), and stack traces through it are guesses"

static void without(Build *b, const char *why)
{
        build_log(b, LOG_WARNING, "%s of %s needs objtool, %s: %s.", b->objtool_object,
                        b->request.kernel->release, why, CONSEQUENCE);
        b->objtool_done(b);
}

static void on_objtool(Build *b, const JobResult *result)
{
        _cleanup_free_ char *name = str_format("build/%s", b->objtool_object), *to = NULL,
                            *from = build_path(b, COPY), *why = NULL;
        Code code;

        (void)buildlog_finish(&b->log);
        code = buildlog_code(&b->log, false);
        /* On a full disk it may even say that all is well. */
        if (result->timed_out || code == CODE_NO_SPACE || resources_is_full(b->staging_lock)) {
                if (result->timed_out)
                        build_fail_late(b);
                else
                        build_fail(b, CODE_NO_SPACE, "objtool could not write %s.", b->objtool_object);
                return;
        }
        if (result->status != 0) {
                why = str_format("and that failed (%s %d%s%s)", result->signal ? "signal" : "status",
                                result->signal ? result->signal : result->status,
                                b->log.telling || b->log.line[0] ? ": " : "",
                                b->log.telling ? b->log.telling : b->log.line);
                without(b, strna(why));
                return;
        }
        to = name ? build_path(b, name) : NULL;
        if (!to || !from || rename(from, to) < 0) {
                build_fatal(b, !to || !from ? -ENOMEM : -errno, b->objtool_object);
                return;
        }
        b->objtool_used = true;
        b->objtool_done(b);
}

static void on_copied(Build *b, const JobResult *result)
{
        const TreeFacts *tree = build_tree(b);
        _cleanup_(kconfig_freep) Kconfig *config = NULL;
        _cleanup_free_ char *path = build_tree_path(b), *program = NULL, *object = build_path(b, COPY);
        RecipeStep step = {};
        int r;

        if (build_step_failed(b, result))
                return;
        program = path ? str_format("%s/" OBJTOOL_PROGRAM, path) : NULL;
        r = program && object ? kconfig_parse(tree->config, tree->config_size, &config)
                              : err_origin(-ENOMEM);
        if (r == 0)
                r = recipe_objtool(config, program, object, &step);
        if (r)
                build_fatal(b, r < 0 ? r : -EBADMSG, "objtool");
        else
                build_step(b, &step, NULL, on_objtool);
}

static void copy_object(Build *b)
{
        _cleanup_free_ char *name = str_format("build/%s", b->objtool_object), *from = NULL,
                            *to = build_path(b, COPY);
        const char *const words[] = { "cp", "--reflink=auto", "--" };
        RecipeStep step = {};
        int r;

        from = name ? build_path(b, name) : NULL;
        r = from && to ? recipe_environment(&step.environment) : err_origin(-ENOMEM);
        for (size_t i = 0; r == 0 && i < ELEMENTSOF(words); i++)
                r = strv_push(&step.argv, words[i]);
        if (r == 0)
                r = strv_push(&step.argv, from);
        if (r == 0)
                r = strv_push(&step.argv, to);
        if (r) {
                recipe_step_done(&step);
                build_fatal(b, r, b->objtool_object);
        } else {
                build_step(b, &step, NULL, on_copied);
        }
}

/* Positive: this kernel's build runs it late. */
static int is_late(const TreeFacts *tree)
{
        _cleanup_(kconfig_freep) Kconfig *config = NULL;
        int r;

        if (!tree->config)
                return 0;
        r = kconfig_parse(tree->config, tree->config_size, &config);
        if (r < 0)
                return err_trace(r);
        return r == 0 && objtool_is_late(config);
}

void build_run_objtool(Build *b, const char *object, void (*done)(Build *b))
{
        int r = is_late(build_tree(b));

        b->objtool_object = object;
        b->objtool_done = done;
        if (r < 0)
                build_fatal(b, r, "objtool");
        else if (r == 0)
                done(b);
        else
                copy_object(b);
}
