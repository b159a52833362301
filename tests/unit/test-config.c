/* SPDX-License-Identifier: Apache-2.0 */

#include "unit.h"

#include "base/result.h"
#include "base/str.h"
#include "policy/config-table.h"

static Config *new_config(void)
{
        Config *config = NULL;

        ck_assert_int_eq(config_new(&config), 0);
        return config;
}

/* Assigns and expects success. */
static void assign(Config *config, const char *section, const char *key, const char *value)
{
        char *expected = NULL;
        int r = config_assign(config, section, key, value, &expected);

        ck_assert_msg(r == 0, "[%s] %s=%s: %d %s", section, key, value, r, strna(expected));
        ck_assert_ptr_null(expected);
}

static char *joined(char *const *l)
{
        return strv_join(l, " ");
}

START_TEST(test_defaults)
{
        _cleanup_(config_freep) Config *c = new_config();
        _cleanup_free_ char *modules = joined(c->modules), *prerequisites = joined(c->prerequisites);

        ck_assert_ptr_null(c->driver_version);
        ck_assert_int_eq(c->driver_type, DRIVER_CHOICE_AUTO);
        ck_assert_ptr_null(c->driver_source);
        ck_assert_str_eq(modules, "nvidia nvidia-uvm nvidia-modeset nvidia-drm");
        ck_assert_str_eq(prerequisites, "i2c_core ipmi_msghandler ipmi_devintf video");
        ck_assert_ptr_null(c->driver_firmware);
        ck_assert(c->driver_fallback);
        ck_assert_ptr_null(c->kernel_tree);
        ck_assert_uint_eq(c->build_jobs, 0);
        ck_assert_uint_eq(c->build_timeout, 30 * USEC_PER_MINUTE);
        ck_assert_ptr_null(c->build_compiler);
        ck_assert(!c->build_ignore_compiler_mismatch);
        ck_assert(!c->build_ignore_config_changes);
        ck_assert(!c->build_debug_info);
        ck_assert_str_eq(c->store_directory, "/var/lib/nvidia-driverd");
        ck_assert_uint_eq(c->store_keep, 3);
        ck_assert_uint_eq(c->store_lock_timeout, 2 * USEC_PER_MINUTE);
        ck_assert_uint_eq(c->load_timeout, 60 * USEC_PER_SEC);
        ck_assert_uint_eq(c->device_timeout, 30 * USEC_PER_SEC);
        ck_assert_uint_eq(c->stop_timeout, 8 * USEC_PER_SEC);
        ck_assert_int_eq(c->stop_policy, STOP_POLICY_LEAVE);
        ck_assert_uint_eq(c->stop_grace, 4 * USEC_PER_SEC);
        ck_assert(!c->stop_kill);
        ck_assert(!c->unload_lost_gpu);
        ck_assert(c->watch_kernel_log);
        ck_assert_uint_eq(c->watch_quiet, 10 * USEC_PER_MINUTE);
        ck_assert_uint_eq(c->retry_attempts, 5);
        ck_assert_uint_eq(c->retry_delay, 2 * USEC_PER_SEC);
        ck_assert_uint_eq(c->retry_max_delay, 5 * USEC_PER_MINUTE);
        ck_assert_int_eq(c->persistenced, CONFIG_AUTO_AUTO);
        ck_assert_int_eq(c->fabric_manager, CONFIG_AUTO_AUTO);
        ck_assert_ptr_null(c->required_services);
        ck_assert_uint_eq(c->service_start_timeout, 90 * USEC_PER_SEC);
        ck_assert_uint_eq(c->service_stop_timeout, 3 * USEC_PER_SEC);
        ck_assert_uint_eq(c->service_restart_delay, USEC_PER_SEC);
        ck_assert_uint_eq(c->service_attempts, 5);
        ck_assert_ptr_null(config_module_parameters(c, "nvidia"));
        ck_assert_ptr_null(config_service_command(c, SERVICE_PERSISTENCED));
        ck_assert_uint_eq(c->assigned, 0);
}
END_TEST

START_TEST(test_free_is_total)
{
        ck_assert_ptr_null(config_free(NULL));
}
END_TEST

/* Each pair has its key in the table, its documentation, and a default that its own parser takes. */
START_TEST(test_table)
{
        size_t n = 0;

        for (const ConfigKey *k = config_keys; k->section; k++, n++) {
                _cleanup_free_ char *expectation = config_expectation(k);

                ck_assert_ptr_nonnull(config_section_find(k->section));
                ck_assert_ptr_eq(config_key_find(k->section, k->key), k);
                ck_assert_uint_gt(strlen(k->doc), 20);
                ck_assert_int_eq(k->doc[strlen(k->doc) - 1], '.');
                ck_assert_uint_gt(strlen(expectation), 5);
        }
        ck_assert_uint_gt(n, 0);
        ck_assert_uint_le(n, 64); /* bits of Config.assigned */
}
END_TEST

