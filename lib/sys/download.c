/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The only file that knows libcurl.
 *
 * A server that is asked for the rest of a file (Range) may answer with the
 * rest (206), with the whole (200), or that there is no rest (416). Only the
 * first line of the answer tells, so the file is cut when the first byte of the
 * body arrives and not before: an error page costs nothing of what is there.
 */

#include <curl/curl.h>
#include <sys/socket.h>
#include <sys/statvfs.h>
#include <sys/types.h>

#include "base/result.h"
#include "base/str.h"
#include "sys/download.h"

enum { REDIRECTIONS_MAX = 5, SLOW_BYTES = 1024 };
#define CONNECT_MAX (30 * USEC_PER_SEC)

typedef struct Transfer {
        const DownloadSpec *spec;
        CURL *curl;
        uint64_t offset; /* where the file ended */
        uint64_t at;     /* where it ends now */
        uint64_t total;
        uint64_t range; /* where the server says it continues */
        bool begun;
        int error;    /* a negative errno, or DOWNLOAD_E_* */
        char *reason; /* for the latter */
        DownloadResult result;
} Transfer;

static void transfer_done(Transfer *t)
{
        curl_easy_cleanup(t->curl);
        free(t->reason);
}

static int fail(Transfer *t, int error, char *reason)
{
        if (error > 0 && !reason)
                error = -ENOMEM;
        free(t->reason);
        t->reason = reason;
        t->error = error;
        return error;
}

static int too_big(Transfer *t)
{
        return fail(t, DOWNLOAD_E_REFUSED,
                        str_format("it has more than %llu bytes", (unsigned long long)t->spec->size_max));
}

static int cut(Transfer *t)
{
        if (ftruncate(t->spec->fd, 0) < 0)
                return fail(t, -errno, NULL);
        t->at = 0;
        return 0;
}

static int check_space(Transfer *t, uint64_t rest)
{
        struct statvfs fs;

        if (fstatvfs(t->spec->fd, &fs) == 0 && rest / MAX(fs.f_frsize, 1UL) > fs.f_bavail)
                return fail(t, -ENOSPC, NULL);
        return 0;
}

/* The answer's head is complete, its body begins. */
static int begin(Transfer *t)
{
        curl_off_t rest = -1;
        long status = 0;
        int r = 0;

        t->begun = true;
        (void)curl_easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &status);
        (void)curl_easy_getinfo(t->curl, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &rest);

        if (status == 206 && t->offset > 0) {
                if (t->range != t->offset) {
                        (void)cut(t);
                        return fail(t, DOWNLOAD_E_TRANSIENT,
                                        strdup("the server continues at another place"));
                }
        } else if (status == 200) {
                r = cut(t);
        } else {
                return fail(t, DOWNLOAD_E_REFUSED, str_format("the server answers with status %ld", status));
        }
        if (r == 0 && rest >= 0) {
                t->total = t->at + (uint64_t)rest;
                r = t->total > t->spec->size_max ? too_big(t) : check_space(t, (uint64_t)rest);
        }
        return r;
}

static int put(Transfer *t, const char *data, size_t size)
{
        while (size > 0) {
                ssize_t n = pwrite(t->spec->fd, data, size, (off_t)t->at);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return fail(t, -errno, NULL);
                data += n;
                size -= (size_t)n;
                t->at += (uint64_t)n;
                t->result.received += (uint64_t)n;
        }
        return 0;
}

/* Less than what was offered makes libcurl give up. */
static size_t on_body(char *data, size_t unit, size_t n, void *userdata)
{
        Transfer *t = userdata;
        size_t size = unit * n;

        if (!t->begun && begin(t))
                return 0;
        if (size > t->spec->size_max || t->at > t->spec->size_max - size)
                (void)too_big(t);
        else if (put(t, data, size) == 0 && t->spec->progress)
                t->spec->progress(t->spec->userdata, t->at, t->total);
        return t->error ? 0 : size;
}

/* Of every answer, also of those that redirect; the last one counts. */
static size_t on_header(char *data, size_t unit, size_t n, void *userdata)
{
        static const char name[] = "content-range:";
        Transfer *t = userdata;
        size_t size = unit * n;
        char text[64];
        const char *p;

        if (size < sizeof(name) || strncasecmp(data, name, sizeof(name) - 1) != 0)
                return size;
        n = MIN(size - sizeof(name) + 1, sizeof(text) - 1);
        (void)memcpy(text, data + sizeof(name) - 1, n);
        text[n] = '\0';
        p = startswith(str_strip(text), "bytes ");
        t->range = UINT64_MAX;
        if (p) {
                _cleanup_free_ char *number = strndup(p, strcspn(p, "-"));

                if (!number || str_to_u64(number, 10, 0, INT64_MAX, &t->range))
                        t->range = UINT64_MAX;
        }
        return size;
}

