/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What a finished build says about itself: for which kernel it was made, of
 * which driver, with which tools, and the digest of every file. The identity
 * of a build (its id) is a digest over all that mattered for it.
 */

#include "base/macro.h"
#include "policy/driversource.h"
#include "policy/facts.h"
#include "policy/signer.h"

/*
 * What a manifest has to have. Since 2 the last field is the digest of all that
 * is before it; 1 is still read. Identities are as they were with 1.
 */
enum { MANIFEST_FORMAT = 2, MANIFEST_FORMAT_OLDEST = 1, MANIFEST_FORMAT_IDENTITY = 1 };

/* Files of a build that linking its modules takes, beside interface and core: as the kernel tree had them.
 */
#define MANIFEST_LINKER_SCRIPT "module.lds"
#define MANIFEST_COMMON_OBJECT "module-common.o" /* only where the kernel has one */

/* The input that is the driver's whole source, but for NVIDIA's core objects: those are inputs by name. */
#define MANIFEST_SOURCE_INPUT "source"

/* One file of a build. Module fields are NULL for interface objects and logs. */
typedef struct BuildFile {
        char *name;            /* below the build's directory, no slash */
        uint64_t size;         /* bytes */
        char *sha256;          /* 64 lower-case hex digits: what the file is */
        char *xxh64;           /* 16 hex digits: whether it is intact, checked before every load */
        char *module;          /* "nvidia-uvm" */
        char *srcversion;      /* as /sys/module/NAME/srcversion */
        char **depends;        /* modules it needs, as modinfo -F depends */
        char **parameters;     /* names of those it has; NULL if it has none or that is not known */
        char *interface;       /* of a linked module: its part in the build, "nv-linux.o" */
        char *core;            /* and NVIDIA's, below the driver's source; among the inputs by this name */
        char *unsigned_sha256; /* 64 hex digits: without the signature at its end; NULL: there is none */
} BuildFile;

/* Something the build was made from, by digest: ".config", "Module.symvers", "module.lds", ... */
typedef struct BuildInput {
        char *name;
        char *sha256;
} BuildInput;

typedef struct BuildManifest {
        char *directory; /* where it was found, absolute in the Root; not part of the text */
        char *id;
        char *driver_version;
        DriverType driver_type;
        char *kernel_release;
        char *kernel_version;  /* as uname -v; NULL if the tree did not tell */
        char *kernel_vermagic; /* the modules carry it */
        char *compiler;        /* first line of its --version */
        char *linker;
        bool debug_info;
        Signer signer; /* of all modules; empty: they are not signed */
        char *created; /* UTC, "2026-11-22T19:40:00Z" */
        BuildInput *inputs;
        size_t n_inputs;
        BuildFile *files;
        size_t n_files;
} BuildManifest;

typedef struct BuildManifests {
        BuildManifest *items;
        size_t n;
} BuildManifests;

void build_file_done(BuildFile *f);
void build_manifest_done(BuildManifest *m);
void build_manifests_done(BuildManifests *l);

/* Take over the content of the second argument. Return 0 or -ENOMEM. */
int build_manifest_add_file(BuildManifest *m, BuildFile *f);
int build_manifest_add_input(BuildManifest *m, const char *name, const char *sha256);
int build_manifests_add(BuildManifests *l, BuildManifest *m);

/* Takes one out, which is one of @l; pointers to those after it are not what they were. */
void build_manifests_remove(BuildManifests *l, const BuildManifest *m);

/* NULL if the build does not have that module; '-' and '_' are the same. */
const BuildFile *build_manifest_module(const BuildManifest *m, const char *module);

/*
 * The canonical text whose digest is the build's id: all that is known before
 * the first object exists. Two builds with the same text are interchangeable.
 * NULL on out of memory; the caller's.
 */
char *build_manifest_identity(const BuildManifest *m);

/*
 * Builds whose id is @text, begins with it, or whose digest (the last part of
 * the id) does. @ret is one of them. Returns how many there are.
 */
size_t build_manifests_find(const BuildManifests *l, const char *text, const BuildManifest **ret);

/* Whether the NVIDIA modules that are loaded in kernel @release may be those of the build. */
bool build_manifest_may_be_loaded(const BuildManifest *m, const char *release, const ModuleFacts *modules);

/* What a node wants of a build. NULL, "" and _DRIVER_TYPE_INVALID mean: any. */
typedef struct BuildWish {
        const KernelFact *kernel; /* release is needed; version and vermagic count if both sides know them */
        const char *driver_version;
        DriverType driver_type;
        DriverType needed_type; /* by the GPUs: one of the other type serves, but only for want of one */
        char *const *modules;
        const Signer *signer; /* its modules must be signed by this one */
} BuildWish;

/*
 * Says whether @m serves @wish. If not, *@ret_reason (may be NULL) is one
 * sentence that names both sides; the caller's.
 * Returns 1 if it does, 0 if not, or -ENOMEM.
 */
int build_manifest_serves(const BuildManifest *m, const BuildWish *wish, char **ret_reason);

/*
 * The build to use: of those that serve, one of the needed type, then the
 * highest driver version, then the newest. NULL if none serves.
 */
const BuildManifest *build_manifests_choose(const BuildManifests *l, const BuildWish *wish);