/* One value per key that is not its default; the bytes of the field must change, and go back with "". */
static const struct {
        const char *section, *key, *value;
} other_values[] = {
        { "Driver", "Version", "535.261.03" },
        { "Driver", "Type", "open" },
        { "Driver", "Source", "/usr/src/nvidia" },
        { "Driver", "Modules", "nvidia" },
        { "Driver", "Prerequisites", "video" },
        { "Driver", "Firmware", "/usr/lib/firmware" },
        { "Driver", "Fallback", "no" },
        { "Kernel", "Tree", "/usr/src/linux" },
        { "Build", "Jobs", "8" },
        { "Build", "TimeoutSec", "infinity" },
        { "Build", "Compiler", "gcc-12" },
        { "Build", "IgnoreCompilerMismatch", "yes" },
        { "Build", "IgnoreConfigChanges", "yes" },
        { "Build", "DebugInfo", "on" },
        { "Signing", "Key", "/etc/keys/module.pem" },
        { "Signing", "Certificate", "/etc/keys/module.crt" },
        { "Signing", "Hash", "sha512" },
        { "Signing", "PinFile", "/run/credentials/pin" },
        { "Store", "Directory", "/data/store" },
        { "Store", "Keep", "100" },
        { "Store", "KeepKernels", "4" },
        { "Store", "LockTimeoutSec", "10s" },
        { "Store", "Shared", "/mnt/a /mnt/b,c" },
        { "Store", "SharedTimeoutSec", "1s" },
        { "Store", "KeepTrees", "no" },
        { "Load", "TimeoutSec", "90" },
        { "Load", "DeviceTimeoutSec", "1min 30s" },
        { "Devices", "Include", "0000:01:00.0 10000:65:1f.7" },
        { "Devices", "Exclude", "0000:02:00.0" },
        { "Devices", "TakeOver", "yes" },
        { "Devices", "CreateNodes", "no" },
        { "Devices", "CreateOnHost", "no" },
        { "Stop", "TimeoutSec", "250ms" },
        { "Stop", "Policy", "evict" },
        { "Stop", "GraceSec", "1s" },
        { "Stop", "Kill", "yes" },
        { "Stop", "UnloadLostGpu", "yes" },
        { "Watch", "KernelLog", "no" },
        { "Watch", "QuietSec", "5s" },
        { "Toolchain", "Root", "developer-container" },
        { "Toolchain", "Mirror", "/srv/flatcar/%v https://host:8443/%c/%b/%v" },
        { "Toolchain", "Checksum",
                        "sha256:0123456789abcdef0123456789ABCDEF0123456789abcdef0123456789abcdef" },
        { "Toolchain", "StallSec", "5s" },
        { "Retry", "Attempts", "0" },
        { "Retry", "DelaySec", "1ms" },
        { "Retry", "MaxDelaySec", "1d" },
        { "Services", "Persistenced", "yes" },
        { "Services", "FabricManager", "no" },
        { "Services", "Required", "nv-fabricmanager exporter" },
        { "Services", "StartTimeoutSec", "2min" },
        { "Services", "StopTimeoutSec", "500ms" },
        { "Services", "RestartDelaySec", "250ms" },
        { "Services", "Attempts", "0" },
};

static const char *const autos[] = {
        [CONFIG_AUTO_AUTO] = "auto",
        [CONFIG_AUTO_YES] = "yes",
        [CONFIG_AUTO_NO] = "no",
};

/* The field as text, whatever its kind. */
static char *field_text(const Config *config, const ConfigKey *key)
{
        const char *field = (const char *)config + key->offset;

        switch (key->kind) {
        case CONFIG_VERSION:
        case CONFIG_PATH:
        case CONFIG_PROGRAM:
        case CONFIG_KEY:
        case CONFIG_HASH:
        case CONFIG_TOOLCHAIN:
        case CONFIG_CHECKSUM:
                return strdup(strempty(*(char *const *)field));
        case CONFIG_MODULES:
        case CONFIG_NAMES:
        case CONFIG_ADDRESSES:
        case CONFIG_PATHS:
        case CONFIG_MIRRORS:
                return joined(*(char *const *const *)field);
        case CONFIG_AUTO:
                return strdup(autos[*(const ConfigAuto *)field]);
        case CONFIG_TYPE:
                return strdup(driver_choice_to_string(*(const DriverChoice *)field));
        case CONFIG_POLICY:
                return strdup(stop_policy_to_string(*(const StopPolicy *)field));
        case CONFIG_NUMBER:
                return str_format("%u", *(const unsigned *)field);
        case CONFIG_BOOL:
                return strdup(*(const bool *)field ? "yes" : "no");
        case CONFIG_SPAN:
        case CONFIG_DELAY:
                return str_format("%llu", (unsigned long long)*(const usec_t *)field);
        case _CONFIG_KIND_MAX:
                break;
        }
        return NULL;
}

