/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The life of one service, pure: (machine, event, now) gives a new state, what
 * is to be done, and when the machine wants to be woken. Who starts and ends
 * processes is not known here.
 *
 * A service that ends is started again, with growing delays, for as long as it
 * is wanted; only READY does not wait for ever, see service_is_exhausted().
 */

#include "base/macro.h"
#include "policy/backoff.h"

typedef enum ServiceState {
        SERVICE_OFF,
        SERVICE_STARTING, /* its process is there, or is being made */
        SERVICE_RUNNING,
        SERVICE_WAITING, /* ended by itself or did not start; the delay before the next start */
        SERVICE_ENDING,  /* was told to end */
        _SERVICE_STATE_MAX,
        _SERVICE_STATE_INVALID = -EINVAL,
} ServiceState;

typedef enum ServiceEvent {
        SERVICE_EV_START,    /* it is wanted */
        SERVICE_EV_LAUNCHED, /* its first process is there */
        SERVICE_EV_FOUND,    /* an earlier daemon started it, and it is still there; nobody wants it yet */
        SERVICE_EV_READY,    /* it went into the background, which says that it is ready */
        SERVICE_EV_GONE,     /* all of its processes have ended, or none could be started */
        SERVICE_EV_TIMER,    /* .due has come */
        SERVICE_EV_STOP,     /* it is not wanted any more */
        SERVICE_EV_KILL,     /* there is no time left to wait for its end */
        _SERVICE_EV_MAX,
        _SERVICE_EV_INVALID = -EINVAL,
} ServiceEvent;

typedef enum ServiceAction {
        SERVICE_ACT_NONE,
        SERVICE_ACT_LAUNCH, /* start it */
        SERVICE_ACT_END,    /* TERM, and KILL after a grace */
        SERVICE_ACT_KILL,
        SERVICE_ACT_FORGET, /* not even KILL ends it: go on without it */
} ServiceAction;

/* A service that ran this long is well again: earlier failures do not count. */
#define SERVICE_STABLE USEC_PER_MINUTE

typedef struct ServiceLimits {
        Backoff restart;
        unsigned attempts; /* failures in a row; 0: any number */
        usec_t settle; /* counts as started when it is alive this long after LAUNCHED; 0: only by READY */
        usec_t start;  /* without settle: how long READY may take after LAUNCHED */
        usec_t stop;   /* from TERM to KILL */
        usec_t kill;   /* from KILL until it is given up; only what hangs in the kernel needs that long */
} ServiceLimits;

typedef struct ServiceMachine {
        ServiceLimits limits;
        ServiceState state;
        usec_t due;        /* USEC_INFINITY: no timer */
        unsigned failures; /* in a row */
        unsigned restarts; /* ever */
        bool wanted;
        bool late;   /* is being ended because it did not become ready */
        bool killed; /* KILL was asked for */
} ServiceMachine;

void service_init(ServiceMachine *s, const ServiceLimits *limits);

/* Never fails: every pair of state and event is defined, one that means nothing changes nothing. */
ServiceAction service_step(ServiceMachine *s, ServiceEvent event, usec_t now);

/* True while it does not run although it is wanted, and it is not its first attempt. */
bool service_is_failing(const ServiceMachine *s);

/* True if it was tried as often as it may be before others stop waiting for it. */
bool service_is_exhausted(const ServiceMachine *s);

/*
 * How long services may take to end, @stop being the time of the whole stop:
 * after *@ret_term what is left is killed, after *@ret_kill more it is given up.
 */
void service_stop_budget(usec_t stop, usec_t *ret_term, usec_t *ret_kill);

const char *service_state_to_string(ServiceState state);
