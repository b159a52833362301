/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The table as people see it: the shipped configuration file, with every key
 * commented out at its default, and the sections of driverd.conf(5).
 *
 * Both are collected as vectors of lines, which keeps this file free of
 * streams, as the floor asks.
 */

#include "base/result.h"
#include "base/str.h"
#include "policy/config-table.h"

enum { CONF_COLUMNS = 78 };

static const char *const conf_head[] = {
        "# SPDX-License-Identifier: Apache-2.0",
        "#",
        "# Configuration of nvidia-driverd, see driverd.conf(5). The lines below show the",
        "# defaults. Change them here, or better only the keys that differ in a drop-in",
        "# of your own, /etc/nvidia-driverd/driverd.conf.d/NAME.conf.",
        "#",
        "# A line starts in its first column and has at most 198 bytes. Comments stand on",
        "# lines of their own.",
        NULL,
};

/* Breaks @text into comment lines. */
static int push_comment(char ***lines, const char *text)
{
        _cleanup_strv_ char **words = NULL;
        _cleanup_free_ char *line = NULL;
        int r;

        r = strv_split(text, " ", &words);
        if (r)
                return err_trace(r);

        STRV_FOREACH (word, words) {
                char *longer;

                if (line && strlen(line) + 1 + strlen(*word) > CONF_COLUMNS) {
                        r = strv_push_consume(lines, TAKE_PTR(line));
                        if (r)
                                return err_trace(r);
                }
                longer = str_format("%s %s", line ? line : "#", *word);
                if (!longer)
                        return err_origin(-ENOMEM);
                free(line);
                line = longer;
        }
        return line ? err_trace(strv_push_consume(lines, TAKE_PTR(line))) : 0;
}

static int push_conf_key(char ***lines, const ConfigKey *key)
{
        int r;

        r = strv_push(lines, "");
        if (r)
                return err_trace(r);
        r = push_comment(lines, key->doc);
        if (r)
                return err_trace(r);
        return err_trace(strv_pushf(lines, "#%s=%s", key->key, key->initial));
}

static int push_conf_section(char ***lines, const ConfigSection *section)
{
        int r;

        r = strv_push(lines, "");
        if (r)
                return err_trace(r);
        r = push_comment(lines, section->doc);
        if (r)
                return err_trace(r);
        r = strv_pushf(lines, "[%s]", section->name);
        if (r)
                return err_trace(r);

        for (const ConfigKey *key = config_keys; key->section; key++) {
                if (!streq(key->section, section->name))
                        continue;
                r = push_conf_key(lines, key);
                if (r)
                        return err_trace(r);
        }

        return section->free_key ? err_trace(strv_pushf(lines, "#%s", section->example)) : 0;
}

static int finish(char ***lines, char **ret)
{
        char *text;
        int r;

        r = strv_push(lines, ""); /* the newline at the end */
        if (r)
                return err_trace(r);
        text = strv_join(*lines, "\n");
        if (!text)
                return err_origin(-ENOMEM);
        *ret = text;
        return 0;
}

int config_to_conf(char **ret)
{
        _cleanup_strv_ char **lines = NULL;
        int r;

        for (const char *const *line = conf_head; *line; line++) {
                r = strv_push(&lines, *line);
                if (r)
                        return err_trace(r);
        }

        for (const ConfigSection *section = config_sections; section->name; section++) {
                r = push_conf_section(&lines, section);
                if (r)
                        return err_trace(r);
        }
        return err_trace(finish(&lines, ret));
}

/* roff takes '-' for a hyphen, '\'' for a typographic quote, and a dot in column one for a request. */
static char *roff_escape(const char *s)
{
        char *escaped = malloc(2 + strlen(s) * strlen("\\(aq") + 1), *p = escaped;

        if (!escaped)
                return NULL;
        if (*s == '.' || *s == '\'')
                p = stpcpy(p, "\\&");
        for (; *s; s++) {
                if (*s == '-')
                        p = stpcpy(p, "\\-");
                else if (*s == '\'')
                        p = stpcpy(p, "\\(aq");
                else if (*s == '\\')
                        p = stpcpy(p, "\\e");
                else
                        *p++ = *s;
        }
        *p = '\0';
        return escaped;
}

/* @format contains one %s, which becomes the escaped @text. */
static int push_roff(char ***lines, const char *format, const char *text)
{
        _cleanup_free_ char *escaped = roff_escape(text);

        if (!escaped)
                return err_origin(-ENOMEM);
        return err_trace(strv_pushf(lines, format, escaped));
}

/* Sentences start on lines of their own, so that roff can space them. */
static int push_sentences(char ***lines, const char *text)
{
        const char *end;
        int r;

        while ((end = strstr(text, ". "))) {
                _cleanup_free_ char *sentence = strndup(text, (size_t)(end + 1 - text));

                if (!sentence)
                        return err_origin(-ENOMEM);
                r = push_roff(lines, "%s", sentence);
                if (r)
                        return err_trace(r);
                text = end + 2;
        }
        return err_trace(push_roff(lines, "%s", text));
}

static int push_item(char ***lines, const char *format, const char *name, const char *doc)
{
        int r;

        r = strv_push(lines, ".TP");
        if (r)
                return err_trace(r);
        r = push_roff(lines, format, name);
        if (r)
                return err_trace(r);
        return err_trace(push_sentences(lines, doc));
}

static int push_man_key(char ***lines, const ConfigKey *key)
{
        _cleanup_free_ char *expectation = config_expectation(key);
        int r;

        if (!expectation)
                return err_origin(-ENOMEM);

        r = push_item(lines, ".BR %s =", key->key, key->doc);
        if (r)
                return err_trace(r);
        r = push_roff(lines, "Takes %s.", expectation);
        if (r)
                return err_trace(r);
        if (!*key->initial)
                return err_trace(strv_push(lines, "Empty by default."));
        return err_trace(push_roff(lines, "Default: \\fB%s\\fR.", key->initial));
}

static int push_man_section(char ***lines, const ConfigSection *section)
{
        int r;

        r = strv_pushf(lines, ".SH \"[%s] SECTION\"", section->name);
        if (r)
                return err_trace(r);
        r = push_sentences(lines, section->doc);
        if (r)
                return err_trace(r);

        for (const ConfigKey *key = config_keys; key->section; key++) {
                if (!streq(key->section, section->name))
                        continue;
                r = push_man_key(lines, key);
                if (r)
                        return err_trace(r);
        }

        if (section->free_key) {
                _cleanup_free_ char *takes = str_format("Takes %s.", section->takes);

                if (!takes)
                        return err_origin(-ENOMEM);
                return err_trace(push_item(lines, ".IR %s =", section->free_key, takes));
        }
        return 0;
}

int config_to_man(char **ret)
{
        _cleanup_strv_ char **lines = NULL;
        int r;

        for (const ConfigSection *section = config_sections; section->name; section++) {
                r = push_man_section(&lines, section);
                if (r)
                        return err_trace(r);
        }

        r = strv_push(&lines, ".SH ENVIRONMENT");
        if (r)
                return err_trace(r);
        r = push_sentences(&lines, "Variables win over all files. One with an empty value counts as unset.");
        if (r)
                return err_trace(r);
        for (const ConfigVariable *v = config_variables; v->name; v++) {
                r = push_item(&lines, ".B %s", v->name, v->doc);
                if (r)
                        return err_trace(r);
        }
        return err_trace(finish(&lines, ret));
}
