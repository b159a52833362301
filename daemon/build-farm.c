/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A copy of a kernel source that is made of links, to be cleaned in its stead:
 * real directories, and a symbolic link for each file. "make mrproper" in it
 * removes links. But a directory of the source that is itself a link would be
 * one in the copy, and through it mrproper would clean the original. So such a
 * source is refused, but for the links that every kernel has: the device tree
 * prefixes, where nothing is ever removed.
 */

#include <syslog.h>

#include "base/result.h"
#include "base/str.h"
#include "build-internal.h"

#define KNOWN_LINKS "scripts/dtc/include-prefixes"

/*
 * cp -rs makes directories and symbolic links; it needs an absolute source.
 * -H: the source is often named by a link (/lib/modules/KV/build). Without it
 * the copy would be one link to the whole, and mrproper would clean the original.
 */
static int link_farm(const char *from, const char *to, RecipeStep *ret)
{
        int r;

        r = recipe_environment(&ret->environment);
        if (r == 0)
                r = strv_push(&ret->argv, "cp");
        if (r == 0)
                r = strv_push(&ret->argv, "-rsH");
        if (r == 0)
                r = strv_push(&ret->argv, "--");
        if (r == 0)
                r = strv_push(&ret->argv, from);
        if (r == 0)
                r = strv_push(&ret->argv, to);
        if (r)
                recipe_step_done(ret);
        return err_trace(r);
}

static void on_copied(Build *b, const JobResult *result)
{
        if (!build_step_failed(b, result))
                b->farm_done(b);
}

static void copy(Build *b)
{
        _cleanup_free_ char *from = build_tree_source_path(b), *to = build_path(b, "kernel-source");
        RecipeStep step = {};
        int r;

        build_log(b, LOG_INFO, "The kernel source %s is not clean (%s), preparing a copy of links to it.",
                        strna(from), strna(b->request.tree->dirty_by));
        r = from && to ? link_farm(from, to, &step) : err_origin(-ENOMEM);
        if (r)
                build_fatal(b, r, "copying the kernel source");
        else
                build_step(b, &step, NULL, on_copied);
}

static void on_found(Build *b, const char *line)
{
        if (!b->linked_directory)
                (void)str_replace(&b->linked_directory, line);
}

static void on_searched(Build *b, const JobResult *result)
{
        if (build_step_failed(b, result))
                return;
        if (b->linked_directory)
                build_fail(b, CODE_TREE_DIRTY,
                                "%s is a link to a directory, so a copy of links cannot be cleaned.",
                                b->linked_directory);
        else
                copy(b);
}

static int find_linked(const char *source, RecipeStep *ret)
{
        static const char *const test[] = { "-type", "l", "-xtype", "d", "-not", "-path" };
        int r;

        r = recipe_environment(&ret->environment);
        if (r == 0)
                r = strv_push(&ret->argv, "find");
        /* -H: the source itself may well be named by a link. */
        if (r == 0)
                r = strv_push(&ret->argv, "-H");
        if (r == 0)
                r = strv_push(&ret->argv, source);
        for (size_t i = 0; r == 0 && i < ELEMENTSOF(test); i++)
                r = strv_push(&ret->argv, test[i]);
        if (r == 0)
                r = strv_pushf(&ret->argv, "*/" KNOWN_LINKS "/*");
        if (r)
                recipe_step_done(ret);
        return err_trace(r);
}

void build_run_farm(Build *b, void (*done)(Build *b))
{
        _cleanup_free_ char *source = build_tree_source_path(b);
        RecipeStep step = {};
        int r;

        b->farm_done = done;
        r = source ? find_linked(source, &step) : err_origin(-ENOMEM);
        if (r)
                build_fatal(b, r, "searching the kernel source");
        else
                build_step(b, &step, on_found, on_searched);
}
