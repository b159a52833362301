/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A directory descriptor of /proc/PID stays with that process: when it is gone,
 * everything below gives ESRCH or ENOENT, even if its number is in use again. So
 * each process is opened once per walk, and vanishing at any point is silent.
 *
 * A descriptor is judged by the number of the device it leads to, not by the
 * text of its link: the same node has other names in a container, or none. One
 * statx(2) does it, and with DONT_SYNC and no automount it asks no file server.
 *
 * O_PATH descriptors lead to the node but do not hold it. systemd and container
 * runtimes have such, so the flags of a hit are looked at.
 */

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/result.h"
#include "base/str.h"
#include "sys/procholders.h"
#include "sys/procmaps.h"

enum {
        STAT_MAX = 4096,
        STATUS_MAX = 16384,
        CGROUP_MAX = 16384,
        FIELD_FLAGS = 9, /* of /proc/PID/stat, counted from 1 as in proc(5) */
        FIELD_START = 22,
        KERNEL_THREAD = 0x00200000, /* PF_KTHREAD */
};

typedef struct Process {
        pid_t pid;
        bool unreadable;
} Process;

typedef struct Hit {
        char *node;
        int fd;
} Hit;

typedef struct Walk {
        const Root *root;
        NodeNames *names;
        int (*found)(void *userdata, Holder *h, const char *cgroup);
        void *userdata;
        Process *processes;
        size_t n_processes;
        ProcMaps *maps;
        ProcHoldersCount count;
        Hit *hits; /* of the process at hand */
        size_t n_hits;
} Walk;

static void forget_hits(Walk *w)
{
        for (size_t i = 0; i < w->n_hits; i++)
                free(w->hits[i].node);
        w->n_hits = 0;
}

static void walk_done(Walk *w)
{
        forget_hits(w);
        free(w->hits);
        free(w->processes);
        proc_maps_free(w->maps);
}

static Hit *find_hit(Walk *w, const char *node)
{
        for (size_t i = 0; i < w->n_hits; i++)
                if (streq(w->hits[i].node, node))
                        return &w->hits[i];
        return NULL;
}

static int add_hit(Walk *w, const char *node, int fd)
{
        Hit *grown;

        grown = reallocarray(w->hits, w->n_hits + 1, sizeof(*grown));
        if (!grown)
                return err_origin(-ENOMEM);
        w->hits = grown;
        grown[w->n_hits] = (Hit){ strdup(node), fd };
        if (!grown[w->n_hits].node)
                return err_origin(-ENOMEM);
        w->n_hits++;
        return 0;
}

/* A file of the process, as a string of at most @size - 1 bytes. False if it cannot be read (any more). */
static bool read_small(int dir, const char *name, char *buffer, size_t size)
{
        _cleanup_close_ int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        size_t n = 0;

        if (fd < 0)
                return false;
        while (n < size - 1) {
                ssize_t got = read(fd, buffer + n, size - 1 - n);

                if (got < 0 && errno == EINTR)
                        continue;
                if (got < 0)
                        return false;
                if (got == 0)
                        break;
                n += (size_t)got;
        }
        buffer[n] = '\0';
        return true;
}

/* A number of /proc/PID/stat; the command, in parentheses, may have blanks and parentheses of its own. */
static bool stat_field(const char *stat, unsigned field, uint64_t *ret)
{
        const char *p = strrchr(stat, ')');

        for (unsigned i = 2; p && i < field; i++) {
                p = strchr(p, ' ');
                p = p ? p + 1 : NULL;
        }
        if (!p)
                return false;
        *ret = strtoull(p, NULL, 10);
        return true;
}

static char *stat_command(const char *stat)
{
        const char *begin = strchr(stat, '('), *end = strrchr(stat, ')');

        return begin && end > begin ? strndup(begin + 1, (size_t)(end - begin - 1)) : strdup("");
}

/* The effective one, as ps shows. (The owner of /proc/PID is root for who may not be traced.) */
static uid_t status_uid(const char *status)
{
        const char *line = strstr(status, "\nUid:");
        unsigned uid = 0;

        if (line)
                (void)sscanf(line, "\nUid: %*u %u", &uid);
        return (uid_t)uid;
}

