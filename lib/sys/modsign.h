/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Signatures of kernel modules: made, read, taken off, put on. Files are open
 * for reading, and for writing where they are changed. Reads and writes block
 * and go through the whole file: for the worker program.
 */

#include "base/macro.h"
#include "policy/signer.h"
#include "sys/modkey.h"
#include "sys/modsig.h"

enum {
        _MODSIGN_E_SUCCESS,
        MODSIGN_E_UNSIGNED, /* the module has no signature */
        MODSIGN_E_INVALID,  /* what is there is no signature that a kernel takes; *@reterr says why */
        MODSIGN_E_FAILED,   /* libcrypto or the token refuses; *@reterr says why */
        MODSIGN_E_WRONG,    /* the signature is of another content, or by another key */
};

/* Signs what the file holds, in place of a signature it may have. Returns 0, MODSIGN_E_FAILED or a negative
 * errno. */
int modsign_sign(int fd, const ModKey *key, const ModCert *cert, const char *hash, char **reterr);

/*
 * Who signed: issuer, serial and hash, which is all that a signature tells.
 * @ret_content: bytes of the module without it; may be NULL.
 * Returns 0, MODSIGN_E_UNSIGNED, MODSIGN_E_INVALID or a negative errno.
 */
int modsign_inspect(int fd, Signer *ret, uint64_t *ret_content, char **reterr);

/* Returns 0 if @cert's key made the signature over this very content, MODSIGN_E_* or a negative errno. */
int modsign_verify(int fd, const ModCert *cert, char **reterr);

/*
 * The DER of the signature, the caller's: a detached signature.
 * Returns 0, MODSIGN_E_UNSIGNED, MODSIGN_E_INVALID or a negative errno.
 */
int modsign_read(int fd, char **ret, size_t *ret_size, char **reterr);

/* Takes the signature off; a file without one is left alone. Returns 0, MODSIGN_E_INVALID or a negative
 * errno. */
int modsign_strip(int fd);

/*
 * Puts a detached signature on, in place of one that is there. That it is a
 * signature the kernel can read is checked, that it is one of this content
 * only its certificate can tell: modsign_verify().
 * Returns 0, MODSIGN_E_INVALID or a negative errno.
 */
int modsign_attach(int fd, const char *der, size_t size, char **reterr);
