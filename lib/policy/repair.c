/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A GPU counts if it is on the bus and nvidia drives it, and it has no minor at
 * all: one that is not back, or that another driver has, is not helped by
 * nvidia_drm; and one that has a minor only lacks its node, which is udev's.
 */

#include "base/result.h"
#include "base/str.h"
#include "policy/backoff.h"
#include "policy/repair.h"

#define FIRST_DELAY (1 * USEC_PER_SEC)

static bool is_driven(const GpuFacts *bus, const char *address)
{
        for (size_t i = 0; i < bus->n; i++)
                if (streq(bus->items[i].address, address))
                        return streq_ptr(bus->items[i].driver, "nvidia");
        return false;
}

static bool has_minor(const NodeFacts *nodes, const char *address)
{
        for (size_t i = 0; i < nodes->n; i++)
                if (streq_ptr(nodes->items[i].gpu, address))
                        return true;
        return false;
}

static RepairVerdict judge_module(const RepairFacts *facts)
{
        const ModuleFact *drm = facts->drm;

        if (!facts->ours)
                return REPAIR_IMPOSSIBLE;
        switch (drm->state) {
        case MOD_ABSENT:
                /* Whoever else took it out wanted it so. */
                return facts->taken_out ? REPAIR_NOW : REPAIR_IMPOSSIBLE;
        case MOD_COMING:
        case MOD_GOING:
                return REPAIR_MOVING;
        case MOD_LIVE:
                if (drm->refcnt < 0)
                        return REPAIR_IMPOSSIBLE;
                return drm->refcnt > 0 || drm->holders ? REPAIR_HELD : REPAIR_NOW;
        case MOD_BUILTIN:
        case _MOD_STATE_MAX:
        case _MOD_STATE_INVALID:
                break;
        }
        return REPAIR_IMPOSSIBLE;
}

int repair_judge(const RepairFacts *facts, RepairVerdict *ret, char ***ret_gpus)
{
        _cleanup_strv_ char **gpus = NULL;

        for (size_t i = 0; i < facts->wanted->n; i++) {
                const char *address = facts->wanted->items[i].address;
                int r;

                if (!is_driven(facts->bus, address) || has_minor(facts->nodes, address))
                        continue;
                r = strv_push(&gpus, address);
                if (r)
                        return err_trace(r);
        }
        *ret = gpus ? judge_module(facts) : REPAIR_NOTHING;
        *ret_gpus = TAKE_PTR(gpus);
        return 0;
}

usec_t repair_delay(unsigned attempt, bool taken_out)
{
        static const Backoff backoff = { .base = 5 * USEC_PER_SEC, .limit = 2 * USEC_PER_MINUTE };

        if (attempt >= REPAIR_ATTEMPTS && !taken_out)
                return USEC_INFINITY;
        return attempt == 0 ? FIRST_DELAY : backoff_delay(&backoff, attempt);
}
