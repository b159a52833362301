/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Where the configuration meets the host. The order is that of growing
 * authority: defaults, the GPU operator's files of module parameters, main file, drop-ins, environment,
 * command line.
 *
 * A mistake in a file costs its line and nothing else: it becomes a problem,
 * and what was there before stays. On the command line it is fatal, and so is
 * a file named there that cannot be read: the person is there to correct it.
 *
 * Nothing is logged here. The caller has a log only after it has read the
 * configuration, and nvidia-driver prints the same problems on a terminal.
 */

#include "base/result.h"
#include "base/str.h"
#include "settings-operator.h"
#include "settings.h"
#include "sys/conffiles.h"
#include "sys/ini.h"

enum { PROBLEMS_MAX = 100 }; /* a binary file has a problem in every line */

typedef struct Loading {
        Config *config;
        const char *file; /* the one being read, as people name it */
        char **problems;
        size_t n_problems;
} Loading;

static int add_problem(Loading *loading, char *message)
{
        if (!message)
                return err_origin(-ENOMEM);

        if (loading->n_problems >= PROBLEMS_MAX) {
                free(message);
                if (loading->n_problems > PROBLEMS_MAX)
                        return 0;
                message = strdup("there are more problems than are shown here");
        }

        loading->n_problems++;
        return err_trace(strv_push_consume(&loading->problems, message));
}

static int on_problem(unsigned line, const char *message, void *userdata)
{
        Loading *loading = userdata;

        return err_trace(add_problem(loading, str_format("%s:%u: %s", loading->file, line, message)));
}

static int on_assignment(
                const char *section, const char *key, const char *value, unsigned line, void *userdata)
{
        _cleanup_free_ char *expected = NULL;
        Loading *loading = userdata;
        char *message;
        int r;

        r = config_assign(loading->config, section, key, value, &expected);
        if (r <= 0)
                return err_trace(r);

        if (r == CONFIG_E_UNKNOWN_SECTION)
                message = str_format("%s:%u: [%s] %s=: %s; ignoring the line", loading->file, line, section,
                                key, expected);
        else if (r == CONFIG_E_UNKNOWN_KEY)
                message = str_format(
                                "%s:%u: %s=: %s; ignoring the line", loading->file, line, key, expected);
        else
                message = str_format("%s:%u: %s=%s: %s; ignoring the line", loading->file, line, key, value,
                                expected);
        return err_trace(add_problem(loading, message));
}

/* Why a file could not be read, by the code of ini_read(); errno as it left it. */
static const char *describe_failure(int code)
{
        if (code == INI_E_ABSENT)
                return "no such file or directory";
        if (code == INI_E_TOO_BIG)
                return "larger than 64 KiB";
        return strerror(errno);
}

static int load_file(Loading *loading, const Root *root, const char *path)
{
        _cleanup_free_ char *name = root_path(root, path);
        const char *reason;
        int r;

        if (!name)
                return err_origin(-ENOMEM);

        loading->file = name;
        r = ini_read(root, path, on_assignment, on_problem, loading);
        loading->file = NULL;
        if (r <= 0)
                return err_trace(r);

        reason = describe_failure(r);
        return err_trace(add_problem(loading, str_format("%s: %s; ignoring the file", name, reason)));
}

static int load_explicit_file(Loading *loading, const Root *root, const char *path)
{
        _cleanup_free_ char *name = root_path(root, path);
        int r;

        if (!name)
                return err_origin(-ENOMEM);

        loading->file = name;
        r = ini_read(root, path, on_assignment, on_problem, loading);
        loading->file = NULL;
        if (r == INI_E_ABSENT)
                return SETTINGS_E_NO_FILE;
        if (r == INI_E_TOO_BIG)
                errno = EFBIG;
        return r > 0 ? SETTINGS_E_UNREADABLE : err_trace(r);
}

static int load_files(Loading *loading, const Root *root)
{
        _cleanup_strv_ char **files = NULL;
        int r;

        r = conffiles_list(root, &files);
        if (r)
                return err_trace(r);

        STRV_FOREACH (path, files) {
                r = load_file(loading, root, *path);
                if (r)
                        return err_trace(r);
        }
        return 0;
}

