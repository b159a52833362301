/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Keys and certificates from files. Both are read through the Root and given
 * to libcrypto as memory; the bytes of a key are wiped before they are freed.
 *
 * Nothing here ever asks: a key that is encrypted is opened with the
 * passphrase that was given, or not at all.
 */

#include <ctype.h>
#include <fcntl.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "base/result.h"
#include "base/str.h"
#include "sys/cryptoerror.h"
#include "sys/modkey.h"
#include "sys/modtoken.h"

struct ModKey {
        EVP_PKEY *key;
        bool exposed;
};

struct ModCert {
        X509 *x509;
};

static void bio_freep(BIO **b)
{
        (void)BIO_free(*b);
}

static int unusable(char **reterr, char *text)
{
        if (!text)
                return err_origin(-ENOMEM);
        *reterr = text;
        return MODKEY_E_UNUSABLE;
}

/* A whole small file. Its absence is a reason to tell, like everything else that may be wrong with it. */
static int read_file(const Root *root, const char *path, char **ret, size_t *ret_size, mode_t *ret_mode,
                char **reterr)
{
        _cleanup_close_ int fd = -EBADF;
        struct stat st;
        int r;

        /* Links are followed: secrets are mounted as links to links. */
        r = root_open(root, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, &fd);
        if (r == ROOT_E_ABSENT)
                return unusable(reterr, str_format("%s: %s", path, strerror(ENOENT)));
        if (r < 0)
                return unusable(reterr, str_format("%s: %s", path, strerror(-r)));
        if (fstat(fd, &st) < 0)
                return err_origin(-errno);
        if (!S_ISREG(st.st_mode))
                return unusable(reterr, str_format("%s: not a regular file", path));

        r = fd_read_file(fd, MODKEY_FILE_MAX, ret, ret_size);
        if (r > 0)
                return unusable(reterr, str_format("%s: larger than any key", path));
        if (r < 0)
                return unusable(reterr, str_format("%s: %s", path, strerror(-r)));
        if (ret_mode)
                *ret_mode = st.st_mode;
        return 0;
}

static X509 *parse_certificate(const char *data, size_t size)
{
        _cleanup_(bio_freep) BIO *pem = BIO_new_mem_buf(data, (int)size),
                                 *der = BIO_new_mem_buf(data, (int)size);
        X509 *x509;

        if (!pem || !der)
                return NULL;
        x509 = PEM_read_bio_X509(pem, NULL, NULL, NULL);
        if (!x509)
                x509 = d2i_X509_bio(der, NULL);
        return x509;
}

int modcert_read(const Root *root, const char *path, ModCert **ret, char **reterr)
{
        _cleanup_(modcert_freep) ModCert *c = NULL;
        _cleanup_free_ char *data = NULL, *what = NULL;
        size_t size = 0;
        int r;

        r = read_file(root, path, &data, &size, NULL, reterr);
        if (r)
                return r < 0 ? err_trace(r) : r;
        c = calloc(1, sizeof(*c));
        if (!c)
                return err_origin(-ENOMEM);

        c->x509 = parse_certificate(data, size);
        /* The file of Key= may be the one that was read. */
        explicit_bzero(data, size);
        if (!c->x509) {
                what = str_format("%s: it holds no certificate", path);
                return unusable(reterr, what ? crypto_error(what) : NULL);
        }
        crypto_forget();
        *ret = TAKE_PTR(c);
        return 0;
}

ModCert *modcert_free(ModCert *c)
{
        if (c)
                X509_free(c->x509);
        free(c);
        return NULL;
}

struct x509_st *modcert_x509(const ModCert *c)
{
        return c->x509;
}

static int hex(const unsigned char *data, size_t n, char **ret)
{
        char *text = malloc(2 * n + 1);

        if (!text)
                return err_origin(-ENOMEM);
        for (size_t i = 0; i < n; i++)
                (void)snprintf(text + 2 * i, 3, "%02x", data[i]);
        text[2 * n] = '\0';
        *ret = text;
        return 0;
}

int modcert_hex(const struct asn1_string_st *string, char **ret)
{
        return err_trace(hex(ASN1_STRING_get0_data(string), (size_t)ASN1_STRING_length(string), ret));
}

/* A certificate may hold anything as a name; it goes into logs and JSON. */
static char *clean(const char *s, size_t n)
{
        char *copy = strndup(s, n);

        for (char *p = copy; p && *p; p++)
                if (iscntrl((unsigned char)*p))
                        *p = '?';
        return copy;
}

int modcert_name(const struct X509_name_st *name, char **ret)
{
        int at = X509_NAME_get_index_by_NID((X509_NAME *)name, NID_commonName, -1), n = -1;
        unsigned char *utf8 = NULL;
        char *line = NULL;

        if (at >= 0)
                n = ASN1_STRING_to_UTF8(
                                &utf8, X509_NAME_ENTRY_get_data(X509_NAME_get_entry((X509_NAME *)name, at)));
        if (n > 0)
                *ret = clean((const char *)utf8, (size_t)n);
        else
                line = X509_NAME_oneline((X509_NAME *)name, NULL, 0);
        if (line)
                *ret = clean(line, strlen(line));
        OPENSSL_free(utf8);
        OPENSSL_free(line);
        return n <= 0 && !line ? err_origin(-ENOMEM) : *ret ? 0 : err_origin(-ENOMEM);
}

