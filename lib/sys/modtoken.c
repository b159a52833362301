/* SPDX-License-Identifier: Apache-2.0 */

/*
 * libcrypto reaches tokens through a plug-in: the provider "pkcs11" of newer
 * systems, or the engine "pkcs11" (libp11) of older ones such as Debian 12.
 * Both are looked for when a token is asked for, and only then. Which PKCS#11
 * module they use is the system's configuration, usually p11-kit's.
 *
 * Engines are deprecated since OpenSSL 3.0, and gone from some systems.
 */

#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/provider.h>
#include <openssl/store.h>
#include <openssl/ui.h>
#if !defined(OPENSSL_NO_ENGINE) && __has_include(<openssl/engine.h>)
#include <openssl/engine.h>
#define HAVE_ENGINE 1
#else
#define HAVE_ENGINE 0
#endif

#include "base/result.h"
#include "base/str.h"
#include "sys/cryptoerror.h"
#include "sys/modtoken.h"

static int unusable(char **reterr, char *text)
{
        if (!text)
                return err_origin(-ENOMEM);
        *reterr = text;
        return MODTOKEN_E_UNUSABLE;
}

static int give_pin(char *buffer, int size, int writing, void *userdata)
{
        const char *pin = userdata;
        size_t n = pin ? strlen(pin) : 0;

        if (!pin || n >= (size_t)size)
                return -1;
        memcpy(buffer, pin, n + 1);
        return (int)n;
}

/* The first private key that the store finds under the URI. */
static EVP_PKEY *load_from_store(const char *uri, const UI_METHOD *ui, const char *pin)
{
        OSSL_STORE_CTX *ctx = OSSL_STORE_open(uri, ui, (void *)pin, NULL, NULL);
        EVP_PKEY *key = NULL;

        if (ctx)
                (void)OSSL_STORE_expect(ctx, OSSL_STORE_INFO_PKEY);
        while (ctx && !key && !OSSL_STORE_eof(ctx)) {
                OSSL_STORE_INFO *info = OSSL_STORE_load(ctx);

                if (!info && OSSL_STORE_error(ctx))
                        break;
                if (info && OSSL_STORE_INFO_get_type(info) == OSSL_STORE_INFO_PKEY)
                        key = OSSL_STORE_INFO_get1_PKEY(info);
                OSSL_STORE_INFO_free(info);
        }
        (void)OSSL_STORE_close(ctx);
        return key;
}

#if HAVE_ENGINE
static EVP_PKEY *load_from_engine(const char *uri, UI_METHOD *ui, const char *pin, bool *ret_there)
{
        EVP_PKEY *key = NULL;
        ENGINE *engine;

        ENGINE_load_builtin_engines();
        engine = ENGINE_by_id("pkcs11");
        *ret_there = engine;
        /* A key refers to its engine: that stays until the process ends. */
        if (engine && ENGINE_init(engine) == 1) {
                if (!pin || ENGINE_ctrl_cmd_string(engine, "PIN", pin, 0) == 1)
                        key = ENGINE_load_private_key(engine, uri, ui, (void *)pin);
                (void)ENGINE_finish(engine);
        }
        (void)ENGINE_free(engine);
        return key;
}
#else
static EVP_PKEY *load_from_engine(const char *uri, UI_METHOD *ui, const char *pin, bool *ret_there)
{
        *ret_there = false;
        return NULL;
}
#endif

int modtoken_load(const char *uri, const char *pin, struct evp_pkey_st **ret, char **reterr)
{
        OSSL_PROVIDER *provider = OSSL_PROVIDER_try_load(NULL, "pkcs11", /* retain_fallbacks= */ 1);
        /* Without a method of ours libcrypto would ask on the terminal. */
        UI_METHOD *ui = UI_UTIL_wrap_read_pem_callback(give_pin, 0);
        bool there = provider;
        EVP_PKEY *key = NULL;

        if (!ui)
                return err_origin(-ENOMEM);
        crypto_forget();
        if (provider)
                key = load_from_store(uri, ui, pin);
        else
                key = load_from_engine(uri, ui, pin, &there);
        UI_destroy_method(ui);

        if (!there)
                return unusable(reterr, strdup("libcrypto has neither a provider nor an engine for PKCS#11; "
                                               "install pkcs11-provider or libengine-pkcs11-openssl"));
        if (!key)
                return unusable(reterr,
                                crypto_error(pin ? "the token does not give the key"
                                                 : "the token does not give the key, and there is no "
                                                   "PinFile="));
        *ret = key;
        return 0;
}
