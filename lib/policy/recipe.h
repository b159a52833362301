/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The command lines of a build, one step each, as argument vectors that go to
 * exec without a shell. All paths in here are absolute paths of the machine.
 */

#include "base/macro.h"
#include "base/str.h"
#include "policy/driversource.h"

/* One command. Everything is owned by the step. */
typedef struct RecipeStep {
        char **argv;
        char **environment; /* complete: nothing is inherited */
        char *directory;    /* working directory, NULL: "/" */
        bool on_host;       /* with the host's tools, also where there is a toolchain root */
} RecipeStep;

void recipe_step_done(RecipeStep *s);

/* One line for the log, quoted as a shell would read it. NULL on out of memory. */
char *recipe_step_to_string(const RecipeStep *s);

/* LC_ALL, PATH, HOME and nothing else. Returns 0 or -ENOMEM. */
int recipe_environment(char ***ret);

/* Copies the content of directory @from into the existing directory @to. Returns 0 or -ENOMEM. */
int recipe_copy(const char *from, const char *to, RecipeStep *ret);

typedef struct PrepareInput {
        const char *source;   /* a clean source tree */
        const char *output;   /* an existing directory that holds .config; O= */
        const char *release;  /* the release the result must have; NULL: what the tree says */
        const char *compiler; /* NULL: as the tree decides */
        const char *linker;   /* NULL: as the tree decides */
        unsigned jobs;
} PrepareInput;

typedef enum PrepareStep {
        PREPARE_MRPROPER,      /* on a copy of a dirty source tree only: works in @source itself */
        PREPARE_LISTNEWCONFIG, /* prints the symbols that .config does not know; changes nothing */
        PREPARE_OLDDEFCONFIG,
        PREPARE_MODULES, /* modules_prepare */
        _PREPARE_STEP_MAX,
        _PREPARE_STEP_INVALID = -EINVAL,
} PrepareStep;

const char *prepare_step_to_string(PrepareStep step);
int recipe_prepare(PrepareStep step, const PrepareInput *in, RecipeStep *ret);

typedef struct CompileInput {
        const char *staging;     /* a copy of the driver source, written to */
        const char *tree_source; /* SYSSRC */
        const char *tree_build;  /* SYSOUT */
        const char *compiler;    /* "gcc-12"; NULL: as the tree decides */
        const char *linker;      /* "ld"; NULL: as the tree decides */
        char *const *modules;    /* "nvidia", "nvidia-uvm", ...; NULL: all that the source has */
        unsigned jobs;           /* at least 1 */
        bool debug_info;
        bool ignore_compiler_mismatch;
} CompileInput;

/*
 * One make that leaves nv-linux.o, nv-modeset-linux.o and all NAME.ko files in
 * the staging directory, and on newer kernels .module-common.o. Returns 0 or -ENOMEM.
 */
int recipe_compile(const CompileInput *in, RecipeStep *ret);

typedef struct LinkInput {
        const char *linker;        /* NULL: "ld" */
        const char *script;        /* module.lds of the build tree */
        const char *interface;     /* nv-linux.o; holds nvidia.mod.o already (T2) */
        const char *core;          /* nv-kernel.o_binary */
        const char *module_common; /* .module-common.o or NULL (T1) */
        const char *output;        /* nvidia.ko */
        bool strip_debug;          /* leave out what debuggers want, of the core as well */
} LinkInput;

/* Returns 0 or -ENOMEM. */
int recipe_link(const LinkInput *in, RecipeStep *ret);

/* A finished module and where it comes from, below the staging directory. */
typedef struct RecipeModule {
        char *name;      /* "nvidia-drm" */
        char *file;      /* "nvidia-drm.ko" */
        char *interface; /* "nv-linux.o"; NULL: file is whole, nothing to link */
        char *core;      /* "nvidia/nv-kernel.o_binary" or NULL */
} RecipeModule;

typedef struct RecipeModules {
        RecipeModule *items;
        size_t n;
} RecipeModules;

void recipe_modules_done(RecipeModules *m);

enum {
        _RECIPE_E_SUCCESS,
        RECIPE_E_NO_MODULE, /* the source does not have a module that is wanted */
};

/*
 * What a build of @modules (NULL: all) leaves behind.
 *
 * Return: 0, RECIPE_E_NO_MODULE with its name in *@reterr_name (the caller's;
 * may be NULL), or -ENOMEM.
 */
int recipe_modules(const DriverSource *source, char *const *modules, RecipeModules *ret, char **reterr_name);
