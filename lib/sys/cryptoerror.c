/* SPDX-License-Identifier: Apache-2.0 */

/*
 * libcrypto keeps a queue of errors, from the innermost to the outermost. The
 * outermost ones say what the caller knows already; the first one is nearest
 * to the reason.
 */

#include <openssl/err.h>

#include "base/str.h"
#include "sys/cryptoerror.h"

char *crypto_error(const char *what)
{
        unsigned long error = ERR_get_error();
        const char *reason = error ? ERR_reason_error_string(error) : NULL;
        char *text = reason ? str_format("%s: %s", what, reason) : strdup(what);

        ERR_clear_error();
        return text;
}

void crypto_forget(void)
{
        ERR_clear_error();
}
