/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Values of the configuration: from text to field, one small parser per kind.
 * A parser builds the new value aside and puts it into the field as its last
 * step, so a value that is refused leaves the earlier one in place.
 *
 * The parsers are strict on purpose. A configuration that is guessed at is
 * found out at three in the morning; one that is refused is found out when it
 * is written.
 */

#include <ctype.h>
#include <limits.h>

#include "base/result.h"
#include "base/str.h"
#include "policy/config-table.h"
#include "policy/mirror.h"
#include "policy/pciaddress.h"

enum {
        MODULE_NAME_MAX = 55, /* the kernel's MODULE_NAME_LEN on 64 bits, less the NUL */
        VERSION_PARTS_MAX = 4,
        VERSION_DIGITS_MAX = 5,
};

#define SPAN_MIN  USEC_PER_MSEC
#define DELAY_MAX (24 * USEC_PER_HOUR)

static const char *const driver_choices[] = {
        [DRIVER_CHOICE_AUTO] = "auto",
        [DRIVER_CHOICE_PROPRIETARY] = "proprietary",
        [DRIVER_CHOICE_OPEN] = "open",
};
_Static_assert(ELEMENTSOF(driver_choices) == _DRIVER_CHOICE_MAX, "each type has a name");

const char *driver_choice_to_string(DriverChoice type)
{
        return type >= 0 && type < _DRIVER_CHOICE_MAX ? driver_choices[type] : NULL;
}

DriverChoice driver_choice_from_string(const char *name)
{
        for (DriverChoice type = 0; type < _DRIVER_CHOICE_MAX; type++)
                if (streq(driver_choices[type], name))
                        return type;
        return _DRIVER_CHOICE_INVALID;
}

static const char *const stop_policies[] = {
        [STOP_POLICY_LEAVE] = "leave",
        [STOP_POLICY_WAIT] = "wait",
        [STOP_POLICY_EVICT] = "evict",
};
_Static_assert(ELEMENTSOF(stop_policies) == _STOP_POLICY_MAX, "each policy has a name");

const char *stop_policy_to_string(StopPolicy policy)
{
        return policy >= 0 && policy < _STOP_POLICY_MAX ? stop_policies[policy] : NULL;
}

StopPolicy stop_policy_from_string(const char *name)
{
        for (StopPolicy policy = 0; policy < _STOP_POLICY_MAX; policy++)
                if (streq(stop_policies[policy], name))
                        return policy;
        return _STOP_POLICY_INVALID;
}

/* "535.261.03", "535": digits and dots. */
static bool version_is_valid(const char *s)
{
        unsigned parts = 0;

        for (;;) {
                size_t n = strspn(s, "0123456789");

                if (n == 0 || n > VERSION_DIGITS_MAX || ++parts > VERSION_PARTS_MAX)
                        return false;
                s += n;
                if (!*s)
                        return true;
                if (*s++ != '.')
                        return false;
        }
}

bool config_modname_is_valid(const char *s)
{
        size_t n = strlen(s);

        if (n == 0 || n > MODULE_NAME_MAX || !isalnum((unsigned char)*s))
                return false;
        for (; *s; s++)
                if (!isalnum((unsigned char)*s) && *s != '_' && *s != '-')
                        return false;
        return true;
}

/*
 * The kernel's next_arg() cuts at blanks outside of double quotes, and knows no
 * escape. An open quote would swallow the next parameter, so it is refused.
 */
static const char *skip_parameter_value(const char *s)
{
        bool quoted = false;

        for (; *s && (quoted || !isspace((unsigned char)*s)); s++)
                if (*s == '"')
                        quoted = !quoted;
        return quoted ? NULL : s;
}

bool config_parameters_are_valid(const char *s)
{
        for (;;) {
                size_t n;

                s += strspn(s, " \t");
                if (!*s)
                        return true;
                for (n = 0; isalnum((unsigned char)s[n]) || s[n] == '_' || s[n] == '-'; n++)
                        ;
                s += n;
                if (n == 0 || (*s && *s != '=' && !isspace((unsigned char)*s)))
                        return false;
                s = skip_parameter_value(s);
                if (!s)
                        return false;
        }
}

static int set_string(char **field, char *value)
{
        if (!value)
                return err_origin(-ENOMEM);
        free(*field);
        *field = value;
        return 0;
}