int modcert_signer(const ModCert *c, Signer *ret)
{
        const ASN1_OCTET_STRING *key_id = X509_get0_subject_key_id(c->x509);
        unsigned char digest[EVP_MAX_MD_SIZE];
        unsigned n = 0;
        Signer s = {};
        int r;

        r = modcert_name(X509_get_subject_name(c->x509), &s.name);
        if (r == 0)
                r = modcert_name(X509_get_issuer_name(c->x509), &s.issuer);
        if (r == 0)
                r = modcert_hex(X509_get0_serialNumber(c->x509), &s.serial);
        if (r == 0 && key_id)
                r = modcert_hex(key_id, &s.key_id);
        if (r == 0 && X509_digest(c->x509, EVP_sha256(), digest, &n) != 1)
                r = err_origin(-EIO);
        if (r == 0)
                r = hex(digest, n, &s.fingerprint);
        if (r) {
                signer_done(&s);
                return err_trace(r);
        }
        *ret = s;
        return 0;
}

/* Years beyond what a time_t can hold count as never. */
static int64_t seconds(const ASN1_TIME *t, int64_t otherwise)
{
        struct tm tm;

        return ASN1_TIME_to_tm(t, &tm) == 1 ? (int64_t)timegm(&tm) : otherwise;
}

void modcert_validity(const ModCert *c, int64_t *ret_from, int64_t *ret_to)
{
        *ret_from = seconds(X509_get0_notBefore(c->x509), INT64_MIN);
        *ret_to = seconds(X509_get0_notAfter(c->x509), INT64_MAX);
}

/* libcrypto asks for a passphrase. Without one there is no answer. */
static int give_passphrase(char *buffer, int size, int writing, void *userdata)
{
        const char *pin = userdata;
        size_t n = pin ? strlen(pin) : 0;

        if (!pin || n > (size_t)size)
                return -1;
        memcpy(buffer, pin, n);
        return (int)n;
}

static int load_file(const Root *root, const char *path, const char *pin, ModKey *k, char **reterr)
{
        _cleanup_(bio_freep) BIO *bio = NULL;
        _cleanup_free_ char *data = NULL, *what = NULL;
        bool encrypted;
        size_t size = 0;
        mode_t mode = 0;
        int r;

        r = read_file(root, path, &data, &size, &mode, reterr);
        if (r)
                return r < 0 ? err_trace(r) : r;
        encrypted = strstr(data, "ENCRYPTED");
        bio = BIO_new_mem_buf(data, (int)size);
        k->key = bio ? PEM_read_bio_PrivateKey(bio, NULL, give_passphrase, (void *)pin) : NULL;
        explicit_bzero(data, size);
        k->exposed = mode & (S_IRWXG | S_IRWXO);
        if (k->key)
                return 0;

        if (encrypted && !pin) {
                crypto_forget();
                return unusable(reterr, str_format("%s: it is encrypted, and there is no PinFile=", path));
        }
        what = str_format(
                        encrypted ? "%s: it cannot be decrypted" : "%s: it holds no private key in PEM form",
                        path);
        return unusable(reterr, what ? crypto_error(what) : NULL);
}

/* The kernel's asymmetric keys; others would be found out by a module that does not load. */
static int check_type(const ModKey *k, const char *name, char **reterr)
{
        if (EVP_PKEY_is_a(k->key, "RSA") || EVP_PKEY_is_a(k->key, "EC"))
                return 0;
        return unusable(reterr, str_format("%s: it is neither an RSA nor an EC key", name));
}

int modkey_load(const Root *root, const char *key, const char *pin, ModKey **ret, char **reterr)
{
        _cleanup_(modkey_freep) ModKey *k = NULL;
        int r;

        k = calloc(1, sizeof(*k));
        if (!k)
                return err_origin(-ENOMEM);

        if (*key == '/') {
                r = load_file(root, key, pin, k, reterr);
        } else {
                r = modtoken_load(key, pin, &k->key, reterr);
                r = r > 0 ? MODKEY_E_UNUSABLE : r;
        }
        if (r == 0)
                r = check_type(k, key, reterr);
        if (r)
                return r < 0 ? err_trace(r) : r;
        crypto_forget();
        *ret = TAKE_PTR(k);
        return 0;
}

ModKey *modkey_free(ModKey *k)
{
        if (k)
                EVP_PKEY_free(k->key);
        free(k);
        return NULL;
}

bool modkey_is_exposed(const ModKey *k)
{
        return k->exposed;
}

bool modkey_matches(const ModKey *k, const ModCert *c)
{
        bool matches = X509_check_private_key(c->x509, k->key) == 1;

        crypto_forget();
        return matches;
}

struct evp_pkey_st *modkey_pkey(const ModKey *k)
{
        return k->key;
}
