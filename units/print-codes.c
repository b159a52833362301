/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Build-time program: prints a template with what the table of failure codes
 * knows, so that the unit and the man pages cannot disagree with the programs.
 *
 *   @PERMANENT@   exit statuses that a restart cannot mend, in one line
 *   @CODES@       a line of its own: every code as a roff list
 *   @NAME@        the value of an argument NAME=VALUE
 */

#include "base/str.h"
#include "policy/code.h"

enum { EXIT_STATUS_MAX = 255 };

static void print_permanent(void)
{
        const char *blank = "";

        for (int status = 1; status <= EXIT_STATUS_MAX; status++) {
                Code code = code_from_exit_status(status);

                if (!code_prevents_restart(code))
                        continue;
                (void)printf("%s%d", blank, status);
                blank = " ";
        }
}

/* Plain text for roff: what could be a request or a typographic hyphen is told apart. */
static void print_roff(const char *text)
{
        for (const char *p = text; *p; p++) {
                if (*p == '-' || *p == '\\')
                        (void)putchar('\\');
                (void)putchar(*p == '\\' ? 'e' : *p);
        }
}

static void print_sentence(const char *text)
{
        size_t n = strlen(text);

        if (*text == '.' || *text == '\'')
                (void)fputs("\\&", stdout);
        print_roff(text);
        (void)puts(n > 0 && text[n - 1] == '.' ? "" : ".");
}

static void print_codes(void)
{
        for (int status = 0; status <= EXIT_STATUS_MAX; status++) {
                Code code = code_from_exit_status(status);

                if (code < 0)
                        continue;
                (void)printf(".TP\n%d, \\fB", status);
                print_roff(code_to_string(code));
                (void)printf("\\fR%s\n", code_is_transient(code) ? " (tried again)" : "");
                print_sentence(code_sentence(code));
                if (code != CODE_OK)
                        print_sentence(code_remedy(code));
        }
}

/* Prints what @NAME@ stands for; false if nothing does. */
static bool print_mark(const char *name, size_t size, char *const *values)
{
        if (size == strlen("PERMANENT") && strncmp(name, "PERMANENT", size) == 0) {
                print_permanent();
                return true;
        }
        for (; *values; values++)
                if (strncmp(*values, name, size) == 0 && (*values)[size] == '=') {
                        (void)fputs(*values + size + 1, stdout);
                        return true;
                }
        return false;
}

static void print_line(const char *line, char *const *values)
{
        const char *mark, *end;

        while ((mark = strchr(line, '@')) && (end = strchr(mark + 1, '@'))) {
                (void)printf("%.*s", (int)(mark - line), line);
                if (print_mark(mark + 1, (size_t)(end - mark - 1), values)) {
                        line = end + 1;
                } else {
                        (void)putchar('@');
                        line = mark + 1;
                }
        }
        (void)fputs(line, stdout);
}

static int run(int argc, char **argv)
{
        _cleanup_free_ char *line = NULL;
        _cleanup_fclose_ FILE *f = NULL;
        size_t size = 0;

        if (argc < 2) {
                (void)fprintf(stderr, "Usage: %s TEMPLATE [NAME=VALUE...]\n", argv[0]);
                return 2;
        }
        f = fopen(argv[1], "re");
        if (!f) {
                perror(argv[1]);
                return EXIT_FAILURE;
        }

        while (getline(&line, &size, f) >= 0)
                if (streq(line, "@CODES@\n"))
                        print_codes();
                else
                        print_line(line, argv + 2);
        return ferror(f) ? EXIT_FAILURE : EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
        int status = run(argc, argv);

        /* Output that did not arrive must fail the build. */
        return fflush(stdout) || ferror(stdout) ? EXIT_FAILURE : status;
}
