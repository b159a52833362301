/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * objtool over an interface object (nv-linux.o). Where the kernel's build runs
 * objtool late, on a whole module instead of on each object, the objects that
 * we link by hand have not met it: they lack the tables of return thunks,
 * retpolines and static calls, and the unwinder's.
 */

#include "policy/kconfig.h"
#include "policy/recipe.h"

/* Where it is in a kernel tree. Also the name of the input in a manifest. */
#define OBJTOOL_PROGRAM "tools/objtool/objtool"

/* Whether this kernel's build runs it late. */
bool objtool_is_late(const Kconfig *config);

/*
 * The command that processes @object in place, as scripts/Makefile.lib of the
 * kernel puts it together for a module. Returns 0 or -ENOMEM.
 */
int recipe_objtool(const Kconfig *config, const char *program, const char *object, RecipeStep *ret);
