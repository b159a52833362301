/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The text of a kernel's .config, looked up by symbol. Symbols are named
 * without their CONFIG_ prefix everywhere in this interface.
 */

#include "base/macro.h"

enum {
        /* A distribution's .config has 250 to 300 kB and about 8000 symbols. */
        KCONFIG_SIZE_MAX = 4 * 1024 * 1024, /* bytes */
};

enum {
        _KCONFIG_E_SUCCESS,
        KCONFIG_E_EMPTY,   /* no line of it is about a symbol: this is no .config */
        KCONFIG_E_TOO_BIG, /* more than KCONFIG_SIZE_MAX bytes */
        KCONFIG_E_OTHER,   /* the line is about something else */
};

typedef struct KconfigEntry {
        const char *name;  /* points into the Kconfig */
        const char *value; /* "y", "m", a number, or a string without its quotes; NULL for "is not set" */
} KconfigEntry;

typedef struct Kconfig {
        char *text;
        KconfigEntry *items; /* sorted by name; the last mention of a name counts */
        size_t n;
} Kconfig;

/*
 * Parses @size bytes of .config. A line that is no assignment and no "is not
 * set" is skipped, as the kernel's own parser does.
 *
 * Return: 0, KCONFIG_E_EMPTY, KCONFIG_E_TOO_BIG or a negative errno.
 */
int kconfig_parse(const char *text, size_t size, Kconfig **ret);
Kconfig *kconfig_free(Kconfig *config);
DEFINE_CLEANUP(Kconfig, kconfig_free);

/* The value; NULL if the symbol is not set or not named. */
const char *kconfig_get(const Kconfig *config, const char *name);

/* True for "y". */
bool kconfig_enabled(const Kconfig *config, const char *name);

/* True if the text names the symbol, set or not. */
bool kconfig_names(const Kconfig *config, const char *name);

/*
 * One line of "make listnewconfig": "CONFIG_NAME=value" with the value that
 * the symbol will take. Both strings are the caller's.
 *
 * Return: 0, KCONFIG_E_OTHER (make's own chatter) or a negative errno.
 */
int kconfig_parse_listnew(const char *line, char **ret_name, char **ret_value);
