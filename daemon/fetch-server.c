/* SPDX-License-Identifier: Apache-2.0 */

/*
 * From a server: first the digest, then the file. An attempt that breaks off
 * is continued after a pause; one that moved nothing is made a few times only.
 *
 * Nothing is believed but the digest, so it must not come from just anywhere:
 * see mirror_is_trusted(). The file itself may come over plain http.
 */

#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>

#include "base/result.h"
#include "base/str.h"
#include "fetch.h"
#include "sys/download.h"

enum {
        STILL_MAX = 4,      /* attempts in a row that bring nothing */
        ATTEMPTS_MAX = 200, /* in all */
};
#define PAUSE_MIN (1 * USEC_PER_SEC)
#define PAUSE_MAX (30 * USEC_PER_SEC)

/* Gets @url into @fd, with as many attempts as it takes. Returns as download(). */
static int get(Fetch *f, DownloadSpec *spec, const char *doing, char **reterr)
{
        unsigned still = 0;

        spec->stall = f->stall;
        spec->progress = fetch_progress;
        spec->userdata = f;
        fetch_begin(f, doing, 0);
        for (unsigned attempt = 1;; attempt++) {
                DownloadResult result = {};
                usec_t pause;
                int r;

                r = download(spec, &result, reterr);
                if (r != DOWNLOAD_E_TRANSIENT)
                        return r < 0 ? err_trace(r) : r;
                still = result.received > 0 ? 0 : still + 1;
                if (still == STILL_MAX || attempt == ATTEMPTS_MAX)
                        return r;
                pause = MIN(MAX(PAUSE_MIN << (still ? still - 1 : 0), result.retry_after), PAUSE_MAX);
                helper_say(HELPER_KEY_NOTE, "%s: %s, trying again in %llus", spec->url, *reterr,
                                (unsigned long long)(pause / USEC_PER_SEC));
                (void)poll(NULL, 0, (int)(pause / USEC_PER_MSEC));
        }
}

static FetchOutcome outcome_of(Fetch *f, const char *url, int r, const char *why, Code *ret_code)
{
        if (r < 0)
                return fetch_fatal(f, url, r, ret_code);
        if (r == DOWNLOAD_E_ABSENT)
                return FETCH_ABSENT;
        fetch_reason(f, "%s: %s", url, why);
        return r == DOWNLOAD_E_TRANSIENT ? FETCH_UNREACHED : FETCH_NOT_HERE;
}

static int get_text(Fetch *f, const char *url, char **ret, char **reterr)
{
        _cleanup_close_ int fd = memfd_create("digests", MFD_CLOEXEC);
        DownloadSpec spec = { .url = url, .fd = fd, .size_max = FETCH_DIGESTS_MAX, .only_https = true };
        size_t size;
        int r;

        if (fd < 0)
                return err_origin(-errno);
        r = get(f, &spec, "asking for the developer container's digest", reterr);
        if (r)
                return r < 0 ? err_trace(r) : r;
        if (lseek(fd, 0, SEEK_SET) < 0)
                return err_origin(-errno);
        r = fd_read_file(fd, FETCH_DIGESTS_MAX, ret, &size);
        return r ? r < 0 ? err_trace(r) : err_fold(r) : 0;
}

/* FETCH_GOT: there is a digest. */
static FetchOutcome get_checksum(Fetch *f, const char *url, Checksum *ret, Code *ret_code)
{
        _cleanup_free_ char *digests = str_format("%s" DEVCONTAINER_DIGESTS, url), *text = NULL, *why = NULL;
        int r;

        if (f->pinned) {
                *ret = f->checksum;
                return FETCH_GOT;
        }
        r = digests ? get_text(f, digests, &text, &why) : -ENOMEM;
        if (r)
                return outcome_of(f, strna(digests), r, why, ret_code);
        if (devcontainer_digest(text, strrchr(url, '/') + 1, ret))
                return FETCH_GOT;
        fetch_reason(f, "%s: it does not say one digest of that file", digests);
        return FETCH_NOT_HERE;
}

