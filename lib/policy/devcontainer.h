/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The developer container of Flatcar: a disk image with the compiler and the
 * kernel's sources of one release. Which one a host needs follows from what
 * the host says of itself; nothing here knows where it comes from.
 */

#include "policy/mirror.h"

typedef struct DevContainer {
        char *version; /* "4230.2.3" */
        char *board;   /* "amd64-usr" */
        char *channel; /* "stable" */
} DevContainer;

void devcontainer_done(DevContainer *d);

enum {
        _DEVCONTAINER_E_SUCCESS,
        DEVCONTAINER_E_FOREIGN, /* not a Flatcar host, or it does not say which one, see *@reterr */
};

/*
 * @os_release: text of the host's os-release. @update_usr, @update_etc: of its
 * two update.conf, NULL if there is none; the one of /etc wins. Every value
 * becomes part of a URL and of a file name, so nothing but letters, digits and
 * "._+-" is accepted. Returns 0, DEVCONTAINER_E_FOREIGN or -ENOMEM.
 */
int devcontainer_identify(const char *os_release, const char *update_usr, const char *update_etc,
                DevContainer *ret, char **reterr);

/*
 * Whether @os_release, of a system in an image, is of the release and board
 * @d. *@ret_difference is NULL if it is, else what is different, for people;
 * the caller's. Returns 0 or -ENOMEM.
 */
int devcontainer_compare(const DevContainer *d, const char *os_release, char **ret_difference);

MirrorRelease devcontainer_release(const DevContainer *d);

/* File names to look for in a directory and on a server, best first; NULL past the last one. */
const char *devcontainer_name(size_t i);
#define DEVCONTAINER_DIGESTS ".DIGESTS"

/* Whether a mirror names the image itself and not the directory it is in. */
bool devcontainer_is_file(const char *mirror);

/* In the cache all names of one image begin with this. NULL on out of memory. */
char *devcontainer_cache_prefix(const DevContainer *d);
char *devcontainer_cache_name(const DevContainer *d, const Checksum *checksum);

#define DEVCONTAINER_IMAGE    ".img"
#define DEVCONTAINER_MANIFEST ".manifest"
#define DEVCONTAINER_PART     ".part" /* of a download, as it lies on the server */
#define DEVCONTAINER_NEW      ".new"  /* of a decompression */

/*
 * What a DIGESTS file says of the file @name: the strongest that we know. Only
 * the section's heading says which digest it is (SHA-512 and BLAKE2 have the
 * same length). False if it says nothing, or two things.
 */
bool devcontainer_digest(const char *text, const char *name, Checksum *ret);

/* What is kept of an image beside it. */
typedef struct DevImage {
        Checksum checksum; /* of the file it came from */
        uint64_t size;
        char *digest; /* the fast one, of the image */
        char *source; /* for people */
} DevImage;

void devimage_done(DevImage *i);

/* NULL on out of memory. */
char *devimage_format(const DevImage *i, const DevContainer *d);

/* Returns 0, 1 if it is no manifest, or -ENOMEM. */
int devimage_parse(const char *text, DevImage *ret);
