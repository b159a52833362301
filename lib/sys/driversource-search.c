/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Where sources are looked for. Most hosts have one; a .run file, and the
 * directory that it unpacks to, holds two: the proprietary and the open modules.
 */

#include "base/result.h"
#include "base/str.h"
#include "sys/driversource.h"
#include "sys/runfile.h"

enum {
        CANDIDATES_MAX = 64, /* paths that are looked at */
};

/* Paths to look at, in order; a path may come twice. */
static int list_candidates(const Root *root, const char *version, char ***ret)
{
        static const char *const dirs[] = { "usr/src", "opt/nvidia" };
        _cleanup_strv_ char **l = NULL;
        int r;

        r = strv_push(&l, "run/nvidia-driverd/source");
        if (r == 0 && !isempty(version) && !strchr(version, '/')) {
                r = strv_pushf(&l, "usr/src/nvidia-%s", version);
                if (r == 0)
                        r = strv_pushf(&l, "usr/src/nvidia-kernel-%s", version);
                if (r == 0)
                        r = strv_pushf(&l, "opt/nvidia/%s", version);
        }

        for (size_t i = 0; r == 0 && i < ELEMENTSOF(dirs); i++) {
                _cleanup_strv_ char **names = NULL;

                r = root_list(root, dirs[i], &names);
                if (r < 0)
                        return err_trace(r);
                r = 0;
                STRV_FOREACH (name, names)
                        if (r == 0 && (i > 0 || startswith(*name, "nvidia") || runfile_is_name(*name)) &&
                                        strv_length(l) < CANDIDATES_MAX)
                                r = strv_pushf(&l, "%s/%s", dirs[i], *name);
        }
        if (r)
                return err_trace(r);

        *ret = TAKE_PTR(l);
        return 0;
}

static bool is_listed(const DriverSources *l, const char *path)
{
        for (size_t i = 0; i < l->n; i++)
                if (streq(l->items[i].path, path))
                        return true;
        return false;
}

/* In the search, only directories that have a Kbuild file are sources; other things called nvidia-* are not
 * broken ones. */
static int add_found(const Root *root, DriverSources *l, const char *path)
{
        _cleanup_(driver_source_done) DriverSource s = {};
        int r;

        r = driver_source_read(root, path, &s);
        if (r)
                return r < 0 ? err_trace(r) : 0;
        if (strv_contains(s.missing, "Kbuild") || is_listed(l, s.path))
                return 0;
        l->items[l->n++] = s;
        s = (DriverSource){};
        return 0;
}

static int add_run_file(const Root *root, DriverSources *l, const char *path)
{
        size_t n = 0;
        int r;

        if (is_listed(l, path))
                return 0;
        r = runfile_read(root, path, &l->items[l->n], &n);
        l->n += n;
        return r < 0 ? err_trace(r) : 0;
}

static int add_configured(const Root *root, DriverSources *l, const char *path)
{
        DriverSource *s = &l->items[l->n];
        struct stat st;
        int r;

        r = root_stat(root, path, &st);
        if (r == 0 && !S_ISDIR(st.st_mode))
                return err_trace(add_run_file(root, l, path + strspn(path, "/")));
        r = driver_source_read(root, path, s);
        if (r < 0)
                return err_trace(r);
        if (r > 0)
                s->path = strdup(path + strspn(path, "/"));
        if (!s->path)
                return err_origin(-ENOMEM);
        l->n++;
        return 0;
}

/* What a .run file unpacks to has the open modules beside the others: both are sources. */
static int add_open_beside(const Root *root, DriverSources *l, const char *directory)
{
        _cleanup_free_ char *kernel = NULL, *open = NULL;

        directory += strspn(directory, "/");
        kernel = str_format("%s/kernel", directory);
        open = str_format("%s/kernel-open", directory);
        if (!kernel || !open)
                return err_origin(-ENOMEM);
        return is_listed(l, kernel) ? err_trace(add_found(root, l, open)) : 0;
}

int driver_source_search(const Root *root, const char *configured, const char *version, DriverSources *ret)
{
        _cleanup_(driver_sources_done) DriverSources l = {};
        _cleanup_strv_ char **paths = NULL;
        int r;

        if (!configured) {
                r = list_candidates(root, version, &paths);
                if (r)
                        return err_trace(r);
        }

        l.items = calloc(2 * strv_length(paths) + 2, sizeof(*l.items));
        if (!l.items)
                return err_origin(-ENOMEM);

        if (configured) {
                r = add_configured(root, &l, configured);
                if (r == 0)
                        r = add_open_beside(root, &l, configured);
                if (r)
                        return err_trace(r);
        }
        STRV_FOREACH (path, paths) {
                const char *slash = strrchr(*path, '/');

                if (slash && runfile_is_name(slash + 1))
                        r = add_run_file(root, &l, *path);
                else
                        r = add_found(root, &l, *path);
                if (r == 0)
                        r = add_open_beside(root, &l, *path);
                if (r)
                        return err_trace(r);
        }

        *ret = l;
        l = (DriverSources){};
        return 0;
}
