/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Who signed a module, or is to sign: what a certificate says in public. The
 * key itself is never part of a struct, a manifest or a log.
 */

#include "base/macro.h"
#include "base/str.h"
#include "policy/code.h"

/*
 * From a certificate all is known; from a signature alone only issuer, serial
 * and hash, which is what the kernel finds the key by. Strings are NULL where
 * nothing is known; hexadecimal ones are lower case, without separators.
 */
typedef struct Signer {
        char *name;        /* common name of the certificate's subject */
        char *issuer;      /* common name of its issuer: what "modinfo -F signer" shows */
        char *serial;      /* hex, as many bytes as the certificate has */
        char *key_id;      /* hex, subject key identifier; the kernel's list of keys shows it */
        char *fingerprint; /* hex, SHA-256 of the certificate */
        char *hash;        /* "sha256": the digest that was signed */
} Signer;

void signer_done(Signer *s);

/* Returns 0 or -ENOMEM. */
int signer_copy(const Signer *from, Signer *ret);

/* Nothing is known of it: there is no signature. */
bool signer_is_empty(const Signer *s);

/* The same certificate, as far as both sides tell. Two empty ones are not the same. */
bool signer_same(const Signer *a, const Signer *b);

/* "Example Module Key": what people know it by. "" if it has no name at all. */
const char *signer_name(const Signer *s);

/* The configured key, as far as it is known. */
typedef struct SigningFact {
        bool wanted;   /* Key= is set */
        bool checked;  /* the key was tried; otherwise only the certificate was read */
        Code code;     /* CODE_OK, or why it cannot be used */
        char *detail;  /* the particulars of a code */
        Signer signer; /* empty if the certificate cannot be read */
        char **notes;  /* worth a line in the log */
} SigningFact;

void signing_fact_done(SigningFact *f);

typedef enum SignerValidity {
        SIGNER_VALID,
        SIGNER_NOT_YET, /* or the clock is wrong: machines without one start in 1970 */
        SIGNER_EXPIRED,
        _SIGNER_VALIDITY_MAX,
        _SIGNER_VALIDITY_INVALID = -EINVAL,
} SignerValidity;

/* Seconds since 1970; both ends belong to the time in which the certificate is good. */
SignerValidity signer_validity(int64_t from, int64_t to, int64_t now);

/*
 * One line for the identity of a build: the same for what a certificate and
 * what a signature by it tell. NULL on out of memory; the caller's.
 */
char *signer_identity(const Signer *s);
