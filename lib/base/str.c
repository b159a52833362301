/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Strings and string vectors: small, total functions. Bounded by their input;
 * whoever reads input from outside bounds it there.
 */

#include <ctype.h>
#include <inttypes.h>

#include "base/result.h"
#include "base/str.h"

char **strv_free(char **l)
{
        if (!l)
                return NULL;

        for (char **s = l; *s; s++)
                free(*s);
        free(l);
        return NULL;
}

size_t strv_length(char *const *l)
{
        size_t n = 0;

        STRV_FOREACH (s, l)
                n++;
        return n;
}

bool strv_contains(char *const *l, const char *needle)
{
        STRV_FOREACH (s, l)
                if (streq(*s, needle))
                        return true;
        return false;
}

int strv_push_consume(char ***l, char *s)
{
        size_t n = strv_length(*l);
        char **grown;

        if (!s)
                return err_origin(-ENOMEM);

        grown = reallocarray(*l, n + 2, sizeof(char *));
        if (!grown) {
                free(s);
                return err_origin(-ENOMEM);
        }

        grown[n] = s;
        grown[n + 1] = NULL;
        *l = grown;
        return 0;
}

int strv_push(char ***l, const char *s)
{
        return err_trace(strv_push_consume(l, strdup(s)));
}

int strv_pushf(char ***l, const char *format, ...)
{
        char *s = NULL;
        va_list ap;
        int n;

        va_start(ap, format);
        n = vasprintf(&s, format, ap);
        va_end(ap);
        return err_trace(strv_push_consume(l, n < 0 ? NULL : s));
}

void strv_remove(char **l, const char *s)
{
        char **keep = l;

        STRV_FOREACH (item, l) {
                if (streq(*item, s))
                        free(*item);
                else
                        *keep++ = *item;
        }
        if (keep)
                *keep = NULL;
}

int strv_copy(char *const *l, char ***ret)
{
        _cleanup_strv_ char **copy = NULL;
        int r;

        STRV_FOREACH (s, l) {
                r = strv_push(&copy, *s);
                if (r)
                        return err_trace(r);
        }

        *ret = TAKE_PTR(copy);
        return 0;
}

/* How many words split() finds. */
static size_t count_words(const char *s, const char *separators, bool keep_empty)
{
        size_t n_words = 0;

        while (*s) {
                size_t n = strcspn(s, separators);

                n_words += n > 0 || keep_empty;
                s += n;
                if (*s)
                        s++;
        }
        return n_words;
}

/* strv_push() would count the vector for each word, and the text may have very many. */
static int split(const char *s, const char *separators, bool keep_empty, char ***ret)
{
        _cleanup_strv_ char **l = NULL;
        size_t n_words = count_words(s, separators, keep_empty), i = 0;

        if (n_words == 0) {
                *ret = NULL;
                return 0;
        }
        l = calloc(n_words + 1, sizeof(*l));
        if (!l)
                return err_origin(-ENOMEM);
        while (*s) {
                size_t n = strcspn(s, separators);

                if (n > 0 || keep_empty) {
                        l[i] = strndup(s, n);
                        if (!l[i++])
                                return err_origin(-ENOMEM);
                }
                s += n;
                if (*s)
                        s++;
        }

        *ret = TAKE_PTR(l);
        return 0;
}

int strv_split(const char *s, const char *separators, char ***ret)
{
        return split(s, separators, false, ret);
}

int strv_split_lines(const char *s, char ***ret)
{
        return split(s, "\n", true, ret);
}

char *strv_join(char *const *l, const char *separator)
{
        size_t size = 1, n_separator = strlen(separator);
        char *joined, *p;

        STRV_FOREACH (s, l)
                size += strlen(*s) + n_separator;

        joined = malloc(size);
        if (!joined)
                return NULL;

        p = joined;
        STRV_FOREACH (s, l) {
                if (s != l)
                        p = stpcpy(p, separator);
                p = stpcpy(p, *s);
        }
        *p = '\0';
        return joined;
}

static int compare_strings(const void *a, const void *b)
{
        return strcmp(*(char *const *)a, *(char *const *)b);
}

void strv_sort(char **l)
{
        if (l)
                qsort(l, strv_length(l), sizeof(char *), compare_strings);
}

char *str_format(const char *format, ...)
{
        char *s = NULL;
        va_list ap;
        int n;

        va_start(ap, format);
        n = vasprintf(&s, format, ap);
        va_end(ap);
        return n < 0 ? NULL : s;
}

int str_replace(char **s, const char *value)
{
        char *copy = NULL;

        if (value) {
                copy = strdup(value);
                if (!copy)
                        return err_origin(-ENOMEM);
        }

        free(*s);
        *s = copy;
        return 0;
}

char *str_strip(char *s)
{
        size_t n;

        s += strspn(s, " \t\r\n");
        n = strlen(s);
        while (n > 0 && strchr(" \t\r\n", s[n - 1]))
                n--;
        s[n] = '\0';
        return s;
}

/* Bytes of the UTF-8 character at @s, 0 if it is none: an encoding too long, a surrogate, beyond Unicode. */
static size_t decode(const unsigned char *s, uint32_t *ret)
{
        static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
        size_t n = *s < 0x80 ? 1 : *s < 0xc0 ? 0 : *s < 0xe0 ? 2 : *s < 0xf0 ? 3 : *s < 0xf8 ? 4 : 0;
        uint32_t c = n == 1 ? *s : *s & (0x7fU >> n);

        for (size_t i = 1; i < n; i++) {
                if ((s[i] & 0xc0) != 0x80)
                        return 0;
                c = c << 6 | (s[i] & 0x3f);
        }
        if (n > 1 && (c < least[n] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000)))
                return 0;
        *ret = c;
        return n;
}

