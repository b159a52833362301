/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The configuration of the daemon: one struct of plain values, and the
 * functions that put text into it. Where the text comes from (files,
 * environment, command line) is not known here.
 */

#include "base/macro.h"

/* Which driver the administrator wants; what a source is, is policy/driversource.h's DriverType. */
typedef enum DriverChoice {
        DRIVER_CHOICE_AUTO, /* whatever the sources are */
        DRIVER_CHOICE_PROPRIETARY,
        DRIVER_CHOICE_OPEN,
        _DRIVER_CHOICE_MAX,
        _DRIVER_CHOICE_INVALID = -EINVAL,
} DriverChoice;

const char *driver_choice_to_string(DriverChoice type);
DriverChoice driver_choice_from_string(const char *name);

#define CONFIG_PKCS11 "pkcs11:" /* what the URI of a key in a token begins with */

#define TOOLCHAIN_CONTAINER "developer-container" /* as a toolchain root: the one of this host's release */

/* What a stop does about programs that use the driver. */
typedef enum StopPolicy {
        STOP_POLICY_LEAVE, /* what they use stays loaded, the daemon ends without it */
        STOP_POLICY_WAIT,  /* the daemon ends when they have */
        STOP_POLICY_EVICT, /* they are asked to end */
        _STOP_POLICY_MAX,
        _STOP_POLICY_INVALID = -EINVAL,
} StopPolicy;

const char *stop_policy_to_string(StopPolicy policy);
StopPolicy stop_policy_from_string(const char *name);

/* What is decided by the machine unless the administrator does. */
typedef enum ConfigAuto {
        CONFIG_AUTO_AUTO,
        CONFIG_AUTO_YES,
        CONFIG_AUTO_NO,
        _CONFIG_AUTO_MAX,
        _CONFIG_AUTO_INVALID = -EINVAL,
} ConfigAuto;

/* One line of [Parameters]. */
typedef struct ConfigParameters {
        char *module; /* as written in the file */
        char *text;   /* "NVreg_X=1 NVreg_Y=2", NULL after a reset */
} ConfigParameters;

/* The services that need no line in [ServiceCommands]. */
#define SERVICE_PERSISTENCED  "nvidia-persistenced"
#define SERVICE_FABRICMANAGER "nv-fabricmanager"

/* One line of [ServiceCommands]. */
typedef struct ConfigCommand {
        char *service;
        char **argv; /* argv[0] is absolute */
} ConfigCommand;

/* Strings that are not set are NULL. Paths are absolute, without a slash at the end. */
typedef struct Config {
        char *driver_version;
        DriverChoice driver_type;
        char *driver_source;
        char **modules;       /* contains nvidia once config_check() has run */
        char **prerequisites; /* may be empty */
        char *driver_firmware;
        bool driver_fallback;

        char *kernel_tree;

        unsigned build_jobs; /* 0: from CPUs and memory */
        usec_t build_timeout;
        char *build_compiler; /* a name to look up or an absolute path */
        bool build_ignore_compiler_mismatch;
        bool build_ignore_config_changes;
        bool build_debug_info;

        char *toolchain_root;     /* an absolute path or TOOLCHAIN_CONTAINER; NULL: the host's own tools */
        char **toolchain_mirrors; /* where the developer container is; empty: nothing is downloaded */
        char *toolchain_checksum; /* "sha512:HEX"; NULL: the DIGESTS beside the file */
        usec_t toolchain_stall;

        char *signing_key;         /* an absolute path or a pkcs11: URI; NULL: builds are not signed */
        char *signing_certificate; /* NULL: in the file of the key */
        char *signing_hash;        /* NULL: what the kernel's configuration says */
        char *signing_pin_file;

        char *store_directory;
        unsigned store_keep;
        unsigned store_keep_kernels; /* 0: of all */
        usec_t store_lock_timeout;
        char **store_shared; /* searched in this order */
        usec_t store_shared_timeout;
        bool store_keep_trees;

        usec_t load_timeout;
        usec_t device_timeout;

        char **include; /* PCI addresses as the kernel writes them; empty: all */
        char **exclude;
        bool take_over;
        bool create_nodes;
        bool create_on_host;

        usec_t stop_timeout;
        StopPolicy stop_policy;
        usec_t stop_grace;
        bool stop_kill;
        bool unload_lost_gpu;

        bool watch_kernel_log;
        usec_t watch_quiet;

        unsigned retry_attempts; /* 0: never give up */
        usec_t retry_delay;
        usec_t retry_max_delay;

        ConfigAuto persistenced;
        ConfigAuto fabric_manager;
        char **required_services;
        usec_t service_start_timeout;
        usec_t service_stop_timeout;
        usec_t service_restart_delay;
        unsigned service_attempts; /* 0: never give up */

        ConfigParameters *parameters;
        size_t n_parameters;
        ConfigCommand *commands;
        size_t n_commands;

        uint64_t assigned; /* one bit per key of the table: somebody has assigned it */
} Config;

