/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Completeness of the device nodes. The goal is a set: the kernel gives out
 * card and render numbers in the order in which GPUs answer, udev announces
 * them in any order, and a machine may have cards of other makers in between
 * (a BMC is often card0). So nothing here looks at a number.
 *
 * A GPU may have more than one card (a vGPU, an eGPU bridge chip that shares
 * the address); one of each kind is what we promise.
 */

#include "base/result.h"
#include "base/str.h"
#include "policy/devset.h"

static bool has_node(const GpuFact *gpu, const NodeFacts *nodes, NodeKind kind)
{
        for (size_t i = 0; i < nodes->n; i++) {
                const NodeFact *n = &nodes->items[i];

                if (n->present && n->kind == kind && streq_ptr(n->gpu, gpu->address))
                        return true;
        }
        return false;
}

void devset_count(const GpuFacts *gpus, const NodeFacts *nodes, DevsetCount *ret)
{
        DevsetCount count = { .n_gpus = gpus->n };

        for (size_t i = 0; i < gpus->n; i++) {
                count.n_cards += has_node(&gpus->items[i], nodes, NODE_CARD);
                count.n_renders += has_node(&gpus->items[i], nodes, NODE_RENDER);
        }
        *ret = count;
}

bool devset_complete(const GpuFacts *gpus, const NodeFacts *nodes)
{
        DevsetCount count;

        devset_count(gpus, nodes, &count);
        return count.n_cards == count.n_gpus && count.n_renders == count.n_gpus;
}

bool devset_is_fatal(const DevsetLack *lack)
{
        return lack->drm || !lack->hands_off;
}

int devset_missing(const GpuFacts *gpus, const NodeFacts *nodes, char ***ret_missing)
{
        _cleanup_strv_ char **missing = NULL;

        for (size_t i = 0; i < gpus->n; i++)
                for (NodeKind kind = 0; kind < _NODE_KIND_MAX; kind++) {
                        const GpuFact *gpu = &gpus->items[i];
                        int r;

                        if (has_node(gpu, nodes, kind))
                                continue;
                        r = strv_pushf(&missing, "%s node of %s", node_kind_to_string(kind), gpu->address);
                        if (r)
                                return err_trace(r);
                }

        *ret_missing = TAKE_PTR(missing);
        return 0;
}
