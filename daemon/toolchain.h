/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The toolchain root, [Toolchain] Root=: a system with a compiler that a build
 * is made in, on a host that has none. It is got (the developer container),
 * opened, and stays open until this is freed; nothing of it is ever seen in
 * the mount namespace of the host.
 */

#include "base/root.h"
#include "job.h"
#include "policy/code.h"
#include "policy/config.h"
#include "policy/recipe.h"

typedef struct Toolchain Toolchain;

typedef struct ToolchainHandler {
        /* What is being done; only while something moves. */
        void (*on_progress)(void *userdata, const char *text);
        /* Worth a line in the log, and no failure. */
        void (*on_note)(void *userdata, const char *text);
        /* Once, from the loop: it can be used, or @detail says why not. Borrowed. */
        void (*on_done)(void *userdata, Code code, const char *detail);
} ToolchainHandler;

bool toolchain_is_wanted(const Config *config);

/* Returns 0 or a negative errno. */
int toolchain_open(JobPool *pool, const Root *root, const Config *config, const ToolchainHandler *handler,
                void *userdata, Toolchain **ret);

/* Its files, once it is open. Belongs to the toolchain. */
const Root *toolchain_root(const Toolchain *t);

/* "/srv/tools (Debian GNU/Linux 12)" */
const char *toolchain_name(const Toolchain *t);

/*
 * Makes of a command one that runs inside. Directories of the host, absolute
 * paths of this machine, are there under the same names: @shown to be read,
 * @written also to be written. NULL is fine for both. Returns 0 or a negative errno.
 * If the toolchain is lost, it is the command that fails.
 */
int toolchain_wrap(const Toolchain *t, char *const *shown, char *const *written, RecipeStep *step);

/* Whether it is still there, whatever has been heard of its end. */
bool toolchain_is_alive(const Toolchain *t);

/* Ends it, in the background. */
Toolchain *toolchain_free(Toolchain *t);
DEFINE_CLEANUP(Toolchain, toolchain_free);
