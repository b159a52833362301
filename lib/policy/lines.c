/* SPDX-License-Identifier: Apache-2.0 */

#include "base/str.h"
#include "policy/lines.h"

bool line_limit_allows(LineLimit *l, usec_t now, unsigned long *ret_held)
{
        *ret_held = 0;
        if (l->n == 0 || now >= l->began + LINE_LIMIT_PERIOD) {
                *ret_held = l->n_held;
                *l = (LineLimit){ .began = now };
        }
        if (l->n < LINE_LIMIT_BURST) {
                l->n++;
                return true;
        }
        l->n_held++;
        return false;
}

void last_lines_add(LastLines *l, const char *line)
{
        char *to = l->lines[l->next];

        if (!*line)
                return;
        (void)snprintf(to, LAST_LINE_SIZE, "%s", line);
        for (; *to; to++)
                if ((unsigned char)*to < 0x20 || (unsigned char)*to >= 0x7f)
                        *to = '?';
        l->next = (l->next + 1) % LAST_LINES_MAX;
        l->n = MIN(l->n + 1, (unsigned)LAST_LINES_MAX);
}

void last_lines_forget(LastLines *l)
{
        l->n = 0;
}

char *last_lines_join(const LastLines *l)
{
        _cleanup_strv_ char **lines = NULL;

        for (unsigned i = l->n; i > 0; i--)
                if (strv_push(&lines, l->lines[(l->next + LAST_LINES_MAX - i) % LAST_LINES_MAX]) < 0)
                        return NULL;
        return strv_join(lines, " | ");
}