/* The same text for what the table says, so that spans can be compared. */
static char *value_text(const ConfigKey *key, const char *value)
{
        usec_t usec;
        bool b;

        if (key->kind == CONFIG_SPAN || key->kind == CONFIG_DELAY) {
                ck_assert_int_eq(str_to_usec(value, &usec), 0);
                return str_format("%llu", (unsigned long long)usec);
        }
        if (key->kind == CONFIG_BOOL) {
                ck_assert_int_eq(str_to_bool(value, &b), 0);
                return strdup(b ? "yes" : "no");
        }
        return strdup(value);
}

START_TEST(test_round_trip)
{
        const char *section = other_values[_i].section, *name = other_values[_i].key;
        const ConfigKey *key = config_key_find(section, name);
        _cleanup_(config_freep) Config *c = new_config();
        _cleanup_free_ char *before = field_text(c, key), *initial = value_text(key, key->initial),
                            *wanted = value_text(key, other_values[_i].value), *after = NULL, *reset = NULL;

        ck_assert_str_eq(before, initial);
        assign(c, section, name, other_values[_i].value);
        after = field_text(c, key);
        ck_assert_str_eq(after, wanted);
        ck_assert_str_ne(after, before);

        assign(c, section, name, " ");
        reset = field_text(c, key);
        ck_assert_str_eq(reset, key->kind == CONFIG_MODULES ? "" : initial);
}
END_TEST

START_TEST(test_every_key_has_a_round_trip)
{
        for (const ConfigKey *k = config_keys; k->section; k++) {
                bool found = false;

                for (size_t i = 0; i < ELEMENTSOF(other_values); i++)
                        found |= streq(k->section, other_values[i].section) &&
                                 streq(k->key, other_values[i].key);
                ck_assert_msg(found, "no round trip for [%s] %s=", k->section, k->key);
        }
}
END_TEST

