/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Each case is a file and what ini_read() makes of it: one line per call, an
 * assignment as "LINE [SECTION]KEY=VALUE", a problem as "LINE! words of it".
 * A problem matches if the expected words are at its beginning.
 */

#include "tree.h"

#include "base/result.h"
#include "sys/ini.h"

#define X10  "xxxxxxxxxx"
#define X50  X10 X10 X10 X10 X10
#define X190 X50 X50 X50 X10 X10 X10 X10

static int on_assignment(
                const char *section, const char *key, const char *value, unsigned line, void *userdata)
{
        return strv_pushf(userdata, "%u [%s]%s=%s", line, section, key, value);
}

static int on_problem(unsigned line, const char *message, void *userdata)
{
        return strv_pushf(userdata, "%u! %s", line, message);
}

#define TEXT(s) s, sizeof(s) - 1

static const struct {
        const char *text;
        size_t size;
        const char *calls[8];
} cases[] = {
        { TEXT(""), {} },
        { TEXT("\n\n# only\n;comments\n  # and an indented one\n\t\n"), {} },
        { TEXT("[A]\nk=v\n"), { "2 [A]k=v" } },
        { TEXT("[A]\nk=v"), { "2 [A]k=v" } },
        { TEXT("[A]\n\n#\nk = v w \nempty=\n[B]\nk=v\n"), { "4 [A]k=v w", "5 [A]empty=", "7 [B]k=v" } },
        { TEXT("[A]\nk=a=b:c\nm=x;y\nn=;z\no=a #b\n"),
                        { "2 [A]k=a=b:c", "3 [A]m=x;y", "4 [A]n=;z", "5 [A]o=a #b" } },
        { TEXT("[A] \nk=v\n[A]\nk=w\n"), { "2 [A]k=v", "4 [A]k=w" } },

        /* no section, no assignment, no key */
        { TEXT("k=v\n[A]\nk=v\n"), { "1! expected a [Section] before", "3 [A]k=v" } },
        { TEXT("[A]\nword\nk=v\n"), { "2! expected Key=value or [Section]", "3 [A]k=v" } },
        { TEXT("[A]\n=v\nk=v\n"), { "2! expected a key before the =", "3 [A]k=v" } },
        { TEXT("[A]\nk: v\nk:v=w\n"), { "2! expected = and not :", "3! expected = and not :" } },

        /* inih cuts at 200 bytes: 198 go in whole, 199 would not */
        { TEXT("[A]\nlength=x" X190 "\nk=v\n"), { "2 [A]length=x" X190, "3 [A]k=v" } },
        { TEXT("[A]\nlength=xx" X190 "\nk=v\n"), { "2! expected a line of at most 198 bytes", "3 [A]k=v" } },
        { TEXT("[A]\nlength=xx" X190 "\n"), { "2! expected a line of at most 198 bytes" } },
        { TEXT("[A]\nk=" X190 X190 "\nk=v\n"), { "2! expected a line of at most 198 bytes", "3 [A]k=v" } },
        { TEXT("[A]\n#" X190 X190 "=v\nk=v\n"), { "3 [A]k=v" } },

        /* inih takes an indented line for more of the value above */
        { TEXT("[A]\nk=v\n  more\nl=w\n"), { "2 [A]k=v", "3! expected the line to start in", "4 [A]l=w" } },
        { TEXT("[A]\n\tk=v\nl=w\n"), { "2! expected the line to start in", "3 [A]l=w" } },

        /* inih cuts at a ; behind a blank */
        { TEXT("[A]\nk=v ; why\nl=a\t;b\nm=w\n"), { "2! expected comments on lines of their own",
                                                                  "3! expected comments", "4 [A]m=w" } },
        { TEXT("[A]\nk= ;v\n"), { "2! expected comments on lines of their own" } },

        /* systemd continues lines, we and inih do not */
        { TEXT("[A]\nk=a\\\nb\nl=w\n"),
                        { "2! expected the whole value on one line", "3! expected Key=value", "4 [A]l=w" } },

        /* a bad header takes its assignments with it */
        { TEXT("[A]\nk=v\n[B\nk=w\nword\n[C]\nk=x\n"),
                        { "2 [A]k=v", "3! expected ] at the end", "7 [C]k=x" } },
        { TEXT("[]\nk=v\n"), { "1! expected a name between" } },
        { TEXT("[A] k=v\nl=w\n"), { "1! expected nothing behind the ]" } },
        { TEXT("[A]#c\nl=w\n"), { "1! expected nothing behind the ]" } },
        { TEXT(" [A]\nk=v\n"),
                        { "1! expected the line to start in its first column, ignoring the section" } },
        { TEXT("[A] ; c\nk=v\n"), { "1! expected comments on lines of their own, ignoring the section" } },
        { TEXT("[A\x01]\nk=v\n"), { "1! expected text without control characters, ignoring the section" } },
        { TEXT("[" X50 "]\nk=v\n"), { "1! expected a section's name of at most 49 bytes" } },
        { TEXT("[" X190 X190 "]\nk=v\n"),
                        { "1! expected a line of at most 198 bytes, ignoring the section" } },
        { TEXT("[xxxxxxxxx" X10 X10 X10 X10 "]\nk=v\n"), { "2 [xxxxxxxxx" X10 X10 X10 X10 "]k=v" } },

        /* bytes that are no text */
        { TEXT("[A]\nk=v\nl=a\0b\nm=w\n"), { "2 [A]k=v", "3! expected text, found a NUL byte" } },
        { TEXT("[A]\nk=v\n\0\0\0\0"), { "2 [A]k=v", "3! expected text, found a NUL byte" } },
        { TEXT("\0"), { "1! expected text, found a NUL byte" } },
        { TEXT("[A]\nk=a\033[31m\nl=a\rb\nm=\x7f\nn=ü\n"),
                        { "2! expected text without control", "3! expected text without control",
                                        "4! expected text without control", "5 [A]n=ü" } },

        /* read on without them, but told */
        { TEXT("[A]\r\nk=v\r\n\r\nl=w\r\n"),
                        { "1! expected lines that end in LF", "2 [A]k=v", "4 [A]l=w" } },
        { TEXT("[A]\nk=v\r\nl=w\r\n"), { "2! expected lines that end in LF", "2 [A]k=v", "3 [A]l=w" } },
        { TEXT("\xef\xbb\xbf[A]\nk=v\n"), { "1! expected text without a byte order mark", "2 [A]k=v" } },
        { TEXT("\xef\xbb\xbf"), { "1! expected text without a byte order mark" } },
        { TEXT("\xff\xfe[\0A\0]\0"), { "1! expected text, found a NUL byte" } },
};

