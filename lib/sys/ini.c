/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Configuration files through inih, with its traps guarded.
 *
 * inih is forgiving where a person would want to be told (seen with version
 * 55): a line longer than its buffer of 200 bytes is cut, the handler is called
 * with the cut value, and the rest is parsed as a line; an indented line
 * silently continues the key before it; " ;" begins a comment in the middle of
 * a value; a section's name is cut at 49 bytes; text behind the ']' is dropped;
 * "key: value" is an assignment; a NUL ends a line early.
 *
 * So inih is fed by our own reader, which looks at each line first. A line that
 * inih would misread is reported and served to inih as an empty one. What goes
 * through is only what inih and a person read in the same way. The reader also
 * counts the lines, which inih does not tell its handler.
 *
 * After a section header that was refused, everything up to the next header is
 * skipped: the assignments would land in the section before it.
 */

#include <ini.h>

#include "base/result.h"
#include "base/str.h"
#include "sys/ini.h"

#define BLANKS "\t "
#define BOM    "\xef\xbb\xbf"

enum {
        LINE_BYTES_MAX = 198, /* inih's INI_MAX_LINE less newline and NUL; some distributions raise it */
        SECTION_MAX = 49,     /* inih's MAX_SECTION less the NUL */
};

typedef struct Reader {
        char *next; /* what has not been served yet, NUL at the end */
        char *end;
        unsigned line;      /* number of the line served last */
        bool in_section;    /* there was a header */
        bool skips_section; /* the last header was refused */
        bool told_of_crlf;
        int result; /* what a callback returned */

        IniHandler on_assignment;
        IniProblem on_problem;
        void *userdata;
} Reader;

static void problem(Reader *reader, const char *message)
{
        if (reader->result == 0)
                reader->result = err_trace(reader->on_problem(reader->line, message, reader->userdata));
}

static bool has_control_character(const char *s)
{
        for (; *s; s++)
                if (((unsigned char)*s < ' ' && *s != '\t') || *s == 0x7f)
                        return true;
        return false;
}

/* inih takes a ';' for a comment if there is a blank before it. */
static bool has_inline_comment(const char *s)
{
        for (const char *p = s; (p = strchr(p, ';')); p++)
                if (p > s && strchr(BLANKS, p[-1]))
                        return true;
        return false;
}

/* What is wrong with a header, NULL if nothing. */
static const char *judge_header(const char *s)
{
        const char *close = strchr(s, ']');

        if (!close)
                return "expected ] at the end of the section's name, ignoring the section";
        if (close == s + 1)
                return "expected a name between [ and ], ignoring the section";
        if (close - s - 1 > SECTION_MAX)
                return "expected a section's name of at most 49 bytes, ignoring the section";
        if (close[1 + strspn(close + 1, BLANKS)])
                return "expected nothing behind the ] of a section, ignoring the section";
        return NULL;
}

static const char *judge_assignment(const Reader *reader, const char *s)
{
        size_t n = strcspn(s, "=:");

        if (!s[n])
                return "expected Key=value or [Section], ignoring the line";
        if (s[n] == ':')
                return "expected = and not : between key and value, ignoring the line";
        if (n == strspn(s, BLANKS))
                return "expected a key before the =, ignoring the line";
        if (!reader->in_section)
                return "expected a [Section] before the first assignment, ignoring the line";
        if (s[strlen(s) - 1] == '\\')
                return "expected the whole value on one line, a backslash does not continue it; ignoring the line";
        return NULL;
}

/* The first rule that the stripped line @s breaks, which stood at @line; NULL if it is fine. */
static const char *judge_line(const Reader *reader, const char *line, const char *s, size_t size)
{
        if (has_control_character(s))
                return *s == '[' ? "expected text without control characters, ignoring the section"
                                 : "expected text without control characters, ignoring the line";
        if (strlen(line) > LINE_BYTES_MAX || strlen(line) + strlen("\n") >= size)
                return *s == '[' ? "expected a line of at most 198 bytes, ignoring the section"
                                 : "expected a line of at most 198 bytes, ignoring the line; lists and "
                                   "parameters may be assigned in several lines";
        if (s != line)
                return *s == '[' ? "expected the line to start in its first column, ignoring the section"
                                 : "expected the line to start in its first column, ignoring the line; an "
                                   "indented line does not continue the one before it";
        if (has_inline_comment(s))
                return *s == '[' ? "expected comments on lines of their own, ignoring the section"
                                 : "expected comments on lines of their own, and no blank before a ; in a value; "
                                   "ignoring the line";
        return *s == '[' ? judge_header(s) : judge_assignment(reader, s);
}