static const struct {
        const char *section, *key, *value;
        int r;
        const char *part; /* of the explanation */
} refused[] = {
        { "Signing", "Key", "key.pem", CONFIG_E_BAD_VALUE, "absolute path, or a URI" },
        { "Signing", "Key", "pkcs11:", CONFIG_E_BAD_VALUE, "pkcs11:" },
        { "Signing", "Key", "pkcs11:token=a b", CONFIG_E_BAD_VALUE, "pkcs11:" },
        { "Signing", "Key", "/etc/../key.pem", CONFIG_E_BAD_VALUE, "absolute path" },
        { "Signing", "Hash", "md5", CONFIG_E_BAD_VALUE, "sha256, sha384 and sha512" },
        { "Signing", "Certificate", "pkcs11:token=a", CONFIG_E_BAD_VALUE, "absolute path" },
        { "Toolchain", "Root", "developer", CONFIG_E_BAD_VALUE, "or developer-container" },
        { "Toolchain", "Root", "/srv/../x", CONFIG_E_BAD_VALUE, "an absolute path" },
        { "Toolchain", "Root", "/", CONFIG_E_BAD_VALUE, "not / itself" },
        { "Toolchain", "Mirror", "ftp://host/", CONFIG_E_BAD_VALUE, "https, http or file" },
        { "Toolchain", "Mirror", "https://user:word@host/", CONFIG_E_BAD_VALUE, "without user name" },
        { "Toolchain", "Mirror", "/srv/%x", CONFIG_E_BAD_VALUE, "%c, %b, %v and %%" },
        { "Toolchain", "Mirror", "/srv/%", CONFIG_E_BAD_VALUE, "%c, %b, %v and %%" },
        { "Toolchain", "Checksum", "sha512:0123", CONFIG_E_BAD_VALUE, "sha512: or sha256:" },
        { "Toolchain", "Checksum", "md5:0123456789abcdef0123456789abcdef", CONFIG_E_BAD_VALUE, "sha512:" },
        { "Toolchain", "StallSec", "infinity", CONFIG_E_BAD_VALUE, "1ms to 24h" },
        { "Driver", "Version", "latest", CONFIG_E_BAD_VALUE, "digits and dots" },
        { "Driver", "Version", "x535", CONFIG_E_BAD_VALUE, "535.261.03" },
        { "Driver", "Version", "535.", CONFIG_E_BAD_VALUE, "expected" },
        { "Driver", "Version", ".535", CONFIG_E_BAD_VALUE, "expected" },
        { "Driver", "Version", "535..3", CONFIG_E_BAD_VALUE, "expected" },
        { "Driver", "Version", "1.2.3.4.5", CONFIG_E_BAD_VALUE, "expected" },
        { "Driver", "Version", "535.2610000", CONFIG_E_BAD_VALUE, "expected" },
        { "Driver", "Version", "\"535.261.03\"", CONFIG_E_BAD_VALUE, "expected" },
        { "Driver", "Version", "../../etc", CONFIG_E_BAD_VALUE, "expected" },
        { "Driver", "Type", "Open", CONFIG_E_BAD_VALUE, "one of auto, proprietary and open" },
        { "Stop", "Policy", "kill", CONFIG_E_BAD_VALUE, "one of leave, wait and evict" },
        { "Driver", "Source", "usr/src", CONFIG_E_BAD_VALUE, "absolute path" },
        { "Driver", "Source", "\"/usr/src\"", CONFIG_E_BAD_VALUE, "without quotes" },
        { "Driver", "Source", "/", CONFIG_E_BAD_VALUE, "not / itself" },
        { "Driver", "Source", "/usr/../etc", CONFIG_E_BAD_VALUE, "\"..\"" },
        { "Driver", "Modules", "nvidia nvidia.ko", CONFIG_E_BAD_VALUE, "names of kernel modules" },
        { "Driver", "Modules", "-r nvidia", CONFIG_E_BAD_VALUE, "expected" },
        { "Driver", "Modules", ", ,", CONFIG_E_BAD_VALUE, "expected" },
        { "Driver", "Modules", "a123456789012345678901234567890123456789012345678901234x",
                        CONFIG_E_BAD_VALUE, "expected" },
        { "Build", "Jobs", "1025", CONFIG_E_BAD_VALUE, "from 0 to 1024" },
        { "Build", "Jobs", "-1", CONFIG_E_BAD_VALUE, "whole number" },
        { "Build", "Jobs", "many", CONFIG_E_BAD_VALUE, "whole number" },
        { "Build", "TimeoutSec", "0", CONFIG_E_BAD_VALUE, "1ms or longer" },
        { "Build", "TimeoutSec", "5 parsecs", CONFIG_E_BAD_VALUE, "time span" },
        { "Build", "Compiler", "ccache gcc", CONFIG_E_BAD_VALUE, "without arguments" },
        { "Build", "Compiler", "bin/gcc", CONFIG_E_BAD_VALUE, "absolute path" },
        { "Build", "Compiler", "-static", CONFIG_E_BAD_VALUE, "name of a program" },
        { "Build", "Compiler", "gcc;reboot", CONFIG_E_BAD_VALUE, "name of a program" },
        { "Build", "DebugInfo", "maybe", CONFIG_E_BAD_VALUE, "yes or no" },
        { "Store", "Keep", "0", CONFIG_E_BAD_VALUE, "from 1 to 100" },
        { "Store", "Shared", "/mnt/a mnt/b", CONFIG_E_BAD_VALUE, "absolute paths with blanks" },
        { "Store", "Shared", "/mnt/../etc", CONFIG_E_BAD_VALUE, "absolute paths with blanks" },
        { "Retry", "DelaySec", "infinity", CONFIG_E_BAD_VALUE, "24h" },
        { "Devices", "Include", "1:00.0", CONFIG_E_BAD_VALUE, "PCI addresses such as 0000:01:00.0" },
        { "Devices", "Exclude", "01:00.0 GPU-4711", CONFIG_E_BAD_VALUE, "01:00.0 with blanks" },
        { "Devices", "TakeOver", "nouveau", CONFIG_E_BAD_VALUE, "yes or no" },
        { "Services", "Persistenced", "maybe", CONFIG_E_BAD_VALUE, "yes, no or auto" },
        { "Services", "Required", "exporter ../etc", CONFIG_E_BAD_VALUE, "names of services" },
        { "ServiceCommands", "a/b", "/bin/true", CONFIG_E_UNKNOWN_KEY, "name of a service" },
        { "ServiceCommands", ".hidden", "/bin/true", CONFIG_E_UNKNOWN_KEY, "name of a service" },
        { "ServiceCommands", "exporter", "true", CONFIG_E_BAD_VALUE, "absolute path" },
        { "Retry", "DelaySec", "2d", CONFIG_E_BAD_VALUE, "24h" },
        { "Build", "Job", "4", CONFIG_E_UNKNOWN_KEY, "no such key in [Build], did you mean Jobs=?" },
        { "Build", "jobs", "4", CONFIG_E_UNKNOWN_KEY, "did you mean Jobs=?" },
        { "Load", "Timeout", "4", CONFIG_E_UNKNOWN_KEY, "did you mean TimeoutSec=?" },
        { "Driver", "Jobs", "4", CONFIG_E_UNKNOWN_KEY, "it belongs to [Build]" },
        { "Store", "Colour", "red", CONFIG_E_UNKNOWN_KEY,
                        "no such key in [Store], there are Directory= Keep=" },
        { "Store", "AKeyThatIsLongerThanAnyNameWeWouldEverThinkOf", "1", CONFIG_E_UNKNOWN_KEY, "there are" },
        { "Store", "", "1", CONFIG_E_UNKNOWN_KEY, "there are" },
        { "Drivers", "Version", "1.2", CONFIG_E_UNKNOWN_SECTION, "no such section, did you mean [Driver]?" },
        { "build", "Jobs", "1", CONFIG_E_UNKNOWN_SECTION, "did you mean [Build]?" },
        { "Unit", "After", "x", CONFIG_E_UNKNOWN_SECTION, "there are [Driver] [Kernel]" },
        { "", "After", "x", CONFIG_E_UNKNOWN_SECTION, "there are" },
        { "Parameters", "nvidia.ko", "a=1", CONFIG_E_UNKNOWN_KEY, "name of a kernel module" },
        { "Parameters", "", "a=1", CONFIG_E_UNKNOWN_KEY, "name of a kernel module" },
        { "Parameters", "nvidia", "=1", CONFIG_E_BAD_VALUE, "NVreg_X=1" },
        { "Parameters", "nvidia", "a=1 # why", CONFIG_E_BAD_VALUE, "module parameters" },
        { "Parameters", "nvidia", "a=\"1 b=2", CONFIG_E_BAD_VALUE, "module parameters" },
        { "Parameters", "nvidia", "a,b", CONFIG_E_BAD_VALUE, "module parameters" },
        { "Parameters", "nvidia", "a=1\nb=2", CONFIG_E_BAD_VALUE, "without control characters" },
        { "ServiceCommands", "x", "/bin/a\vb", CONFIG_E_BAD_VALUE, "without control characters" },
        { "ServiceCommands", "x", "/bin/a b\fc", CONFIG_E_BAD_VALUE, "without control characters" },
        { "ServiceCommands", "x", "/bin/a\rb", CONFIG_E_BAD_VALUE, "without control characters" },
        { "Driver", "Version", "1\033[2J", CONFIG_E_BAD_VALUE, "without control characters" },
        { "Store", "Directory", "/a\177", CONFIG_E_BAD_VALUE, "without control characters" },
};

