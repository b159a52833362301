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
        char *container; /* 64 hex digits, docker, containerd, CRI-O and podman alike */
        char *pod;       /* uid of the Kubernetes pod */
} HolderHome;

/* One process and one node; a process with several nodes is there several times, in a row. */
typedef struct Holder {
        pid_t pid;
        uint64_t start; /* clock ticks after boot, field 22 of /proc/PID/stat: pid and start are a process for ever */
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
        unsigned n_unreadable; /* processes that could not be looked into */
} Holders;

void holder_home_done(HolderHome *h);
void holder_done(Holder *h);
void holders_done(Holders *l);

/* Takes over the content of *@h. Returns 0 or -ENOMEM. */
int holders_add(Holders *l, Holder *h);

/* "python3[4711] (pod 1b2c.., /dev/nvidiactl fd 5, /dev/nvidia0)": one line per process, for the log. */
int holders_describe(const Holders *l, char ***ret_lines);
