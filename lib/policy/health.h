/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What READY promised and is not so any more, by who watches it. Several
 * watchers may complain at once; the state is DEGRADED until the last one is
 * content, and names the gravest of them.
 */

#include "base/macro.h"
#include "policy/code.h"

/* In the order of gravity: the first one that complains is the reason that is shown. */
typedef enum HealthSource {
        HEALTH_GPU, /* the kernel log: Xid, fallen off the bus */
        HEALTH_MODULES,
        HEALTH_DEVICES,
        HEALTH_SERVICES,
        HEALTH_WISHES,   /* configured, and not had from the start */
        HEALTH_FALLBACK, /* not the driver that was wanted */
        _HEALTH_SOURCE_MAX,
        _HEALTH_SOURCE_INVALID = -EINVAL,
} HealthSource;

typedef struct Complaint {
        Code code;    /* CODE_OK: none */
        char *detail; /* or NULL */
} Complaint;

typedef struct Health {
        Complaint complaints[_HEALTH_SOURCE_MAX];
} Health;

void health_done(Health *h);

/*
 * @code CODE_OK withdraws the complaint of @source. Returns 1 if anything is
 * other than before, 0 if not, or -ENOMEM (and nothing has changed).
 */
int health_set(Health *h, HealthSource source, Code code, const char *detail);

/* The gravest complaint, NULL if all is well. */
const Complaint *health_worst(const Health *h);
