/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What the files of the configuration share among themselves: the table and
 * the parsers. Everybody else includes policy/config.h.
 */

#include "policy/config.h"

/* How a value is written, and with it the type of its field. */
typedef enum ConfigKind {
        CONFIG_VERSION,   /* char *, or NULL */
        CONFIG_TYPE,      /* DriverChoice */
        CONFIG_PATH,      /* char *, or NULL */
        CONFIG_PATHS,     /* char **, in order */
        CONFIG_PROGRAM,   /* char *, or NULL */
        CONFIG_KEY,       /* char *, or NULL */
        CONFIG_HASH,      /* char *, or NULL */
        CONFIG_MODULES,   /* char ** */
        CONFIG_NUMBER,    /* unsigned */
        CONFIG_SPAN,      /* usec_t, infinity allowed */
        CONFIG_DELAY,     /* usec_t, at most a day */
        CONFIG_BOOL,      /* bool */
        CONFIG_AUTO,      /* ConfigAuto */
        CONFIG_POLICY,    /* StopPolicy */
        CONFIG_NAMES,     /* char **, of services */
        CONFIG_ADDRESSES, /* char **, of PCI functions */
        CONFIG_TOOLCHAIN, /* char *, or NULL */
        CONFIG_MIRRORS,   /* char **, of paths and URLs */
        CONFIG_CHECKSUM,  /* char *, or NULL */
        _CONFIG_KIND_MAX,
} ConfigKind;

typedef struct ConfigKey {
        const char *section;
        const char *key;
        ConfigKind kind;
        size_t offset;       /* of the field in Config */
        unsigned min, max;   /* of a CONFIG_NUMBER */
        const char *initial; /* the default as one would write it, "" if there is none */
        const char *doc;     /* whole sentences */
} ConfigKey;

/* In some sections the keys are names that the administrator chooses; they are not in the table of keys. */
typedef struct ConfigSection {
        const char *name;
        const char *doc;
        const char *free_key; /* what such a key is, "MODULE"; NULL for other sections */
        const char *takes;    /* what its value may be */
        const char *example;  /* "KEY=VALUE" */
} ConfigSection;

typedef struct ConfigVariable {
        const char *name;
        const char *section; /* the key it stands for */
        const char *key;
        const char *if_true; /* a boolean: the value to assign if true; false assigns nothing */
        const char *doc;
} ConfigVariable;

#define CONFIG_PARAMETERS "Parameters"      /* its keys are names of modules */
#define CONFIG_COMMANDS   "ServiceCommands" /* its keys are names of services */

/* The tables; each ends with an entry whose first member is NULL. */
extern const ConfigKey config_keys[];
extern const ConfigSection config_sections[];
extern const ConfigVariable config_variables[];

/* NULL if there is none. */
const ConfigSection *config_section_find(const char *section);
const ConfigKey *config_key_find(const char *section, const char *key);

/*
 * Parses @value into @field, whose old value is released on success. With
 * @append a list grows. An empty value is allowed for the kinds that can be
 * NULL. Returns 0, CONFIG_E_BAD_VALUE or -ENOMEM.
 */
int config_parse(const ConfigKey *key, const char *value, bool append, void *field);

/* Releases what the field of @key owns. */
void config_clear(const ConfigKey *key, void *field);

/* "a whole number from 0 to 1024". NULL on out of memory. */
char *config_expectation(const ConfigKey *key);

bool config_modname_is_valid(const char *s);

/* The name of a service is the name of files, too. */
bool config_service_name_is_valid(const char *s);

/*
 * A command line: words with blanks between them, quotes and backslashes as in
 * a systemd unit's ExecStart=, but no variables, specifiers or prefixes, and
 * never a shell. Returns 0, CONFIG_E_BAD_VALUE or -ENOMEM.
 */
int config_command_parse(const char *s, char ***ret_argv);
#define CONFIG_COMMAND_EXPECTATION "an absolute path without \".\" and \"..\", and arguments"

/* Words "name" or "name=value", double quotes as the kernel reads them. */
bool config_parameters_are_valid(const char *s);
#define CONFIG_PARAMETERS_EXPECTATION "module parameters such as NVreg_X=1 NVreg_Y=2"

/* Half a sentence each, with a suggestion if a name is near. NULL on out of memory. */
char *config_explain_section(const char *section);
char *config_explain_key(const char *section, const char *key);
