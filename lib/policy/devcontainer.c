/* SPDX-License-Identifier: Apache-2.0 */

#include <ctype.h>

#include "base/result.h"
#include "base/str.h"
#include "policy/devcontainer.h"
#include "policy/envfile.h"

enum { VALUE_MAX = 64 };

static const char *const versions[] = { "VERSION", "VERSION_ID", NULL };
static const char *const boards[] = { "FLATCAR_BOARD", "COREOS_BOARD", NULL };

void devcontainer_done(DevContainer *d)
{
        free(d->version);
        free(d->board);
        free(d->channel);
        *d = (DevContainer){};
}

static bool value_is_valid(const char *s)
{
        if (!isalnum((unsigned char)*s) || strlen(s) > VALUE_MAX)
                return false;
        for (; *s; s++)
                if (!isalnum((unsigned char)*s) && !strchr("._+-", *s))
                        return false;
        return true;
}

static int foreign(char **reterr, char *why)
{
        if (!why)
                return err_origin(-ENOMEM);
        *reterr = why;
        return DEVCONTAINER_E_FOREIGN;
}

/* The first of @names that is set. */
static int get_first(const char *text, const char *const *names, char **ret)
{
        for (; *names; names++) {
                int r = envfile_get(text, *names, ret);

                if (r || *ret)
                        return err_trace(r);
        }
        return 0;
}

static int get_channel(const char *update_usr, const char *update_etc, char **ret)
{
        int r = update_etc ? envfile_get(update_etc, "GROUP", ret) : 0;

        if (r == 0 && isempty(*ret)) {
                freep(ret);
                r = update_usr ? envfile_get(update_usr, "GROUP", ret) : 0;
        }
        if (r == 0 && isempty(*ret))
                r = str_replace(ret, "stable"); /* as update_engine does */
        return err_trace(r);
}

static int check_values(const DevContainer *d, char **reterr)
{
        const struct {
                const char *name, *value;
        } values[] = { { "VERSION", d->version }, { "FLATCAR_BOARD", d->board }, { "GROUP", d->channel } };

        for (size_t i = 0; i < ELEMENTSOF(values); i++) {
                if (isempty(values[i].value))
                        return foreign(reterr,
                                        str_format("the host's os-release has no %s=", values[i].name));
                if (!value_is_valid(values[i].value))
                        return foreign(reterr,
                                        str_format("%s=%s of the host is not what can be a file's name",
                                                        values[i].name, values[i].value));
        }
        return 0;
}

static int identify(const char *os_release, const char *update_usr, const char *update_etc, DevContainer *d,
                char **reterr)
{
        _cleanup_free_ char *id = NULL;
        int r;

        r = envfile_get(os_release, "ID", &id);
        if (r)
                return err_trace(r);
        if (!streq(strempty(id), "flatcar"))
                return foreign(reterr,
                                str_format("the host's os-release says ID=%s, not flatcar", strempty(id)));
        r = get_first(os_release, versions, &d->version);
        if (r == 0)
                r = get_first(os_release, boards, &d->board);
        if (r == 0)
                r = get_channel(update_usr, update_etc, &d->channel);
        if (r)
                return err_trace(r);
        return check_values(d, reterr);
}

int devcontainer_identify(const char *os_release, const char *update_usr, const char *update_etc,
                DevContainer *ret, char **reterr)
{
        DevContainer d = {};
        int r = identify(os_release, update_usr, update_etc, &d, reterr);

        if (r) {
                devcontainer_done(&d);
                return r < 0 ? err_trace(r) : r;
        }
        *ret = d;
        return 0;
}

int devcontainer_compare(const DevContainer *d, const char *os_release, char **ret_difference)
{
        _cleanup_free_ char *version = NULL, *board = NULL;
        int r;

        r = get_first(os_release, versions, &version);
        if (r == 0)
                r = get_first(os_release, boards, &board);
        if (r)
                return err_trace(r);
        /* Not every developer container says its board. */
        if (streq(strempty(version), d->version) && (!board || streq(board, d->board))) {
                *ret_difference = NULL;
                return 0;
        }
        *ret_difference = str_format("it is of version %s for %s, this host of %s for %s",
                        version ? version : "unknown", board ? board : "an unknown board", d->version,
                        d->board);
        return *ret_difference ? 0 : err_origin(-ENOMEM);
}

MirrorRelease devcontainer_release(const DevContainer *d)
{
        return (MirrorRelease){ .channel = d->channel, .board = d->board, .version = d->version };
}

#define NAME "flatcar_developer_container.bin"