/* Refuses "..", which would mean something else once a symlink is involved; drops empty components. */
static int parse_path(const char *value, char **field)
{
        _cleanup_strv_ char **parts = NULL;
        _cleanup_free_ char *joined = NULL;
        int r;

        if (*value != '/' || strlen(value) >= PATH_MAX)
                return CONFIG_E_BAD_VALUE;

        r = strv_split(value, "/", &parts);
        if (r)
                return err_trace(r);
        if (!parts || strv_contains(parts, "..") || strv_contains(parts, "."))
                return CONFIG_E_BAD_VALUE;

        joined = strv_join(parts, "/");
        if (!joined)
                return err_origin(-ENOMEM);
        return err_trace(set_string(field, str_format("/%s", joined)));
}

/* A name for execvp(3) or an absolute path; blanks would be arguments, and those are the build's business.
 */
static int parse_program(const char *value, char **field)
{
        for (const char *p = value; *p; p++)
                if (!isalnum((unsigned char)*p) && !strchr("._+-/", *p))
                        return CONFIG_E_BAD_VALUE;
        if (*value == '-')
                return CONFIG_E_BAD_VALUE;
        if (strchr(value, '/')) {
                int r = parse_path(value, field);

                return r < 0 ? err_trace(r) : r;
        }
        return err_trace(set_string(field, strdup(value)));
}

/* What RFC 7512 allows in a URI; the rest of its grammar is the token library's business. */
static bool uri_is_valid(const char *s)
{
        for (; *s; s++)
                if (!isalnum((unsigned char)*s) && !strchr("-._~%:[]@!$'()*+,=&;/?|", *s))
                        return false;
        return true;
}

static int parse_key(const char *value, char **field)
{
        const char *rest = startswith(value, CONFIG_PKCS11);
        int r;

        if (rest)
                return *rest && uri_is_valid(rest) ? err_trace(set_string(field, strdup(value)))
                                                   : CONFIG_E_BAD_VALUE;
        r = parse_path(value, field);
        return r < 0 ? err_trace(r) : r;
}

static int parse_toolchain(const char *value, char **field)
{
        int r;

        if (streq(value, TOOLCHAIN_CONTAINER))
                return err_trace(set_string(field, strdup(value)));
        r = parse_path(value, field);
        return r < 0 ? err_trace(r) : r;
}

/* Those that every kernel which verifies modules can be configured for. */
static bool hash_is_valid(const char *s)
{
        return streq(s, "sha256") || streq(s, "sha384") || streq(s, "sha512");
}

static bool has_name(char *const *l, const char *name, bool (*equal)(const char *a, const char *b))
{
        STRV_FOREACH (s, l)
                if (equal(*s, name))
                        return true;
        return false;
}

static int parse_words(const char *value, const char *separators, bool append, bool (*valid)(const char *s),
                bool (*equal)(const char *a, const char *b), char ***field)
{
        _cleanup_strv_ char **words = NULL, **l = NULL;
        int r;

        r = strv_split(value, separators, &words);
        if (r)
                return err_trace(r);
        if (!words)
                return CONFIG_E_BAD_VALUE;

        r = strv_copy(append ? *field : NULL, &l);
        if (r)
                return err_trace(r);

        STRV_FOREACH (word, words) {
                if (!valid(*word))
                        return CONFIG_E_BAD_VALUE;
                if (has_name(l, *word, equal))
                        continue;
                r = strv_push(&l, *word);
                if (r)
                        return err_trace(r);
        }

        strv_free(*field);
        *field = TAKE_PTR(l);
        return 0;
}

static int parse_names(const char *value, bool append, bool (*valid)(const char *s),
                bool (*equal)(const char *a, const char *b), char ***field)
{
        int r = parse_words(value, " \t,", append, valid, equal, field);

        return r < 0 ? err_trace(r) : r;
}

static bool path_is_valid(const char *s)
{
        _cleanup_free_ char *path = NULL;

        return parse_path(s, &path) == 0;
}

static bool any_name(const char *s)
{
        return true;
}

/* Two ways to write one address are one address. */
static int parse_addresses(const char *value, bool append, char ***field)
{
        _cleanup_strv_ char **words = NULL, **addresses = NULL;
        _cleanup_free_ char *text = NULL;
        int r;

        r = strv_split(value, " \t,", &words);
        if (r)
                return err_trace(r);
        STRV_FOREACH (word, words) {
                char address[PCI_ADDRESS_SIZE];

                if (!pci_address_parse(*word, address))
                        return CONFIG_E_BAD_VALUE;
                r = strv_push(&addresses, address);
                if (r)
                        return err_trace(r);
        }

        text = strv_join(addresses, " ");
        if (!text)
                return err_origin(-ENOMEM);
        r = parse_names(text, append, any_name, streq, field);
        return r < 0 ? err_trace(r) : r;
}