START_TEST(test_refused)
{
        _cleanup_(config_freep) Config *c = new_config(), *fresh = new_config();
        _cleanup_free_ char *expected = NULL;
        int r;

        r = config_assign(c, refused[_i].section, refused[_i].key, refused[_i].value, &expected);
        ck_assert_int_eq(r, refused[_i].r);
        ck_assert_msg(strstr(expected, refused[_i].part), "'%s' is not in '%s'", refused[_i].part, expected);

        /* and nothing has changed */
        ck_assert_uint_eq(c->assigned, 0);
        ck_assert_uint_eq(c->n_parameters, 0);
        ck_assert_uint_eq(c->n_commands, 0);
        for (const ConfigKey *k = config_keys; k->section; k++) {
                _cleanup_free_ char *is = field_text(c, k), *was = field_text(fresh, k);

                ck_assert_str_eq(is, was);
        }
}
END_TEST

START_TEST(test_earlier_value_is_kept)
{
        _cleanup_(config_freep) Config *c = new_config();
        _cleanup_free_ char *expected = NULL;

        assign(c, "Build", "Jobs", "7");
        ck_assert_int_eq(config_assign(c, "Build", "Jobs", "x", &expected), CONFIG_E_BAD_VALUE);
        ck_assert_uint_eq(c->build_jobs, 7);
}
END_TEST

START_TEST(test_paths)
{
        _cleanup_(config_freep) Config *c = new_config();

        assign(c, "Driver", "Source", "//usr//src/nvidia-535/");
        ck_assert_str_eq(c->driver_source, "/usr/src/nvidia-535");
        assign(c, "Build", "Compiler", "/opt/gcc-12/bin/x86_64-linux-gnu-g++");
        ck_assert_str_eq(c->build_compiler, "/opt/gcc-12/bin/x86_64-linux-gnu-g++");
        assign(c, "Build", "Compiler", "  gcc-12\t");
        ck_assert_str_eq(c->build_compiler, "gcc-12");
}
END_TEST

START_TEST(test_lists)
{
        _cleanup_(config_freep) Config *c = new_config();
        _cleanup_free_ char *first = NULL, *second = NULL, *third = NULL, *refused_value = NULL;

        assign(c, "Driver", "Modules", "nvidia, nvidia-uvm nvidia_uvm");
        assign(c, "Driver", "Modules", "nvidia-drm\tnvidia");
        first = joined(c->modules);
        ck_assert_str_eq(first, "nvidia nvidia-uvm nvidia-drm");

        ck_assert_int_eq(config_assign(c, "Driver", "Modules", "ok not/ok", &refused_value),
                        CONFIG_E_BAD_VALUE);
        second = joined(c->modules);
        ck_assert_str_eq(second, first);

        assign(c, "Driver", "Modules", "");
        ck_assert_ptr_null(c->modules);
        assign(c, "Driver", "Modules", "nvidia");
        third = joined(c->modules);
        ck_assert_str_eq(third, "nvidia");
}
END_TEST

