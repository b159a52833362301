/* SPDX-License-Identifier: Apache-2.0 */

/* Two configurations, value by value: whether a reload changes anything. */

#include "base/str.h"
#include "policy/config-table.h"

static bool lists_equal(char *const *a, char *const *b)
{
        size_t n = strv_length(a);

        if (n != strv_length(b))
                return false;
        for (size_t i = 0; i < n; i++)
                if (!streq(a[i], b[i]))
                        return false;
        return true;
}

static bool fields_equal(ConfigKind kind, const void *a, const void *b)
{
        switch (kind) {
        case CONFIG_VERSION:
        case CONFIG_PATH:
        case CONFIG_PROGRAM:
        case CONFIG_KEY:
        case CONFIG_HASH:
        case CONFIG_TOOLCHAIN:
        case CONFIG_CHECKSUM:
                return streq_ptr(*(char *const *)a, *(char *const *)b);
        case CONFIG_MODULES:
        case CONFIG_NAMES:
        case CONFIG_ADDRESSES:
        case CONFIG_PATHS:
        case CONFIG_MIRRORS:
                return lists_equal(*(char **const *)a, *(char **const *)b);
        case CONFIG_NUMBER:
                return *(const unsigned *)a == *(const unsigned *)b;
        case CONFIG_SPAN:
        case CONFIG_DELAY:
                return *(const usec_t *)a == *(const usec_t *)b;
        case CONFIG_BOOL:
                return *(const bool *)a == *(const bool *)b;
        case CONFIG_TYPE:
                return *(const DriverChoice *)a == *(const DriverChoice *)b;
        case CONFIG_AUTO:
                return *(const ConfigAuto *)a == *(const ConfigAuto *)b;
        case CONFIG_POLICY:
                return *(const StopPolicy *)a == *(const StopPolicy *)b;
        case _CONFIG_KIND_MAX:
                break;
        }
        return false;
}

bool config_equal(const Config *a, const Config *b)
{
        if (a->n_parameters != b->n_parameters || a->n_commands != b->n_commands)
                return false;
        for (size_t i = 0; i < a->n_parameters; i++)
                if (!streq(a->parameters[i].module, b->parameters[i].module) ||
                                !streq_ptr(a->parameters[i].text, b->parameters[i].text))
                        return false;
        for (size_t i = 0; i < a->n_commands; i++)
                if (!streq(a->commands[i].service, b->commands[i].service) ||
                                !lists_equal(a->commands[i].argv, b->commands[i].argv))
                        return false;
        for (const ConfigKey *key = config_keys; key->section; key++)
                if (!fields_equal(key->kind, (const char *)a + key->offset, (const char *)b + key->offset))
                        return false;
        return true;
}
