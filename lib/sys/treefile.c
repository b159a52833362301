/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What the readers of trees have in common: a name below a base, and a file
 * that may be missing or absurdly large without that being an error.
 */

#include "base/result.h"
#include "base/str.h"
#include "sys/treefile.h"

int treefile_path(const char *base, const char *name, char **ret)
{
        char *path = str_format("%s/%s", base, name);

        if (!path)
                return err_origin(-ENOMEM);
        *ret = path;
        return 0;
}

int treefile_exists(const Root *root, const char *base, const char *name, bool *ret)
{
        _cleanup_free_ char *path = NULL;
        int r;

        r = treefile_path(base, name, &path);
        if (r)
                return err_trace(r);
        *ret = root_exists(root, path);
        return 0;
}

int treefile_read(const Root *root, const char *base, const char *name, size_t max, char **ret,
                size_t *ret_size)
{
        _cleanup_free_ char *path = NULL;
        int r;

        r = treefile_path(base, name, &path);
        if (r)
                return err_trace(r);

        r = root_read_file(root, path, max, ret, ret_size);
        return r < 0 ? err_trace(r) : 0;
}
