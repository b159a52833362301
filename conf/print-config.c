/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Build-time program: prints the configuration's table as the shipped file
 * ("conf"), or as a man page ("man TEMPLATE VERSION"): the template with
 * @VERSION@ replaced and the line @KEYS@ standing for all keys.
 *
 * Update the shipped file with: BUILD/conf/print-config conf >conf/driverd.conf
 */

#include "base/str.h"
#include "policy/config.h"

static int print_conf(void)
{
        _cleanup_free_ char *text = NULL;

        if (config_to_conf(&text))
                return EXIT_FAILURE;
        return fputs(text, stdout) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* Prints @line with its @VERSION@ replaced. */
static void print_line(const char *line, const char *version)
{
        const char *mark = strstr(line, "@VERSION@");

        if (mark)
                (void)printf("%.*s%s%s", (int)(mark - line), line, version, mark + strlen("@VERSION@"));
        else
                (void)fputs(line, stdout);
}

static int print_man(const char *template, const char *version)
{
        _cleanup_free_ char *keys = NULL, *line = NULL;
        _cleanup_fclose_ FILE *f = NULL;
        size_t size = 0;

        if (config_to_man(&keys))
                return EXIT_FAILURE;
        f = fopen(template, "re");
        if (!f) {
                perror(template);
                return EXIT_FAILURE;
        }

        while (getline(&line, &size, f) >= 0)
                if (streq(line, "@KEYS@\n"))
                        (void)fputs(keys, stdout);
                else
                        print_line(line, version);
        return ferror(f) ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int run(int argc, char **argv)
{
        if (argc == 2 && streq(argv[1], "conf"))
                return print_conf();
        if (argc == 4 && streq(argv[1], "man"))
                return print_man(argv[2], argv[3]);

        (void)fprintf(stderr, "Usage: %s conf | man TEMPLATE VERSION\n", argv[0]);
        return 2;
}

int main(int argc, char **argv)
{
        int status = run(argc, argv);

        /* Output that did not arrive must fail the build. */
        return fflush(stdout) || ferror(stdout) ? EXIT_FAILURE : status;
}
