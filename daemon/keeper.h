/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * nvidia-driverd-keeper: one of it for each service. It starts the service,
 * reaps all of its processes, hands its output on and ends it on SIGTERM. It
 * outlives the daemon, so that a crash of the daemon does not end a service
 * that jobs on the GPU depend on, and the next daemon finds it again.
 */

#include <sys/types.h>

#include "base/root.h"
#include "policy/servicerecord.h"

/* How the lines in the FIFO begin. */
enum {
        KEEPER_LINE_OUTPUT = '>',  /* a line of the service */
        KEEPER_LINE_DROPPED = '-', /* number of lines that did not fit */
        KEEPER_LINE_READY = '+',   /* the service went into the background; the record has its process */
        KEEPER_LINE_MAX = 4000,    /* with its newline; less than PIPE_BUF, so that it is written whole */
};

/* keeper-output.c: from the service's pipe to the FIFO, without ever making the service wait for long. */
typedef struct KeeperOutput {
        int pipe, fifo;
        char line[KEEPER_LINE_MAX];
        size_t n_line;
        char buffer[16384]; /* read, not handed on yet */
        size_t at, n_buffer;
        unsigned long n_dropped;
        bool ready_wanted; /* to be said as soon as there is room */
        usec_t blocked;    /* since when the FIFO is full, 0 if it is not */
} KeeperOutput;

void keeper_output_init(KeeperOutput *o, int fifo);
void keeper_output_done(KeeperOutput *o);

/* While it is, the FIFO is to be polled for room and flushed, and the pipe is not to be read. */
bool keeper_output_is_blocked(const KeeperOutput *o);

/* When to flush although the FIFO is still full; USEC_INFINITY for never. */
usec_t keeper_output_due(const KeeperOutput *o);
void keeper_output_flush(KeeperOutput *o, usec_t now);

/* Returns how much there was. */
size_t keeper_output_read(KeeperOutput *o, usec_t now);
void keeper_output_ready(KeeperOutput *o);

/* The service has ended, nothing more is read: a last line without its newline. */
void keeper_output_finish(KeeperOutput *o, usec_t now);

/* keeper-tree.c: the children of this process, which include all orphans of the service. */
void keeper_tree_signal(const Root *proc, int signal);

/* The one that was started first; 0 if there is none. */
pid_t keeper_tree_oldest(const Root *proc);

/* Ends what a dead keeper left; waits for it. True if nothing is left. */
bool keeper_end_family(int directory, const char *name, const Root *proc, usec_t grace);

typedef struct Keeper {
        int directory;
        const char *name;
        char **argv;
        usec_t grace;
        Root *proc; /* "/": processes are the real ones whatever the daemon's root is */
        int lock, signals;
        pid_t leader;
        ServiceRecord record;
        KeeperOutput output;
        usec_t main_since; /* when record.main became it, after the leader */
        bool ending;
        usec_t kill_at; /* USEC_INFINITY: nothing is to be killed yet */
} Keeper;

/* keeper-run.c: takes the locks, starts the service. On a positive code or an error nothing was started. */
int keeper_begin(Keeper *k);

/* Returns when no process of the service is left. */
void keeper_run(Keeper *k);
