/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * An unpacked NVIDIA kernel source directory: the kernel/ or kernel-open/
 * folder of a .run file, Debian's modules/nvidia-kernel, or the kernel-open/
 * folder of the open sources. Or a .run file that is still packed: of that only
 * version and type are known. lib/sys/driversource fills the structs.
 */

#include "base/macro.h"
#include "base/str.h"
#include "policy/code.h"

typedef enum DriverType {
        DRIVER_PROPRIETARY,
        DRIVER_OPEN,
        _DRIVER_TYPE_MAX,
        _DRIVER_TYPE_INVALID = -EINVAL,
} DriverType;

const char *driver_type_to_string(DriverType type);
DriverType driver_type_from_string(const char *name);

/* One kernel module that the source can make. */
typedef struct SourceModule {
        char *name;         /* as the file: "nvidia-uvm" */
        unsigned n_objects; /* C files in its Kbuild list, plus one for NAME.mod.o */
        char *core;      /* core object below path, e.g. "nvidia/nv-kernel.o_binary"; NULL: whole module */
        char *interface; /* "nv-linux.o" for one with a core object, else NULL */
} SourceModule;

typedef struct DriverSource {
        char *path;    /* relative to the Root, without a leading slash */
        char *version; /* NV_VERSION_STRING of the Kbuild file; NULL if it has none */
        DriverType type;
        SourceModule *modules; /* in the order of their directories' names */
        size_t n_modules;
        char **missing;     /* files that a source must have, below path; empty: it is complete */
        bool exists;        /* the directory is there; only the configured one may be listed without */
        const char *folder; /* path is a .run file, and this in it is the source; a literal, or NULL */
        char *problem;      /* why it must not be used, for a sentence that begins with its path; or NULL */
} DriverSource;

static inline void driver_source_done(DriverSource *s)
{
        for (size_t i = 0; i < s->n_modules; i++) {
                free(s->modules[i].name);
                free(s->modules[i].core);
                free(s->modules[i].interface);
        }
        free(s->modules);
        free(s->path);
        free(s->version);
        free(s->problem);
        strv_free(s->missing);
        *s = (DriverSource){};
}

typedef struct DriverSources {
        DriverSource *items; /* in the order of the search */
        size_t n;
} DriverSources;

static inline void driver_sources_done(DriverSources *l)
{
        for (size_t i = 0; i < l->n; i++)
                driver_source_done(&l->items[i]);
        free(l->items);
        *l = (DriverSources){};
}

/* NULL if the source does not have it; '-' and '_' are the same. */
const SourceModule *driver_source_module(const DriverSource *s, const char *name);

/* C objects that compiling @modules will make, for the progress line. */
unsigned driver_source_objects(const DriverSource *s, char *const *modules);

/* Compares by number, field by field: 535.54.03 < 535.183.01. Like strcmp. */
int driver_version_compare(const char *a, const char *b);

/* "535", "535.183.01": the branch or the whole version is a match. NULL or "" matches all. */
bool driver_version_matches(const char *version, const char *wanted);

typedef struct SourceJudgement {
        Code code;      /* CODE_OK, CODE_SOURCE_MISSING, _INVALID or _VERSION, CODE_GPUS_CONFLICT */
        size_t index;   /* the source to use, or the one that the evidence is about */
        char *evidence; /* one sentence; NULL for CODE_OK */
        char *reason;   /* drivertype.c: why modules of this type; NULL if nothing else was to be had */
        char *warning;  /* drivertype.c: a sentence without its point, or NULL */
} SourceJudgement;

void source_judgement_done(SourceJudgement *j);

/*
 * Picks the complete source with the highest version that @version (may be
 * NULL) and @modules match; at equal versions the first one of the search. A
 * @type other than _DRIVER_TYPE_INVALID must match too.
 * Returns 0 or a negative errno.
 */
int driver_sources_choose(const DriverSources *l, const char *version, DriverType type, char *const *modules,
                SourceJudgement *ret);
