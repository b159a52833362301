/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The kernel only warns of a parameter that a module does not have, and goes
 * on without it: a letter too many, and a driver runs for months without what
 * somebody set. So it is looked for here, and told.
 *
 * Kernel facts (kernel/params.c): blanks outside of double quotes separate, '-'
 * and '_' in names are the same, of two values the later one holds.
 */

#include <ctype.h>

#include "base/result.h"
#include "base/str.h"
#include "policy/nearest.h"
#include "policy/parameters.h"

/* The kernel's own, which every module takes (kernel/module/main.c). */
static const char *const common[] = { "async_probe", "dyndbg" };

/* Cuts off the next "name" or "name=value"; *@ret_length 0 at the end. */
static const char *next_word(const char **s, size_t *ret_length)
{
        bool quoted = false;
        const char *word;

        while (isspace((unsigned char)**s))
                (*s)++;
        word = *s;
        for (; **s && (quoted || !isspace((unsigned char)**s)); (*s)++)
                if (**s == '"')
                        quoted = !quoted;
        *ret_length = (size_t)(*s - word);
        return word;
}

static bool same_name(const char *a, size_t n_a, const char *b, size_t n_b)
{
        if (n_a != n_b)
                return false;
        for (size_t i = 0; i < n_a; i++)
                if (a[i] != b[i] && !(strchr("-_", a[i]) && strchr("-_", b[i])))
                        return false;
        return true;
}

/* The last assignment to a name; NULL if there is none. */
static const char *find(const char *text, const char *name, size_t n_name, size_t *ret_length)
{
        const char *word, *found = NULL;
        size_t n;

        while ((word = next_word(&text, &n)), n > 0) {
                const char *equals = memchr(word, '=', n);

                if (!same_name(word, equals ? (size_t)(equals - word) : n, name, n_name))
                        continue;
                found = word;
                *ret_length = n;
        }
        return found;
}

static bool is_part_of(const char *a, const char *b)
{
        const char *word;
        size_t n;

        for (const char *s = a; (word = next_word(&s, &n)), n > 0;) {
                const char *equals = memchr(word, '=', n), *in_a, *in_b;
                size_t n_name = equals ? (size_t)(equals - word) : n, n_a = 0, n_b = 0;

                in_a = find(a, word, n_name, &n_a);
                in_b = find(b, word, n_name, &n_b);
                if (!in_b || n_a - n_name != n_b - n_name ||
                                memcmp(in_a + n_name, in_b + n_name, n_a - n_name) != 0)
                        return false;
        }
        return true;
}

bool parameters_equal(const char *a, const char *b)
{
        a = strempty(a);
        b = strempty(b);
        return is_part_of(a, b) && is_part_of(b, a);
}

bool parameters_value_equal(const char *shown, const char *written)
{
        uint64_t a, b;
        bool yes, also;

        if (streq(shown, written))
                return true;
        if (str_to_u64(shown, 0, 0, UINT64_MAX, &a) == 0 && str_to_u64(written, 0, 0, UINT64_MAX, &b) == 0)
                return a == b;
        /* A boolean is shown as Y or N, and nothing else is. */
        if (!streq(shown, "Y") && !streq(shown, "N"))
                return false;
        yes = *shown == 'Y';
        also = strchr("1yYtT", *written) || strcasecmp(written, "on") == 0;
        return *written && yes == also;
}

static bool is_known(char *const *names, const char *name)
{
        for (size_t i = 0; i < ELEMENTSOF(common); i++)
                if (modname_eq(common[i], name))
                        return true;
        STRV_FOREACH (known, names)
                if (modname_eq(*known, name))
                        return true;
        return false;
}

/* Near by letters, or the same without a prefix such as NVreg_. */
static const char *suggest(char *const *names, const char *name)
{
        const char *best = NULL;
        unsigned least = UINT32_MAX;

        STRV_FOREACH (known, names) {
                size_t n_known = strlen(*known), n = strlen(name);
                unsigned d = nearest_distance(name, *known);

                if (n >= 3 && n_known > n && strcasecmp(*known + n_known - n, name) == 0)
                        return *known;
                if (d < least && nearest_is_near(d, *known)) {
                        least = d;
                        best = *known;
                }
        }
        return best;
}

static int check_file(const BuildFile *f, const char *text, char **ret_detail)
{
        const char *word;
        size_t n;

        while ((word = next_word(&text, &n)), n > 0) {
                const char *equals = memchr(word, '=', n), *near;
                _cleanup_free_ char *name = strndup(word, equals ? (size_t)(equals - word) : n);

                if (!name)
                        return err_origin(-ENOMEM);
                if (is_known(f->parameters, name))
                        continue;
                near = suggest(f->parameters, name);
                *ret_detail = str_format("Module %s has no parameter %s%s%s%s", f->module, name,
                                near ? "; did you mean " : "", strempty(near), near ? "?" : ".");
                return *ret_detail ? 0 : err_origin(-ENOMEM);
        }
        return 1;
}

int parameters_check(const Config *config, const BuildManifest *build, char **ret_detail)
{
        for (size_t i = 0; i < config->n_parameters; i++) {
                const ConfigParameters *p = &config->parameters[i];
                const BuildFile *f = build_manifest_module(build, p->module);
                int r;

                if (!f || !f->parameters || !p->text)
                        continue;
                r = check_file(f, p->text, ret_detail);
                if (r <= 0)
                        return r < 0 ? err_trace(r) : 0;
        }
        return 1;
}
