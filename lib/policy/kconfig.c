/* SPDX-License-Identifier: Apache-2.0 */

/*
 * .config as data. The text is copied once and cut into strings in place; the
 * index is an array sorted by symbol, because a configuration is read once
 * and asked a few dozen times.
 *
 * The grammar is the one of scripts/kconfig/confdata.c in the kernel: a line
 * is "CONFIG_NAME=value", "# CONFIG_NAME is not set", or nothing we care for.
 * Values in double quotes escape '"' and '\' with a backslash. Later lines
 * replace earlier ones. Text from a tree is foreign input: sizes are bounded
 * and nothing in it is trusted to be terminated.
 */

#include "base/result.h"
#include "base/str.h"
#include "policy/kconfig.h"

#define PREFIX  "CONFIG_"
#define NOT_SET " is not set"

static bool is_symbol_char(char c)
{
        return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
}

/* The length of the symbol that @s begins with. */
static size_t symbol_length(const char *s)
{
        size_t n = 0;

        while (is_symbol_char(s[n]))
                n++;
        return n;
}

/* Takes the quotes and backslashes off, in place; text without quotes stays as it is. */
static char *unquote(char *value)
{
        char *to = value;

        if (*value != '"')
                return value;

        for (const char *from = value + 1; *from && *from != '"'; from++) {
                if (*from == '\\' && from[1])
                        from++;
                *to++ = *from;
        }
        *to = '\0';
        return value;
}

/* Cuts one line. False if it is about no symbol. */
static bool parse_line(char *line, KconfigEntry *ret)
{
        bool comment = false;
        size_t n;

        line[strcspn(line, "\r")] = '\0';
        if (startswith(line, "# " PREFIX)) {
                comment = true;
                line += 2;
        } else if (!startswith(line, PREFIX)) {
                return false;
        }

        line += strlen(PREFIX);
        n = symbol_length(line);
        if (n == 0)
                return false;

        if (comment) {
                if (!streq(line + n, NOT_SET))
                        return false;
                line[n] = '\0';
                *ret = (KconfigEntry){ .name = line };
                return true;
        }

        if (line[n] != '=')
                return false;
        line[n] = '\0';
        *ret = (KconfigEntry){ .name = line, .value = unquote(line + n + 1) };
        if (streq(ret->value, "n"))
                ret->value = NULL;
        return true;
}

/* By name; equal names by their place in the text, so that the last one can win. */
static int compare_entries(const void *a, const void *b)
{
        const KconfigEntry *x = a, *y = b;
        int c = strcmp(x->name, y->name);

        if (c)
                return c;
        return x->name < y->name ? -1 : x->name > y->name;
}

/* Keeps the last of equal names. */
static void drop_repeated(Kconfig *config)
{
        size_t n = 0;

        for (size_t i = 0; i < config->n; i++) {
                if (i + 1 < config->n && streq(config->items[i].name, config->items[i + 1].name))
                        continue;
                config->items[n++] = config->items[i];
        }
        config->n = n;
}

static size_t count_lines(const char *text, size_t size)
{
        size_t n = 1;

        for (size_t i = 0; i < size; i++)
                if (text[i] == '\n')
                        n++;
        return n;
}

int kconfig_parse(const char *text, size_t size, Kconfig **ret)
{
        _cleanup_(kconfig_freep) Kconfig *config = NULL;

        if (size > KCONFIG_SIZE_MAX)
                return KCONFIG_E_TOO_BIG;

        config = calloc(1, sizeof(*config));
        if (!config)
                return err_origin(-ENOMEM);
        config->text = malloc(size + 1);
        config->items = calloc(count_lines(text, size), sizeof(*config->items));
        if (!config->text || !config->items)
                return err_origin(-ENOMEM);

        memcpy(config->text, text, size);
        config->text[size] = '\0';
        for (char *line = config->text, *end = config->text + size, *next; line < end; line = next) {
                char *newline = memchr(line, '\n', (size_t)(end - line));

                next = newline ? newline + 1 : end;
                if (newline)
                        *newline = '\0';
                if (parse_line(line, &config->items[config->n]))
                        config->n++;
        }
        if (config->n == 0)
                return KCONFIG_E_EMPTY;

        qsort(config->items, config->n, sizeof(*config->items), compare_entries);
        drop_repeated(config);
        *ret = TAKE_PTR(config);
        return 0;
}

Kconfig *kconfig_free(Kconfig *config)
{
        if (!config)
                return NULL;

        free(config->text);
        free(config->items);
        free(config);
        return NULL;
}

static int compare_name(const void *key, const void *entry)
{
        return strcmp(key, ((const KconfigEntry *)entry)->name);
}

static const KconfigEntry *find(const Kconfig *config, const char *name)
{
        return bsearch(name, config->items, config->n, sizeof(*config->items), compare_name);
}

const char *kconfig_get(const Kconfig *config, const char *name)
{
        const KconfigEntry *e = find(config, name);

        return e ? e->value : NULL;
}

bool kconfig_enabled(const Kconfig *config, const char *name)
{
        return streq_ptr(kconfig_get(config, name), "y");
}

bool kconfig_names(const Kconfig *config, const char *name)
{
        return find(config, name);
}

int kconfig_parse_listnew(const char *line, char **ret_name, char **ret_value)
{
        _cleanup_free_ char *name = NULL, *value = NULL;
        const char *p;
        size_t n;

        p = startswith(line, PREFIX);
        n = p ? symbol_length(p) : 0;
        if (n == 0 || p[n] != '=')
                return KCONFIG_E_OTHER;

        name = strndup(p, n);
        value = strdup(p + n + 1);
        if (!name || !value)
                return err_origin(-ENOMEM);

        value[strcspn(value, "\r\n")] = '\0';
        (void)unquote(value);
        *ret_name = TAKE_PTR(name);
        *ret_value = TAKE_PTR(value);
        return 0;
}
