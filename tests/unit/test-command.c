/* SPDX-License-Identifier: Apache-2.0 */

/* Command lines of services, and the names that they are configured under. */

#include "unit.h"

#include "base/str.h"
#include "policy/config-table.h"

static const struct {
        const char *text;
        const char *words; /* with | between them; NULL: refused */
} commands[] = {
        { "/bin/true", "/bin/true" },
        { "  /bin/a   b\tc  ", "/bin/a|b|c" },
        { "/bin/a \"b c\" 'd e'", "/bin/a|b c|d e" },
        { "/bin/a --x=\"b c\"d", "/bin/a|--x=b cd" },
        { "/bin/a \"\" ''", "/bin/a||" },
        { "/bin/a \"it's\" 'say \"x\"'", "/bin/a|it's|say \"x\"" },
        { "/bin/a b\\ c \"q\\\"q\" '\\'", "/bin/a|b c|q\"q|\\" },
        { "/bin/a $HOME %n ; rm -rf / `id` > x", "/bin/a|$HOME|%n|;|rm|-rf|/|`id`|>|x" },
        { "/bin/a\vb \f\r c\n", "/bin/a\vb|\f\r|c\n" },
        { "\"/opt/my tools/x\" y", "/opt/my tools/x|y" },
        { "", NULL },
        { "   ", NULL },
        { "bin/true", NULL },
        { "true", NULL },
        { "-/bin/true", NULL },
        { "''", NULL },
        { "/", NULL },
        { "/bin/", NULL },
        { "/bin/../sbin/x", NULL },
        { "/bin/./x", NULL },
        { "/bin/a \"b", NULL },
        { "/bin/a 'b", NULL },
        { "/bin/a b\\", NULL },
};

START_TEST(test_command)
{
        _cleanup_strv_ char **argv = NULL;
        _cleanup_free_ char *words = NULL;
        int r = config_command_parse(commands[_i].text, &argv);

        if (!commands[_i].words) {
                ck_assert_int_eq(r, CONFIG_E_BAD_VALUE);
                ck_assert_ptr_null(argv);
                return;
        }
        ck_assert_int_eq(r, 0);
        words = strv_join(argv, "|");
        ck_assert_str_eq(words, commands[_i].words);
}
END_TEST

START_TEST(test_names)
{
        static const char *const good[] = { "a", "9lives", "nv-fabricmanager", "dcgm_exporter.2",
                "12345678901234567890123456789012" };
        static const char *const bad[] = { "", ".", "..", "-x", "_x", "a b", "a/b", "a\n", "a=b",
                "123456789012345678901234567890123" };

        for (size_t i = 0; i < ELEMENTSOF(good); i++)
                ck_assert_msg(config_service_name_is_valid(good[i]), "%s", good[i]);
        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                ck_assert_msg(!config_service_name_is_valid(bad[i]), "%s", bad[i]);
}
END_TEST

static void assign(Config *config, const char *section, const char *key, const char *value)
{
        char *expected = NULL;

        ck_assert_int_eq(config_assign(config, section, key, value, &expected), 0);
}

START_TEST(test_assignments)
{
        _cleanup_(config_freep) Config *c = NULL;
        _cleanup_free_ char *one = NULL, *expected = NULL;

        ck_assert_int_eq(config_new(&c), 0);
        assign(c, "ServiceCommands", "exporter", "/bin/a 1");
        assign(c, "ServiceCommands", "other", "/bin/b");
        assign(c, "ServiceCommands", "exporter", "/bin/a 2");
        ck_assert_uint_eq(c->n_commands, 2);
        one = strv_join((char **)config_service_command(c, "exporter"), " ");
        ck_assert_str_eq(one, "/bin/a 2");
        ck_assert_int_eq(config_assign(c, "ServiceCommands", "exporter", "nonsense", &expected),
                        CONFIG_E_BAD_VALUE);
        ck_assert_str_eq(config_service_command(c, "exporter")[1], "2");
        assign(c, "ServiceCommands", "exporter", "");
        ck_assert_ptr_null(config_service_command(c, "exporter"));
        ck_assert_ptr_null(config_service_command(c, "unheard-of"));
}
END_TEST

START_TEST(test_required)
{
        _cleanup_(config_freep) Config *c = NULL;
        _cleanup_strv_ char **problems = NULL, **again = NULL;
        _cleanup_free_ char *left = NULL;

        ck_assert_int_eq(config_new(&c), 0);
        assign(c, "ServiceCommands", "exporter", "/bin/a");
        assign(c, "Services", "Required", "exporter gone nv-fabricmanager");
        assign(c, "Services", "Required", "nvidia-persistenced");
        ck_assert_int_eq(config_check(c, &problems), 0);
        ck_assert_uint_eq(strv_length(problems), 1);
        ck_assert_str_eq(problems[0], "[Services] Required=gone: neither a service of ours nor a key of "
                                      "[ServiceCommands], ignoring");
        left = strv_join(c->required_services, " ");
        ck_assert_str_eq(left, "exporter nv-fabricmanager nvidia-persistenced");
        ck_assert_int_eq(config_check(c, &again), 0);
        ck_assert_ptr_null(again);
}
END_TEST

UNIT_MAIN("command", UNIT_LOOP(test_command, ELEMENTSOF(commands)), UNIT_TEST(test_names),
                UNIT_TEST(test_assignments), UNIT_TEST(test_required))
