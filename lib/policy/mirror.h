/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Where files of an operating system's release may lie: directories, or
 * directories of a server, as an administrator writes them down once for all
 * releases ("https://HOST/%c/%b/%v"), and what a file must be like.
 */

#include "base/macro.h"

/* What the specifiers stand for. */
typedef struct MirrorRelease {
        const char *channel; /* %c: "stable" */
        const char *board;   /* %b: "amd64-usr" */
        const char *version; /* %v: "4230.2.3" */
} MirrorRelease;

/*
 * An absolute path, or a URL of https, http or file, with %c, %b, %v and %%. No
 * user name or password: a URL is shown in logs.
 */
bool mirror_is_valid(const char *text);
#define MIRROR_EXPECTATION                                                                                  \
        "absolute paths, or URLs of https, http or file without user name and query, with blanks between "  \
        "them and no specifiers but %c, %b, %v and %%"

/* "file:///srv" becomes "/srv"; no slash is left at the end. NULL on out of memory. */
char *mirror_expand(const char *text, const MirrorRelease *release);

/* Of an expanded one: whether a server has to be asked. */
bool mirror_is_remote(const char *mirror);

/*
 * Whether what comes from there can be believed: https, or this machine's own
 * loopback. With plain http whoever sits in between can change the file and the
 * digest that comes the same way.
 */
bool mirror_is_trusted(const char *mirror);

typedef enum ChecksumKind {
        CHECKSUM_SHA256,
        CHECKSUM_SHA512,
        _CHECKSUM_KIND_MAX,
        _CHECKSUM_KIND_INVALID = -EINVAL,
} ChecksumKind;

enum { CHECKSUM_HEX_SIZE = 128 + 1 };

typedef struct Checksum {
        ChecksumKind kind;
        char hex[CHECKSUM_HEX_SIZE]; /* lower case */
} Checksum;

const char *checksum_kind_to_string(ChecksumKind kind);
ChecksumKind checksum_kind_from_string(const char *name);

/* The number of its hex digits. */
size_t checksum_length(ChecksumKind kind);

/* "sha512:HEX". False if it is none; @ret is then as it was. */
bool checksum_parse(const char *text, Checksum *ret);
bool checksum_set(ChecksumKind kind, const char *hex, size_t length, Checksum *ret);
bool checksum_equal(const Checksum *a, const Checksum *b);
#define CHECKSUM_EXPECTATION "sha512: or sha256: and the digest in hex digits"
