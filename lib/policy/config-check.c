/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What is decided above the single line of a file: the variables of the
 * environment, which stand for keys, and the rules between keys, which can
 * only be judged once every file has been read.
 *
 * A broken rule is mended, not only reported: the rest of the program relies
 * on the rules, and a daemon that keeps a driver alive does not refuse to
 * start over a number in a file.
 */

#include "base/result.h"
#include "base/str.h"
#include "policy/config-table.h"

const char *config_environment_name(size_t i)
{
        for (const ConfigVariable *v = config_variables; v->name; v++, i--)
                if (i == 0)
                        return v->name;
        return NULL;
}

static const ConfigVariable *find_variable(const char *name)
{
        for (const ConfigVariable *v = config_variables; v->name; v++)
                if (streq(v->name, name))
                        return v;
        return NULL;
}

static int expected(int code, const char *sentence, char **reterr_expected)
{
        char *copy = strdup(sentence);

        if (!copy)
                return err_origin(-ENOMEM);
        *reterr_expected = copy;
        return code;
}

int config_set_from_environment(Config *config, const char *name, const char *value, char **reterr_expected)
{
        const ConfigVariable *variable = find_variable(name);
        bool wanted = true;
        int r;

        if (!variable)
                return expected(CONFIG_E_UNKNOWN_KEY, "no variable of the configuration", reterr_expected);
        if (!value[strspn(value, " \t\r\n")])
                return 0;

        if (variable->if_true) {
                if (str_to_bool(value, &wanted))
                        return expected(CONFIG_E_BAD_VALUE, "expected true or false", reterr_expected);
                if (!wanted)
                        return 0;
                value = variable->if_true;
        }

        r = config_assign(config, variable->section, variable->key, value, reterr_expected);
        return r < 0 ? err_trace(r) : r;
}

static bool has_module(char *const *l, const char *name)
{
        STRV_FOREACH (s, l)
                if (modname_eq(*s, name))
                        return true;
        return false;
}

static int check_nvidia(Config *config, char ***problems)
{
        const ConfigKey *key = config_key_find("Driver", "Modules");
        int r;

        if (has_module(config->modules, "nvidia"))
                return 0;

        r = config_parse(key, key->initial, /* append= */ false, &config->modules);
        if (r)
                return err_fold(r);
        return err_trace(strv_pushf(problems,
                        "[Driver] Modules=: nvidia must be among them, using the default: %s",
                        key->initial));
}

/* nvidia-drm has symbols of nvidia-modeset and would not load without it. */
static int check_modeset(Config *config, char ***problems)
{
        int r;

        if (!has_module(config->modules, "nvidia-drm") || has_module(config->modules, "nvidia-modeset"))
                return 0;

        r = strv_push(&config->modules, "nvidia-modeset");
        if (r)
                return err_trace(r);
        return err_trace(strv_push(
                        problems, "[Driver] Modules=: nvidia-drm needs nvidia-modeset, adding it"));
}

static int check_delays(Config *config, char ***problems)
{
        _cleanup_free_ char *delay = NULL, *max = NULL;

        if (config->retry_delay <= config->retry_max_delay)
                return 0;

        delay = str_from_usec(config->retry_delay);
        max = str_from_usec(config->retry_max_delay);
        if (!delay || !max)
                return err_origin(-ENOMEM);

        config->retry_max_delay = config->retry_delay;
        return err_trace(strv_pushf(problems,
                        "[Retry] MaxDelaySec=: %s is shorter than DelaySec= (%s), using %s for both", max,
                        delay, delay));
}

/* Asked to end and not given the time to: nobody means that. */
static int check_grace(Config *config, char ***problems)
{
        _cleanup_free_ char *grace = NULL, *timeout = NULL, *half = NULL;

        if (config->stop_policy != STOP_POLICY_EVICT || config->stop_grace < config->stop_timeout)
                return 0;

        grace = str_from_usec(config->stop_grace);
        timeout = str_from_usec(config->stop_timeout);
        config->stop_grace = config->stop_timeout / 2;
        half = str_from_usec(config->stop_grace);
        if (!grace || !timeout || !half)
                return err_origin(-ENOMEM);
        return err_trace(strv_pushf(problems,
                        "[Stop] GraceSec=: %s leaves nothing of TimeoutSec= (%s), using %s", grace, timeout,
                        half));
}

/* A certificate alone signs nothing, and whoever wrote it believes that it does. */
static int check_signing(const Config *config, char ***problems)
{
        if (config->signing_key || !config->signing_certificate)
                return 0;
        return err_trace(strv_push(problems, "[Signing] Certificate=: there is no Key=, nothing is signed"));
}

static int check_parameters(const Config *config, char ***problems)
{
        int r;

        for (size_t i = 0; i < config->n_parameters; i++) {
                const char *module = config->parameters[i].module;

                if (!config->parameters[i].text || has_module(config->modules, module) ||
                                has_module(config->prerequisites, module))
                        continue;
                r = strv_pushf(problems,
                                "[" CONFIG_PARAMETERS
                                "] %s=: no such module in Modules= or Prerequisites= of "
                                "[Driver], ignoring",
                                module);
                if (r)
                        return err_trace(r);
        }
        return 0;
}

static bool service_is_known(const Config *config, const char *name)
{
        return streq(name, SERVICE_PERSISTENCED) || streq(name, SERVICE_FABRICMANAGER) ||
               config_service_command(config, name);
}

/* A name that means nothing is taken out: nothing could ever make that service run. */
static int check_required(Config *config, char ***problems)
{
        _cleanup_strv_ char **known = NULL;
        int r;

        STRV_FOREACH (name, config->required_services) {
                if (service_is_known(config, *name))
                        r = strv_push(&known, *name);
                else
                        r = strv_pushf(problems,
                                        "[Services] Required=%s: neither a service of ours nor a key of "
                                        "[" CONFIG_COMMANDS "], ignoring",
                                        *name);
                if (r)
                        return err_trace(r);
        }
        strv_free(config->required_services);
        config->required_services = TAKE_PTR(known);
        return 0;
}

/* The one that keeps hands off wins; the other may be a leftover, and whoever wrote it is told. */
static int check_addresses(const Config *config, char ***problems)
{
        STRV_FOREACH (address, config->include) {
                int r;

                if (!strv_contains(config->exclude, *address))
                        continue;
                r = strv_pushf(problems, "[Devices] Include=%s: also in Exclude=, which wins", *address);
                if (r)
                        return err_trace(r);
        }
        return 0;
}

int config_check(Config *config, char ***ret_problems)
{
        _cleanup_strv_ char **problems = NULL;
        int r;

        r = check_nvidia(config, &problems);
        if (r)
                return err_trace(r);
        r = check_modeset(config, &problems);
        if (r)
                return err_trace(r);
        r = check_delays(config, &problems);
        if (r)
                return err_trace(r);
        r = check_grace(config, &problems);
        if (r)
                return err_trace(r);
        r = check_signing(config, &problems);
        if (r)
                return err_trace(r);
        r = check_parameters(config, &problems);
        if (r)
                return err_trace(r);
        r = check_required(config, &problems);
        if (r)
                return err_trace(r);
        r = check_addresses(config, &problems);
        if (r)
                return err_trace(r);

        *ret_problems = TAKE_PTR(problems);
        return 0;
}
