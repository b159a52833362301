/* SPDX-License-Identifier: Apache-2.0 */

/*
 * /proc/PID/maps tells the file system and the inode of what is mapped, but not
 * whether that is a device. /proc/PID/map_files leads to the very file, however
 * it is called and in whichever mount namespace; it takes CAP_SYS_ADMIN (or
 * CAP_CHECKPOINT_RESTORE) in the first user namespace. Without, files below
 * /dev are looked at by their path in the process's own root.
 *
 * Nearly everything mapped is a library, and the same in all processes: what
 * was once found to be no device is remembered by the whole of what maps says
 * of it (file system, inode, path), and not asked again. A machine with 5000
 * processes has a few thousand different files.
 *
 * Reading maps takes the lock of the process's memory. A driver that hangs with
 * that lock held makes the read hang too, although not against SIGKILL.
 */

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/result.h"
#include "base/str.h"
#include "sys/procmaps.h"

enum {
        BUFFER_SIZE = 64 * 1024, /* a line has at most a path of 4096 bytes, each four when escaped */
        OTHERS_MIN = 1024,
};

/* Beside NODE_NAMES_E_OTHER: could not be looked at, the mapping has just gone. Nothing to remember. */
enum { LOOK_FAILED = NODE_NAMES_E_OTHER + 1 };

struct ProcMaps {
        const Root *root;
        NodeNames *names;
        uint64_t *others; /* hashes of files that are no nodes, open addressing; 0 is a free slot */
        size_t n_others, size;
        char buffer[BUFFER_SIZE + 1];
};

typedef struct Walk {
        ProcMaps *maps;
        int fd;
        pid_t pid;
        int (*found)(void *userdata, const char *node);
        void *userdata;
} Walk;

ProcMaps *proc_maps_free(ProcMaps *maps)
{
        if (!maps)
                return NULL;

        free(maps->others);
        free(maps);
        return NULL;
}

int proc_maps_new(const Root *root, NodeNames *names, ProcMaps **ret)
{
        _cleanup_(proc_maps_freep) ProcMaps *maps = NULL;

        maps = calloc(1, sizeof(*maps));
        if (!maps)
                return err_origin(-ENOMEM);
        maps->root = root;
        maps->names = names;
        maps->size = OTHERS_MIN;
        maps->others = calloc(maps->size, sizeof(*maps->others));
        if (!maps->others)
                return err_origin(-ENOMEM);
        *ret = TAKE_PTR(maps);
        return 0;
}

/* FNV-1a, 64 bits; never 0. */
static uint64_t hash_of(const char *s)
{
        uint64_t h = UINT64_C(14695981039346656037);

        for (; *s; s++)
                h = (h ^ (unsigned char)*s) * UINT64_C(1099511628211);
        return h ? h : 1;
}

static uint64_t *slot_of(uint64_t *others, size_t size, uint64_t hash)
{
        size_t i = hash & (size - 1);

        while (others[i] && others[i] != hash)
                i = (i + 1) & (size - 1);
        return &others[i];
}

static int remember(ProcMaps *maps, uint64_t hash)
{
        if (maps->n_others * 2 >= maps->size) {
                uint64_t *grown = calloc(maps->size * 2, sizeof(*grown));

                if (!grown)
                        return err_origin(-ENOMEM);
                for (size_t i = 0; i < maps->size; i++)
                        if (maps->others[i])
                                *slot_of(grown, maps->size * 2, maps->others[i]) = maps->others[i];
                free(maps->others);
                maps->others = grown;
                maps->size *= 2;
        }
        *slot_of(maps->others, maps->size, hash) = hash;
        maps->n_others++;
        return 0;
}

static int find(Walk *w, dev_t device, const char **ret)
{
        int r = node_names_find(w->maps->names, device, ret);

        return r < 0 ? err_trace(r) : r;
}

/* Without the capability for map_files: the path, as the process itself would open it. */
static int look_by_path(Walk *w, const char *path, const char **ret)
{
        _cleanup_(root_freep) Root *root = NULL;
        char prefix[32];
        struct stat st;

        if (!startswith(path, "/dev/"))
                return NODE_NAMES_E_OTHER;
        (void)snprintf(prefix, sizeof(prefix), "/proc/%d/root", (int)w->pid);
        if (root_new(prefix, &root) < 0 || root_stat(root, path, &st) != 0)
                return LOOK_FAILED;
        return S_ISCHR(st.st_mode) ? find(w, st.st_rdev, ret) : NODE_NAMES_E_OTHER;
}

