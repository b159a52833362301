/* SPDX-License-Identifier: Apache-2.0 */

/*
 * source: what a build is compiled from, in one digest. A source that somebody
 * patched is another one, and so is the build made of it; without this the
 * patched build would take the place of the one that worked.
 */

#include "base/result.h"
#include "base/str.h"
#include "helper.h"
#include "sys/treedigest.h"
#include "worker-store.h"

/* NVIDIA's core objects are inputs of their own, those that are linked; they are most of the bytes. */
static bool is_core(const char *path)
{
        static const char suffix[] = ".o_binary";
        size_t n = strlen(path);

        return n >= strlen(suffix) && streq(path + n - strlen(suffix), suffix);
}

Code worker_source(char **arguments)
{
        _cleanup_free_ char *file = NULL;
        char hex[DIGEST_HEX_SIZE];
        int r;

        r = treedigest(arguments[0], is_core, hex, &file);
        if (r == TREEDIGEST_E_TOO_BIG) {
                helper_say(HELPER_KEY_DETAIL, "%s has more files than a driver's source has", arguments[0]);
                return CODE_SOURCE_INVALID;
        }
        if (r)
                return worker_store_error(file ? file : arguments[0], r);
        helper_say(HELPER_KEY_SOURCE, "%s", hex);
        return CODE_OK;
}