enum {
        _CONFIG_E_SUCCESS,
        CONFIG_E_UNKNOWN_SECTION,
        CONFIG_E_UNKNOWN_KEY,
        CONFIG_E_BAD_VALUE,
};

/* A configuration with every key at its default. Returns 0 or -ENOMEM. */
int config_new(Config **ret);
Config *config_free(Config *config);
DEFINE_CLEANUP(Config, config_free);

/**
 * config_assign() - One "Key=value" line
 * @config:             configuration to change
 * @section:            section without its brackets
 * @key:                key, or the module's name in [Parameters], or the
 *                      service's in [ServiceCommands]
 * @value:              text; blanks around it do not count, control characters
 *                      in it are CONFIG_E_BAD_VALUE
 * @reterr_expected:    on a positive code: half a sentence for a person, owned
 *                      by the caller ("expected yes or no", "no such key in
 *                      [Build], did you mean Jobs=?")
 *
 * An empty value takes a key back to its default and empties a list. The first
 * assignment to a list replaces its default, every further one appends, in this
 * file or a later one. On any failure the configuration is as before.
 *
 * Return: 0, CONFIG_E_UNKNOWN_SECTION, CONFIG_E_UNKNOWN_KEY, CONFIG_E_BAD_VALUE,
 *         or a negative errno.
 */
int config_assign(Config *config, const char *section, const char *key, const char *value,
                char **reterr_expected);

/* The names config_set_from_environment() knows, in the order to apply them; NULL past the last one. */
const char *config_environment_name(size_t i);

/**
 * config_set_from_environment() - One variable of the container's environment
 * @config:             configuration to change
 * @name:               one of config_environment_name()
 * @value:              its value; empty counts as unset
 * @reterr_expected:    as in config_assign()
 *
 * Return: 0, CONFIG_E_UNKNOWN_KEY for any other name, CONFIG_E_BAD_VALUE, or a
 *         negative errno.
 */
int config_set_from_environment(Config *config, const char *name, const char *value, char **reterr_expected);

/**
 * config_check() - Rules between keys, once everything has been assigned
 * @config:             configuration to check, and to mend where it breaks a rule
 * @ret_problems:       one line per broken rule, each saying what is used
 *                      instead; NULL if there is none; owned by the caller
 *
 * Afterwards: modules contains nvidia, and nvidia-modeset if it contains
 * nvidia-drm; retry_delay <= retry_max_delay; stop_grace < stop_timeout; every required service has a
 * name that means something.
 *
 * Return: 0 or -ENOMEM.
 */
int config_check(Config *config, char ***ret_problems);

/* Whether the two say the same, wherever it was said. */
bool config_equal(const Config *a, const Config *b);

/* NULL if the service has no line in [ServiceCommands]. */
char *const *config_service_command(const Config *config, const char *service);

/* The parameters for a module, '-' and '_' being the same; NULL if there are none. */
const char *config_module_parameters(const Config *config, const char *module);

/* The configuration file as it is shipped: every key, documented, commented out. Returns 0 or -ENOMEM. */
int config_to_conf(char **ret);

/* The keys and variables as the roff sections of driverd.conf(5). Returns 0 or -ENOMEM. */
int config_to_man(char **ret);
