/* SPDX-License-Identifier: Apache-2.0 */

/*
 * All processes of a service are below this one: the orphans among them become
 * its children (PR_SET_CHILD_SUBREAPER). Its own children it alone reaps, so
 * the number of one of them cannot become somebody else's while it is used
 * here. Killing is repeated after each reaped child until there are none:
 * the children of the dead one have come to us by then.
 */

#include <poll.h>
#include <signal.h>
#include <sys/pidfd.h>

#include "base/str.h"
#include "keeper.h"
#include "sys/clock.h"
#include "sys/keep.h"

enum { STAT_MAX = 4096 };

typedef struct Child {
        pid_t pid, group;
        unsigned long long start; /* clock ticks after boot */
} Child;

/* False if it is none of ours, or dead and not reaped yet. */
static bool read_child(const Root *proc, const char *pid, Child *ret)
{
        _cleanup_free_ char *path = str_format("proc/%s/stat", pid), *text = NULL;
        const char *rest;
        char state;
        int parent;
        uint64_t number;

        if (str_to_u64(pid, 10, 1, INT32_MAX, &number) < 0 || !path ||
                        root_read_line(proc, path, STAT_MAX, &text) != 0)
                return false;
        /* The name may contain anything; the last parenthesis is not part of it. */
        rest = strrchr(text, ')');
        if (!rest || sscanf(rest + 1,
                                     " %c %d %d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu",
                                     &state, &parent, &ret->group, &ret->start) != 4)
                return false;
        ret->pid = (pid_t)number;
        return parent == getpid() && state != 'Z' && state != 'X';
}

static void each_child(const Root *proc, void (*call)(const Child *c, void *userdata), void *userdata)
{
        _cleanup_strv_ char **entries = NULL;

        if (root_list(proc, "proc", &entries) != 0)
                return;
        STRV_FOREACH (e, entries) {
                Child c;

                if (read_child(proc, *e, &c))
                        call(&c, userdata);
        }
}

static void send_signal(const Child *c, void *userdata)
{
        int number = *(int *)userdata;

        if (c->group > 1 && c->group != getpgrp())
                (void)kill(-c->group, number);
        else
                (void)kill(c->pid, number);
}

void keeper_tree_signal(const Root *proc, int number)
{
        each_child(proc, send_signal, &number);
}

static void keep_oldest(const Child *c, void *userdata)
{
        Child *oldest = userdata;

        if (oldest->pid == 0 || c->start < oldest->start)
                *oldest = *c;
}

pid_t keeper_tree_oldest(const Root *proc)
{
        Child oldest = {};

        each_child(proc, keep_oldest, &oldest);
        return oldest.pid;
}

typedef struct Family {
        pid_t *pids;
        size_t n;
        int *pidfds;
} Family;

static void family_done(Family *f)
{
        for (size_t i = 0; f->pidfds && i < f->n; i++)
                safe_close(f->pidfds[i]);
        free(f->pids);
        free(f->pidfds);
}

static bool contains(const pid_t *pids, size_t n, pid_t pid)
{
        for (size_t i = 0; i < n; i++)
                if (pids[i] == pid)
                        return true;
        return false;
}

/* A process is opened, and only then looked at again: what still has the lock file open is whom we opened.
 */
static int find_family(int directory, const char *name, const Root *proc, Family *ret)
{
        _cleanup_free_ pid_t *again = NULL;
        size_t n = 0;
        int r;

        r = keep_family(directory, name, proc, &ret->pids, &ret->n);
        if (r)
                return r;
        ret->pidfds = calloc(ret->n + 1, sizeof(*ret->pidfds));
        if (!ret->pidfds)
                return -ENOMEM;
        for (size_t i = 0; i < ret->n; i++)
                ret->pidfds[i] = pidfd_open(ret->pids[i], 0);
        r = keep_family(directory, name, proc, &again, &n);
        for (size_t i = 0; r == 0 && i < ret->n; i++)
                if (!contains(again, n, ret->pids[i]))
                        ret->pidfds[i] = safe_close(ret->pidfds[i]);
        return r;
}

/* True if all of them have ended. */
static bool wait_for_family(const Family *f, usec_t until)
{
        for (size_t i = 0; i < f->n; i++) {
                struct pollfd fd = { .fd = f->pidfds[i], .events = POLLIN };
                usec_t now = now_usec();

                if (fd.fd >= 0 && poll(&fd, 1, until > now ? (int)((until - now) / USEC_PER_MSEC) : 0) <= 0)
                        return false;
        }
        return true;
}

bool keeper_end_family(int directory, const char *name, const Root *proc, usec_t grace)
{
        static const int signals[] = { SIGTERM, SIGKILL };
        bool ended = false;

        for (size_t s = 0; s < ELEMENTSOF(signals) && !ended; s++) {
                _cleanup_(family_done) Family f = {};

                if (find_family(directory, name, proc, &f) < 0)
                        return false;
                for (size_t i = 0; i < f.n; i++)
                        if (f.pidfds[i] >= 0)
                                (void)pidfd_send_signal(f.pidfds[i], signals[s], NULL, 0);
                ended = wait_for_family(&f, now_usec() + (signals[s] == SIGKILL ? USEC_PER_SEC : grace));
        }
        return ended;
}