/* What all hits of a process have in common. False if it is gone. */
static bool identify(int dir, Holder *h, char *cgroup)
{
        char stat[STAT_MAX], status[STATUS_MAX];

        if (!read_small(dir, "stat", stat, sizeof(stat)) || !stat_field(stat, FIELD_START, &h->start))
                return false;
        h->uid = read_small(dir, "status", status, sizeof(status)) ? status_uid(status) : 0;
        if (!read_small(dir, "cgroup", cgroup, CGROUP_MAX))
                *cgroup = '\0';
        h->command = stat_command(stat);
        return true;
}

static int report_hit(Walk *w, const Holder *process, Hit *hit, HolderKind kind, const char *cgroup)
{
        _cleanup_(holder_done) Holder h = { .pid = process->pid,
                .start = process->start,
                .uid = process->uid,
                .kind = kind,
                .fd = hit->fd };

        h.node = TAKE_PTR(hit->node);
        h.command = process->command ? strdup(process->command) : NULL;
        if (!h.command)
                return err_origin(-ENOMEM);
        return err_trace(w->found(w->userdata, &h, cgroup));
}

static int report(Walk *w, int dir, pid_t pid, HolderKind kind)
{
        _cleanup_(holder_done) Holder process = { .pid = pid };
        char cgroup[CGROUP_MAX];
        int r = 0;

        if (w->n_hits > 0 && identify(dir, &process, cgroup))
                for (size_t i = 0; r == 0 && i < w->n_hits; i++)
                        r = report_hit(w, &process, &w->hits[i], kind, cgroup);
        forget_hits(w);
        return err_trace(r);
}

/* A kernel thread's descriptors are denied to people as well, but it has none. */
static void deny(Walk *w, Process *p, int dir)
{
        char stat[STAT_MAX];
        uint64_t flags;

        if (p->unreadable || !read_small(dir, "stat", stat, sizeof(stat)) ||
                        !stat_field(stat, FIELD_FLAGS, &flags) || (flags & KERNEL_THREAD))
                return;
        p->unreadable = true;
        w->count.n_unreadable++;
}

static bool is_path_only(int dir, int fd)
{
        char name[32], text[1024];
        const char *flags;

        (void)snprintf(name, sizeof(name), "fdinfo/%d", fd);
        if (!read_small(dir, name, text, sizeof(text)))
                return false;
        flags = strstr(text, "flags:");
        return flags && (strtoul(flags + strlen("flags:"), NULL, 8) & O_PATH);
}

/* In a fixture the text of the link is all there is. Returns as node_names_find(). */
static int judge_in_fixture(Walk *w, int fds, const char *name, char *buffer, const char **ret)
{
        ssize_t n = readlinkat(fds, name, buffer, PATH_MAX - 1);
        int r;

        if (n < 0)
                return NODE_NAMES_E_OTHER;
        buffer[n] = '\0';
        *ret = buffer;
        r = node_names_check(w->names, buffer);
        return r < 0 ? err_trace(r) : r;
}

/* Returns as node_names_find(), *@ret_denied tells that the process cannot be looked into. */
static int judge(Walk *w, int fds, const char *name, const char **ret, bool *ret_denied)
{
        struct statx st;
        int r;

        if (statx(fds, name, AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT, STATX_TYPE, &st) < 0) {
                *ret_denied = errno == EACCES || errno == EPERM;
                return NODE_NAMES_E_OTHER;
        }
        if (!S_ISCHR(st.stx_mode))
                return NODE_NAMES_E_OTHER;
        r = node_names_find(w->names, makedev(st.stx_rdev_major, st.stx_rdev_minor), ret);
        return r < 0 ? err_trace(r) : r;
}

static int take_fd(Walk *w, int dir, int fds, const char *name, bool *ret_denied)
{
        char buffer[PATH_MAX];
        const char *node;
        uint64_t fd;
        Hit *hit;
        int r;

        if (str_to_u64(name, 10, 0, INT32_MAX, &fd) != 0)
                return 0; /* "." and ".." */
        r = root_is_host(w->root) ? judge(w, fds, name, &node, ret_denied)
                                  : judge_in_fixture(w, fds, name, buffer, &node);
        if (r)
                return r < 0 ? err_trace(r) : 0;

        hit = find_hit(w, node);
        if (hit && hit->fd <= (int)fd)
                return 0;
        if (is_path_only(dir, (int)fd))
                return 0;
        if (!hit)
                return err_trace(add_hit(w, node, (int)fd));
        hit->fd = (int)fd;
        return 0;
}

