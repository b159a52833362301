/* SPDX-License-Identifier: Apache-2.0 */

#include <fcntl.h>

#include "base/result.h"
#include "base/str.h"
#include "sys/keep.h"
#include "sys/pidfile.h"
#include "sys/servicefacts.h"

enum { SETTINGS_MAX = 65536 };

static bool is_program(const Root *root, const char *path)
{
        struct stat st;

        return root_stat(root, path, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & 0111);
}

static int find_program(const Root *root, const char *name, const char *given, char **ret)
{
        static const char *const places[] = { "usr/bin", "usr/sbin", "usr/local/bin", "usr/local/sbin",
                "bin", "sbin", "opt/bin" };
        _cleanup_free_ char *path = NULL;

        if (given)
                return is_program(root, given + 1) ? err_trace(str_replace(ret, given)) : 0;
        for (size_t i = 0; i < ELEMENTSOF(places); i++) {
                free(path);
                path = str_format("/%s/%s", places[i], name);
                if (!path)
                        return err_origin(-ENOMEM);
                if (is_program(root, path + 1)) {
                        *ret = TAKE_PTR(path);
                        return 0;
                }
        }
        return 0;
}

/* A unit file is of importance only where a systemd reads it: in the image of a container it is just a file.
 */
static int find_unit(const Root *root, const char *name, char **ret)
{
        static const char *const places[] = { "etc/systemd/system", "run/systemd/system",
                "usr/local/lib/systemd/system", "usr/lib/systemd/system", "lib/systemd/system" };

        if (!name || !root_exists(root, "run/systemd/system"))
                return 0;
        for (size_t i = 0; i < ELEMENTSOF(places); i++) {
                _cleanup_free_ char *path = str_format("%s/%s", places[i], name);

                if (!path)
                        return err_origin(-ENOMEM);
                if (root_exists(root, path))
                        return err_trace(str_replace(ret, name));
        }
        return 0;
}

static int find_owner(const Root *root, const ServiceKnown *known, int64_t *ret)
{
        pid_t pid = 0;
        int r;

        r = pidfile_owner(root, known->pid_file, known->name, &pid);
        if (r < 0)
                return err_trace(r);
        if (r == 0)
                *ret = pid == PIDFILE_HIDDEN ? SERVICE_OWNER_HIDDEN : pid;
        return 0;
}

int servicefacts_read(const Root *root, const ServiceKnown *known, const char *program, const char *settings,
                ServiceFact *ret)
{
        _cleanup_(service_fact_done)
                        ServiceFact f = { .name = strdup(known->name), .owner = SERVICE_OWNER_NONE };
        int r;

        if (!f.name)
                return err_origin(-ENOMEM);
        r = find_program(root, known->name, program, &f.program);
        if (r == 0)
                r = find_unit(root, known->unit, &f.unit);
        if (r == 0)
                r = find_owner(root, known, &f.owner);
        if (r)
                return err_trace(r);
        /* Unreadable is as good as not there: the program will say what it misses. */
        if (settings)
                (void)root_read_file(root, settings + 1, SETTINGS_MAX, &f.settings, NULL);

        *ret = f;
        f = (ServiceFact){};
        return 0;
}

int servicefacts_kept(const Root *root, char ***ret)
{
        _cleanup_strv_ char **names = NULL, **kept = NULL;
        _cleanup_close_ int directory = -EBADF;
        int r;

        r = keep_list(root, &names);
        if (r == 0 && names)
                r = keep_open_directory(root, &directory);
        if (r)
                return err_trace(r);
        STRV_FOREACH (name, names) {
                _cleanup_close_ int pidfd = -EBADF;
                pid_t pid;

                if (keep_find(directory, *name, &pid, &pidfd) != 0)
                        continue;
                r = strv_push(&kept, *name);
                if (r)
                        return err_trace(r);
        }
        *ret = TAKE_PTR(kept);
        return 0;
}
