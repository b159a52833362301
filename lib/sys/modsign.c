/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A module's signature is a CMS SignedData (PKCS#7, DER) over all bytes before
 * it, without the content, without certificates and without attributes: the
 * kernel finds the key by issuer and serial number, and refuses attributes
 * (verify_pkcs7_signature(), VERIFYING_MODULE_SIGNATURE).
 *
 * The file changes in one place only, its end, so the 65 MB of nvidia.ko are
 * read and not copied. A file that cannot be written to its end is cut back to
 * its content: it is unsigned then, and not half signed.
 */

#include <openssl/cms.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/result.h"
#include "base/root.h"
#include "base/str.h"
#include "sys/cryptoerror.h"
#include "sys/modsign.h"

#define SIGN_FLAGS (CMS_NOCERTS | CMS_BINARY | CMS_DETACHED)

static void bio_freep(BIO **b)
{
        BIO_free_all(*b);
}

static void cms_freep(CMS_ContentInfo **c)
{
        CMS_ContentInfo_free(*c);
}

static void openssl_freep(unsigned char **p)
{
        OPENSSL_free(*p);
}

static int explain(int code, char *text, char **reterr)
{
        if (!text)
                return err_origin(-ENOMEM);
        *reterr = text;
        return code;
}

static int read_at(int fd, void *buffer, size_t size, uint64_t offset)
{
        for (size_t done = 0; done < size;) {
                ssize_t n = pread(fd, (char *)buffer + done, size - done, (off_t)(offset + done));

                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0)
                        return err_origin(n < 0 ? -errno : -EIO);
                done += (size_t)n;
        }
        return 0;
}

/* Where content ends and signature begins. Returns 0, MODSIGN_E_UNSIGNED (the place is the end then),
 * MODSIGN_E_INVALID or negative. */
static int find(int fd, ModsigPlace *ret)
{
        uint8_t tail[MODSIG_TRAILER_SIZE];
        struct stat st;
        int r;

        if (fstat(fd, &st) < 0)
                return err_origin(-errno);
        *ret = (ModsigPlace){ .content = (uint64_t)st.st_size };
        if (st.st_size < MODSIG_TRAILER_SIZE)
                return MODSIGN_E_UNSIGNED;
        r = read_at(fd, tail, sizeof(tail), (uint64_t)st.st_size - sizeof(tail));
        if (r)
                return err_trace(r);
        r = modsig_find(tail, (uint64_t)st.st_size, ret);
        if (r == MODSIG_E_NONE)
                return MODSIGN_E_UNSIGNED;
        return r ? MODSIGN_E_INVALID : 0;
}

static int cut(int fd, uint64_t size)
{
        return ftruncate(fd, (off_t)size) < 0 ? err_origin(-errno) : 0;
}

static int append(int fd, uint64_t content, const void *der, size_t size)
{
        uint8_t trailer[MODSIG_TRAILER_SIZE];
        int r;

        modsig_trailer((uint32_t)size, trailer);
        r = cut(fd, content);
        if (r == 0)
                r = fd_write_at(fd, der, size, content);
        if (r == 0)
                r = fd_write_at(fd, trailer, sizeof(trailer), content + size);
        if (r)
                (void)cut(fd, content);
        return err_trace(r);
}

/* The signature in memory, @content being read from its position to its end. */
static int make(BIO *content, const ModKey *key, const ModCert *cert, const char *hash, unsigned char **ret,
                size_t *ret_size, char **reterr)
{
        _cleanup_(cms_freep) CMS_ContentInfo *cms = NULL;
        const EVP_MD *md = EVP_get_digestbyname(hash);
        unsigned char *der = NULL;
        int n;

        if (!md)
                return explain(MODSIGN_E_FAILED, str_format("libcrypto does not know the digest %s", hash),
                                reterr);
        cms = CMS_sign(NULL, NULL, NULL, NULL, SIGN_FLAGS | CMS_PARTIAL | CMS_STREAM);
        if (!cms ||
                        !CMS_add1_signer(cms, modcert_x509(cert), modkey_pkey(key), md,
                                        CMS_NOCERTS | CMS_BINARY | CMS_NOSMIMECAP | CMS_NOATTR) ||
                        CMS_final(cms, content, NULL, CMS_NOCERTS | CMS_BINARY) != 1)
                return explain(MODSIGN_E_FAILED, crypto_error("the key does not sign"), reterr);

        n = i2d_CMS_ContentInfo(cms, &der);
        if (n <= 0 || n > MODSIG_SIZE_MAX) {
                OPENSSL_free(der);
                return explain(MODSIGN_E_FAILED, crypto_error("the signature cannot be encoded"), reterr);
        }
        *ret = der;
        *ret_size = (size_t)n;
        return 0;
}

