/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Who keeps the driver in use: a process that has one of its device nodes open
 * or mapped, named as people know it (command, user, unit, container, pod).
 */

#include "base/macro.h"

typedef enum HolderKind {
        HOLDER_FD,      /* an open file descriptor */
        HOLDER_MAPPING, /* a mapping in its address space; the descriptor may be closed */
        _HOLDER_KIND_MAX,
        _HOLDER_KIND_INVALID = -EINVAL,
} HolderKind;

const char *holder_kind_to_string(HolderKind kind);
HolderKind holder_kind_from_string(const char *name);

/* What a line of /proc/PID/cgroup tells; each NULL if it does not. */
typedef struct HolderHome {
        char *unit;      /* "nvidia-persistenced.service", "session-3.scope" */
        char *container; /* 64 hex digits, docker, containerd, CRI-O and podman alike; the name if it is
                            LXC's */
        char *pod;       /* uid of the Kubernetes pod */
} HolderHome;

/* One process and one node; a process with several nodes is there several times, in a row. */
typedef struct Holder {
        pid_t pid;
        uint64_t start; /* clock ticks after boot, field 22 of /proc/PID/stat: pid and start are a process
                           for ever */
        uid_t uid;
        char *user;    /* name of uid, NULL if it has none here */
        char *command; /* /proc/PID/comm */
        HolderHome home;
        char *node; /* "/dev/nvidiactl", as it is called on the host */
        HolderKind kind;
        int fd; /* of HOLDER_FD, the lowest one on that node; -1 otherwise */
} Holder;

typedef struct Holders {
        Holder *items;
        size_t n;
        unsigned n_processes;  /* looked at */
        unsigned n_unreadable; /* processes that could not be looked into */
        bool incomplete;       /* there may be more: the scan did not come to its end */
} Holders;

enum { HOLDERS_MAX = 16384 };

void holder_home_done(HolderHome *h);
void holder_done(Holder *h);
void holders_done(Holders *l);

/* Returns 0 or -ENOMEM. */
int holder_copy(const Holder *h, Holder *ret);

/* Takes over the content of *@h. Returns 0 or -ENOMEM; beyond HOLDERS_MAX it is dropped, and @l incomplete.
 */
int holders_add(Holders *l, Holder *h);

/* All processes of @uid get this name. Returns 0 or -ENOMEM. */
int holders_add_user(Holders *l, uid_t uid, const char *user);

/* By pid, then node; of a node that a process has more than once the lowest descriptor stays. */
void holders_arrange(Holders *l);

/* "pod:UID/0123456789ab", "container:0123456789ab", "unit.service", or "-". NULL on out of memory. */
char *holder_home_describe(const HolderHome *h);

/*
 * "python3[4711] of alice (session-3.scope, /dev/nvidiactl fd 5, /dev/nvidia0 mapped)": one line per
 * process, for the log. The list must be arranged. Returns 0 or -ENOMEM.
 */
int holders_describe(const Holders *l, char ***ret_lines);
