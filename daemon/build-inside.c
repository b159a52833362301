/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A build with a toolchain root: which of its paths are in there, and what of
 * the host its commands have to see. That is the staging directory, the
 * driver's source and a kernel tree of the host, each under its own name.
 */

#include <limits.h>
#include <stdlib.h>

#include "base/result.h"
#include "base/str.h"
#include "build-internal.h"

const Root *build_tree_root(const Build *b)
{
        return build_tree(b)->inside ? toolchain_root(b->request.toolchain) : b->request.root;
}

static char *command_path(const Build *b, const char *path, bool inside)
{
        return inside ? str_format("/%s", path + strspn(path, "/")) : build_host_path(b, path);
}

char *build_tree_path(const Build *b)
{
        const TreeFacts *tree = build_tree(b);

        return command_path(b, tree->path, tree->inside);
}

char *build_tree_source_path(const Build *b)
{
        const TreeFacts *tree = build_tree(b);

        return command_path(b, tree->source, tree->source_inside);
}

static int push_once(char ***list, char *path)
{
        _cleanup_free_ char *owned = path;

        if (!owned)
                return err_origin(-ENOMEM);
        return strv_contains(*list, owned) ? 0 : err_trace(strv_push(list, owned));
}

/*
 * A tree of the host. Debian's are in three parts: scripts and tools of one are
 * links to a directory that none of its Makefiles names.
 */
static int push_tree(const Build *b, const char *path, char ***list)
{
        static const char *const parts[] = { "scripts", "tools" };
        int r = push_once(list, build_host_path(b, path));

        for (size_t i = 0; r == 0 && i < ELEMENTSOF(parts); i++) {
                _cleanup_free_ char *in_root = str_format("%s/%s", path, parts[i]), *part = NULL;
                char *real;

                part = in_root ? build_host_path(b, in_root) : NULL;
                if (!part)
                        return err_origin(-ENOMEM);
                real = realpath(part, NULL);
                if (real && !streq(real, part))
                        r = push_once(list, real);
                else
                        free(real);
        }
        return err_trace(r);
}

static int list_shown(const Build *b, char ***ret)
{
        const TreeFacts *tree = b->request.tree;
        int r;

        r = push_once(ret, build_host_path(b, build_source(b)->path));
        if (r == 0 && tree && !tree->inside)
                r = push_tree(b, tree->path, ret);
        if (r == 0 && tree && !tree->source_inside)
                r = push_tree(b, tree->source, ret);
        return err_trace(r);
}

int build_enter(const Build *b, RecipeStep *step)
{
        _cleanup_strv_ char **shown = NULL, **written = NULL;
        int r;

        r = list_shown(b, &shown);
        if (r == 0)
                r = push_once(&written, build_host_path(b, b->staging));
        return r ? err_trace(r) : err_trace(toolchain_wrap(b->request.toolchain, shown, written, step));
}

bool build_inside_failed(Build *b, const JobResult *result)
{
        const char *name = toolchain_name(b->request.toolchain);

        if (!toolchain_is_alive(b->request.toolchain)) {
                build_fail(b, CODE_TOOLCHAIN_INVALID, "%s: the process that keeps it is gone.", name);
                return true;
        }
        /* No compiler, linker or make ends with this. */
        if (result->status != code_exit_status(CODE_TOOLCHAIN_INVALID))
                return false;
        (void)buildlog_finish(&b->log);
        build_fail(b, CODE_TOOLCHAIN_INVALID, "%s: %s.", name, b->log.line);
        return true;
}
