/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* In which order modules go in and out. '-' and '_' in names are the same everywhere. */

#include "policy/facts.h"

enum {
        _MODORDER_E_SUCCESS,
        MODORDER_E_CYCLE,   /* the modules need each other in a circle */
        MODORDER_E_DONE,    /* nothing is left to unload */
        MODORDER_E_WAITING, /* a module is just being loaded or unloaded: look again later */
        MODORDER_E_HELD,    /* what is left is in use */
};

/* A module that is wanted, and what its "depends" says. All borrowed. */
typedef struct ModorderWant {
        const char *name;
        char *const *depends;
} ModorderWant;

/*
 * The order in which to load @wants: what is depended on first, otherwise as
 * given. Dependencies outside of the set do not matter here. Names are given
 * back as they came in.
 * Returns 0, MODORDER_E_CYCLE with "a -> b -> a" in *@reterr_cycle, or a negative errno.
 */
int modorder_load(const ModorderWant *wants, size_t n, char ***ret_order, char **reterr_cycle);

/*
 * What @wants depend on and do not contain: the host's modules that must be
 * there before, in the order of first mention, each once.
 * Returns 0 or a negative errno.
 */
int modorder_prerequisites(const ModorderWant *wants, size_t n, char ***ret);

/*
 * True if module @name of @wants may be inserted beside the others: none of
 * them needs it, and enough are left for it to be worth a process of its own.
 * @n_left counts those that have yet to be loaded, @name among them.
 */
bool modorder_goes_aside(const ModorderWant *wants, size_t n, const char *name, size_t n_left);

/* Why a module cannot go. */
typedef struct ModuleUse {
        char *name;
        int users; /* references that no module accounts for: open files, mappings; -1: cannot be unloaded at
                      all */
        char **holders; /* modules that hold it and are not ours to remove */
} ModuleUse;

typedef struct ModuleUses {
        ModuleUse *items;
        size_t n;
} ModuleUses;

void module_uses_done(ModuleUses *u);

/*
 * The real use of every module of @removable that is live: its reference count
 * without those modules that hold it. Modules that nobody uses are left out; so
 * *@ret is empty exactly if all of @removable can go, one after the other.
 * Returns 0 or a negative errno.
 */
int modorder_uses(const ModuleFacts *facts, char *const *removable, ModuleUses *ret);

/*
 * Which module of @removable can be unloaded right now: nobody holds it. Among
 * several the last in @removable, so a list in load order is undone from its end.
 * *@ret_name points into @facts.
 * Returns 0, MODORDER_E_DONE, MODORDER_E_WAITING or MODORDER_E_HELD.
 */
int modorder_next_to_unload(const ModuleFacts *facts, char *const *removable, const char **ret_name);

/*
 * The whole order in which @removable would go if nothing but modules held
 * them, for the plan. Modules that are not loaded are left out.
 * Returns 0, MODORDER_E_CYCLE (sysfs contradicts itself) or a negative errno.
 */
int modorder_unload(const ModuleFacts *facts, char *const *removable, char ***ret_order);
