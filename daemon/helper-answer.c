/* SPDX-License-Identifier: Apache-2.0 */

/* What the two programs of libexec have in common: how they are called and how they answer. */

#include <ctype.h>
#include <stdarg.h>

#include "helper.h"

void helper_say(const char *key, const char *format, ...)
{
        char text[2048];
        va_list ap;

        va_start(ap, format);
        (void)vsnprintf(text, sizeof(text), format, ap);
        va_end(ap);
        for (char *p = text; *p; p++)
                if (iscntrl((unsigned char)*p) && *p != '\t')
                        *p = ' ';
        (void)printf("%s=%s\n", key, text);
        (void)fflush(stdout);
}

int helper_main(const char *program, const HelperOperation *operations, size_t n, int argc, char **argv)
{
        for (size_t i = 0; argc > 1 && i < n; i++)
                if (streq(argv[1], operations[i].name) && argc - 2 >= operations[i].n_arguments)
                        return code_exit_status(operations[i].run(argv + 2));

        for (size_t i = 0; i < n; i++)
                (void)fprintf(stderr, "usage: %s %s %s\n", program, operations[i].name, operations[i].usage);
        return code_exit_status(CODE_USAGE);
}
