/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Command lines of services: from one line of text to an argument vector, once,
 * when the configuration is read. What comes out goes to execve(2) as it is; no
 * shell ever sees it.
 *
 * The rules are those people know from ExecStart=: blanks separate, quotes of
 * either kind keep a word together, a backslash takes the next character as it
 * is, except between single quotes.
 */

#include <ctype.h>

#include "base/result.h"
#include "base/str.h"
#include "policy/config-table.h"

enum { SERVICE_NAME_MAX = 32 };

#define BLANKS " \t"

static bool is_blank(char c)
{
        return c == ' ' || c == '\t';
}

bool config_service_name_is_valid(const char *s)
{
        size_t n = strlen(s);

        if (n == 0 || n > SERVICE_NAME_MAX || !isalnum((unsigned char)*s))
                return false;
        for (; *s; s++)
                if (!isalnum((unsigned char)*s) && !strchr("._-", *s))
                        return false;
        return true;
}

/* Copies one word to @to, which has room for all of @s. Returns what is left of @s, NULL if a quote is open.
 */
static const char *take_word(const char *s, char *to)
{
        char quote = '\0';

        for (; *s && (quote || !is_blank(*s)); s++) {
                if (*s == quote) {
                        quote = '\0';
                } else if (!quote && (*s == '"' || *s == '\'')) {
                        quote = *s;
                } else {
                        if (*s == '\\' && quote != '\'' && !*++s)
                                return NULL;
                        *to++ = *s;
                }
        }
        *to = '\0';
        return quote ? NULL : s;
}

/* Refuses what would mean something else once a symlink is involved. */
static bool program_is_valid(const char *path)
{
        _cleanup_strv_ char **parts = NULL;

        if (*path != '/' || path[strlen(path) - 1] == '/' || strv_split(path, "/", &parts) < 0)
                return false;
        return !strv_contains(parts, ".") && !strv_contains(parts, "..");
}

int config_command_parse(const char *s, char ***ret_argv)
{
        _cleanup_strv_ char **argv = NULL;
        int r;

        for (s += strspn(s, BLANKS); *s; s += strspn(s, BLANKS)) {
                _cleanup_free_ char *word = malloc(strlen(s) + 1);

                if (!word)
                        return err_origin(-ENOMEM);
                s = take_word(s, word);
                if (!s)
                        return CONFIG_E_BAD_VALUE;
                r = strv_push_consume(&argv, TAKE_PTR(word));
                if (r)
                        return err_trace(r);
        }
        if (!argv || !program_is_valid(argv[0]))
                return CONFIG_E_BAD_VALUE;

        *ret_argv = TAKE_PTR(argv);
        return 0;
}
