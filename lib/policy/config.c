/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The configuration object: made with defaults, changed by assignments, and
 * checked once at the end. The functions walk the table (config-table.c) and
 * know no key by name, except for the rules between keys in config_check()
 * and for [Parameters] and [ServiceCommands], whose keys are names of modules
 * and services.
 *
 * Assignments never fail half: what is refused leaves the earlier value. The
 * bit mask "assigned" remembers which keys are no longer at their default,
 * because the first assignment to a list replaces the default and the second
 * one appends.
 */

#include "base/result.h"
#include "base/str.h"
#include "policy/config-table.h"

static void *field_of(Config *config, const ConfigKey *key)
{
        return (char *)config + key->offset;
}

static uint64_t bit_of(const ConfigKey *key)
{
        return UINT64_C(1) << (key - config_keys);
}

int config_new(Config **ret)
{
        _cleanup_(config_freep) Config *config = NULL;
        int r;

        config = calloc(1, sizeof(*config));
        if (!config)
                return err_origin(-ENOMEM);

        for (const ConfigKey *key = config_keys; key->section; key++) {
                r = config_parse(key, key->initial, /* append= */ false, field_of(config, key));
                if (r)
                        return err_fold(r);
        }

        *ret = TAKE_PTR(config);
        return 0;
}

Config *config_free(Config *config)
{
        if (!config)
                return NULL;

        for (const ConfigKey *key = config_keys; key->section; key++)
                config_clear(key, field_of(config, key));
        for (size_t i = 0; i < config->n_parameters; i++) {
                free(config->parameters[i].module);
                free(config->parameters[i].text);
        }
        free(config->parameters);
        for (size_t i = 0; i < config->n_commands; i++) {
                free(config->commands[i].service);
                strv_free(config->commands[i].argv);
        }
        free(config->commands);
        free(config);
        return NULL;
}

/* Hands out the explanation of a positive code, or turns it into -ENOMEM. */
static int refuse(int code, char *explanation, char **reterr_expected)
{
        if (!explanation)
                return err_origin(-ENOMEM);
        *reterr_expected = explanation;
        return code;
}

static int refuse_value(const char *expectation, char **reterr_expected)
{
        return refuse(CONFIG_E_BAD_VALUE, expectation ? str_format("expected %s", expectation) : NULL,
                        reterr_expected);
}

static int assign_key(Config *config, const ConfigKey *key, const char *value, char **reterr_expected)
{
        _cleanup_free_ char *expectation = NULL;
        bool is_list = key->kind == CONFIG_MODULES || key->kind == CONFIG_NAMES ||
                       key->kind == CONFIG_PATHS || key->kind == CONFIG_ADDRESSES ||
                       key->kind == CONFIG_MIRRORS,
             append = is_list && (config->assigned & bit_of(key));
        int r;

        /* Empty: a list is empty then, anything else is back at its default. */
        if (!*value && !is_list)
                value = key->initial;

        r = config_parse(key, value, append, field_of(config, key));
        if (r < 0)
                return err_trace(r);
        if (r == CONFIG_E_BAD_VALUE) {
                expectation = config_expectation(key);
                return refuse_value(expectation, reterr_expected);
        }

        config->assigned |= bit_of(key);
        return 0;
}

static ConfigParameters *find_parameters(const Config *config, const char *module)
{
        for (size_t i = 0; i < config->n_parameters; i++)
                if (modname_eq(config->parameters[i].module, module))
                        return config->parameters + i;
        return NULL;
}

static int add_parameters(Config *config, const char *module, ConfigParameters **ret)
{
        ConfigParameters *grown;
        char *copy;

        grown = reallocarray(config->parameters, config->n_parameters + 1, sizeof(*grown));
        if (!grown)
                return err_origin(-ENOMEM);
        config->parameters = grown;

        copy = strdup(module);
        if (!copy)
                return err_origin(-ENOMEM);
        grown += config->n_parameters++;
        *grown = (ConfigParameters){ .module = copy };
        *ret = grown;
        return 0;
}