int modsign_sign(int fd, const ModKey *key, const ModCert *cert, const char *hash, char **reterr)
{
        _cleanup_(openssl_freep) unsigned char *der = NULL;
        _cleanup_(bio_freep) BIO *bio = NULL;
        ModsigPlace place;
        size_t size = 0;
        int r;

        r = find(fd, &place);
        if (r < 0)
                return err_trace(r);
        if (r != MODSIGN_E_UNSIGNED) {
                r = cut(fd, place.content);
                if (r)
                        return err_trace(r);
        }
        if (lseek(fd, 0, SEEK_SET) < 0)
                return err_origin(-errno);
        bio = BIO_new_fd(fd, BIO_NOCLOSE);
        if (!bio)
                return err_origin(-ENOMEM);
        r = make(bio, key, cert, hash, &der, &size, reterr);
        if (r)
                return r < 0 ? err_trace(r) : r;
        return err_trace(append(fd, place.content, der, size));
}

/* The one signer of a signature that a kernel would take; NULL with the reason. The signer belongs to @cms.
 */
static CMS_SignerInfo *judge(CMS_ContentInfo *cms, const char **ret_why)
{
        STACK_OF(CMS_SignerInfo) * signers;
        CMS_SignerInfo *signer;

        *ret_why = "it is no signed data";
        if (!cms || OBJ_obj2nid(CMS_get0_type(cms)) != NID_pkcs7_signed)
                return NULL;
        *ret_why = "it holds the signed data itself";
        if (CMS_is_detached(cms) != 1)
                return NULL;
        *ret_why = "it is signed by nobody, or by more than one";
        signers = CMS_get0_SignerInfos(cms);
        if (!signers || sk_CMS_SignerInfo_num(signers) != 1)
                return NULL;
        signer = sk_CMS_SignerInfo_value(signers, 0);
        *ret_why = "it has signed attributes, which the kernel refuses";
        if (CMS_signed_get_attr_count(signer) > 0)
                return NULL;
        return signer;
}

static int describe(CMS_SignerInfo *signer, Signer *ret)
{
        ASN1_OCTET_STRING *key_id = NULL;
        ASN1_INTEGER *serial = NULL;
        X509_NAME *issuer = NULL;
        X509_ALGOR *digest = NULL;
        const ASN1_OBJECT *algorithm = NULL;
        Signer s = {};
        int r = 0;

        CMS_SignerInfo_get0_algs(signer, NULL, NULL, &digest, NULL);
        X509_ALGOR_get0(&algorithm, NULL, NULL, digest);
        if (CMS_SignerInfo_get0_signer_id(signer, &key_id, &issuer, &serial) != 1)
                return err_origin(-EBADMSG);
        if (issuer)
                r = modcert_name(issuer, &s.issuer);
        if (r == 0 && serial)
                r = modcert_hex(serial, &s.serial);
        if (r == 0 && key_id)
                r = modcert_hex(key_id, &s.key_id);
        if (r == 0)
                r = str_replace(&s.hash, OBJ_nid2ln(OBJ_obj2nid(algorithm)));
        if (r) {
                signer_done(&s);
                return err_trace(r);
        }
        *ret = s;
        return 0;
}

/* Parses @der, which must be all of it. NULL if it is none. */
static CMS_ContentInfo *parse(const char *der, size_t size)
{
        const unsigned char *p = (const unsigned char *)der;
        CMS_ContentInfo *cms = d2i_CMS_ContentInfo(NULL, &p, (long)size);

        crypto_forget();
        if (cms && p != (const unsigned char *)der + size) {
                CMS_ContentInfo_free(cms);
                return NULL;
        }
        return cms;
}

/* The signature at the end of the file. */
static int read_signature(int fd, ModsigPlace *ret_place, char **ret, char **reterr)
{
        _cleanup_free_ char *der = NULL;
        int r;

        r = find(fd, ret_place);
        if (r == MODSIGN_E_INVALID)
                return explain(r, strdup("what is at its end is no PKCS#7 signature"), reterr);
        if (r)
                return r < 0 ? err_trace(r) : r;
        der = malloc(ret_place->size);
        if (!der)
                return err_origin(-ENOMEM);
        r = read_at(fd, der, ret_place->size, ret_place->content);
        if (r)
                return err_trace(r);
        *ret = TAKE_PTR(der);
        return 0;
}

