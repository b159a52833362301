/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The end of a signed module: content, signature (PKCS#7, DER), 12 bytes that
 * say how long the signature is, a magic line. See struct module_signature in
 * the kernel's include/linux/module_signature.h.
 */

#include "base/macro.h"

enum {
        MODSIG_TRAILER_SIZE = 12 + 28,
        MODSIG_SIZE_MAX = 64 * 1024, /* of a signature; one of a 4096 bit key has 700 bytes */
};

/* A detached signature beside its module: "nvidia.ko.sig", the same DER that stands in the module. */
#define MODSIG_SUFFIX ".sig"

enum {
        _MODSIG_E_SUCCESS,
        MODSIG_E_NONE,    /* the module is not signed */
        MODSIG_E_INVALID, /* the magic is there, but what is before it is no signature of this kind */
};

typedef struct ModsigPlace {
        uint64_t content; /* bytes of the module itself; the signature begins there */
        uint32_t size;    /* bytes of the signature */
} ModsigPlace;

/*
 * @tail: the last bytes of a file of @file_size bytes.
 * Return: 0, MODSIG_E_NONE or MODSIG_E_INVALID.
 */
int modsig_find(const uint8_t tail[static MODSIG_TRAILER_SIZE], uint64_t file_size, ModsigPlace *ret);

/* What comes after a signature of @size bytes. */
void modsig_trailer(uint32_t size, uint8_t ret[static MODSIG_TRAILER_SIZE]);
