/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The key that modules are signed with, and its certificate. A certificate is
 * public and quickly read; loading a key may ask a token and take its time, so
 * that is for the worker program.
 */

#include "base/root.h"
#include "policy/signer.h"

typedef struct ModKey ModKey;
typedef struct ModCert ModCert;

/* libcrypto's own, for those who sign. */
struct evp_pkey_st;
struct x509_st;
struct X509_name_st;
struct asn1_string_st;

enum {
        _MODKEY_E_SUCCESS,
        MODKEY_E_UNUSABLE, /* one sentence in *@reterr says why; the caller's */
};

enum { MODKEY_FILE_MAX = 1024 * 1024 };

/* The first certificate of a PEM file, or a DER one. Returns 0, MODKEY_E_UNUSABLE or a negative errno. */
int modcert_read(const Root *root, const char *path, ModCert **ret, char **reterr);
ModCert *modcert_free(ModCert *c);
DEFINE_CLEANUP(ModCert, modcert_free);

/* All but the hash. Returns 0 or a negative errno. */
int modcert_signer(const ModCert *c, Signer *ret);

/* Seconds since 1970; the certificate is good from the first to the last of them. */
void modcert_validity(const ModCert *c, int64_t *ret_from, int64_t *ret_to);
struct x509_st *modcert_x509(const ModCert *c);

/* The common name, or the whole name if it has none; without control characters. Returns 0 or -ENOMEM. */
int modcert_name(const struct X509_name_st *name, char **ret);

/* Lower-case hexadecimal. Returns 0 or -ENOMEM. */
int modcert_hex(const struct asn1_string_st *string, char **ret);

/*
 * A private key: the path of a PEM file, or a pkcs11: URI. @pin may be NULL:
 * then nothing that asks for one can be opened, and nobody is asked.
 * Returns 0, MODKEY_E_UNUSABLE or a negative errno.
 */
int modkey_load(const Root *root, const char *key, const char *pin, ModKey **ret, char **reterr);
ModKey *modkey_free(ModKey *k);
DEFINE_CLEANUP(ModKey, modkey_free);

/* Other users of the machine may read the file. */
bool modkey_is_exposed(const ModKey *k);
bool modkey_matches(const ModKey *k, const ModCert *c);
struct evp_pkey_st *modkey_pkey(const ModKey *k);