START_TEST(test_cases)
{
        _cleanup_strv_ char **calls = NULL;
        _cleanup_tree_ Tree tree = {};
        size_t n = 0;

        tree_init(&tree);
        tree_write_bytes(&tree, "file", cases[_i].text, cases[_i].size);
        ck_assert_int_eq(ini_read(tree.root, "file", on_assignment, on_problem, &calls), 0);

        STRV_FOREACH (call, calls) {
                const char *expected = cases[_i].calls[n++];

                ck_assert_msg(expected, "unexpected call: %s", *call);
                ck_assert_msg(strchr(expected, '!') ? !!startswith(*call, expected) : streq(*call, expected),
                                "expected '%s', got '%s'", expected, *call);
        }
        ck_assert_msg(!cases[_i].calls[n], "missing call: %s", cases[_i].calls[n]);
}
END_TEST

START_TEST(test_unreadable)
{
        static char big[INI_SIZE_MAX + 1];
        _cleanup_strv_ char **calls = NULL;
        _cleanup_tree_ Tree tree = {};

        tree_init(&tree);
        ck_assert_int_eq(ini_read(tree.root, "file", on_assignment, on_problem, &calls), INI_E_ABSENT);
        ck_assert_int_eq(ini_read(tree.root, ".", on_assignment, on_problem, &calls), INI_E_UNREADABLE);
        ck_assert_int_eq(errno, EISDIR);
        tree_symlink(&tree, "loop", "loop");
        ck_assert_int_eq(ini_read(tree.root, "loop", on_assignment, on_problem, &calls), INI_E_UNREADABLE);
        ck_assert_int_eq(errno, ELOOP);

        (void)memset(big, '\n', sizeof(big));
        tree_write_bytes(&tree, "file", big, sizeof(big));
        ck_assert_int_eq(ini_read(tree.root, "file", on_assignment, on_problem, &calls), INI_E_TOO_BIG);
        tree_write_bytes(&tree, "file", big, sizeof(big) - 1);
        ck_assert_int_eq(ini_read(tree.root, "file", on_assignment, on_problem, &calls), 0);
        ck_assert_ptr_null(calls);
}
END_TEST

static int fails_assignment(
                const char *section, const char *key, const char *value, unsigned line, void *userdata)
{
        (*(unsigned *)userdata)++;
        return err_origin(-ENOMEM);
}

static int fails_problem(unsigned line, const char *message, void *userdata)
{
        (*(unsigned *)userdata)++;
        return err_origin(-ENOMEM);
}

static const char *const failing[] = {
        "[A]\nk=v\nl=w\nword\n",
        "word\nword\n[A]\nk=v\n",
        "\xef\xbb\xbfword\n[A]\nk=v\n",
        "[A]\r\nword\r\nk=v\r\n",
        "[A]\nk=v\r\nl=w\n",
};

/* The first failure of a callback is the last call. */
START_TEST(test_callback_fails)
{
        _cleanup_tree_ Tree tree = {};
        unsigned n = 0;

        tree_init(&tree);
        tree_write(&tree, "file", failing[_i]);
        ck_assert_int_eq(ini_read(tree.root, "file", fails_assignment, fails_problem, &n), -ENOMEM);
        ck_assert_uint_eq(n, 1);
}
END_TEST

UNIT_MAIN("ini", UNIT_LOOP(test_cases, ELEMENTSOF(cases)), UNIT_TEST(test_unreadable),
                UNIT_LOOP(test_callback_fails, ELEMENTSOF(failing)))