static int parse_number(const ConfigKey *key, const char *value, unsigned *field)
{
        uint64_t number;

        if (str_to_u64(value, 10, key->min, key->max, &number))
                return CONFIG_E_BAD_VALUE;
        *field = (unsigned)number;
        return 0;
}

static int parse_span(const char *value, usec_t max, usec_t *field)
{
        usec_t span;

        if (str_to_usec(value, &span) || span < SPAN_MIN || span > max)
                return CONFIG_E_BAD_VALUE;
        *field = span;
        return 0;
}

static int parse_type(const char *value, DriverChoice *field)
{
        DriverChoice type = driver_choice_from_string(value);

        if (type < 0)
                return CONFIG_E_BAD_VALUE;
        *field = type;
        return 0;
}

static int parse_policy(const char *value, StopPolicy *field)
{
        StopPolicy policy = stop_policy_from_string(value);

        if (policy < 0)
                return CONFIG_E_BAD_VALUE;
        *field = policy;
        return 0;
}

static int parse_auto(const char *value, ConfigAuto *field)
{
        bool yes = false;

        if (streq(value, "auto"))
                *field = CONFIG_AUTO_AUTO;
        else if (str_to_bool(value, &yes) == 0)
                *field = yes ? CONFIG_AUTO_YES : CONFIG_AUTO_NO;
        else
                return CONFIG_E_BAD_VALUE;
        return 0;
}

static int parse(const ConfigKey *key, const char *value, bool append, void *field)
{
        switch (key->kind) {
        case CONFIG_VERSION:
                return version_is_valid(value) ? set_string(field, strdup(value)) : CONFIG_E_BAD_VALUE;
        case CONFIG_TYPE:
                return parse_type(value, field);
        case CONFIG_PATH:
                return parse_path(value, field);
        /* A comma may be part of a path or a URL, so only blanks separate. */
        case CONFIG_PATHS:
                return parse_words(value, " \t", append, path_is_valid, streq, field);
        case CONFIG_PROGRAM:
                return parse_program(value, field);
        case CONFIG_KEY:
                return parse_key(value, field);
        case CONFIG_HASH:
                return hash_is_valid(value) ? set_string(field, strdup(value)) : CONFIG_E_BAD_VALUE;
        case CONFIG_MODULES:
                return parse_names(value, append, config_modname_is_valid, modname_eq, field);
        case CONFIG_NUMBER:
                return parse_number(key, value, field);
        case CONFIG_SPAN:
                return parse_span(value, USEC_INFINITY, field);
        case CONFIG_DELAY:
                return parse_span(value, DELAY_MAX, field);
        case CONFIG_BOOL:
                return str_to_bool(value, field) ? CONFIG_E_BAD_VALUE : 0;
        case CONFIG_AUTO:
                return parse_auto(value, field);
        case CONFIG_POLICY:
                return parse_policy(value, field);
        case CONFIG_NAMES:
                return parse_names(value, append, config_service_name_is_valid, streq, field);
        case CONFIG_ADDRESSES:
                return parse_addresses(value, append, field);
        case CONFIG_TOOLCHAIN:
                return parse_toolchain(value, field);
        case CONFIG_MIRRORS:
                return parse_words(value, " \t", append, mirror_is_valid, streq, field);
        case CONFIG_CHECKSUM:
                return checksum_parse(value, &(Checksum){}) ? set_string(field, strdup(value))
                                                            : CONFIG_E_BAD_VALUE;
        case _CONFIG_KIND_MAX:
                break;
        }
        return err_origin(-ENOTRECOVERABLE);
}

int config_parse(const ConfigKey *key, const char *value, bool append, void *field)
{
        int r;

        if (!*value) {
                config_clear(key, field);
                return 0;
        }

        r = parse(key, value, append, field);
        return r < 0 ? err_trace(r) : r;
}

void config_clear(const ConfigKey *key, void *field)
{
        switch (key->kind) {
        case CONFIG_VERSION:
        case CONFIG_PATH:
        case CONFIG_PROGRAM:
        case CONFIG_KEY:
        case CONFIG_HASH:
        case CONFIG_TOOLCHAIN:
        case CONFIG_CHECKSUM:
                freep(field);
                break;
        case CONFIG_MODULES:
        case CONFIG_NAMES:
        case CONFIG_PATHS:
        case CONFIG_ADDRESSES:
        case CONFIG_MIRRORS:
                *(char ***)field = strv_free(*(char ***)field);
                break;
        case CONFIG_TYPE:
        case CONFIG_NUMBER:
        case CONFIG_SPAN:
        case CONFIG_DELAY:
        case CONFIG_BOOL:
        case CONFIG_AUTO:
        case CONFIG_POLICY:
        case _CONFIG_KIND_MAX:
                break;
        }
}