static int assign_parameters(Config *config, const char *module, const char *value, char **reterr_expected)
{
        ConfigParameters *parameters;
        char *text = NULL;
        int r;

        if (!config_modname_is_valid(module))
                return refuse(CONFIG_E_UNKNOWN_KEY, strdup("expected the name of a kernel module as key"),
                                reterr_expected);
        if (!config_parameters_are_valid(value))
                return refuse_value(CONFIG_PARAMETERS_EXPECTATION, reterr_expected);

        parameters = find_parameters(config, module);
        if (!parameters) {
                r = add_parameters(config, module, &parameters);
                if (r)
                        return err_trace(r);
        }

        if (*value) {
                text = str_format("%s%s%s", strempty(parameters->text), parameters->text ? " " : "", value);
                if (!text)
                        return err_origin(-ENOMEM);
        }
        free(parameters->text);
        parameters->text = text;
        return 0;
}

static ConfigCommand *find_command(const Config *config, const char *service)
{
        for (size_t i = 0; i < config->n_commands; i++)
                if (streq(config->commands[i].service, service))
                        return config->commands + i;
        return NULL;
}

static int add_command(Config *config, const char *service, ConfigCommand **ret)
{
        ConfigCommand *grown;
        char *copy;

        grown = reallocarray(config->commands, config->n_commands + 1, sizeof(*grown));
        if (!grown)
                return err_origin(-ENOMEM);
        config->commands = grown;

        copy = strdup(service);
        if (!copy)
                return err_origin(-ENOMEM);
        grown += config->n_commands++;
        *grown = (ConfigCommand){ .service = copy };
        *ret = grown;
        return 0;
}

static int assign_command(Config *config, const char *service, const char *value, char **reterr_expected)
{
        _cleanup_strv_ char **argv = NULL;
        ConfigCommand *command;
        int r;

        if (!config_service_name_is_valid(service))
                return refuse(CONFIG_E_UNKNOWN_KEY,
                                strdup("expected the name of a service as key, of at most 32 letters, "
                                       "digits and ._-"),
                                reterr_expected);
        if (*value) {
                r = config_command_parse(value, &argv);
                if (r < 0)
                        return err_trace(r);
                if (r == CONFIG_E_BAD_VALUE)
                        return refuse_value(CONFIG_COMMAND_EXPECTATION, reterr_expected);
        }

        command = find_command(config, service);
        if (!command) {
                r = add_command(config, service, &command);
                if (r)
                        return err_trace(r);
        }
        strv_free(command->argv);
        command->argv = TAKE_PTR(argv);
        return 0;
}

static bool has_control_character(const char *s)
{
        for (; *s; s++)
                if (((unsigned char)*s < ' ' && *s != '\t') || *s == 0x7f)
                        return true;
        return false;
}

int config_assign(Config *config, const char *section, const char *key, const char *value,
                char **reterr_expected)
{
        _cleanup_free_ char *copy = NULL;
        const ConfigKey *k;
        char *stripped;
        int r;

        copy = strdup(value);
        if (!copy)
                return err_origin(-ENOMEM);
        stripped = str_strip(copy);

        if (!config_section_find(section))
                return refuse(CONFIG_E_UNKNOWN_SECTION, config_explain_section(section), reterr_expected);
        if (has_control_character(stripped))
                return refuse_value("text without control characters", reterr_expected);

        if (streq(section, CONFIG_PARAMETERS)) {
                r = assign_parameters(config, key, stripped, reterr_expected);
                return r < 0 ? err_trace(r) : r;
        }

        if (streq(section, CONFIG_COMMANDS)) {
                r = assign_command(config, key, stripped, reterr_expected);
                return r < 0 ? err_trace(r) : r;
        }

        k = config_key_find(section, key);
        if (!k)
                return refuse(CONFIG_E_UNKNOWN_KEY, config_explain_key(section, key), reterr_expected);

        r = assign_key(config, k, stripped, reterr_expected);
        return r < 0 ? err_trace(r) : r;
}

const char *config_module_parameters(const Config *config, const char *module)
{
        const ConfigParameters *parameters = find_parameters(config, module);

        return parameters ? parameters->text : NULL;
}

char *const *config_service_command(const Config *config, const char *service)
{
        const ConfigCommand *command = find_command(config, service);

        return command ? command->argv : NULL;
}