static int by_status(Transfer *t)
{
        long status = 0;

        (void)curl_easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &status);
        switch (status) {
        case 404:
        case 410:
                return fail(t, DOWNLOAD_E_ABSENT, str_format("there is no such file (status %ld)", status));
        case 416: /* it ends before the place where we are */
                if (cut(t))
                        return t->error;
                return fail(t, DOWNLOAD_E_TRANSIENT,
                                strdup("the server's file is shorter than what has arrived"));
        case 408:
        case 425:
        case 429:
                return fail(t, DOWNLOAD_E_TRANSIENT,
                                str_format("the server answers with status %ld", status));
        default:
                return fail(t, status >= 500 ? DOWNLOAD_E_TRANSIENT : DOWNLOAD_E_REFUSED,
                                str_format("the server answers with status %ld", status));
        }
}

static int judge(Transfer *t, CURLcode code, const char *text)
{
        curl_off_t wait = 0;

        if (t->error)
                return t->error;
        (void)curl_easy_getinfo(t->curl, CURLINFO_RETRY_AFTER, &wait);
        t->result.retry_after = (usec_t)MAX(wait, 0) * USEC_PER_SEC;

        switch ((int)code) {
        case CURLE_OK:
                /* A body without a byte never began. */
                return t->begun ? 0 : begin(t);
        case CURLE_OUT_OF_MEMORY:
                return fail(t, -ENOMEM, NULL);
        case CURLE_HTTP_RETURNED_ERROR:
                return by_status(t);
        case CURLE_UNSUPPORTED_PROTOCOL:
        case CURLE_URL_MALFORMAT:
        case CURLE_TOO_MANY_REDIRECTS:
        case CURLE_PEER_FAILED_VERIFICATION:
        case CURLE_SSL_CACERT_BADFILE:
                return fail(t, DOWNLOAD_E_REFUSED, strdup(*text ? text : curl_easy_strerror(code)));
        default:
                return fail(t, DOWNLOAD_E_TRANSIENT, strdup(*text ? text : curl_easy_strerror(code)));
        }
}

static bool set_options(Transfer *t, const char *range, char *text)
{
        const DownloadSpec *spec = t->spec;
        bool only_https = spec->only_https || startswith(spec->url, "https:");
        usec_t connect = spec->stall ? MIN(spec->stall, CONNECT_MAX) : CONNECT_MAX;
        CURL *c = t->curl;

        return curl_easy_setopt(c, CURLOPT_ERRORBUFFER, text) == CURLE_OK &&
               curl_easy_setopt(c, CURLOPT_URL, spec->url) == CURLE_OK &&
               curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK &&
               curl_easy_setopt(c, CURLOPT_REDIR_PROTOCOLS_STR, only_https ? "https" : "http,https") ==
                               CURLE_OK &&
               curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 1L) == CURLE_OK &&
               curl_easy_setopt(c, CURLOPT_MAXREDIRS, (long)REDIRECTIONS_MAX) == CURLE_OK &&
               curl_easy_setopt(c, CURLOPT_FAILONERROR, 1L) == CURLE_OK &&
               curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
               curl_easy_setopt(c, CURLOPT_USERAGENT, "nvidia-driverd") == CURLE_OK &&
               curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT_MS, (long)MAX(connect / USEC_PER_MSEC, 1U)) ==
                               CURLE_OK &&
               curl_easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT, (long)SLOW_BYTES) == CURLE_OK &&
               curl_easy_setopt(c, CURLOPT_LOW_SPEED_TIME,
                               (long)(spec->stall ? MAX(spec->stall / USEC_PER_SEC, 1U) : 0)) == CURLE_OK &&
               curl_easy_setopt(c, CURLOPT_RANGE, range) == CURLE_OK &&
               curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_header) == CURLE_OK &&
               curl_easy_setopt(c, CURLOPT_HEADERDATA, t) == CURLE_OK &&
               curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body) == CURLE_OK &&
               curl_easy_setopt(c, CURLOPT_WRITEDATA, t) == CURLE_OK;
}

bool download_is_permitted(void)
{
        static const int families[] = { AF_INET, AF_INET6 };

        for (size_t i = 0; i < ELEMENTSOF(families); i++) {
                int fd = socket(families[i], SOCK_STREAM | SOCK_CLOEXEC, 0);

                if (fd >= 0) {
                        safe_close(fd);
                        return true;
                }
        }
        return false;
}

int download(const DownloadSpec *spec, DownloadResult *ret, char **reterr)
{
        _cleanup_(transfer_done) Transfer t = { .spec = spec, .range = UINT64_MAX };
        char range[32], text[CURL_ERROR_SIZE] = "";
        off_t end = lseek(spec->fd, 0, SEEK_END);
        int r;

        if (end < 0)
                return err_origin(-errno);
        if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
                return err_origin(-ENOMEM);
        t.curl = curl_easy_init();
        if (!t.curl)
                return err_origin(-ENOMEM);
        t.offset = t.at = (uint64_t)end;
        (void)snprintf(range, sizeof(range), "%llu-", (unsigned long long)t.offset);
        if (!set_options(&t, t.offset > 0 ? range : NULL, text))
                return err_origin(-EOPNOTSUPP);

        r = judge(&t, curl_easy_perform(t.curl), text);
        *ret = t.result;
        if (r > 0) {
                free(*reterr);
                *reterr = TAKE_PTR(t.reason);
        }
        return r < 0 ? err_origin(r) : r;
}
