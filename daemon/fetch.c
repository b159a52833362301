/* SPDX-License-Identifier: Apache-2.0 */

/*
 * nvidia-driverd-fetch: the developer container of this Flatcar host, as a plain disk image
 * in the cache. One that is there and good is the answer, and nobody is asked.
 * Otherwise the mirrors are tried in their order; only what has the right
 * digest is ever decompressed.
 *
 * Killed at any instant it leaves a download that the next run continues, or a
 * good image; SIGTERM needs no handler.
 *
 * A program of its own, because libcurl brings two dozen libraries that the worker would load for every
 * little thing.
 */

#include <fcntl.h>
#include <stdarg.h>

#include "base/result.h"
#include "base/str.h"
#include "fetch.h"
#include "flatcar.h"
#include "sys/clock.h"
#include "sys/store.h"
#include "sys/storelock.h"

enum { MB = 1000 * 1000 };
#define LOCK_LIMIT (10 * USEC_PER_MINUTE)

static void fetch_done(Fetch *f)
{
        safe_close(f->lock_fd);
        safe_close(f->directory_fd);
        devcontainer_done(&f->container);
        strv_free(f->reasons);
        free(f->image);
        free(f->directory);
        root_free(f->root);
}

void fetch_begin(Fetch *f, const char *doing, uint64_t total)
{
        f->doing = doing;
        f->total = total;
        f->shown = 0;
}

/* Called with every block: a line a second, and only if there is something new. */
void fetch_progress(void *userdata, uint64_t done, uint64_t total)
{
        Fetch *f = userdata;
        usec_t now = now_usec();
        unsigned percent;

        total = total ? total : f->total;
        percent = total ? (unsigned)(MIN(done, total) * 100 / total) : (unsigned)(done / MB);
        if (f->shown && (now < f->shown + USEC_PER_SEC || percent == f->percent))
                return;
        f->shown = now;
        f->percent = percent;
        if (total)
                helper_say(HELPER_KEY_PROGRESS, "%s, %u%% of %llu MB", f->doing, percent,
                                (unsigned long long)(total / MB));
        else
                helper_say(HELPER_KEY_PROGRESS, "%s, %u MB", f->doing, percent);
}

void fetch_reason(Fetch *f, const char *format, ...)
{
        char text[1024];
        va_list ap;

        va_start(ap, format);
        (void)vsnprintf(text, sizeof(text), format, ap);
        va_end(ap);
        (void)strv_push(&f->reasons, text);
}

static Code fatal(const char *what, int r)
{
        helper_say(HELPER_KEY_DETAIL, "%s: %s", what, strerror(-r));
        return code_of_write(r, CODE_STORE_FAILED);
}

FetchOutcome fetch_fatal(Fetch *f, const char *what, int r, Code *ret_code)
{
        *ret_code = fatal(what, r);
        return FETCH_FATAL;
}

static Code identify(Fetch *f)
{
        _cleanup_free_ char *why = NULL;
        int r = flatcar_identify(f->root, &f->container, &why);

        if (r == DEVCONTAINER_E_FOREIGN) {
                helper_say(HELPER_KEY_DETAIL, "Which developer container this host needs is not known: %s.",
                                why);
                return CODE_TOOLCHAIN_INVALID;
        }
        return r ? fatal("os-release", r) : CODE_OK;
}

static void on_held(pid_t pid)
{
        helper_say(HELPER_KEY_NOTE, "Process %d gets a developer container, waiting for it to end",
                        (int)pid);
}

static Code open_cache(Fetch *f, const char *store)
{
        pid_t pid = 0;
        int r;

        f->directory = str_format("%s/" STORE_TOOLCHAIN, store);
        r = f->directory ? root_mkdirs(f->root, f->directory, 0755) : -ENOMEM;
        if (r == 0)
                r = root_open(f->root, f->directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, &f->directory_fd);
        if (r)
                return fatal(store, r < 0 ? r : -ENOENT);
        r = storelock_wait(f->root, f->directory, LOCK_LIMIT, on_held, &f->lock_fd, &pid);
        if (r == STORELOCK_E_HELD) {
                helper_say(HELPER_KEY_DETAIL, "Process %d does not let go of %s.", (int)pid, f->directory);
                return CODE_STORE_LOCKED;
        }
        return r ? fatal(f->directory, r) : CODE_OK;
}

/* FETCH_GOT: there is a digest. */
static FetchOutcome local_checksum(Fetch *f, const char *file, Checksum *ret, Code *ret_code)
{
        _cleanup_free_ char *digests = str_format("%s" DEVCONTAINER_DIGESTS, file), *text = NULL;
        size_t size;
        int r;

        if (f->pinned) {
                *ret = f->checksum;
                return FETCH_GOT;
        }
        r = digests ? root_read_file(f->root, digests, FETCH_DIGESTS_MAX, &text, &size) : -ENOMEM;
        if (r == -ENOMEM)
                return fetch_fatal(f, file, r, ret_code);
        if (r == 0 && devcontainer_digest(text, strrchr(file, '/') + 1, ret))
                return FETCH_GOT;
        if (r == 0)
                fetch_reason(f, "%s: it does not say one digest of that file", digests);
        else
                fetch_reason(f, "%s cannot be used: nothing vouches for it; set Checksum= in [Toolchain] or put %s beside it",
                                file, strrchr(digests, '/') + 1);
        return FETCH_NOT_HERE;
}

