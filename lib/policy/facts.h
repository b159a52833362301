/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Plain structs that describe the machine. lib/sys fills them, lib/policy
 * judges them, daemon/ carries them between the two. They own their strings.
 */

#include "base/macro.h"

/* The running kernel, or the one a build is for. */
typedef struct KernelFact {
        char *release;     /* uname -r */
        char *version;     /* uname -v; NULL if not known (another kernel's tree may not tell) */
        char *vermagic;    /* as modules must carry it; NULL if not known */
        char *module_hash; /* with which its own modules are signed, "sha256"; NULL if not known or asked for
                            */
} KernelFact;

void kernel_fact_done(KernelFact *k);

/* /sys/module/NAME/initstate; a built-in one has a directory without that file. */
typedef enum ModState {
        MOD_ABSENT,
        MOD_COMING, /* its init function runs */
        MOD_LIVE,
        MOD_GOING, /* its exit function runs */
        MOD_BUILTIN,
        _MOD_STATE_MAX,
        _MOD_STATE_INVALID = -EINVAL,
} ModState;

const char *mod_state_to_string(ModState state);
ModState mod_state_from_string(const char *name);

/* One module of the kernel as sysfs shows it; the name with '_'. */
typedef struct ModuleFact {
        char *name;
        ModState state;
        int refcnt;     /* -1: no such file, the kernel cannot unload modules */
        char **holders; /* modules that hold it, from holders/ */
        char *version;  /* MODULE_VERSION or NULL */
        char *srcversion;
        char *taint;       /* letters as in /proc/modules, "" if none */
        char *loaded_with; /* the parameters, if we loaded it and know; "" for none, NULL if not known */
        char **parameters; /* "name=value" as the kernel shows them; only read where it matters */
} ModuleFact;

typedef struct ModuleFacts {
        ModuleFact *items;
        size_t n;
} ModuleFacts;

void module_fact_done(ModuleFact *m);
void module_facts_done(ModuleFacts *f);

/* Takes over the content of *@m (which becomes empty). Returns 0 or -ENOMEM. */
int module_facts_add(ModuleFacts *f, ModuleFact *m);

/* NULL if it is not there; '-' and '_' are the same. */
const ModuleFact *module_facts_find(const ModuleFacts *f, const char *name);

/* An NVIDIA display device (vendor 10de, class 0300 or 0302) on the PCI bus. */
typedef struct GpuFact {
        char *address; /* "0000:01:00.0" */
        uint16_t vendor;
        uint16_t device;
        uint32_t class; /* 24 bits */
        char *driver;   /* the bound kernel driver or NULL */
        char *override; /* driver_override: the only driver that may be bound, or NULL for any */
        bool excluded;  /* by the configuration */
} GpuFact;

typedef struct GpuFacts {
        GpuFact *items;
        size_t n;
} GpuFacts;

void gpu_fact_done(GpuFact *g);
void gpu_facts_done(GpuFacts *f);
int gpu_facts_add(GpuFacts *f, GpuFact *g);

/* A DRM minor that udev has announced. */
typedef enum NodeKind {
        NODE_CARD,
        NODE_RENDER,
        _NODE_KIND_MAX,
        _NODE_KIND_INVALID = -EINVAL,
} NodeKind;

typedef struct NodeFact {
        char *gpu; /* PCI address of the parent */
        NodeKind kind;
        char *node;   /* "/dev/dri/card0" */
        bool there;   /* the node is there */
        bool present; /* and udev has finished with it */
} NodeFact;

typedef struct NodeFacts {
        NodeFact *items;
        size_t n;
} NodeFacts;

const char *node_kind_to_string(NodeKind kind);
void node_fact_done(NodeFact *n);
void node_facts_done(NodeFacts *f);
int node_facts_add(NodeFacts *f, NodeFact *n);
