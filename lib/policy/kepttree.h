/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A kernel tree that was prepared once and is kept in the store, so that the
 * next build for that kernel takes neither its source nor the time:
 *
 *   STORE/trees/RELEASE-DIGEST/origin   what it was made of, as an envfile
 *                              files    one line for each file of the tree
 *                              tree/    the tree itself, in one piece
 *
 * What belongs into it is what distributions ship for building modules (the
 * kernel's scripts/package/install-extmod-build): of the source the makefiles,
 * scripts and headers, of the output directory what make made of them.
 */

#include "base/macro.h"
#include "policy/manifest.h"

#define KEPTTREE_ORIGIN "origin"
#define KEPTTREE_FILES  "files"
#define KEPTTREE_TREE   "tree"

enum { KEPTTREE_TEXT_MAX = 16 * 1024 * 1024 /* bytes, of either text */ };

/* Which of the two places a file comes from. */
typedef enum KeptPart { KEPT_OF_OUTPUT, KEPT_OF_SOURCE } KeptPart;

/* @path is relative to the source or the output. */
bool kepttree_wants(KeptPart part, const char *path);

/* Whether there may be such files below directory @path. */
bool kepttree_enters(KeptPart part, const char *path);

/* A file of the tree. */
typedef struct KeptFile {
        char *name; /* relative to the tree */
        uint64_t size;
        bool executable;
        char *xxh64;
} KeptFile;

typedef struct KeptFiles {
        KeptFile *items;
        size_t n;
} KeptFiles;

void kept_files_done(KeptFiles *f);

/* Returns 0 or -ENOMEM. */
int kept_files_add(KeptFiles *f, const char *name, uint64_t size, bool executable, const char *xxh64);

/* The text of "files"; NULL on out of memory. */
char *kept_files_format(const KeptFiles *f);

/* Returns 0, 1 if it is no such text or names a file that is not below the tree, or -ENOMEM. */
int kept_files_parse(const char *text, KeptFiles *ret);

/* A name can be written into both texts and leads nowhere else. */
bool kepttree_path_is_plain(const char *path);

/* What has to be as it was where it still is. Both NULL: it came from nowhere that can be looked at. */
typedef struct KeptInput {
        char *path; /* in the root, without a leading slash */
        char *sha256;
} KeptInput;

typedef enum KeptInputKind { KEPT_CONFIG, KEPT_SYMVERS, KEPT_MAKEFILE, _KEPT_INPUT_MAX } KeptInputKind;

typedef struct KeptOrigin {
        char *release;
        char *source; /* the tree that was prepared, as it was named; in the root */
        KeptInput inputs[_KEPT_INPUT_MAX];
        char *files_xxh64; /* of the text of "files" */
} KeptOrigin;

void kept_origin_done(KeptOrigin *o);
char *kept_origin_format(const KeptOrigin *o);

/* Returns 0, 1 if it is no such text, or -ENOMEM. */
int kept_origin_parse(const char *text, KeptOrigin *ret);

/* Whether the entry @name of STORE/trees is a tree for kernel @release (NULL: for any): RELEASE, '-' and the
 * digest. */
bool kepttree_is_for(const char *name, const char *release);

/* Whether there is a build for that kernel, which may have to be made again with another driver. */
bool kepttree_is_needed(const char *name, const BuildManifests *builds);

/* Returns NULL on out of memory, and also if no directory could be called so. */
char *kepttree_name(const char *release, const char *sha256);