START_TEST(test_parameters)
{
        _cleanup_(config_freep) Config *c = new_config();
        _cleanup_free_ char *expected = NULL;

        assign(c, "Parameters", "nvidia-drm", "modeset=1");
        assign(c, "Parameters", "nvidia", "NVreg_A=1  NVreg_B");
        assign(c, "Parameters", "nvidia", "NVreg_RegistryDwords=\"A=1;B = 2\"");
        ck_assert_str_eq(config_module_parameters(c, "nvidia"),
                        "NVreg_A=1  NVreg_B NVreg_RegistryDwords=\"A=1;B = 2\"");
        ck_assert_str_eq(config_module_parameters(c, "nvidia_drm"), "modeset=1");
        ck_assert_ptr_null(config_module_parameters(c, "nvidia-uvm"));

        assign(c, "Parameters", "nvidia_drm", "");
        ck_assert_ptr_null(config_module_parameters(c, "nvidia-drm"));
        ck_assert_int_eq(config_assign(c, "Parameters", "nvidia", "b=\"", &expected), CONFIG_E_BAD_VALUE);
        assign(c, "Parameters", "nvidia_drm", "fbdev=1");
        ck_assert_str_eq(config_module_parameters(c, "nvidia-drm"), "fbdev=1");
        ck_assert_uint_eq(c->n_parameters, 2);
}
END_TEST

static const struct {
        const char *name, *value;
        int r;
        const char *section, *key; /* the field to look at */
        const char *field;
} variables[] = {
        { "DRIVER_VERSION", "535.183.01", 0, "Driver", "Version", "535.183.01" },
        { "DRIVER_VERSION", "535", 0, "Driver", "Version", "535" },
        { "DRIVER_VERSION", "", 0, "Driver", "Version", "" },
        { "DRIVER_VERSION", "535.183.01-flatcar", CONFIG_E_BAD_VALUE, "Driver", "Version", "" },
        { "KERNEL_MODULE_TYPE", "proprietary", 0, "Driver", "Type", "proprietary" },
        { "KERNEL_MODULE_TYPE", "closed", CONFIG_E_BAD_VALUE, "Driver", "Type", "auto" },
        { "OPEN_KERNEL_MODULES_ENABLED", "true", 0, "Driver", "Type", "open" },
        { "OPEN_KERNEL_MODULES_ENABLED", "false", 0, "Driver", "Type", "auto" },
        { "OPEN_KERNEL_MODULES_ENABLED", " ", 0, "Driver", "Type", "auto" },
        { "OPEN_KERNEL_MODULES_ENABLED", "perhaps", CONFIG_E_BAD_VALUE, "Driver", "Type", "auto" },
        { "MAX_THREADS", "12", 0, "Build", "Jobs", "12" },
        { "MAX_THREADS", "all", CONFIG_E_BAD_VALUE, "Build", "Jobs", "0" },
        { "PATH", "/bin", CONFIG_E_UNKNOWN_KEY, "Build", "Jobs", "0" },
};

START_TEST(test_environment)
{
        _cleanup_(config_freep) Config *c = new_config();
        _cleanup_free_ char *expected = NULL, *field = NULL;
        int r;

        r = config_set_from_environment(c, variables[_i].name, variables[_i].value, &expected);
        ck_assert_int_eq(r, variables[_i].r);
        ck_assert_int_eq(r > 0, expected != NULL);
        field = field_text(c, config_key_find(variables[_i].section, variables[_i].key));
        ck_assert_str_eq(field, variables[_i].field);
}
END_TEST

START_TEST(test_environment_names)
{
        size_t n = 0;

        for (const char *name; (name = config_environment_name(n)); n++)
                ck_assert_ptr_nonnull(config_key_find(config_variables[n].section, config_variables[n].key));
        ck_assert_uint_eq(n, 4);
        ck_assert_ptr_null(config_environment_name(4));
        ck_assert_ptr_null(config_environment_name(SIZE_MAX));
        ck_assert_str_eq(config_environment_name(0), "DRIVER_VERSION");
}
END_TEST

START_TEST(test_choice_names)
{
        for (DriverChoice i = 0; i < _DRIVER_CHOICE_MAX; i++)
                ck_assert_int_eq(driver_choice_from_string(driver_choice_to_string(i)), i);
        ck_assert_ptr_null(driver_choice_to_string(_DRIVER_CHOICE_MAX));
        ck_assert_ptr_null(driver_choice_to_string(_DRIVER_CHOICE_INVALID));
        ck_assert_int_eq(driver_choice_from_string(""), _DRIVER_CHOICE_INVALID);
}
END_TEST

START_TEST(test_policy_names)
{
        for (StopPolicy i = 0; i < _STOP_POLICY_MAX; i++)
                ck_assert_int_eq(stop_policy_from_string(stop_policy_to_string(i)), i);
        ck_assert_ptr_null(stop_policy_to_string(_STOP_POLICY_MAX));
        ck_assert_ptr_null(stop_policy_to_string(_STOP_POLICY_INVALID));
        ck_assert_int_eq(stop_policy_from_string(""), _STOP_POLICY_INVALID);
}
END_TEST

START_TEST(test_check_finds_nothing)
{
        _cleanup_(config_freep) Config *c = new_config();
        _cleanup_strv_ char **problems = NULL;

        assign(c, "Parameters", "nvidia_drm", "modeset=1");
        assign(c, "Parameters", "ipmi-devintf", "x=1");
        assign(c, "Parameters", "anything", "x=1");
        assign(c, "Parameters", "anything", "");
        ck_assert_int_eq(config_check(c, &problems), 0);
        ck_assert_ptr_null(problems);
}
END_TEST

