/* SPDX-License-Identifier: Apache-2.0 */

#include "base/result.h"
#include "base/str.h"
#include "policy/envfile.h"

/* Takes the quotes off, in place, up to the end of @line. What follows a closing quote is no part of the
 * value. */
static void unquote(char *line)
{
        char *from = line, *to = line, quote = 0;

        for (; *from; from++) {
                if (quote && *from == quote) {
                        quote = 0;
                } else if (!quote && (*from == '"' || *from == '\'')) {
                        quote = *from;
                } else if (*from == '\\' && quote != '\'' && from[1]) {
                        *to++ = *++from;
                } else if (!quote && strchr(" \t\r", *from)) {
                        break;
                } else {
                        *to++ = *from;
                }
        }
        *to = '\0';
}

int envfile_get(const char *text, const char *name, char **ret)
{
        _cleanup_free_ char *value = NULL;
        size_t n = strlen(name);

        for (const char *line = text; *line; line += strcspn(line, "\n"), line += *line == '\n') {
                line += strspn(line, " \t");
                if (strncmp(line, name, n) != 0 || line[n] != '=')
                        continue;
                free(value);
                value = strndup(line + n + 1, strcspn(line + n + 1, "\n"));
                if (!value)
                        return err_origin(-ENOMEM);
                unquote(value);
        }
        *ret = TAKE_PTR(value);
        return 0;
}
