/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The worker's walk over /proc, told line by line as it goes: whoever asked may
 * end us at any moment and keeps what was said. The names of users come last,
 * because a directory service (NSS) may take its time, or for ever.
 */

#include <fcntl.h>
#include <pwd.h>

#include "base/result.h"
#include "helper.h"
#include "policy/cgroup.h"
#include "sys/holdersjson.h"
#include "sys/procholders.h"

typedef struct Users {
        uid_t *uids;
        size_t n;
} Users;

static void users_done(Users *u)
{
        free(u->uids);
}

static int users_add(Users *u, uid_t uid)
{
        uid_t *grown;

        for (size_t i = 0; i < u->n; i++)
                if (u->uids[i] == uid)
                        return 0;
        grown = reallocarray(u->uids, u->n + 1, sizeof(*grown));
        if (!grown)
                return err_origin(-ENOMEM);
        u->uids = grown;
        grown[u->n++] = uid;
        return 0;
}

static void say(const char *line)
{
        (void)printf("%s\n", line);
        (void)fflush(stdout);
}

static int on_holder(void *userdata, Holder *h, const char *cgroup)
{
        _cleanup_free_ char *line = NULL;
        int r;

        r = cgroup_parse(cgroup, &h->home);
        if (r == 0)
                r = users_add(userdata, h->uid);
        if (r == 0)
                r = holders_line_holder(h, &line);
        if (r)
                return err_trace(r);
        say(line);
        return 0;
}

static int say_user(uid_t uid, const char *name)
{
        _cleanup_free_ char *line = NULL;
        int r = holders_line_user(uid, name, &line);

        if (r)
                return err_trace(r);
        say(line);
        return 0;
}

static int name_users(const Users *u)
{
        for (size_t i = 0; i < u->n; i++) {
                const struct passwd *pw = getpwuid(u->uids[i]);
                int r = pw ? say_user(u->uids[i], pw->pw_name) : 0;

                if (r)
                        return err_trace(r);
        }
        return 0;
}

/* A fixture has users of its own. */
static int name_users_of(const Root *root, const Users *u)
{
        _cleanup_fclose_ FILE *f = NULL;
        int fd, r;

        r = root_open(root, "etc/passwd", O_RDONLY, &fd);
        if (r)
                return r < 0 ? err_trace(r) : 0;
        f = fdopen(fd, "r");
        if (!f) {
                (void)close(fd);
                return err_origin(-ENOMEM);
        }
        for (const struct passwd *pw; r == 0 && (pw = fgetpwent(f));)
                for (size_t i = 0; r == 0 && i < u->n; i++)
                        if (u->uids[i] == pw->pw_uid)
                                r = say_user(pw->pw_uid, pw->pw_name);
        return err_trace(r);
}

static int walk(const char *path)
{
        _cleanup_(root_freep) Root *root = NULL;
        _cleanup_(node_names_freep) NodeNames *names = NULL;
        _cleanup_(users_done) Users users = {};
        _cleanup_free_ char *end = NULL;
        ProcHoldersCount count;
        int r;

        r = root_new(path, &root);
        if (r == 0)
                r = node_names_new(root, &names);
        if (r == 0)
                r = proc_holders_scan(root, names, on_holder, &users, &count);
        if (r == 0)
                r = holders_line_end(count.n_processes, count.n_unreadable, &end);
        if (r)
                return err_trace(r);
        say(end);
        return err_trace(root_is_host(root) ? name_users(&users) : name_users_of(root, &users));
}

Code worker_holders(char **arguments)
{
        int r = walk(*arguments ? *arguments : "/");

        if (r)
                helper_say(HELPER_KEY_DETAIL, "%s", strerror(-r));
        return r ? CODE_INTERNAL : CODE_OK;
}