START_TEST(test_check_mends)
{
        _cleanup_(config_freep) Config *c = new_config();
        _cleanup_strv_ char **problems = NULL, **again = NULL;
        _cleanup_free_ char *text = NULL, *modules = NULL;

        assign(c, "Driver", "Modules", "");
        assign(c, "Retry", "DelaySec", "10min");
        assign(c, "Parameters", "nvida", "x=1");
        ck_assert_int_eq(config_check(c, &problems), 0);
        text = strv_join(problems, "\n");
        ck_assert_str_eq(text,
                        "[Driver] Modules=: nvidia must be among them, using the default: nvidia nvidia-uvm "
                        "nvidia-modeset nvidia-drm\n"
                        "[Retry] MaxDelaySec=: 5min 0s is shorter than DelaySec= (10min 0s), using 10min 0s "
                        "for both\n"
                        "[Parameters] nvida=: no such module in Modules= or Prerequisites= of [Driver], "
                        "ignoring");
        modules = joined(c->modules);
        ck_assert_str_eq(modules, "nvidia nvidia-uvm nvidia-modeset nvidia-drm");
        ck_assert_uint_eq(c->retry_max_delay, 10 * USEC_PER_MINUTE);

        ck_assert_int_eq(config_check(c, &again), 0);
        ck_assert_uint_eq(strv_length(again), 1); /* what has no remedy is only told */
}
END_TEST

START_TEST(test_check_grace)
{
        _cleanup_(config_freep) Config *c = new_config();
        _cleanup_strv_ char **problems = NULL, **none = NULL;

        assign(c, "Stop", "GraceSec", "8s");
        ck_assert_int_eq(config_check(c, &none), 0);
        ck_assert_ptr_null(none); /* nobody is evicted */
        assign(c, "Stop", "Policy", "evict");
        ck_assert_int_eq(config_check(c, &problems), 0);
        ck_assert_str_eq(problems[0], "[Stop] GraceSec=: 8s leaves nothing of TimeoutSec= (8s), using 4s");
        ck_assert_uint_eq(c->stop_grace, 4 * USEC_PER_SEC);
        ck_assert_int_eq(config_check(c, &none), 0);
        ck_assert_ptr_null(none);
}
END_TEST

START_TEST(test_addresses)
{
        _cleanup_(config_freep) Config *c = new_config();
        _cleanup_strv_ char **problems = NULL, **none = NULL;
        _cleanup_free_ char *include = NULL, *exclude = NULL;

        assign(c, "Devices", "Include", "01:00.0, 0000:01:00.0 00000000:3B:00.0");
        assign(c, "Devices", "Include", "0001:00:00.0 3b:00.0");
        include = joined(c->include);
        ck_assert_str_eq(include, "0000:01:00.0 0000:3b:00.0 0001:00:00.0");
        ck_assert_int_eq(config_check(c, &none), 0);
        ck_assert_ptr_null(none);

        assign(c, "Devices", "Exclude", "3B:00.0");
        assign(c, "Devices", "Exclude", "02:00.0");
        exclude = joined(c->exclude);
        ck_assert_str_eq(exclude, "0000:3b:00.0 0000:02:00.0");
        ck_assert_int_eq(config_check(c, &problems), 0);
        ck_assert_uint_eq(strv_length(problems), 1);
        ck_assert_str_eq(problems[0], "[Devices] Include=0000:3b:00.0: also in Exclude=, which wins");
}
END_TEST

START_TEST(test_check_signing)
{
        _cleanup_(config_freep) Config *c = new_config();
        _cleanup_strv_ char **problems = NULL, **none = NULL;

        assign(c, "Signing", "Certificate", "/etc/keys/module.crt");
        ck_assert_int_eq(config_check(c, &problems), 0);
        ck_assert_str_eq(problems[0], "[Signing] Certificate=: there is no Key=, nothing is signed");
        assign(c, "Signing", "Key", "pkcs11:token=Modules;object=key%201?pin-source=file:/run/pin");
        ck_assert_int_eq(config_check(c, &none), 0);
        ck_assert_ptr_null(none);
}
END_TEST

START_TEST(test_check_modeset)
{
        _cleanup_(config_freep) Config *c = new_config();
        _cleanup_strv_ char **problems = NULL;
        _cleanup_free_ char *modules = NULL;

        assign(c, "Driver", "Modules", "nvidia nvidia_drm");
        ck_assert_int_eq(config_check(c, &problems), 0);
        ck_assert_uint_eq(strv_length(problems), 1);
        ck_assert(strstr(problems[0], "nvidia-drm needs nvidia-modeset"));
        modules = joined(c->modules);
        ck_assert_str_eq(modules, "nvidia nvidia_drm nvidia-modeset");
}
END_TEST

