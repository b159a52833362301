/* SPDX-License-Identifier: Apache-2.0 */

#include <ctype.h>

#include "base/str.h"
#include "policy/mirror.h"

enum { MIRROR_MAX = 1024 };

/* Behind the scheme; NULL if it has none of ours. */
static const char *after_scheme(const char *text)
{
        const char *rest = startswith(text, "https://");

        return rest ? rest : startswith(text, "http://");
}

static bool has_parent(const char *text)
{
        for (const char *p = text; (p = strstr(p, "/..")); p += 3)
                if (p[3] == '/' || !p[3])
                        return true;
        return false;
}

static bool characters_are_valid(const char *text)
{
        for (const char *p = text; *p; p++) {
                if (!isalnum((unsigned char)*p) && !strchr("-._~%:/[]+,=!$&*();", *p))
                        return false;
                if (*p == '%' && !strchr("cbv%", *++p))
                        return false;
                if (!*p)
                        return false;
        }
        return true;
}

bool mirror_is_valid(const char *text)
{
        const char *rest = after_scheme(text), *path = startswith(text, "file://");

        if (strlen(text) > MIRROR_MAX || !characters_are_valid(text) || has_parent(text))
                return false;
        if (rest)
                return *rest && *rest != '/' && *rest != ':';
        if (!path)
                path = text;
        return *path == '/' && path[strspn(path, "/")];
}

static const char *value_of(char specifier, const MirrorRelease *release)
{
        switch (specifier) {
        case 'c':
                return release->channel;
        case 'b':
                return release->board;
        case 'v':
                return release->version;
        default:
                return "%";
        }
}

char *mirror_expand(const char *text, const MirrorRelease *release)
{
        const char *path = startswith(text, "file://");
        size_t longest = MAX(
                        MAX(strlen(release->channel), strlen(release->board)), strlen(release->version));
        char *expanded, *end;

        text = path ? path : text;
        expanded = malloc(strlen(text) * (longest + 1) + 1);
        if (!expanded)
                return NULL;
        end = expanded;
        for (; *text; text++)
                if (*text == '%' && text[1])
                        end = stpcpy(end, value_of(*++text, release));
                else
                        *end++ = *text;
        while (end > expanded && end[-1] == '/')
                end--;
        *end = '\0';
        return expanded;
}

bool mirror_is_remote(const char *mirror)
{
        return after_scheme(mirror) != NULL;
}

/* Four numbers, the first of them 127; not "127.0.0.1.example.com". */
static bool is_loopback_address(const char *host, size_t n)
{
        unsigned parts = 1, digits = 0;

        if (n < 4 || strncmp(host, "127.", 4) != 0)
                return false;
        for (size_t i = 0; i < n; i++) {
                if (host[i] == '.') {
                        if (digits == 0)
                                return false;
                        parts++;
                        digits = 0;
                } else if (!isdigit((unsigned char)host[i]) || ++digits > 3) {
                        return false;
                }
        }
        return parts == 4 && digits > 0;
}

bool mirror_is_trusted(const char *mirror)
{
        const char *host = startswith(mirror, "http://");
        size_t n;

        if (!host)
                return true;
        if (startswith(host, "[::1]") && strchr(":/", host[5]))
                return true;
        n = strcspn(host, ":/");
        return (n == strlen("localhost") && strncmp(host, "localhost", n) == 0) ||
               is_loopback_address(host, n);
}

static const char *const checksum_kinds[] = {
        [CHECKSUM_SHA256] = "sha256",
        [CHECKSUM_SHA512] = "sha512",
};
_Static_assert(ELEMENTSOF(checksum_kinds) == _CHECKSUM_KIND_MAX, "each kind has a name");

const char *checksum_kind_to_string(ChecksumKind kind)
{
        return kind >= 0 && kind < _CHECKSUM_KIND_MAX ? checksum_kinds[kind] : NULL;
}

ChecksumKind checksum_kind_from_string(const char *name)
{
        for (ChecksumKind kind = 0; kind < _CHECKSUM_KIND_MAX; kind++)
                if (streq(checksum_kinds[kind], name))
                        return kind;
        return _CHECKSUM_KIND_INVALID;
}

size_t checksum_length(ChecksumKind kind)
{
        return kind == CHECKSUM_SHA512 ? 128 : 64;
}

bool checksum_set(ChecksumKind kind, const char *hex, size_t length, Checksum *ret)
{
        if (length != checksum_length(kind))
                return false;
        for (size_t i = 0; i < length; i++)
                if (!isxdigit((unsigned char)hex[i]))
                        return false;
        ret->kind = kind;
        for (size_t i = 0; i < length; i++)
                ret->hex[i] = (char)tolower((unsigned char)hex[i]);
        ret->hex[length] = '\0';
        return true;
}

bool checksum_parse(const char *text, Checksum *ret)
{
        for (ChecksumKind kind = 0; kind < _CHECKSUM_KIND_MAX; kind++) {
                const char *hex = startswith(text, checksum_kinds[kind]);

                if (hex && *hex == ':')
                        return checksum_set(kind, hex + 1, strlen(hex + 1), ret);
        }
        return false;
}

bool checksum_equal(const Checksum *a, const Checksum *b)
{
        return a->kind == b->kind && streq(a->hex, b->hex);
}