/* A fixture has no map_files, and what its paths lead to is a file at best. */
static int look_in_fixture(Walk *w, const char *path, const char **ret)
{
        int r = node_names_check(w->maps->names, path);

        *ret = path;
        return r < 0 ? err_trace(r) : r;
}

/* Returns 0, NODE_NAMES_E_OTHER, LOOK_FAILED or a negative errno. */
static int look(Walk *w, unsigned long long start, unsigned long long end, const char *path,
                const char **ret)
{
        struct statx st;
        char name[64];

        if (!root_is_host(w->maps->root))
                return look_in_fixture(w, path, ret);
        /* DONT_SYNC: a library on a file server that does not answer must not hold us up. */
        (void)snprintf(name, sizeof(name), "map_files/%llx-%llx", start, end);
        if (statx(w->fd, name, AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT, STATX_TYPE, &st) < 0)
                return errno == EPERM || errno == EACCES ? look_by_path(w, path, ret) : LOOK_FAILED;
        if (!S_ISCHR(st.stx_mode))
                return NODE_NAMES_E_OTHER;
        return find(w, makedev(st.stx_rdev_major, st.stx_rdev_minor), ret);
}

/* "7f00-7f01 rw-s 00000000 00:05 412   /dev/nvidiactl" */
static int take_line(Walk *w, const char *line)
{
        unsigned long long start, end;
        const char *file = line, *path, *node;
        char *rest;
        uint64_t hash;
        int r;

        for (unsigned i = 0; file && i < 3; i++) {
                file = strchr(file, ' ');
                file = file ? file + 1 : NULL;
        }
        path = file ? strchr(file, '/') : NULL;
        if (!path)
                return 0; /* anonymous memory, [heap] ... */
        hash = hash_of(file);
        if (*slot_of(w->maps->others, w->maps->size, hash))
                return 0;

        errno = 0;
        start = strtoull(line, &rest, 16);
        end = *rest == '-' ? strtoull(rest + 1, &rest, 16) : 0;
        if (*rest != ' ' || errno)
                return 0;
        r = look(w, start, end, path, &node);
        if (r == 0)
                r = w->found(w->userdata, node);
        else if (r == NODE_NAMES_E_OTHER)
                r = remember(w->maps, hash);
        return r < 0 ? err_trace(r) : 0;
}

/* The lines that are complete; returns how many bytes of an incomplete one were moved to the front. */
static int take_lines(Walk *w, size_t *n)
{
        char *line = w->maps->buffer, *newline;

        line[*n] = '\0';
        while ((newline = memchr(line, '\n', *n))) {
                int r;

                *newline = '\0';
                r = take_line(w, line);
                if (r)
                        return err_trace(r);
                *n -= (size_t)(newline + 1 - line);
                line = newline + 1;
        }
        /* A line that fills the buffer is no line of the kernel's. */
        if (*n == BUFFER_SIZE)
                *n = 0;
        memmove(w->maps->buffer, line, *n);
        return 0;
}

int proc_maps_scan(ProcMaps *maps, int fd, pid_t pid, int (*found)(void *userdata, const char *node),
                void *userdata)
{
        Walk w = { maps, fd, pid, found, userdata };
        _cleanup_close_ int file = -EBADF;
        size_t n = 0;

        file = openat(fd, "maps", O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        if (file < 0)
                return errno == EACCES || errno == EPERM ? PROC_MAPS_E_DENIED : PROC_MAPS_E_GONE;
        for (;;) {
                ssize_t got = read(file, maps->buffer + n, BUFFER_SIZE - n);
                int r;

                if (got < 0 && errno == EINTR)
                        continue;
                if (got <= 0)
                        return got == 0 ? 0 : PROC_MAPS_E_GONE;
                n += (size_t)got;
                r = take_lines(&w, &n);
                if (r)
                        return err_trace(r);
        }
}
