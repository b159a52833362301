/* SPDX-License-Identifier: Apache-2.0 */

/*
 * One command inside. Directories of the host that it needs are taken hold of
 * before this process goes over, in the namespace that they belong to, and
 * shown in a copy of the other one, so that they are gone with the command.
 */

#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/result.h"
#include "base/root.h"
#include "base/str.h"
#include "sys/mountspace.h"
#include "toolroot.h"

enum { BINDS_MAX = 32 };

typedef struct Bind {
        const char *path;
        int fd;
} Bind;

static Code failed(const char *what, int r)
{
        (void)fprintf(stderr, "%s: %s\n", what, strerror(-r));
        return r == -ENOMEM ? CODE_INTERNAL : CODE_TOOLCHAIN_INVALID;
}

static int take_all(char **arguments, Bind *binds, size_t *ret_n, const char **ret_failed)
{
        for (size_t n = 0; *arguments && !streq(*arguments, "--"); arguments++) {
                const char *path = startswith(*arguments, TOOLROOT_WRITE);
                bool writable = path;
                int r;

                path = path ? path : startswith(*arguments, TOOLROOT_SHOW);
                *ret_failed = *arguments;
                if (!path || *path != '/' || n == BINDS_MAX)
                        return err_origin(-EINVAL);
                r = mountspace_take(path, writable, &binds[n].fd);
                if (r)
                        return err_trace(r);
                binds[n].path = path;
                *ret_n = ++n;
        }
        return 0;
}

/* Inside, with "/" of the toolchain: a link in it leads nowhere else. */
static int show_all(const Bind *binds, size_t n, const char **ret_failed)
{
        _cleanup_(root_freep) Root *root = NULL;
        int r = root_new("/", &root);

        for (size_t i = 0; r == 0 && i < n; i++) {
                *ret_failed = binds[i].path;
                r = root_mkdirs(root, binds[i].path + strspn(binds[i].path, "/"), 0755);
                if (r == 0)
                        r = mountspace_show(binds[i].fd, binds[i].path);
        }
        return err_trace(r);
}

static int enter(const char *pid, const char *directory)
{
        _cleanup_free_ char *root = str_format("%s/" TOOLROOT_ROOT, directory);
        uint64_t number;
        int r;

        if (!root)
                return err_origin(-ENOMEM);
        if (str_to_u64(pid, 10, 1, INT_MAX, &number))
                return err_origin(-EINVAL);
        r = mountspace_join((pid_t)number);
        if (r)
                return err_trace(r);
        return chroot(root) < 0 || chdir("/") < 0 ? err_origin(-errno) : 0;
}

Code toolroot_run(char **arguments)
{
        const char *culprit = "the toolchain";
        Bind binds[BINDS_MAX];
        char **command = arguments + 2;
        size_t n = 0;
        int r;

        while (*command && !streq(*command, "--"))
                command++;
        if (!*command || !command[1])
                return CODE_USAGE;
        r = take_all(arguments + 2, binds, &n, &culprit);
        if (r == 0) {
                culprit = "the toolchain";
                r = enter(arguments[0], arguments[1]);
        }
        if (r == 0)
                r = show_all(binds, n, &culprit);
        for (size_t i = 0; i < n; i++)
                safe_close(binds[i].fd);
        if (r)
                return failed(culprit, r);

        (void)execvp(command[1], command + 1);
        /* As every child of ours whose program is not there. */
        (void)fprintf(stderr, "%s: %s\n", command[1], strerror(errno));
        _exit(127);
}
