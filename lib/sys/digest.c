/* SPDX-License-Identifier: Apache-2.0 */

/* SHA-256 and SHA-512 by libcrypto. Reads block: callers are helper processes. */

#include <openssl/evp.h>

#include "base/result.h"
#include "sys/digest.h"

static void md_ctx_freep(EVP_MD_CTX **ctx)
{
        EVP_MD_CTX_free(*ctx);
}

static int begin(const EVP_MD *md, EVP_MD_CTX **ret)
{
        EVP_MD_CTX *ctx = EVP_MD_CTX_new();

        if (!ctx)
                return err_origin(-ENOMEM);
        if (EVP_DigestInit_ex(ctx, md, NULL) != 1) {
                EVP_MD_CTX_free(ctx);
                return err_origin(-EOPNOTSUPP);
        }
        *ret = ctx;
        return 0;
}

static int finish(EVP_MD_CTX *ctx, char *hex, size_t size)
{
        unsigned char raw[EVP_MAX_MD_SIZE];
        unsigned n = 0;

        if (EVP_DigestFinal_ex(ctx, raw, &n) != 1 || n * 2 + 1 != size)
                return err_origin(-EIO);
        for (unsigned i = 0; i < n; i++)
                (void)snprintf(hex + 2 * i, 3, "%02x", raw[i]);
        return 0;
}

/* At most @limit bytes from the current position. */
static int digest(
                int fd, const EVP_MD *md, uint64_t limit, char *ret_hex, size_t hex_size, uint64_t *ret_size)
{
        _cleanup_(md_ctx_freep) EVP_MD_CTX *ctx = NULL;
        _cleanup_free_ char *buffer = NULL;
        const size_t chunk = 1024 * 1024;
        uint64_t size = 0;
        int r;

        buffer = malloc(chunk);
        if (!buffer)
                return err_origin(-ENOMEM);
        r = begin(md, &ctx);
        if (r)
                return err_trace(r);

        while (size < limit) {
                ssize_t n = read(fd, buffer, (size_t)MIN(limit - size, (uint64_t)chunk));

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return err_origin(-errno);
                if (n == 0)
                        break;
                if (EVP_DigestUpdate(ctx, buffer, (size_t)n) != 1)
                        return err_origin(-EIO);
                size += (uint64_t)n;
        }

        *ret_size = size;
        return err_trace(finish(ctx, ret_hex, hex_size));
}

int digest_fd(int fd, char ret_hex[static DIGEST_HEX_SIZE], uint64_t *ret_size)
{
        uint64_t size;
        int r;

        r = digest(fd, EVP_sha256(), UINT64_MAX, ret_hex, DIGEST_HEX_SIZE, &size);
        if (r)
                return err_trace(r);
        if (ret_size)
                *ret_size = size;
        return 0;
}

int digest_checksum_fd(int fd, ChecksumKind kind, char ret_hex[static CHECKSUM_HEX_SIZE], uint64_t *ret_size)
{
        const EVP_MD *md = kind == CHECKSUM_SHA512 ? EVP_sha512() : EVP_sha256();
        uint64_t size;
        int r;

        r = digest(fd, md, UINT64_MAX, ret_hex, (size_t)EVP_MD_get_size(md) * 2 + 1, &size);
        if (r)
                return err_trace(r);
        if (ret_size)
                *ret_size = size;
        return 0;
}

int digest_head_fd(int fd, uint64_t size, char ret_hex[static DIGEST_HEX_SIZE])
{
        uint64_t n;
        int r;

        r = digest(fd, EVP_sha256(), size, ret_hex, DIGEST_HEX_SIZE, &n);
        if (r)
                return err_trace(r);
        return n == size ? 0 : err_origin(-ENODATA);
}

int digest_text(const char *text, size_t size, char ret_hex[static DIGEST_HEX_SIZE])
{
        _cleanup_(md_ctx_freep) EVP_MD_CTX *ctx = NULL;
        int r;

        r = begin(EVP_sha256(), &ctx);
        if (r)
                return err_trace(r);
        if (EVP_DigestUpdate(ctx, text, size) != 1)
                return err_origin(-EIO);
        return err_trace(finish(ctx, ret_hex, DIGEST_HEX_SIZE));
}