START_TEST(test_equal)
{
        _cleanup_(config_freep) Config *a = new_config(), *b = new_config();

        ck_assert(config_equal(a, b));
        for (size_t i = 0; i < ELEMENTSOF(other_values); i++) {
                assign(b, other_values[i].section, other_values[i].key, other_values[i].value);
                ck_assert_msg(!config_equal(a, b), "%s", other_values[i].key);
                assign(a, other_values[i].section, other_values[i].key, other_values[i].value);
                ck_assert_msg(config_equal(a, b), "%s", other_values[i].key);
        }
        assign(b, "Parameters", "nvidia", "a=1");
        ck_assert(!config_equal(a, b));
        assign(a, "Parameters", "nvidia", "a=2");
        ck_assert(!config_equal(a, b));
        assign(a, "Parameters", "nvidia", "");
        ck_assert(!config_equal(a, b));
        assign(a, "Parameters", "nvidia", "a=1");
        ck_assert(config_equal(a, b));
        assign(b, "ServiceCommands", "x", "/bin/x");
        ck_assert(!config_equal(a, b));
        assign(a, "ServiceCommands", "x", "/bin/x -y");
        ck_assert(!config_equal(a, b));
}
END_TEST

/* The checked-in file is the one that the table makes. */
START_TEST(test_shipped_file)
{
        _cleanup_free_ char *path = str_format("%s/../../conf/driverd.conf", getenv("FIXTURES")),
                            *made = NULL;
        _cleanup_fclose_ FILE *f = fopen(path, "re");
        static char shipped[64 * 1024];

        ck_assert_ptr_nonnull(f);
        ck_assert_uint_lt(fread(shipped, 1, sizeof(shipped) - 1, f), sizeof(shipped) - 1);
        ck_assert_int_eq(config_to_conf(&made), 0);
        ck_assert_str_eq(shipped, made);
}
END_TEST

/* Taking the comment signs away gives a file whose assignments are the defaults. */
START_TEST(test_shipped_file_is_the_defaults)
{
        _cleanup_(config_freep) Config *c = new_config(), *fresh = new_config();
        _cleanup_strv_ char **lines = NULL;
        _cleanup_free_ char *made = NULL;
        char section[32] = "";
        unsigned n = 0;

        ck_assert_int_eq(config_to_conf(&made), 0);
        ck_assert_int_eq(strv_split_lines(made, &lines), 0);
        STRV_FOREACH (line, lines) {
                char *equal = strchr(*line, '=');

                ck_assert_uint_le(strlen(*line), 80);
                if (sscanf(*line, "[%31[^]]", section) == 1 || **line != '#' || (*line)[1] == ' ' || !equal)
                        continue;
                *equal = '\0';
                assign(c, section, *line + 1, equal + 1);
                n += !config_section_find(section)->free_key;
        }

        for (const ConfigKey *k = config_keys; k->section; k++, n--) {
                _cleanup_free_ char *is = field_text(c, k), *was = field_text(fresh, k);

                ck_assert_str_eq(is, was);
        }
        ck_assert_uint_eq(n, 0); /* every key of the table is in the file */
}
END_TEST

START_TEST(test_man_names_everything)
{
        _cleanup_free_ char *man = NULL;

        ck_assert_int_eq(config_to_man(&man), 0);
        for (const ConfigKey *k = config_keys; k->section; k++) {
                _cleanup_free_ char *item = str_format(".TP\n.BR %s =\n", k->key);

                ck_assert_msg(strstr(man, item), "%s", item);
        }
        for (const ConfigVariable *v = config_variables; v->name; v++) {
                _cleanup_free_ char *item = str_format(".TP\n.B %s\n", v->name);

                ck_assert_msg(strstr(man, item), "%s", item);
        }
        ck_assert(strstr(man, "nvidia\\-uvm"));
        ck_assert(!strstr(man, "\n'"));
        ck_assert(strstr(man, "driver\\(aqs"));
}
END_TEST

UNIT_MAIN("config", UNIT_TEST(test_defaults), UNIT_TEST(test_free_is_total), UNIT_TEST(test_table),
                UNIT_LOOP(test_round_trip, ELEMENTSOF(other_values)),
                UNIT_TEST(test_every_key_has_a_round_trip), UNIT_LOOP(test_refused, ELEMENTSOF(refused)),
                UNIT_TEST(test_earlier_value_is_kept), UNIT_TEST(test_paths), UNIT_TEST(test_lists),
                UNIT_TEST(test_parameters), UNIT_LOOP(test_environment, ELEMENTSOF(variables)),
                UNIT_TEST(test_environment_names), UNIT_TEST(test_choice_names),
                UNIT_TEST(test_policy_names), UNIT_TEST(test_check_finds_nothing),
                UNIT_TEST(test_check_mends), UNIT_TEST(test_check_modeset), UNIT_TEST(test_check_grace),
                UNIT_TEST(test_addresses), UNIT_TEST(test_check_signing), UNIT_TEST(test_equal),
                UNIT_TEST(test_shipped_file), UNIT_TEST(test_shipped_file_is_the_defaults),
                UNIT_TEST(test_man_names_everything))
