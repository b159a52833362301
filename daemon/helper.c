/* SPDX-License-Identifier: Apache-2.0 */

/*
 * nvidia-driverd-helper: one operation per run that may block or hang, so that
 * the daemon never does. It is started by the daemon and by nvidia-driver, not
 * by people.
 *
 * A process inside finit_module(2) or delete_module(2) cannot be killed until
 * the kernel is done (measured: seconds), and a process with a thread stuck in
 * there cannot exit either. That is why this is a program and not a thread.
 */

#include <ctype.h>
#include <stdarg.h>

#include "helper.h"

typedef struct Operation {
        const char *name;
        int n_arguments; /* at least */
        const char *usage;
        Code (*run)(char **arguments);
} Operation;

static const Operation operations[] = {
        { "insert", 1, "FILE [PARAMETERS]", helper_insert },
        { "delete", 1, "MODULE", helper_delete },
        { "probe", 2, "KERNEL MODULE...", helper_probe },
        { "seal", 2, "DIRECTORY BUILDS", helper_seal },
        { "verify", 2, "BUILD STAGING", helper_verify },
        { "discard", 1, "DIRECTORY...", helper_discard },
};

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

static int usage(void)
{
        for (size_t i = 0; i < ELEMENTSOF(operations); i++)
                (void)fprintf(stderr, "usage: nvidia-driverd-helper %s %s\n", operations[i].name,
                                operations[i].usage);
        return code_exit_status(CODE_USAGE);
}

int main(int argc, char **argv)
{
        for (size_t i = 0; argc > 1 && i < ELEMENTSOF(operations); i++)
                if (streq(argv[1], operations[i].name) && argc - 2 >= operations[i].n_arguments)
                        return code_exit_status(operations[i].run(argv + 2));

        return usage();
}
