/* SPDX-License-Identifier: Apache-2.0 */

#include "base/result.h"
#include "base/str.h"
#include "flatcar.h"

enum { RELEASE_MAX = 64 * 1024 /* bytes */ };

/* In a container the host's own files are those that init sees. */
static int read_host(const Root *root, const char *path, char **ret)
{
        static const char *const places[] = { "proc/1/root", "." };
        size_t size;
        int r = ROOT_E_ABSENT;

        for (size_t i = 0; r && i < ELEMENTSOF(places); i++) {
                _cleanup_free_ char *file = str_format("%s/%s", places[i], path);

                r = file ? root_read_file(root, file, RELEASE_MAX, ret, &size) : -ENOMEM;
        }
        return r == -ENOMEM ? err_trace(r) : 0;
}

int flatcar_identify(const Root *root, DevContainer *ret, char **reterr)
{
        _cleanup_free_ char *release = NULL, *usr = NULL, *etc = NULL;
        int r;

        r = read_host(root, "etc/os-release", &release);
        if (r == 0 && !release)
                r = read_host(root, "usr/lib/os-release", &release);
        if (r == 0)
                r = read_host(root, "usr/share/flatcar/update.conf", &usr);
        if (r == 0)
                r = read_host(root, "etc/flatcar/update.conf", &etc);
        if (r == 0)
                r = devcontainer_identify(strempty(release), usr, etc, ret, reterr);
        return r < 0 ? err_trace(r) : r;
}

int flatcar_read_release(const Root *root, char **ret)
{
        size_t size;
        int r;

        r = root_read_file(root, "etc/os-release", RELEASE_MAX, ret, &size);
        if (r == ROOT_E_ABSENT)
                r = root_read_file(root, "usr/lib/os-release", RELEASE_MAX, ret, &size);
        if (r == ROOT_E_TOO_BIG)
                return ROOT_E_ABSENT;
        return r < 0 ? err_trace(r) : r;
}
