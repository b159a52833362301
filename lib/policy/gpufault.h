/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What the kernel log said about the GPUs and still holds: by GPU and kind of
 * message, bounded. Decides what is worth a line in the log (a storm is
 * counted, not repeated), what makes the driver DEGRADED, when that has healed,
 * and whether an unload would hang. Pure: the time and the GPUs are arguments.
 */

#include "policy/code.h"
#include "policy/facts.h"
#include "policy/xid.h"

typedef struct GpuFault {
        XidEvent event;  /* kind is XID_APPLICATION or graver; the address may be "" */
        usec_t last;     /* when it was last seen */
        usec_t said;     /* when it was last reported */
        unsigned unsaid; /* how often it was seen since then */
        bool asked;      /* of XID_LOST: the device was asked since this was last seen */
        bool known;      /* it was asked at least once */
        bool answers;    /* and it answers: it is not lost */
} GpuFault;

enum { GPU_FAULTS_MAX = 64 };

typedef struct GpuFaults {
        GpuFault items[GPU_FAULTS_MAX];
        size_t n;
        char named[XID_ADDRESS_SIZE]; /* the GPU that the line before spoke of */
        usec_t named_at;
        usec_t quoted_until; /* what is printed until then may be a client's words */
} GpuFaults;

/* The same message about the same GPU is reported once in this time, with a count. */
#define GPU_FAULT_REPORT_INTERVAL USEC_PER_MINUTE

/* How often a GPU with a fault is looked at, whether it is still there. */
#define GPU_FAULT_LOOK_INTERVAL (5 * USEC_PER_SEC)

/* Takes a line of the kernel log into account. Returns true if anything is other than before. */
bool gpu_faults_note(GpuFaults *f, const XidEvent *event, usec_t now);

/*
 * A GPU that is said to be lost, and was not asked whether it answers since: its address, valid until the
 * next change; NULL if there is none. Until it was asked once it is neither complained of nor healed.
 */
const char *gpu_faults_unasked(const GpuFaults *f);

/* @address was asked. One that answers has an error like others, and is not lost. True if that is news. */
bool gpu_faults_answered(GpuFaults *f, const char *address, bool answers);

/*
 * The next one that has to be reported; it counts as reported then, @ret_count
 * is how often it was seen since the last time. False if there is none.
 */
bool gpu_faults_report(GpuFaults *f, usec_t now, GpuFault *ret, unsigned *ret_count);

/* Nothing of what is known so far is reported any more, only counted from now on. */
void gpu_faults_hush(GpuFaults *f, usec_t now);

/*
 * Forgets what has healed: faults that were quiet for @quiet, and those of GPUs
 * that are not on the bus any more or not bound to the driver. One that has
 * fallen off the bus, and does not answer, is not healed by silence.
 */
void gpu_faults_heal(GpuFaults *f, const GpuFacts *gpus, usec_t quiet, usec_t now);

/* When to look again (report, heal); USEC_INFINITY if there is nothing to wait for. */
usec_t gpu_faults_due(const GpuFaults *f, usec_t quiet, usec_t now);

/*
 * What to complain of: CODE_OK, CODE_GPU_ERROR or CODE_GPU_LOST in @ret_code,
 * with a text of the caller's in @ret_detail (NULL if all is well). Returns 0 or -ENOMEM.
 */
int gpu_faults_judge(const GpuFaults *f, Code *ret_code, char **ret_detail);

/*
 * GPUs that have fallen off the bus and are still bound to the driver: its exit
 * function would wait for them for ever. @ret_addresses: NULL if there is none; the caller's.
 * Returns 0 or -ENOMEM.
 */
int gpu_faults_veto(const GpuFaults *f, const GpuFacts *gpus, char ***ret_addresses);