/* True if inih may see the line. @size is the size of inih's buffer. */
static bool admit_line(Reader *reader, const char *line, size_t size)
{
        const char *s = line + strspn(line, BLANKS), *message;

        if (!*s || *s == '#' || *s == ';')
                return false; /* nothing to read, however long it may be */
        if (reader->skips_section && *s != '[')
                return false;

        message = judge_line(reader, line, s, size);
        if (*s == '[') {
                reader->in_section = true;
                reader->skips_section = !!message;
        }
        if (message)
                problem(reader, message);
        return !message;
}

/* Cuts off the next line in place. NULL at the end, or where the text ends and bytes begin. */
static char *next_line(Reader *reader)
{
        char *line = reader->next, *newline;

        if (line == reader->end || reader->result)
                return NULL;
        reader->line++;

        newline = memchr(line, '\n', (size_t)(reader->end - line));
        if (!newline)
                newline = reader->end;
        if (memchr(line, '\0', (size_t)(newline - line))) {
                problem(reader, "expected text, found a NUL byte; ignoring the file from here on");
                return NULL;
        }

        reader->next = newline == reader->end ? newline : newline + 1;
        *newline = '\0';
        return line;
}

static void strip_crlf(Reader *reader, char *line)
{
        size_t n = strlen(line);

        if (n == 0 || line[n - 1] != '\r')
                return;

        line[n - 1] = '\0';
        if (!reader->told_of_crlf)
                problem(reader, "expected lines that end in LF, found CR LF; reading them without the CR");
        reader->told_of_crlf = true;
}

/* inih's view of a file: an fgets(3). */
static char *serve_line(char *buffer, int size, void *userdata)
{
        Reader *reader = userdata;
        char *line;

        line = next_line(reader);
        if (!line)
                return NULL;

        strip_crlf(reader, line);
        if (!admit_line(reader, line, (size_t)size))
                *line = '\0';
        if (reader->result)
                return NULL;

        (void)snprintf(buffer, (size_t)size, "%s\n", line);
        return buffer;
}

/* Returns non-zero for "fine", as inih wants it. */
static int take_assignment(void *userdata, const char *section, const char *key, const char *value)
{
        Reader *reader = userdata;

        if (reader->result == 0)
                reader->result = err_trace(
                                reader->on_assignment(section, key, value, reader->line, reader->userdata));
        return 1;
}

static int parse(Reader *reader)
{
        int r;

        if ((size_t)(reader->end - reader->next) >= strlen(BOM) && startswith(reader->next, BOM)) {
                reader->line = 1;
                problem(reader, "expected text without a byte order mark, reading on behind it");
                reader->line = 0;
                reader->next += strlen(BOM);
        }

        r = ini_parse_stream(serve_line, reader, take_assignment, reader);
        if (reader->result)
                return err_trace(reader->result);
        if (r < 0)
                return err_origin(-ENOMEM);
        if (r > 0) {
                /* Our reader and inih disagree about a line; better told than lost. */
                reader->line = (unsigned)r;
                problem(reader, "expected Key=value or [Section], ignoring the line");
        }
        return err_trace(reader->result);
}

int ini_read(const Root *root, const char *path, IniHandler on_assignment, IniProblem on_problem,
                void *userdata)
{
        _cleanup_free_ char *data = NULL;
        Reader reader = {
                .on_assignment = on_assignment,
                .on_problem = on_problem,
                .userdata = userdata,
        };
        size_t size;
        int r;

        r = root_read_file(root, path, INI_SIZE_MAX, &data, &size);
        if (r == ROOT_E_ABSENT)
                return INI_E_ABSENT;
        if (r == ROOT_E_TOO_BIG)
                return INI_E_TOO_BIG;
        if (r == -ENOMEM)
                return err_trace(r);
        if (r < 0) {
                /* Anything else is about this file and no reason to end the program. */
                errno = -r;
                return INI_E_UNREADABLE;
        }

        reader.next = data;
        reader.end = data + size;
        return err_trace(parse(&reader));
}
