/* SPDX-License-Identifier: Apache-2.0 */

/* What states and events are called, for logs and for the status. */

#include "base/str.h"
#include "policy/fsm.h"

static const char *const states[_FSM_STATE_MAX] = {
        [FSM_START] = "start",
        [FSM_CHECK] = "checking",
        [FSM_ADOPT] = "adopting",
        [FSM_CLEAR] = "clearing",
        [FSM_PREPARE] = "preparing",
        [FSM_COMPILE] = "compiling",
        [FSM_LINK] = "linking",
        [FSM_PUBLISH] = "publishing",
        [FSM_LOAD] = "loading",
        [FSM_AWAIT_DEVICES] = "awaiting-devices",
        [FSM_SERVICES] = "starting-services",
        [FSM_READY] = "ready",
        [FSM_DEGRADED] = "degraded",
        [FSM_REPAIR] = "repairing",
        [FSM_BUSY] = "busy",
        [FSM_BACKOFF] = "backoff",
        [FSM_STUCK] = "stuck",
        [FSM_STOPPING] = "stopping",
        [FSM_UNLOAD] = "unloading",
        [FSM_STOPPED] = "stopped",
        [FSM_FAILED] = "failed",
};

static const char *const events[_FSM_EV_MAX] = {
        [FSM_EV_START] = "start",
        [FSM_EV_PLANNED] = "planned",
        [FSM_EV_DONE] = "done",
        [FSM_EV_FAILED] = "failed",
        [FSM_EV_BUSY] = "busy",
        [FSM_EV_OVERDUE] = "overdue",
        [FSM_EV_TIMER] = "timer",
        [FSM_EV_LOST] = "lost",
        [FSM_EV_HEALED] = "healed",
        [FSM_EV_REPAIR] = "repair",
        [FSM_EV_RETRY] = "retry",
        [FSM_EV_STOP] = "stop",
};

const char *fsm_state_to_string(FsmState state)
{
        return state >= 0 && state < _FSM_STATE_MAX ? states[state] : "invalid";
}

FsmState fsm_state_from_string(const char *name)
{
        for (FsmState s = 0; s < _FSM_STATE_MAX; s++)
                if (streq(states[s], name))
                        return s;
        return _FSM_STATE_INVALID;
}

const char *fsm_event_to_string(FsmEventType type)
{
        return type >= 0 && type < _FSM_EV_MAX ? events[type] : "invalid";
}
