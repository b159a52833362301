/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Who holds the driver, asked without ever waiting: the worker walks /proc,
 * the answer arrives on the loop.
 */

#include "base/root.h"
#include "job.h"
#include "policy/holder.h"

typedef struct HoldersScan HoldersScan;

/* A process whose memory map is locked may hold up the walk for ever; what was found by then is told. */
#define HOLDERS_TIMEOUT (5 * USEC_PER_SEC)

/*
 * Starts a scan. @done is called once, from the loop. @holders is arranged and
 * lives as long as the scan; NULL if the scan failed. If the time was over it
 * holds what was found until then and is marked incomplete.
 *
 * The scan is the caller's to free, after @done too; @done itself may do it.
 * @root is borrowed for the call only.
 *
 * Returns 0 or a negative errno (the worker could not be started at all).
 */
int holders_scan(JobPool *pool, const Root *root, void (*done)(void *userdata, const Holders *holders),
                void *userdata, HoldersScan **ret);

/* Why a scan failed, for people: the worker's own word if it had one. Lives as long as the scan. */
const char *holders_scan_reason(const HoldersScan *scan);

/* Calls nobody any more; a worker that still runs is terminated in the background. */
HoldersScan *holders_scan_free(HoldersScan *scan);
DEFINE_CLEANUP(HoldersScan, holders_scan_free);
