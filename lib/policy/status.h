/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What "nvidia-driver status" shows: one plain struct that the daemon fills,
 * that travels as JSON over the bus, and that the command prints.
 */

#include "base/macro.h"
#include "policy/facts.h"
#include "policy/holder.h"

typedef struct StatusStep {
        char *stage;
        bool run;
        char *reason;
} StatusStep;

typedef struct StatusService {
        char *name;
        char *state; /* as service_state_to_string() */
        bool required;
        int64_t pid;  /* 0 if it has none */
        usec_t since; /* CLOCK_REALTIME, 0 if it does not run */
        int64_t restarts;
        char *last_end; /* "exit status 1", NULL if it never ended */
} StatusService;

/* A node of the driver itself; those of DRM belong to their GPU. */
typedef struct StatusDevice {
        char *node; /* "/dev/nvidia0" */
        unsigned major, minor;
        bool present;
} StatusDevice;

typedef struct Status {
        char *state;    /* as fsm_state_to_string(), or "not-running" */
        usec_t since;   /* CLOCK_REALTIME, 0 if not known */
        char *code;     /* name of a Code; "ok" */
        char *detail;   /* the particulars of the code, or NULL */
        char *progress; /* "Compiling 112/184, nvidia-uvm" or NULL */
        int64_t pid;    /* of the daemon, 0 if none */
        char *version;  /* of this program */
        char *kernel_release;
        char *kernel_version;
        char *driver_version; /* of the loaded nvidia module, or NULL */
        char *driver_wanted;  /* configured version, or NULL for any */
        char *build;          /* id of the build in use, or NULL */
        char *fallback;       /* of a plan: id of the build to load if it fails, or NULL */
        char *signature;      /* "not enforced, build unsigned", or NULL */
        bool foreign;         /* the driver was loaded by somebody else */
        usec_t slowest_turn;  /* of the daemon's event loop, so far */
        StatusStep *steps;
        size_t n_steps;
        ModuleFacts modules;
        GpuFacts gpus;
        NodeFacts nodes;
        StatusService *services;
        size_t n_services;
        Holders holders;    /* who holds a driver that has to go, as far as it is known; not all if there are
                               many */
        uint64_t n_holders; /* processes among these and the others */
        StatusDevice *devices; /* made by us */
        size_t n_devices;
        char **pending;  /* what the configuration that was read again means for the next start */
        char **problems; /* of the configuration and the store */

        /* Clock ticks after boot: .pid and this are one process and no later one. 0 if not known. */
        uint64_t pid_start;
} Status;

void status_done(Status *s);
int status_add_step(Status *s, const char *stage, bool run, const char *reason);
int status_add_device(Status *s, const char *node, unsigned major, unsigned minor, bool present);

/*
 * Takes out what tells of other users' processes: the holders, and texts that
 * name them. Their number stays.
 */
void status_hide_holders(Status *s);

/* Makes every text fit for a terminal, see str_printable(); a line break in one of them forges no line. */
void status_make_printable(Status *s);

/* Copies @service. */
int status_add_service(Status *s, const StatusService *service);