const char *devcontainer_name(size_t i)
{
        static const char *const names[] = { NAME ".bz2", NAME ".zst", NAME ".xz", NAME ".gz", NAME };

        return i < ELEMENTSOF(names) ? names[i] : NULL;
}

static bool cut_suffix(const char *const *suffixes, const char *s, size_t *n)
{
        for (; *suffixes; suffixes++) {
                size_t length = strlen(*suffixes);

                if (*n > length && strncmp(s + *n - length, *suffixes, length) == 0) {
                        *n -= length;
                        return true;
                }
        }
        return false;
}

bool devcontainer_is_file(const char *mirror)
{
        static const char *const filters[] = { ".bz2", ".zst", ".xz", ".gz", NULL }, *const images[] = {
                ".bin", ".img", ".raw", NULL
        };
        size_t n = strlen(mirror);

        (void)cut_suffix(filters, mirror, &n);
        return cut_suffix(images, mirror, &n);
}

char *devcontainer_cache_prefix(const DevContainer *d)
{
        return str_format("flatcar-developer-container-%s-%s-", d->version, d->board);
}

char *devcontainer_cache_name(const DevContainer *d, const Checksum *checksum)
{
        _cleanup_free_ char *prefix = devcontainer_cache_prefix(d);

        return prefix ? str_format("%s%.12s", prefix, checksum->hex) : NULL;
}

/* "# SHA512 HASH": what the lines below it are; invalid for one that we do not know. */
static ChecksumKind heading(const char *line)
{
        line += 1 + strspn(line + 1, " \t");
        for (ChecksumKind kind = 0; kind < _CHECKSUM_KIND_MAX; kind++) {
                const char *name = checksum_kind_to_string(kind);
                size_t n = strlen(name);

                if (strncasecmp(line, name, n) == 0 && !isalnum((unsigned char)line[n]))
                        return kind;
        }
        return _CHECKSUM_KIND_INVALID;
}

/* "HEX  NAME", as sha512sum(1) writes it. */
static bool line_is_about(const char *line, size_t length, const char *name, size_t *ret_hex)
{
        size_t hex = strcspn(line, " \t\n"), n = strlen(name);

        if (hex >= length)
                return false;
        *ret_hex = hex;
        hex += strspn(line + hex, " \t");
        if (line[hex] == '*')
                hex++;
        if (strncmp(line + hex, "./", 2) == 0)
                hex += 2;
        while (length > hex && strchr(" \t\r", line[length - 1]))
                length--;
        return length == hex + n && strncmp(line + hex, name, n) == 0;
}

bool devcontainer_digest(const char *text, const char *name, Checksum *ret)
{
        ChecksumKind kind = _CHECKSUM_KIND_INVALID;
        Checksum best = { .kind = _CHECKSUM_KIND_INVALID };

        for (const char *line = text; *line; line += *line == '\n') {
                size_t length = strcspn(line, "\n"), hex = 0;
                Checksum found;

                if (*line == '#') {
                        kind = heading(line);
                } else if (kind >= 0 && line_is_about(line, length, name, &hex)) {
                        if (!checksum_set(kind, line, hex, &found))
                                return false;
                        if (best.kind == kind && !checksum_equal(&best, &found))
                                return false;
                        if (found.kind > best.kind)
                                best = found;
                }
                line += length;
        }
        if (best.kind < 0)
                return false;
        *ret = best;
        return true;
}

void devimage_done(DevImage *i)
{
        free(i->digest);
        free(i->source);
        *i = (DevImage){};
}

char *devimage_format(const DevImage *i, const DevContainer *d)
{
        return str_format(
                        "version=%s\nboard=%s\nchannel=%s\nchecksum=%s:%s\nsize=%llu\ndigest=%s\nsource=%s\n",
                        d->version, d->board, d->channel, checksum_kind_to_string(i->checksum.kind),
                        i->checksum.hex, (unsigned long long)i->size, i->digest, i->source);
}

int devimage_parse(const char *text, DevImage *ret)
{
        _cleanup_free_ char *checksum = NULL, *size = NULL;
        DevImage i = {};
        int r;

        r = envfile_get(text, "checksum", &checksum);
        if (r == 0)
                r = envfile_get(text, "size", &size);
        if (r == 0)
                r = envfile_get(text, "digest", &i.digest);
        if (r == 0)
                r = envfile_get(text, "source", &i.source);
        if (r == 0 && (!checksum || !size || !i.digest || !i.source ||
                                      !checksum_parse(checksum, &i.checksum) ||
                                      str_to_u64(size, 10, 1, INT64_MAX, &i.size)))
                r = 1;
        if (r) {
                devimage_done(&i);
                return r < 0 ? err_trace(r) : r;
        }
        *ret = i;
        return 0;
}
