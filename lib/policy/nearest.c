/* SPDX-License-Identifier: Apache-2.0 */

#include <ctype.h>

#include "policy/nearest.h"

enum { NAME_MAX_COMPARED = 64 }; /* longer names are not like any of ours */

static unsigned letters_differ(char a, char b)
{
        return tolower((unsigned char)a) != tolower((unsigned char)b);
}

unsigned nearest_distance(const char *a, const char *b)
{
        size_t n_a = strlen(a), n_b = strlen(b);
        unsigned row[NAME_MAX_COMPARED + 1];

        if (n_a > NAME_MAX_COMPARED || n_b > NAME_MAX_COMPARED)
                return UINT32_MAX;

        for (unsigned j = 0; j <= n_b; j++)
                row[j] = j;

        for (unsigned i = 1; i <= n_a; i++) {
                unsigned diagonal = row[0];

                row[0] = i;
                for (unsigned j = 1; j <= n_b; j++) {
                        unsigned above = row[j];

                        row[j] = MIN(MIN(above, row[j - 1]) + 1,
                                        diagonal + letters_differ(a[i - 1], b[j - 1]));
                        diagonal = above;
                }
        }
        return row[n_b];
}

bool nearest_is_near(unsigned distance, const char *name)
{
        return distance <= MAX(strlen(name) / 3, (size_t)1);
}
