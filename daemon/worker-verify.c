/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Is a build what was built? One that is not leaves the store in one step. That
 * is writing, so it is done under the store's lock, and only after another
 * look: who had the lock may have put a whole one in its place.
 */

#include <fcntl.h>
#include <stdio.h>

#include "base/result.h"
#include "base/str.h"
#include "helper.h"
#include "policy/manifest.h"
#include "sys/digest.h"
#include "sys/manifestjson.h"
#include "sys/store.h"
#include "worker-store.h"

/* It is in nobody's way where it is: whoever wants to load it finds the damage again. */
#define LOCK_LIMIT (10 * USEC_PER_SEC)

/* What is wrong with the file, the caller's; NULL if nothing is. */
static int find_damage_of(const Root *root, const char *build, const BuildFile *f, char **ret_why)
{
        char fast[DIGEST_FAST_HEX_SIZE];
        _cleanup_close_ int fd = -EBADF;
        uint64_t size = 0;
        int r;

        r = worker_store_open(root, build, f->name, &fd);
        if (r == 0)
                r = digest_fast_fd(fd, fast, &size);
        if (r < 0)
                *ret_why = str_format("%s: %s", f->name, strerror(-r));
        else if (size != f->size)
                *ret_why = str_format("%s has %llu bytes, not %llu", f->name, (unsigned long long)size,
                                (unsigned long long)f->size);
        else if (!f->xxh64 || !streq(fast, f->xxh64))
                *ret_why = str_format("%s is not as it was built (xxh64 %s, not %s)", f->name, fast,
                                strna(f->xxh64));
        else
                return 0;
        return *ret_why ? 1 : err_origin(-ENOMEM);
}

/* Returns 0, 1 with *@ret_why (the caller's), or a negative errno. */
static int find_damage(const Root *root, const char *build, char **ret_why)
{
        _cleanup_free_ char *reason = NULL;
        BuildManifest m = {};
        int r;

        r = store_read(root, build, &m, &reason);
        if (r > 0) {
                *ret_why = reason ? TAKE_PTR(reason) : strdup("its manifest is gone");
                return *ret_why ? 1 : err_origin(-ENOMEM);
        }
        for (size_t i = 0; r == 0 && i < m.n_files; i++)
                r = find_damage_of(root, build, &m.files[i], ret_why);
        build_manifest_done(&m);
        return r < 0 ? err_trace(r) : r;
}

/* *@ret_aside: where it is then, NULL if it could not be moved. */
static Code set_damaged_aside(const Root *root, const char *build, const char *staging, char **ret_aside)
{
        _cleanup_free_ char *store = strndup(staging, (size_t)(strrchr(staging, '/') - staging)),
                            *why = NULL;
        _cleanup_close_ int lock = -EBADF;
        Code code;
        int r;

        if (!store)
                return worker_store_error(build, -ENOMEM);
        code = worker_store_lock(root, store, LOCK_LIMIT, &lock);
        if (code)
                return CODE_BUILD_DAMAGED;
        r = find_damage(root, build, &why);
        if (r <= 0)
                return r ? worker_store_error(build, r) : CODE_OK;
        r = store_set_aside(root, store, build, ret_aside);
        if (r < 0)
                helper_say(HELPER_KEY_DETAIL, "%s could not be set aside: %s", build, strerror(-r));
        return CODE_BUILD_DAMAGED;
}

Code worker_verify(char **arguments)
{
        const char *build = arguments[0], *staging = arguments[1];
        _cleanup_(root_freep) Root *root = NULL;
        _cleanup_free_ char *why = NULL, *aside = NULL;
        Code code;
        int r;

        if (*staging != '/')
                return CODE_USAGE;
        r = root_new("/", &root);
        if (r == 0)
                r = find_damage(root, build, &why);
        if (r <= 0)
                return r ? worker_store_error(build, r) : CODE_OK;
        code = set_damaged_aside(root, build, staging, &aside);
        /* Readers of our lines keep the last detail, so the reason comes last. */
        if (code != CODE_OK)
                helper_say(HELPER_KEY_DETAIL, "%s: %s%s%s", build, why, aside ? "; it is kept as " : "",
                                strempty(aside));
        return code;
}