/* The value of @name in "NAME=value" strings, the first one as in getenv(3); NULL if it is not set. */
static const char *find_variable(char *const *environ_pairs, const char *name)
{
        STRV_FOREACH (pair, environ_pairs) {
                const char *value = startswith(*pair, name);

                if (value && *value == '=')
                        return value + 1;
        }
        return NULL;
}

static int load_environment(Loading *loading, char *const *environ_pairs)
{
        const char *name;
        int r;

        for (size_t i = 0; (name = config_environment_name(i)); i++) {
                const char *value = find_variable(environ_pairs, name);
                _cleanup_free_ char *expected = NULL;

                if (!value)
                        continue;
                r = config_set_from_environment(loading->config, name, value, &expected);
                if (r > 0)
                        r = add_problem(loading, str_format("environment variable %s=%s: %s; ignoring it",
                                                                 name, value, expected));
                if (r)
                        return err_trace(r);
        }
        return 0;
}

/* One "SECTION.KEY=VALUE" of the command line. */
static int apply_assignment(Loading *loading, const char *text)
{
        _cleanup_free_ char *section = NULL, *key = NULL, *expected = NULL;
        const char *dot = strchr(text, '.'), *equals = strchr(text, '=');
        int r;

        if (!dot || !equals || equals < dot) {
                r = add_problem(loading, str_format("--set=%s: expected SECTION.KEY=VALUE", text));
                return r ? err_trace(r) : SETTINGS_E_BAD_ASSIGNMENT;
        }
        section = strndup(text, (size_t)(dot - text));
        key = strndup(dot + 1, (size_t)(equals - dot - 1));
        if (!section || !key)
                return err_origin(-ENOMEM);

        r = config_assign(loading->config, section, key, equals + 1, &expected);
        if (r <= 0)
                return err_trace(r);
        r = add_problem(loading, str_format("--set=%s: %s", text, expected));
        return r ? err_trace(r) : SETTINGS_E_BAD_ASSIGNMENT;
}

static int check(Loading *loading)
{
        _cleanup_strv_ char **problems = NULL;
        int r;

        r = config_check(loading->config, &problems);
        if (r)
                return err_trace(r);

        STRV_FOREACH (problem, problems) {
                r = add_problem(loading, strdup(*problem));
                if (r)
                        return err_trace(r);
        }
        return 0;
}

static int load_operator_files(Loading *loading, const Root *root)
{
        _cleanup_strv_ char **problems = NULL;
        int r;

        r = settings_operator_load(loading->config, root, &problems);
        STRV_FOREACH (problem, problems)
                if (r == 0)
                        r = add_problem(loading, strdup(*problem));
        return err_trace(r);
}

static int load(Loading *loading, const Root *root, const char *explicit_file, char *const *environ_pairs,
                char *const *assignments)
{
        int r;

        r = load_operator_files(loading, root);
        if (r)
                return err_trace(r);
        if (explicit_file) {
                r = load_explicit_file(loading, root, explicit_file);
                if (r)
                        return r < 0 ? err_trace(r) : r;
        } else {
                r = load_files(loading, root);
                if (r)
                        return err_trace(r);
        }

        r = load_environment(loading, environ_pairs);
        if (r)
                return err_trace(r);
        STRV_FOREACH (assignment, assignments) {
                r = apply_assignment(loading, *assignment);
                if (r)
                        return r < 0 ? err_trace(r) : r;
        }
        return err_trace(check(loading));
}

int settings_load(const Root *root, const char *explicit_file, char *const *environ_pairs,
                char *const *assignments, char ***ret_problems, Config **ret)
{
        _cleanup_(config_freep) Config *config = NULL;
        Loading loading = {};
        int r;

        r = config_new(&config);
        if (r)
                return err_trace(r);

        loading.config = config;
        r = load(&loading, root, explicit_file, environ_pairs, assignments);
        if (r == SETTINGS_E_BAD_ASSIGNMENT)
                *ret_problems = TAKE_PTR(loading.problems);
        if (r) {
                strv_free(loading.problems);
                return r < 0 ? err_trace(r) : r;
        }

        *ret_problems = loading.problems;
        *ret = TAKE_PTR(config);
        return 0;
}