int modsign_inspect(int fd, Signer *ret, uint64_t *ret_content, char **reterr)
{
        _cleanup_(cms_freep) CMS_ContentInfo *cms = NULL;
        _cleanup_free_ char *der = NULL;
        CMS_SignerInfo *signer;
        ModsigPlace place;
        const char *why;
        int r;

        r = read_signature(fd, &place, &der, reterr);
        if (r)
                return r < 0 ? err_trace(r) : r;
        cms = parse(der, place.size);
        signer = judge(cms, &why);
        if (!signer)
                return explain(MODSIGN_E_INVALID, strdup(why), reterr);
        r = describe(signer, ret);
        if (r)
                return err_trace(r);
        if (ret_content)
                *ret_content = place.content;
        return 0;
}

/*
 * A BIO that ends where the module's content ends. The filter in front of it
 * does nothing but hide that the content lies in memory: of such a BIO
 * CMS_verify(3) makes a copy, which OpenSSL 3.0.19 leaks when the signature is
 * damaged.
 */
static int map_content(int fd, uint64_t size, BIO **ret, void **ret_map)
{
        BIO *bio, *filter;
        void *map;

        if (size == 0 || size > INT32_MAX)
                return err_origin(-EFBIG);
        map = mmap(NULL, (size_t)size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (map == MAP_FAILED)
                return err_origin(-errno);
        bio = BIO_new_mem_buf(map, (int)size);
        filter = BIO_new(BIO_f_null());
        if (!bio || !filter) {
                BIO_free_all(filter);
                BIO_free_all(bio);
                (void)munmap(map, (size_t)size);
                return err_origin(-ENOMEM);
        }
        *ret = BIO_push(filter, bio);
        *ret_map = map;
        return 0;
}

int modsign_verify(int fd, const ModCert *cert, char **reterr)
{
        _cleanup_(cms_freep) CMS_ContentInfo *cms = NULL;
        _cleanup_(bio_freep) BIO *content = NULL;
        _cleanup_free_ char *der = NULL;
        STACK_OF(X509) *certs = NULL;
        ModsigPlace place;
        void *map = NULL;
        bool good;
        int r;

        r = read_signature(fd, &place, &der, reterr);
        if (r)
                return r < 0 ? err_trace(r) : r;
        cms = parse(der, place.size);
        if (!cms)
                return explain(MODSIGN_E_INVALID, strdup("it is no signed data"), reterr);
        certs = sk_X509_new_null();
        if (!certs || sk_X509_push(certs, modcert_x509(cert)) <= 0) {
                sk_X509_free(certs);
                return err_origin(-ENOMEM);
        }
        r = map_content(fd, place.content, &content, &map);
        if (r) {
                sk_X509_free(certs);
                return err_trace(r);
        }
        /* Who vouches for the certificate is the kernel's business. */
        good = CMS_verify(cms, certs, NULL, content, NULL,
                               CMS_NO_SIGNER_CERT_VERIFY | CMS_NOINTERN | CMS_BINARY | CMS_DETACHED) == 1;
        sk_X509_free(certs);
        (void)munmap(map, (size_t)place.content);
        if (!good)
                return explain(MODSIGN_E_WRONG, crypto_error("the signature does not fit"), reterr);
        return 0;
}

int modsign_read(int fd, char **ret, size_t *ret_size, char **reterr)
{
        ModsigPlace place;
        int r;

        r = read_signature(fd, &place, ret, reterr);
        if (r)
                return r < 0 ? err_trace(r) : r;
        *ret_size = place.size;
        return 0;
}

int modsign_strip(int fd)
{
        ModsigPlace place;
        int r;

        r = find(fd, &place);
        if (r == MODSIGN_E_UNSIGNED)
                return 0;
        return r ? (r < 0 ? err_trace(r) : r) : err_trace(cut(fd, place.content));
}

int modsign_attach(int fd, const char *der, size_t size, char **reterr)
{
        _cleanup_(cms_freep) CMS_ContentInfo *cms = NULL;
        ModsigPlace place;
        const char *why;
        int r;

        if (size > MODSIG_SIZE_MAX)
                return explain(MODSIGN_E_INVALID, strdup("it is larger than any signature"), reterr);
        cms = parse(der, size);
        if (!judge(cms, &why))
                return explain(MODSIGN_E_INVALID, strdup(why), reterr);
        r = find(fd, &place);
        if (r < 0)
                return err_trace(r);
        return err_trace(append(fd, place.content, der, size));
}
