/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The state machine of the daemon, pure: (machine, event, now) gives a new
 * state and a list of actions. The manager performs the actions and feeds
 * their completions back as events that carry the token of the stage they
 * belong to; a late answer of an abandoned stage has an old token and is
 * counted and dropped.
 */

#include "base/macro.h"
#include "policy/backoff.h"
#include "policy/code.h"

typedef enum FsmState {
        FSM_START,
        FSM_CHECK,   /* gathering facts, making the plan */
        FSM_ADOPT,   /* taking over a driver that is loaded as wanted */
        FSM_CLEAR,   /* removing a driver that is loaded, but not as wanted */
        FSM_PREPARE, /* the kernel tree */
        FSM_COMPILE,
        FSM_LINK,
        FSM_PUBLISH, /* the finished build, into the store */
        FSM_LOAD,
        FSM_AWAIT_DEVICES,
        FSM_SERVICES,
        FSM_READY,
        FSM_DEGRADED, /* was ready; something it promised is gone */
        FSM_REPAIR,   /* a kernel operation that may bring it back */
        FSM_BUSY,     /* somebody holds the driver that has to go; tries again when they have gone */
        FSM_BACKOFF,  /* failed for a reason that may pass; tries again */
        FSM_STUCK,    /* a kernel operation does not return */
        FSM_STOPPING,
        FSM_UNLOAD,
        FSM_STOPPED, /* the end, asked for */
        FSM_FAILED,  /* the end, with a code */
        _FSM_STATE_MAX,
        _FSM_STATE_INVALID = -EINVAL,
} FsmState;

typedef enum FsmEventType {
        FSM_EV_START,
        FSM_EV_PLANNED, /* CHECK is done: .steps says which stages run */
        FSM_EV_DONE,    /* the stage with .token succeeded; in BUSY: the holders have gone */
        FSM_EV_FAILED,  /* the stage with .token failed with .code */
        FSM_EV_BUSY,    /* the stage with .token found holders */
        FSM_EV_OVERDUE, /* the kernel operation of the stage with .token passed its deadline */
        FSM_EV_TIMER,   /* the timer that was armed with .token elapsed */
        FSM_EV_LOST,    /* something that READY promised is gone: .code */
        FSM_EV_HEALED,  /* and it is back */
        FSM_EV_REPAIR,  /* what is lost can be mended by a kernel operation, now */
        FSM_EV_RETRY,   /* what was wanted is worth another attempt, see .fallback */
        FSM_EV_STOP,    /* the administrator wants it all down */
        _FSM_EV_MAX,
        _FSM_EV_INVALID = -EINVAL,
} FsmEventType;

typedef struct FsmEvent {
        FsmEventType type;
        unsigned token; /* of DONE, FAILED, BUSY, OVERDUE, TIMER, PLANNED */
        unsigned steps; /* of PLANNED: bit mask of FSM_STEP(state) */
        bool spare;     /* of PLANNED: there is another build to load, should this plan fail */
        bool live;      /* of PLANNED: a driver that works is taken over, the plan only adds to it */
        Code code;      /* of FAILED, LOST, and of PLANNED when nothing can be done */
} FsmEvent;

#define FSM_STEP(state) (1u << (state))

typedef enum FsmActionType {
        FSM_ACT_CANCEL, /* end what the left state had running, it answers to nobody any more */
        FSM_ACT_ENTER,  /* begin the work of the current state under the current token */
        FSM_ACT_TIMER,  /* arm the state's timer, .due */
        FSM_ACT_EXIT,   /* leave the event loop with .code */
} FsmActionType;

typedef struct FsmAction {
        FsmActionType type;
        usec_t due; /* of TIMER: absolute, same clock as "now" */
        Code code;  /* of EXIT */
} FsmAction;

enum { FSM_ACTIONS_MAX = 4 };

/* A stop ends within its limit and this, from every state and whatever its children do. */
#define FSM_STOP_RESERVE (3 * FSM_STOP_LEAST)

/* An unload that begins when the limit is nearly over has this, so does its last operation, and so does
 * tidying up. */
#define FSM_STOP_LEAST (2 * USEC_PER_SEC)

/* For how long the answer of an unload whose time is over may be on its way. */
#define FSM_STOP_ANSWER USEC_PER_SEC

typedef struct FsmActions {
        FsmAction items[FSM_ACTIONS_MAX];
        unsigned n;
} FsmActions;

typedef struct FsmConfig {
        Backoff retry;
        unsigned attempts;    /* consecutive transient failures until FAILED; 0 never gives up */
        usec_t stop_deadline; /* how long STOP may take */
        bool patient;         /* UNLOAD may take longer than that: only a STUCK one is ended */
} FsmConfig;

typedef struct Fsm {
        FsmConfig config;
        FsmState state;
        FsmState stuck_in; /* which stage hangs, in STUCK */
        usec_t since;      /* when the state was entered */
        unsigned token;    /* of the stage that runs now */
        unsigned steps;    /* what is left of the plan */
        unsigned attempt;  /* consecutive transient failures, or rounds of waiting in BUSY */
        unsigned n_stale;  /* late answers that were dropped */
        Code code; /* why it is not well: in FAILED, DEGRADED, BACKOFF, BUSY, UNLOAD after a failure */
        bool stop_wanted;
        usec_t stop_due;     /* when the end must be reached, once a stop is wanted */
        unsigned n_kernel;   /* helpers of this state that are in the kernel */
        usec_t kernel_since; /* when the last of them went there */
        bool loading;  /* LOAD inserted something in this attempt: a later failure takes it out again */
        bool promised; /* READY was reached since the last CHECK */
        bool spare;    /* of the last plan */
        bool live;     /* of the last plan */
        bool fallback; /* the wanted driver failed: CHECK is to plan for the spare one */
        Code failed;   /* why, with .fallback */
} Fsm;

void fsm_init(Fsm *fsm, const FsmConfig *config, usec_t now);

/*
 * Advances the machine by one event. @ret is filled with what the manager has
 * to do, in order; it may be empty. Never fails: every pair of state and event
 * is defined, an event that means nothing in a state is ignored.
 */
void fsm_step(Fsm *fsm, const FsmEvent *event, usec_t now, FsmActions *ret);

/*
 * A helper goes into the kernel, from where it cannot be called back, or has
 * returned. At once and not by an event: a STOP that is queued already must
 * find it. @token is that of the state when it went there.
 */
void fsm_kernel_entered(Fsm *fsm, usec_t now);
void fsm_kernel_left(Fsm *fsm, unsigned token);

/* When the current state has to be over, once a stop is wanted. */
usec_t fsm_stop_due(const Fsm *fsm);

/* True if the state's work is kernel operations, which may hang. */
bool fsm_state_is_kernel_operation(FsmState state);

/* True if the state's work is a stage of the plan. */
bool fsm_state_is_stage(FsmState state);

/*
 * True if a failure of the stage that runs does not end the attempt: it only
 * adds modules to a driver that works, which goes on to READY without them.
 */
bool fsm_makes_do(const Fsm *fsm);

const char *fsm_state_to_string(FsmState state);
FsmState fsm_state_from_string(const char *name);
const char *fsm_event_to_string(FsmEventType type);
