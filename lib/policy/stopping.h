/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What an unload does next, and how far it goes against programs that use the
 * driver. Asked again and again with the modules as they are now; it ends with
 * DONE, KEPT, BUSY or STUCK.
 */

#include "policy/config.h"
#include "policy/facts.h"
#include "policy/holder.h"

typedef enum StoppingMove {
        STOPPING_UNLOAD,    /* the module that is named can go now */
        STOPPING_WAIT,      /* look again in a while */
        STOPPING_ASK,       /* find out who holds it, and look again meanwhile */
        STOPPING_TERMINATE, /* ask those who hold it to end */
        STOPPING_KILL,
        STOPPING_DONE,  /* nothing of it is left */
        STOPPING_KEPT,  /* this kernel cannot unload modules */
        STOPPING_BUSY,  /* it is held, and that is to be told now */
        STOPPING_STUCK, /* a module is neither loaded nor unloaded for too long */
        _STOPPING_MOVE_MAX,
        _STOPPING_MOVE_INVALID = -EINVAL,
} StoppingMove;

typedef struct Stopping {
        /* the terms */
        StopPolicy policy;
        bool drop_drm; /* nvidia_drm goes if it is free, even if the rest has to stay */
        bool hasty;    /* once it is known who holds it there is nothing to wait for */
        bool kill;
        usec_t grace;
        usec_t deadline; /* absolute; USEC_INFINITY for none */

        /* how far it has come; times are 0 until then */
        usec_t asked; /* who holds it, for the last time */
        usec_t terminated, killed;

        /* what the caller says */
        bool answered; /* the question, or it failed; taken back with each new one */
        bool refused;  /* the last unload */
} Stopping;

const char *stopping_move_to_string(StoppingMove move);

/*
 * @removable: from modstack_removable(). *@ret_module, of UNLOAD, points into
 * @facts. The modules are never taken apart: while one of them is in use, none
 * is unloaded but nvidia_drm.
 */
StoppingMove stopping_next(Stopping *s, const ModuleFacts *facts, char *const *removable, usec_t now,
                const char **ret_module);

/* True if one of @removable is in use by anything but the others. */
bool stopping_is_used(const ModuleFacts *facts, char *const *removable);

/* References to @removable, by each other too: a smaller number means that somebody has let go. */
int stopping_count_users(const ModuleFacts *facts, char *const *removable);

/*
 * Why a holder is spared when others are signalled, as half a sentence; NULL if
 * it is not. @cgroup and @own: /proc/PID/cgroup of the holder and of this
 * program, NULL if not known. Whatever runs in our own control group is ours,
 * and is stopped as such or not at all.
 */
const char *stopping_spare(const Holder *holder, pid_t self, const char *cgroup, const char *own);
