/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Kept kernel trees and a build: one that it is made in is locked against
 * removal, and one that PREPARE made is kept once a build has come of it. Not
 * before: a tree that nothing was built in is no proven one. That it cannot be
 * kept is no failure of the build.
 */

#include <fcntl.h>
#include <sys/file.h>
#include <syslog.h>

#include "base/result.h"
#include "base/str.h"
#include "build-internal.h"
#include "helper.h"
#include "kept.h"
#include "sys/lockfile.h"

int build_lock_tree(Build *b)
{
        const TreeFacts *tree = b->request.tree;
        _cleanup_free_ char *kept = NULL;
        int r;

        if (!tree || !tree->kept)
                return 0;
        /* The directory above: that is what would be moved. */
        kept = str_format("%s/..", tree->path);
        if (!kept)
                return err_origin(-ENOMEM);
        r = root_open(b->request.root, kept, O_RDONLY | O_DIRECTORY, &b->tree_lock);
        if (r)
                return r < 0 ? err_trace(r) : err_origin(-ENOENT);
        /* One of an older version: whoever can open it can lock it against us. */
        if (lockfile_is_open_to_others(b->tree_lock) && fchmod(b->tree_lock, KEPT_MODE) < 0)
                return err_origin(-errno);
        return flock(b->tree_lock, LOCK_SH | LOCK_NB) < 0 ? err_origin(-errno) : 0;
}

void build_kept_line(Build *b, const char *line)
{
        const char *value = startswith(line, HELPER_KEY_KEPT "=");

        if (value)
                build_log(b, LOG_INFO, "The prepared kernel tree is kept as %s.", value);
}

static void on_kept(Build *b, const JobResult *result)
{
        if (result->status != 0)
                build_log(b, LOG_WARNING, "The prepared kernel tree is not kept, ignoring: %s.",
                                b->answer_detail ? b->answer_detail : "the worker ended without a reason");
        build_succeed(b);
}

/* The source as it can be copied: a dirty one from the cleaned copy, whose links lead to the original. */
static char *clean_source(const Build *b)
{
        if (b->request.tree_verdict == TREE_DIRTY)
                return build_path(b, "kernel-source");
        return strdup(b->prepared.source);
}

static int push_inputs(const Build *b, char ***argv)
{
        const TreeFacts *t = b->request.tree;
        bool inside = t->inside;
        int r;

        /* What is in a toolchain root cannot be looked at when that is not open. */
        r = t->config_from ? strv_push(argv, t->config_from)
            : inside       ? strv_push(argv, "")
                           : strv_pushf(argv, "%s/.config", t->path);
        if (r == 0)
                r = t->symvers_from && (!inside || t->symvers_outside) ? strv_push(argv, t->symvers_from)
                    : inside                                           ? strv_push(argv, "")
                             : strv_pushf(argv, "%s/Module.symvers", t->path);
        if (r == 0)
                r = inside ? strv_push(argv, "") : strv_pushf(argv, "%s/Makefile", t->source);
        return err_trace(r);
}

static int make_arguments(const Build *b, char ***ret)
{
        bool dirty = b->request.tree_verdict == TREE_DIRTY;
        const Root *source_root = b->prepared.source_inside ? toolchain_root(b->request.toolchain)
                                  : dirty                   ? NULL
                                                            : b->request.root;
        char *const fixed[] = { root_is_host(b->request.root) ? strdup("/")
                                                              : strdup(b->request.root->prefix),
                build_host_path(b, b->request.store),
                str_format("%llu", (unsigned long long)b->request.config->store_lock_timeout),
                build_path(b, "kept"),
                source_root && !root_is_host(source_root) ? strdup(source_root->prefix) : strdup("/"),
                clean_source(b),
                dirty ? build_host_path(b, b->request.tree->source) : strdup(b->request.tree->source),
                build_path(b, "kernel"), strdup(b->request.kernel->release), strdup(b->request.tree->path) };
        int r = 0;

        for (size_t i = 0; i < ELEMENTSOF(fixed); i++)
                r = r          ? (free(fixed[i]), r)
                    : fixed[i] ? strv_push_consume(ret, fixed[i])
                               : err_origin(-ENOMEM);
        return r ? err_trace(r) : err_trace(push_inputs(b, ret));
}

void build_keep_tree(Build *b)
{
        _cleanup_strv_ char **arguments = NULL;
        bool dirty = b->request.tree_verdict == TREE_DIRTY;
        int r;

        /* A copy of links into a toolchain root leads nowhere from here. */
        if (!b->is_prepared || !b->request.config->store_keep_trees || !b->request.locked ||
                        (dirty && b->request.tree->inside)) {
                build_succeed(b);
                return;
        }
        r = make_arguments(b, &arguments);
        if (r) {
                build_log(b, LOG_WARNING, "The prepared kernel tree is not kept, ignoring: %s.",
                                strerror(-r));
                build_succeed(b);
                return;
        }
        b->answer_detail = (free(b->answer_detail), NULL);
        build_worker(b, on_kept, arguments, "keeptree", NULL);
}
