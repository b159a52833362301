/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The driver is unloaded as a whole or not at all: a program that has opened
 * /dev/nvidiactl may need nvidia_uvm in the next moment. The exception is
 * nvidia_drm: the GPU operator's driver manager, which comes after us, does not
 * know it and cannot unload anything below it. Whoever uses the rest does not
 * need it, or else it would be in use.
 *
 * Between the look and the unload somebody may open a node. Then the kernel
 * refuses that module and those above it are gone: the next start finds a
 * driver that is loaded in part, and completes it.
 */

#include "base/str.h"
#include "policy/modorder.h"
#include "policy/stopping.h"

/* The names in the report at the deadline are not to be older than this. */
#define REFRESH (2 * USEC_PER_SEC)

/* While waiting without limit: who holds it now? A walk through /proc is not free. */
#define ASK_AGAIN (30 * USEC_PER_SEC)

static const char *const moves[_STOPPING_MOVE_MAX] = {
        [STOPPING_UNLOAD] = "unload",
        [STOPPING_WAIT] = "wait",
        [STOPPING_ASK] = "ask",
        [STOPPING_TERMINATE] = "terminate",
        [STOPPING_KILL] = "kill",
        [STOPPING_DONE] = "done",
        [STOPPING_KEPT] = "kept",
        [STOPPING_BUSY] = "busy",
        [STOPPING_STUCK] = "stuck",
};

const char *stopping_move_to_string(StoppingMove move)
{
        return move >= 0 && move < _STOPPING_MOVE_MAX ? moves[move] : "invalid";
}

static bool contains(char *const *names, const char *name)
{
        STRV_FOREACH (s, names)
                if (modname_eq(*s, name))
                        return true;
        return false;
}

/* References that none of @removable accounts for. The count may be read a moment before the holders. */
static bool is_used(const ModuleFact *m, char *const *removable)
{
        if (m->state != MOD_LIVE)
                return false;
        STRV_FOREACH (h, m->holders)
                if (!contains(removable, *h))
                        return true;
        return m->refcnt < 0 || m->refcnt > (int)strv_length(m->holders);
}

bool stopping_is_used(const ModuleFacts *facts, char *const *removable)
{
        STRV_FOREACH (name, removable) {
                const ModuleFact *m = module_facts_find(facts, *name);

                if (m && is_used(m, removable))
                        return true;
        }
        return false;
}

int stopping_count_users(const ModuleFacts *facts, char *const *removable)
{
        int n = 0;

        STRV_FOREACH (name, removable) {
                const ModuleFact *m = module_facts_find(facts, *name);

                if (m && m->state == MOD_LIVE && m->refcnt > 0)
                        n += m->refcnt;
        }
        return n;
}

static bool cannot_be_unloaded(const ModuleFacts *facts, char *const *removable)
{
        STRV_FOREACH (name, removable) {
                const ModuleFact *m = module_facts_find(facts, *name);

                if (m && m->state == MOD_LIVE && m->refcnt < 0)
                        return true;
        }
        return false;
}

static const char *free_drm(const ModuleFacts *facts, char *const *removable)
{
        const ModuleFact *m = module_facts_find(facts, "nvidia_drm");

        return m && m->state == MOD_LIVE && m->refcnt == 0 && !m->holders && contains(removable, m->name)
                               ? m->name
                               : NULL;
}

static StoppingMove ask(Stopping *s, usec_t now)
{
        s->asked = now;
        s->answered = false;
        return STOPPING_ASK;
}

static StoppingMove leave(Stopping *s, usec_t now)
{
        usec_t refresh = s->deadline > REFRESH ? s->deadline - REFRESH : 0;

        return s->answered && s->asked < refresh && now >= refresh ? ask(s, now) : STOPPING_WAIT;
}

/* Ask to end, give time, look again, and then insist or give up. */
static StoppingMove evict(Stopping *s, usec_t now)
{
        usec_t grace_over = s->terminated + s->grace;

        if (!s->terminated) {
                if (!s->answered)
                        return STOPPING_WAIT;
                s->terminated = now;
                return STOPPING_TERMINATE;
        }
        if (now < grace_over || s->killed)
                return STOPPING_WAIT;
        if (s->asked < grace_over)
                return ask(s, now);
        if (!s->answered)
                return STOPPING_WAIT;
        if (!s->kill)
                return STOPPING_BUSY;
        s->killed = now;
        return STOPPING_KILL;
}

/* Somebody holds it. */
static StoppingMove face_holders(Stopping *s, usec_t now)
{
        if (now >= s->deadline)
                return STOPPING_BUSY;
        if (!s->asked)
                return ask(s, now);
        if (s->hasty)
                return s->answered ? STOPPING_BUSY : STOPPING_WAIT;

        switch (s->policy) {
        case STOP_POLICY_EVICT:
                return evict(s, now);
        case STOP_POLICY_WAIT:
                return s->answered && now >= s->asked + ASK_AGAIN ? ask(s, now) : STOPPING_WAIT;
        case STOP_POLICY_LEAVE:
        case _STOP_POLICY_MAX:
        case _STOP_POLICY_INVALID:
                break;
        }
        return leave(s, now);
}

/* What looks free may be refused all the same, and is tried again, but not for ever. */
static StoppingMove try(const Stopping *s, usec_t now)
{
        return s->refused && now >= s->deadline ? STOPPING_BUSY : STOPPING_UNLOAD;
}

StoppingMove stopping_next(Stopping *s, const ModuleFacts *facts, char *const *removable, usec_t now,
                const char **ret_module)
{
        switch (modorder_next_to_unload(facts, removable, ret_module)) {
        case MODORDER_E_DONE:
                return STOPPING_DONE;
        case MODORDER_E_WAITING:
                if (!stopping_is_used(facts, removable))
                        return now >= s->deadline ? STOPPING_STUCK : STOPPING_WAIT;
                break;
        case 0:
                if (!stopping_is_used(facts, removable))
                        return try(s, now);
                break;
        default:
                break;
        }

        if (cannot_be_unloaded(facts, removable))
                return STOPPING_KEPT;
        *ret_module = s->drop_drm ? free_drm(facts, removable) : NULL;
        return *ret_module ? try(s, now) : face_holders(s, now);
}

const char *stopping_spare(const Holder *holder, pid_t self, const char *cgroup, const char *own)
{
        if (holder->pid == self)
                return "it is this program";
        if (holder->pid <= 1)
                return "it is init";
        if (cgroup && own && streq(cgroup, own))
                return "it belongs to this service";
        return NULL;
}
