/* SPDX-License-Identifier: Apache-2.0 */

/* Ownership of the fact structs: every _done() may be called twice and on zeroed memory. */

#include "base/result.h"
#include "base/str.h"
#include "policy/facts.h"

static const char *const mod_states[_MOD_STATE_MAX] = {
        [MOD_ABSENT] = "absent",
        [MOD_COMING] = "coming",
        [MOD_LIVE] = "live",
        [MOD_GOING] = "going",
        [MOD_BUILTIN] = "builtin",
};

const char *mod_state_to_string(ModState state)
{
        return state >= 0 && state < _MOD_STATE_MAX ? mod_states[state] : "invalid";
}

ModState mod_state_from_string(const char *name)
{
        for (ModState s = 0; s < _MOD_STATE_MAX; s++)
                if (streq(mod_states[s], name))
                        return s;
        return _MOD_STATE_INVALID;
}

const char *node_kind_to_string(NodeKind kind)
{
        switch (kind) {
        case NODE_CARD:
                return "card";
        case NODE_RENDER:
                return "render";
        case _NODE_KIND_MAX:
        case _NODE_KIND_INVALID:
                break;
        }
        return "invalid";
}

void kernel_fact_done(KernelFact *k)
{
        free(k->release);
        free(k->version);
        free(k->vermagic);
        free(k->module_hash);
        *k = (KernelFact){};
}

void module_fact_done(ModuleFact *m)
{
        free(m->name);
        free(m->version);
        free(m->srcversion);
        free(m->taint);
        free(m->loaded_with);
        strv_free(m->parameters);
        strv_free(m->holders);
        *m = (ModuleFact){};
}

void gpu_fact_done(GpuFact *g)
{
        free(g->address);
        free(g->driver);
        free(g->override);
        *g = (GpuFact){};
}

void node_fact_done(NodeFact *n)
{
        free(n->gpu);
        free(n->node);
        *n = (NodeFact){};
}

/* The four list functions differ in the type only. */
#define DEFINE_FACTS(List, list, Item, item)                                                                \
        void list##_done(List *f)                                                                           \
        {                                                                                                   \
                for (size_t i = 0; i < f->n; i++)                                                           \
                        item##_done(&f->items[i]);                                                          \
                free(f->items);                                                                             \
                *f = (List){};                                                                              \
        }                                                                                                   \
                                                                                                            \
        int list##_add(List *f, Item *i)                                                                    \
        {                                                                                                   \
                Item *grown = reallocarray(f->items, f->n + 1, sizeof(Item));                               \
                                                                                                            \
                if (!grown)                                                                                 \
                        return err_origin(-ENOMEM);                                                         \
                f->items = grown;                                                                           \
                f->items[f->n++] = *i;                                                                      \
                *i = (Item){};                                                                              \
                return 0;                                                                                   \
        }

DEFINE_FACTS(ModuleFacts, module_facts, ModuleFact, module_fact)
DEFINE_FACTS(GpuFacts, gpu_facts, GpuFact, gpu_fact)
DEFINE_FACTS(NodeFacts, node_facts, NodeFact, node_fact)

const ModuleFact *module_facts_find(const ModuleFacts *f, const char *name)
{
        for (size_t i = 0; i < f->n; i++)
                if (modname_eq(f->items[i].name, name))
                        return &f->items[i];
        return NULL;
}