/* "proc/PID"; negative if it is gone. */
static int open_process(const Walk *w, pid_t pid)
{
        char path[32];
        int fd;

        (void)snprintf(path, sizeof(path), "proc/%d", (int)pid);
        return root_open(w->root, path, O_PATH | O_DIRECTORY | O_NOFOLLOW, &fd) == 0 ? fd : -EBADF;
}

static int look_at_fds(Walk *w, Process *p)
{
        _cleanup_close_ int dir = open_process(w, p->pid), fd = -EBADF;
        _cleanup_closedir_ DIR *fds = NULL;
        bool denied = false;
        int r = 0;

        if (dir < 0)
                return 0;
        w->count.n_processes++;
        fd = openat(dir, "fd", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0) {
                if (errno == EACCES || errno == EPERM)
                        deny(w, p, dir);
                return 0;
        }
        fds = fdopendir(fd);
        if (!fds)
                return err_origin(-errno);
        (void)TAKE_FD(fd);

        for (struct dirent *e; r == 0 && !denied && (e = readdir(fds));)
                r = take_fd(w, dir, dirfd(fds), e->d_name, &denied);
        if (denied)
                deny(w, p, dir);
        if (r == 0)
                r = report(w, dir, p->pid, HOLDER_FD);
        return err_trace(r);
}

static int on_mapping(void *userdata, const char *node)
{
        Walk *w = userdata;

        return find_hit(w, node) ? 0 : err_trace(add_hit(w, node, -1));
}

static int look_at_mappings(Walk *w, Process *p)
{
        _cleanup_close_ int dir = open_process(w, p->pid);
        int r;

        if (dir < 0)
                return 0;
        r = proc_maps_scan(w->maps, dir, p->pid, on_mapping, w);
        if (r < 0)
                return err_trace(r);
        if (r == PROC_MAPS_E_DENIED)
                deny(w, p, dir);
        return err_trace(report(w, dir, p->pid, HOLDER_MAPPING));
}

static int list_processes(Walk *w)
{
        _cleanup_closedir_ DIR *d = NULL;
        size_t allocated = 0;
        int r;

        r = root_opendir(w->root, "proc", &d);
        if (r)
                return r < 0 ? err_trace(r) : err_origin(-ENOENT);
        for (struct dirent *e; (e = readdir(d));) {
                uint64_t pid;

                if (str_to_u64(e->d_name, 10, 1, INT32_MAX, &pid) != 0)
                        continue;
                if (w->n_processes == allocated) {
                        Process *grown;

                        allocated = MAX(allocated * 2, (size_t)512);
                        grown = reallocarray(w->processes, allocated, sizeof(*grown));
                        if (!grown)
                                return err_origin(-ENOMEM);
                        w->processes = grown;
                }
                w->processes[w->n_processes++] = (Process){ .pid = (pid_t)pid };
        }
        return 0;
}

int proc_holders_scan(const Root *root, NodeNames *names,
                int (*found)(void *userdata, Holder *h, const char *cgroup), void *userdata,
                ProcHoldersCount *ret)
{
        _cleanup_(walk_done) Walk w = { .root = root, .names = names, .found = found, .userdata = userdata };
        int r;

        r = proc_maps_new(root, names, &w.maps);
        if (r == 0)
                r = list_processes(&w);
        /* Descriptors first, of all: reading a memory map may hang, and these are the most and the surest.
         */
        for (size_t i = 0; r == 0 && i < w.n_processes; i++)
                r = look_at_fds(&w, &w.processes[i]);
        for (size_t i = 0; r == 0 && i < w.n_processes; i++)
                r = look_at_mappings(&w, &w.processes[i]);
        if (r)
                return err_trace(r);
        *ret = w.count;
        return 0;
}