static bool is_printable(uint32_t c)
{
        if (c < 0x20 || (c >= 0x7f && c < 0xa0))
                return false;
        return c != 0x061c && c != 0x200e && c != 0x200f && !(c >= 0x2028 && c <= 0x202e) &&
               !(c >= 0x2066 && c <= 0x2069);
}

char *str_printable(char *s)
{
        char *to = s;

        for (const char *p = s; p && *p;) {
                uint32_t c = 0;
                size_t n = decode((const unsigned char *)p, &c);

                if (n > 0 && is_printable(c)) {
                        memmove(to, p, n);
                        to += n;
                } else {
                        *to++ = c == '\n' || c == '\r' || c == '\t' ? ' ' : '?';
                }
                p += n > 0 ? n : 1;
        }
        if (to)
                *to = '\0';
        return s;
}

bool str_is_printable(const char *s)
{
        while (*s) {
                uint32_t c = 0;
                size_t n = decode((const unsigned char *)s, &c);

                if (n == 0 || !is_printable(c))
                        return false;
                s += n;
        }
        return true;
}

char *str_underscore(char *s)
{
        for (char *p = s; *p; p++)
                if (*p == '-')
                        *p = '_';
        return s;
}

bool modname_eq(const char *a, const char *b)
{
        for (; *a && *b; a++, b++)
                if (*a != *b && !(strchr("-_", *a) && strchr("-_", *b)))
                        return false;
        return *a == *b;
}

int str_to_u64(const char *s, int base, uint64_t min, uint64_t max, uint64_t *ret)
{
        unsigned long long value;
        char *end = NULL;

        /* strtoull() accepts signs and leading blanks; a configuration should not. */
        if (!isxdigit((unsigned char)*s))
                return -EINVAL;

        errno = 0;
        value = strtoull(s, &end, base);
        if (*end)
                return -EINVAL;
        if (errno == ERANGE || value < min || value > max)
                return -ERANGE;

        *ret = value;
        return 0;
}

int str_to_bool(const char *s, bool *ret)
{
        static const char *const yes[] = { "yes", "true", "on", "1", "y", "t" };
        static const char *const no[] = { "no", "false", "off", "0", "n", "f" };

        for (size_t i = 0; i < ELEMENTSOF(yes); i++) {
                if (strcasecmp(s, yes[i]) == 0) {
                        *ret = true;
                        return 0;
                }
                if (strcasecmp(s, no[i]) == 0) {
                        *ret = false;
                        return 0;
                }
        }
        return -EINVAL;
}

static usec_t unit_to_usec(const char *unit, size_t n)
{
        static const struct {
                const char *name;
                usec_t usec;
        } units[] = {
                { "us", 1 },
                { "ms", USEC_PER_MSEC },
                { "s", USEC_PER_SEC },
                { "sec", USEC_PER_SEC },
                { "second", USEC_PER_SEC },
                { "seconds", USEC_PER_SEC },
                { "m", USEC_PER_MINUTE },
                { "min", USEC_PER_MINUTE },
                { "minute", USEC_PER_MINUTE },
                { "minutes", USEC_PER_MINUTE },
                { "h", USEC_PER_HOUR },
                { "hr", USEC_PER_HOUR },
                { "hour", USEC_PER_HOUR },
                { "hours", USEC_PER_HOUR },
                { "d", 24 * USEC_PER_HOUR },
                { "day", 24 * USEC_PER_HOUR },
                { "days", 24 * USEC_PER_HOUR },
        };

        if (n == 0)
                return USEC_PER_SEC;

        for (size_t i = 0; i < ELEMENTSOF(units); i++)
                if (strlen(units[i].name) == n && strncmp(units[i].name, unit, n) == 0)
                        return units[i].usec;
        return 0;
}

int str_to_usec(const char *s, usec_t *ret)
{
        usec_t total = 0, product;
        bool any = false;

        if (streq(s, "infinity")) {
                *ret = USEC_INFINITY;
                return 0;
        }

        for (;;) {
                unsigned long long value;
                usec_t unit;
                char *end;
                size_t n;

                s += strspn(s, " \t");
                if (!*s)
                        break;
                if (!isdigit((unsigned char)*s))
                        return -EINVAL;

                errno = 0;
                value = strtoull(s, &end, 10);
                if (errno)
                        return -EINVAL;
                s = end + strspn(end, " \t");
                for (n = 0; isalpha((unsigned char)s[n]); n++)
                        ;
                unit = unit_to_usec(s, n);
                if (unit == 0 || __builtin_mul_overflow((usec_t)value, unit, &product) ||
                                __builtin_add_overflow(total, product, &total))
                        return -EINVAL;
                s += n;
                any = true;
        }

        if (!any)
                return -EINVAL;
        *ret = total;
        return 0;
}

char *str_from_usec(usec_t usec)
{
        if (usec == USEC_INFINITY)
                return strdup("infinity");
        if (usec >= USEC_PER_HOUR)
                return str_format("%" PRIu64 "h %" PRIu64 "min", usec / USEC_PER_HOUR,
                                usec % USEC_PER_HOUR / USEC_PER_MINUTE);
        if (usec >= USEC_PER_MINUTE)
                return str_format("%" PRIu64 "min %" PRIu64 "s", usec / USEC_PER_MINUTE,
                                usec % USEC_PER_MINUTE / USEC_PER_SEC);
        if (usec >= USEC_PER_SEC)
                return str_format("%.4gs", (double)(usec / (USEC_PER_SEC / 100)) / 100.0);
        return str_format("%" PRIu64 "ms", usec / USEC_PER_MSEC);
}