static FetchOutcome from_file(Fetch *f, const char *file, Code *ret_code)
{
        _cleanup_close_ int fd = -EBADF;
        FetchOutcome outcome;
        Checksum checksum;
        struct stat st;
        int r;

        r = root_open(f->root, file, O_RDONLY | O_NONBLOCK, &fd);
        if (r == 0 && (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)))
                r = -EINVAL;
        if (r) {
                fetch_reason(f, "%s: %s", file, r == ROOT_E_ABSENT ? "there is no such file" : strerror(-r));
                return FETCH_NOT_HERE;
        }
        outcome = local_checksum(f, file, &checksum, ret_code);
        if (outcome != FETCH_GOT)
                return outcome;
        r = fetch_check_file(fd, &checksum);
        if (r == 0)
                return fetch_install(f, fd, &checksum, file, ret_code);
        fetch_reason(f, "%s %s", file, r < 0 ? "cannot be read" : "is not what its checksum says");
        return FETCH_NOT_HERE;
}

static FetchOutcome from_directory(Fetch *f, const char *mirror, Code *ret_code)
{
        if (devcontainer_is_file(mirror))
                return from_file(f, mirror, ret_code);
        for (size_t i = 0; devcontainer_name(i); i++) {
                _cleanup_free_ char *file = str_format("%s/%s", mirror, devcontainer_name(i));

                if (!file)
                        return fetch_fatal(f, mirror, -ENOMEM, ret_code);
                if (root_exists(f->root, file))
                        return from_file(f, file, ret_code);
        }
        fetch_reason(f, "%s: there is no %s, compressed or not", mirror, devcontainer_name(4));
        return FETCH_NOT_HERE;
}

static Code explain(const Fetch *f, bool unreached)
{
        _cleanup_free_ char *reasons = strv_join(f->reasons, "; ");
        const DevContainer *d = &f->container;

        helper_say(HELPER_KEY_DETAIL, "No developer container of Flatcar %s (%s, %s): %s.", d->version,
                        d->board, d->channel,
                        f->reasons ? strna(reasons)
                                   : "none is in the store, and Mirror= in [Toolchain] names no place to get it from");
        return unreached ? CODE_DOWNLOAD_FAILED : CODE_TOOLCHAIN_INVALID;
}

static Code from_mirrors(Fetch *f, char **mirrors)
{
        const MirrorRelease release = devcontainer_release(&f->container);
        bool unreached = false;
        Code code = CODE_OK;

        STRV_FOREACH (text, mirrors) {
                _cleanup_free_ char *mirror = NULL;

                if (!mirror_is_valid(*text)) {
                        helper_say(HELPER_KEY_DETAIL, "%s: no mirror", *text);
                        return CODE_USAGE;
                }
                mirror = mirror_expand(*text, &release);
                if (!mirror)
                        return fatal(*text, -ENOMEM);
                switch (mirror_is_remote(mirror) ? fetch_from_server(f, mirror, &code)
                                                 : from_directory(f, mirror, &code)) {
                case FETCH_GOT:
                        STRV_FOREACH (reason, f->reasons)
                                helper_say(HELPER_KEY_NOTE, "%s", *reason);
                        helper_say(HELPER_KEY_NOTE, "Got the developer container of Flatcar %s from %s",
                                        f->container.version, mirror);
                        return CODE_OK;
                case FETCH_FATAL:
                        return code;
                case FETCH_UNREACHED:
                        unreached = true;
                        break;
                case FETCH_ABSENT:
                case FETCH_NOT_HERE:
                        break;
                }
        }
        return explain(f, unreached);
}

static Code run(Fetch *f, const char *store, char **mirrors)
{
        Code code = identify(f);
        int r;

        if (code == CODE_OK)
                code = open_cache(f, store);
        if (code)
                return code;
        r = fetch_find_image(f);
        if (r)
                return fatal(f->directory, r);
        if (!f->image)
                code = from_mirrors(f, mirrors);
        if (code)
                return code;
        fetch_collect(f);
        helper_say(HELPER_KEY_IMAGE, "%s", f->image);
        return CODE_OK;
}

/* @arguments: root, store in it, checksum or "", what a download may stand still, mirrors. */
static Code container(char **arguments)
{
        _cleanup_(fetch_done) Fetch f = { .directory_fd = -EBADF, .lock_fd = -EBADF };
        int r;

        f.pinned = *arguments[2];
        if ((f.pinned && !checksum_parse(arguments[2], &f.checksum)) ||
                        str_to_u64(arguments[3], 10, 0, INT64_MAX, &f.stall)) {
                helper_say(HELPER_KEY_DETAIL, "Not a checksum, or not a time");
                return CODE_USAGE;
        }
        r = root_new(arguments[0], &f.root);
        return r ? fatal(arguments[0], r) : run(&f, arguments[1], arguments + 4);
}

int main(int argc, char **argv)
{
        static const HelperOperation operations[] = {
                { "container", 4, "ROOT STORE CHECKSUM STALL-USEC MIRROR...", container },
        };

        return helper_main("nvidia-driverd-fetch", operations, ELEMENTSOF(operations), argc, argv);
}
