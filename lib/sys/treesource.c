/* SPDX-License-Identifier: Apache-2.0 */

/*
 * From a build tree to its source, in this order:
 *
 *   - the "include .../Makefile" line that a split tree's Makefile has: an
 *     absolute path on Debian, absolute or relative to the tree where make O=
 *     wrote it, $(dir $(lastword $(MAKEFILE_LIST))) where the tree was made
 *     relocatable. Other make expressions are not understood and skipped;
 *   - the tree itself, if the kernel's headers are in it;
 *   - a "source" link in the tree, which make O= leaves behind;
 *   - lib/modules/R/source beside lib/modules/R/build.
 *
 * An include line that points nowhere is not papered over by the others: the
 * tree's own make would fail on it.
 */

#include <fcntl.h>
#include <limits.h>

#include "base/result.h"
#include "base/str.h"
#include "sys/treefile.h"
#include "sys/treesource.h"

enum {
        TEXT_MAX = 256 * 1024, /* bytes: the kernel's Makefile has 70 to 75 kB */
};

/*
 * The directory that an include line names, relative to the root; NULL if the
 * line says something else.
 */
static int parse_include(const char *line, const char *tree, char **ret)
{
        static const char here[] = "$(dir $(lastword $(MAKEFILE_LIST)))";
        _cleanup_free_ char *word = NULL;
        const char *rest;
        size_t n;

        line = startswith(line, "include ");
        if (!line)
                return 0;
        line += strspn(line, " ");
        word = strndup(line, strcspn(line, "\n"));
        if (!word)
                return err_origin(-ENOMEM);

        (void)str_strip(word);
        n = strlen(word);
        if (n <= strlen("/Makefile") || !streq(word + n - strlen("/Makefile"), "/Makefile"))
                return 0;
        word[n - strlen("/Makefile")] = '\0';

        rest = startswith(word, here);
        if (rest)
                *ret = str_format("%s/%s", tree, rest);
        else if (strchr(word, '$'))
                return 0;
        else if (word[0] == '/')
                *ret = strdup(word + strspn(word, "/"));
        else
                *ret = str_format("%s/%s", tree, word);
        return *ret ? 0 : err_origin(-ENOMEM);
}

static int source_from_makefile(const Root *root, const char *tree, char **ret)
{
        _cleanup_free_ char *text = NULL;
        int r;

        r = treefile_read(root, tree, "Makefile", TEXT_MAX, &text, NULL);
        if (r || !text)
                return r;

        for (const char *line = text; line && !*ret;
                        line = strchr(line, '\n'), line = line ? line + 1 : NULL) {
                r = parse_include(line, tree, ret);
                if (r)
                        return err_trace(r);
        }
        return 0;
}

/*
 * Replaces *@path by the same directory without links and ".." in it. Make and
 * the shell scripts of a build take "build/../x" by its text where "build" is a
 * link, and arrive elsewhere.
 */
static int make_physical(const Root *root, char **path)
{
        _cleanup_free_ char *base = NULL, *text = NULL;
        _cleanup_close_ int fd = -EBADF;
        const char *rest;
        int r;

        r = root_open(root, *path, O_PATH | O_DIRECTORY, &fd);
        if (r)
                return r < 0 ? err_trace(r) : 0;
        r = fd_path(root->fd, &base);
        if (r == 0)
                r = fd_path(fd, &text);
        if (r)
                return err_trace(r);

        rest = root_is_host(root) ? text : startswith(text, base);
        if (!rest || *rest != '/')
                return 0;
        r = str_replace(path, rest + strspn(rest, "/"));
        return r ? err_trace(r) : 0;
}

/* Takes BASE or BASE/NAME if there is a Makefile in it. */
static int try_source(const Root *root, const char *base, const char *name, char **ret)
{
        _cleanup_free_ char *path = NULL;
        bool there = false;
        int r;

        path = name ? str_format("%s/%s", base, name) : strdup(base);
        if (!path)
                return err_origin(-ENOMEM);
        r = treefile_exists(root, path, "Makefile", &there);
        if (r == 0 && there)
                r = make_physical(root, &path);
        if (r == 0 && there)
                *ret = TAKE_PTR(path);
        return r;
}

int treesource_find(const Root *root, const char *tree, char **ret)
{
        _cleanup_free_ char *included = NULL, *source = NULL;
        bool own = false;
        int r;

        r = source_from_makefile(root, tree, &included);
        if (r)
                return err_trace(r);
        if (included) {
                r = try_source(root, included, NULL, &source);
        } else {
                /* Debian's "scripts" link makes Makefile.build no proof; headers below a Makefile that
                 * includes nothing are. */
                r = treefile_exists(root, tree, "include/linux/module.h", &own);
                if (r == 0 && own)
                        r = str_replace(&source, tree);
                if (r == 0 && !source)
                        r = try_source(root, tree, "source", &source);
                if (r == 0 && !source)
                        r = try_source(root, tree, "../source", &source);
        }
        if (r)
                return err_trace(r);

        *ret = TAKE_PTR(source);
        return 0;
}
