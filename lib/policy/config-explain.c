/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What to say about a value that cannot be, and about a name that is not in the table. Most of them are a
 * letter away from one that is, or stand in the wrong section; the person who made the mistake should not
 * have to open the manual to see it.
 */

#include "base/str.h"
#include "policy/config-table.h"
#include "policy/mirror.h"
#include "policy/nearest.h"

static const char *nearest_section(const char *section)
{
        const char *nearest = NULL;
        unsigned best = UINT32_MAX;

        for (const ConfigSection *s = config_sections; s->name; s++) {
                unsigned d = nearest_distance(section, s->name);

                if (d < best && nearest_is_near(d, s->name)) {
                        best = d;
                        nearest = s->name;
                }
        }
        return nearest;
}

static const char *nearest_key(const char *section, const char *key)
{
        const char *nearest = NULL;
        unsigned best = UINT32_MAX;

        for (const ConfigKey *k = config_keys; k->section; k++) {
                unsigned d = nearest_distance(key, k->key);

                if (streq(k->section, section) && d < best && nearest_is_near(d, k->key)) {
                        best = d;
                        nearest = k->key;
                }
        }
        return nearest;
}

/* The section a key belongs to, if it is one of ours. */
static const char *home_of_key(const char *key)
{
        for (const ConfigKey *k = config_keys; k->section; k++)
                if (strcasecmp(k->key, key) == 0)
                        return k->section;
        return NULL;
}

static char *list_sections(void)
{
        _cleanup_strv_ char **l = NULL;

        for (const ConfigSection *s = config_sections; s->name; s++)
                if (strv_pushf(&l, "[%s]", s->name))
                        return NULL;
        return strv_join(l, " ");
}

static char *list_keys(const char *section)
{
        _cleanup_strv_ char **l = NULL;

        for (const ConfigKey *k = config_keys; k->section; k++)
                if (streq(k->section, section) && strv_pushf(&l, "%s=", k->key))
                        return NULL;
        return strv_join(l, " ");
}

char *config_explain_section(const char *section)
{
        const char *nearest = nearest_section(section);
        _cleanup_free_ char *all = NULL;

        if (nearest)
                return str_format("no such section, did you mean [%s]?", nearest);

        all = list_sections();
        return all ? str_format("no such section, there are %s", all) : NULL;
}

char *config_explain_key(const char *section, const char *key)
{
        const char *nearest = nearest_key(section, key), *home = home_of_key(key);
        _cleanup_free_ char *all = NULL;

        if (nearest)
                return str_format("no such key in [%s], did you mean %s=?", section, nearest);
        if (home)
                return str_format("no such key in [%s], it belongs to [%s]", section, home);

        all = list_keys(section);
        return all ? str_format("no such key in [%s], there are %s", section, all) : NULL;
}

char *config_expectation(const ConfigKey *key)
{
        switch (key->kind) {
        case CONFIG_VERSION:
                return strdup("a version of digits and dots such as 535.261.03, or a branch such as 535");
        case CONFIG_TYPE:
                return strdup("one of auto, proprietary and open");
        case CONFIG_PATH:
                return strdup("an absolute path without quotes, \".\" and \"..\", and not / itself");
        case CONFIG_PATHS:
                return strdup("absolute paths with blanks between them, without quotes, \".\" and \"..\"");
        case CONFIG_PROGRAM:
                return strdup("the name of a program or its absolute path, without arguments");
        case CONFIG_KEY:
                return strdup("an absolute path, or a URI that begins with pkcs11:");
        case CONFIG_HASH:
                return strdup("one of sha256, sha384 and sha512");
        case CONFIG_MODULES:
                return strdup("names of kernel modules with blanks between them");
        case CONFIG_NUMBER:
                return str_format("a whole number from %u to %u", key->min, key->max);
        case CONFIG_SPAN:
                return strdup("a time span such as 90, 2min or 1min 30s, of 1ms or longer, or infinity");
        case CONFIG_DELAY:
                return strdup("a time span such as 90, 2min or 1min 30s, from 1ms to 24h");
        case CONFIG_BOOL:
                return strdup("yes or no");
        case CONFIG_AUTO:
                return strdup("yes, no or auto");
        case CONFIG_POLICY:
                return strdup("one of leave, wait and evict");
        case CONFIG_NAMES:
                return strdup("names of services with blanks between them");
        case CONFIG_ADDRESSES:
                return strdup("PCI addresses such as 0000:01:00.0 or 01:00.0 with blanks between them");
        case CONFIG_TOOLCHAIN:
                return strdup("an absolute path, not / itself, or " TOOLCHAIN_CONTAINER);
        case CONFIG_MIRRORS:
                return strdup(MIRROR_EXPECTATION);
        case CONFIG_CHECKSUM:
                return strdup(CHECKSUM_EXPECTATION);
        case _CONFIG_KIND_MAX:
                break;
        }
        return NULL;
}