static int open_part(const Fetch *f, const Checksum *checksum, int *ret, off_t *ret_size)
{
        _cleanup_free_ char *name = devcontainer_cache_name(&f->container, checksum), *file = NULL;
        _cleanup_close_ int fd = -EBADF;
        struct stat st;

        file = name ? str_format("%s" DEVCONTAINER_PART, name) : NULL;
        if (!file)
                return err_origin(-ENOMEM);
        fd = openat(f->directory_fd, file, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
        if (fd < 0 || fstat(fd, &st) < 0)
                return err_origin(-errno);
        if (!S_ISREG(st.st_mode))
                return err_origin(-EINVAL);
        *ret = TAKE_FD(fd);
        *ret_size = st.st_size;
        return 0;
}

/* Gets the file until it is what it should be; @fd may hold all of it, or the beginning of another one. */
static FetchOutcome get_file(
                Fetch *f, const char *url, const Checksum *checksum, int fd, off_t size, Code *ret_code)
{
        bool continued = size > 0;

        for (;;) {
                DownloadSpec spec = { .url = url, .fd = fd, .size_max = FETCH_FILE_MAX };
                _cleanup_free_ char *why = NULL;
                int r;

                if (size == 0 || fetch_check_file(fd, checksum) != 0) {
                        r = get(f, &spec, "downloading the developer container", &why);
                        if (code_of_write(r, CODE_OK) && ftruncate(fd, 0) < 0)
                                helper_say(HELPER_KEY_NOTE, "What has arrived cannot be removed: %s",
                                                strerror(errno));
                        if (r)
                                return outcome_of(f, url, r, why, ret_code);
                        if (fdatasync(fd) < 0)
                                return fetch_fatal(f, url, -errno, ret_code);
                }
                r = fetch_check_file(fd, checksum);
                if (r == 0)
                        return FETCH_GOT;
                if (r < 0 || ftruncate(fd, 0) < 0)
                        return fetch_fatal(f, url, r < 0 ? r : -errno, ret_code);
                if (!continued) {
                        fetch_reason(f, "%s is not what its checksum says (%s)", url,
                                        checksum_kind_to_string(checksum->kind));
                        return FETCH_UNREACHED;
                }
                /* It was put together from two. Once more, from one. */
                helper_say(HELPER_KEY_NOTE, "%s is not what its checksum says, beginning again", url);
                continued = false;
                size = 0;
        }
}

/* One that is empty is no beginning. */
static void drop_empty(const Fetch *f, const Checksum *checksum, int fd)
{
        _cleanup_free_ char *name = devcontainer_cache_name(&f->container, checksum), *file = NULL;

        file = name && lseek(fd, 0, SEEK_END) == 0 ? str_format("%s" DEVCONTAINER_PART, name) : NULL;
        if (file)
                (void)unlinkat(f->directory_fd, file, 0);
}

static FetchOutcome from_url(Fetch *f, const char *url, Code *ret_code)
{
        _cleanup_close_ int fd = -EBADF;
        FetchOutcome outcome;
        Checksum checksum;
        off_t size = 0;
        int r;

        outcome = get_checksum(f, url, &checksum, ret_code);
        if (outcome != FETCH_GOT)
                return outcome;
        r = open_part(f, &checksum, &fd, &size);
        if (r)
                return fetch_fatal(f, f->directory, r, ret_code);
        outcome = get_file(f, url, &checksum, fd, size, ret_code);
        if (outcome == FETCH_GOT)
                return fetch_install(f, fd, &checksum, url, ret_code);
        drop_empty(f, &checksum, fd);
        return outcome;
}

static FetchOutcome from_directory(Fetch *f, const char *mirror, Code *ret_code)
{
        FetchOutcome outcome = FETCH_ABSENT;

        for (size_t i = 0; devcontainer_name(i) && outcome == FETCH_ABSENT; i++) {
                _cleanup_free_ char *url = str_format("%s/%s", mirror, devcontainer_name(i));

                outcome = url ? from_url(f, url, ret_code) : fetch_fatal(f, mirror, -ENOMEM, ret_code);
        }
        return outcome;
}

FetchOutcome fetch_from_server(Fetch *f, const char *mirror, Code *ret_code)
{
        bool is_file = devcontainer_is_file(mirror);
        FetchOutcome outcome;

        if (!f->pinned && !mirror_is_trusted(mirror)) {
                fetch_reason(f, "%s: a digest that comes over plain http proves nothing; use https or set Checksum= in [Toolchain]",
                                mirror);
                return FETCH_NOT_HERE;
        }
        if (!download_is_permitted()) {
                fetch_reason(f, "%s: the sandbox of the service has no network: open it with a drop-in, see nvidia-driverd(8), or run nvidia-driver toolchain fetch",
                                mirror);
                return FETCH_NOT_HERE;
        }
        outcome = is_file ? from_url(f, mirror, ret_code) : from_directory(f, mirror, ret_code);
        if (outcome != FETCH_ABSENT)
                return outcome;
        fetch_reason(f, "%s%s%s: the server has no such file%s", mirror, is_file ? "" : "/",
                        is_file ? "" : devcontainer_name(0),
                        f->pinned ? "" : ", or no " DEVCONTAINER_DIGESTS " beside it");
        return FETCH_UNREACHED;
}
