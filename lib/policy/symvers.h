/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Symbols that a kernel or a module exports, with the CRC that says of which
 * shape they are: Module.symvers of a kernel tree, or the exports of a module.
 */

#include "base/macro.h"

enum {
        SYMVERS_SIZE_MAX = 32 * 1024 * 1024, /* Debian's is below 2 MB */
        SYMVERS_SYMBOLS_MAX = 1024 * 1024,   /* of about 27000 */
};

typedef struct Symvers Symvers;

typedef struct SymversEntry {
        const char *name;
        const char *owner; /* "vmlinux", "drivers/gpu/drm/drm" */
        uint32_t crc;      /* 0: it has none */
        bool gpl_only;
} SymversEntry;

enum {
        _SYMVERS_E_SUCCESS,
        SYMVERS_E_INVALID, /* it is no Module.symvers */
};

/*
 * Parses the text of a Module.symvers; it need not end with a NUL.
 * @reterr: on SYMVERS_E_INVALID half a sentence, with the line's number where
 * there is one ("line 17: no CRC"); the caller's.
 *
 * Return: 0, SYMVERS_E_INVALID or -ENOMEM.
 */
int symvers_parse(const char *text, size_t size, Symvers **ret, char **reterr);

/* One without any symbols, to add exports of modules to. Returns 0 or -ENOMEM. */
int symvers_new(Symvers **ret);

/* Copies its strings. Returns 0 or -ENOMEM. */
int symvers_add(Symvers *s, const SymversEntry *entry);

Symvers *symvers_free(Symvers *s);
DEFINE_CLEANUP(Symvers, symvers_free);

size_t symvers_count(const Symvers *s);

/* NULL if there is none. Of equal names the one that came first counts. The list is sorted when first asked.
 */
const SymversEntry *symvers_find(Symvers *s, const char *name);
