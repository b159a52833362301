/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The table of the configuration. Defaults, validation, the shipped
 * driverd.conf and driverd.conf(5) all come from here, so that they cannot
 * disagree; a new key is one entry here and one field in Config.
 *
 * The documentation is plain text in whole sentences: the conf file wraps it
 * into comments, the man page escapes it for roff. What a value may look like
 * and what the default is, is added from the other columns.
 */

#include "policy/config-table.h"

const ConfigSection config_sections[] = {
        { "Driver", "Which driver, and which of its modules." },
        { "Kernel", "The kernel that the driver is built for." },
        { "Build", "How the driver is compiled and linked." },
        { "Toolchain", "The tools to build with, on a host that has no compiler." },
        { "Signing", "The key that modules are signed with. Without one they are not signed." },
        { "Store", "Where finished builds are kept." },
        { "Load", "How modules are loaded and devices waited for." },
        { "Devices", "The GPUs and their device nodes." },
        { "Stop", "How the driver is taken down." },
        { "Watch", "What is watched once the driver is ready." },
        { "Retry", "What happens after a failure that may pass by itself, such as a driver in use or a full disk." },
        { "Services", "Programs that belong to the driver. They are started once the devices are there, watched, "
                      "started again when they end, and stopped before the driver is unloaded. A service that does not "
                      "run makes the state degraded. What is set here applies when services are started." },
        { CONFIG_COMMANDS,
                        "Further services, one per key, which is the name of the service, and how they are started. A "
                        "service stays in the foreground, or puts itself into the background when it is ready. Its "
                        "output goes to the log. The names nvidia-persistenced and nv-fabricmanager replace the "
                        "command line of those two. Words with blanks are written in quotes; there is no shell.",
                        "NAME",
                        CONFIG_COMMAND_EXPECTATION ". An empty value forgets what was assigned before",
                        "nvidia-persistenced=/usr/bin/nvidia-persistenced --user nvpd" },
        { CONFIG_PARAMETERS,
                        "Parameters of kernel modules, one module per key. Repeated assignments append; an "
                        "empty one forgets what was assigned before. Values with blanks are written in "
                        "double quotes, as on the kernel's command line.",
                        "MODULE", CONFIG_PARAMETERS_EXPECTATION ". The name may be written with - or _",
                        "nvidia=NVreg_EnableGpuFirmware=0 NVreg_OpenRmEnableUnsupportedGpus=1" },
        {},
};

#define KEY(_section, _key, _kind, _field, _initial, _doc)                                                  \
        {                                                                                                   \
                .section = _section, .key = _key, .kind = _kind, .offset = offsetof(Config, _field),        \
                .initial = _initial, .doc = _doc                                                            \
        }

#define NUMBER(_section, _key, _field, _min, _max, _initial, _doc)                                          \
        {                                                                                                   \
                .section = _section, .key = _key, .kind = CONFIG_NUMBER,                                    \
                .offset = offsetof(Config, _field), .min = _min, .max = _max, .initial = _initial,          \
                .doc = _doc                                                                                 \
        }

const ConfigKey config_keys[] = {
        KEY("Driver", "Version", CONFIG_VERSION, driver_version, "",
                        "Version of the driver, or its branch. Another driver is neither built nor loaded. "
                        "If empty, the highest version that is available is used."),
        KEY("Driver", "Type", CONFIG_TYPE, driver_type, "auto",
                        "Which kernel modules to build from the driver's sources: NVIDIA's proprietary ones or the "
                        "open ones. With auto the GPUs decide, by NVIDIA's supported-gpus.json if there is one beside "
                        "the sources or in the documentation of the driver's package, else by their PCI device ids: GPUs older "
                        "than Turing need the proprietary modules, Grace Hopper (GH200), Blackwell and later the open ones. Of "
                        "GPUs that contradict each other nothing is built. If both would do and both are there, it is the "
                        "proprietary ones before branch 560, the open ones from there on, as NVIDIA has it. Among builds that "
                        "are there already, one of the type that the GPUs need by their ids goes first."),
        KEY("Driver", "Source", CONFIG_PATH, driver_source, "",
                        "Directory with the unpacked sources of the driver's kernel modules, or a .run file of NVIDIA's driver. It "
                        "is only read. A .run file is checked and unpacked in the store by its own script, so neither it nor "
                        "the directories above it may be writable by anybody but root. If empty, the usual places below /usr/src "
                        "and /opt/nvidia are searched, for NVIDIA-Linux-*.run as well."),
        KEY("Driver", "Modules", CONFIG_MODULES, modules, "nvidia nvidia-uvm nvidia-modeset nvidia-drm",
                        "The driver's modules to load; nvidia must be among them. Their order does not matter, it "
                        "follows from the modules' own dependencies. The first assignment replaces the default, "
                        "further ones append, an empty one empties the list."),
        KEY("Driver", "Prerequisites", CONFIG_MODULES, prerequisites,
                        "i2c_core ipmi_msghandler ipmi_devintf video",
                        "Modules of the kernel itself that are loaded before the driver if the host has them. Those "
                        "it does not have are left out without a word. Assignments add up as those of Modules= do."),
        KEY("Driver", "Firmware", CONFIG_PATH, driver_firmware, "",
                        "Directory with the driver's firmware: gsp_*.bin lie in it, or in nvidia/VERSION below it. It is "
                        "shown to the kernel before the first module is loaded, unless the kernel finds that firmware by "
                        "itself. If empty, /lib/firmware, /run/nvidia/driver/lib/firmware and the firmware folder of the "
                        "driver's sources are looked at."),
        KEY("Driver", "Fallback", CONFIG_BOOL, driver_fallback, "yes",
                        "Whether the last build that worked on this kernel is loaded if the wanted driver can be neither built "
                        "nor loaded. The state is then degraded, the code driver-fallback. The wanted driver is tried again at "
                        "the next start, or when a reload finds another configuration. With no, the start fails. A failure "
                        "that may pass by itself, such as a download, leads to it once Attempts= in [Retry] are used up, so "
                        "never with 0 there."),

        KEY("Kernel", "Tree", CONFIG_PATH, kernel_tree, "",
                        "Directory with the kernel's headers or sources. It is only read. If empty, the usual places "
                        "are searched, such as /lib/modules/RELEASE/build, /usr/src/linux-RELEASE and /usr/src/linux. A source is "
                        "prepared elsewhere. If it has no .config or Module.symvers, the kernel's own are taken from "
                        "/boot, /lib/modules/RELEASE or, for the running kernel, /proc/config.gz."),

        NUMBER("Build", "Jobs", build_jobs, 0, 1024, "0",
                        "How many compilers run at the same time. 0 chooses from the number of CPUs and the memory "
                        "that there is."),
        KEY("Build", "TimeoutSec", CONFIG_SPAN, build_timeout, "30min",
                        "How long a build may take in all before it is stopped."),
        KEY("Build", "Compiler", CONFIG_PROGRAM, build_compiler, "",
                        "The C compiler. If empty, it is the one that the kernel was built with, as its configuration "
                        "names it in CONFIG_CC_VERSION_TEXT."),
        KEY("Build", "IgnoreCompilerMismatch", CONFIG_BOOL, build_ignore_compiler_mismatch, "no",
                        "Whether to build even if the compiler's major version is not the one that the kernel was "
                        "built with. Such modules may not load, or may crash the machine."),
        KEY("Build", "IgnoreConfigChanges", CONFIG_BOOL, build_ignore_config_changes, "no",
                        "Whether to build in a prepared kernel source even if the tools here took options of the "
                        "kernel's configuration away that structures depend on. Such modules may not load, or may "
                        "crash the machine."),
        KEY("Build", "DebugInfo", CONFIG_BOOL, build_debug_info, "no",
                        "Whether the modules keep their debugging information. They become many times as big."),

        KEY("Toolchain", "Root", CONFIG_TOOLCHAIN, toolchain_root, "",
                        "A directory or a disk image with a system that has a compiler, make and binutils: kernel tree and "
                        "driver are compiled and linked inside of it. It is only read. An image has a file system, or a "
                        "partition table and a partition with a system. Kernel trees are searched in it too, after "
                        "those of the host. developer-container is the image that Flatcar makes for each release, see "
                        "Mirror=. If empty, the host's own tools are used."),
        KEY("Toolchain", "Mirror", CONFIG_MIRRORS, toolchain_mirrors, "",
                        "Where the developer container of this release of Flatcar is: directories, or directories of a server, "
                        "which are tried in this order, or the file itself. %c is the channel (stable), %b the board (amd64-usr), "
                        "%v the version (4230.2.3) of the host, %% a percent sign. "
                        "What was got once is kept and verified, and nobody is asked again. "
                        "If empty, nothing is downloaded. Assignments add up as those of Modules= do."),
        KEY("Toolchain", "Checksum", CONFIG_CHECKSUM, toolchain_checksum, "",
                        "What the developer container's file must be, as it lies on the server or in the directory. If empty, the "
                        "file of the same name with .DIGESTS at its end says so; from a server that "
                        "is only believed over https, or from this machine itself. A file that neither vouches for is not used."),
        KEY("Toolchain", "StallSec", CONFIG_DELAY, toolchain_stall, "30s",
                        "How long a download may stand still before it is tried again, from where it stopped. There is no limit for "
                        "the whole."),

        KEY("Signing", "Key", CONFIG_KEY, signing_key, "",
                        "The private key: a PEM file, or the pkcs11: URI of a key in a token. It is read when a build "
                        "is to be signed and at no other time, and is part of no build. The kernel knows RSA and EC keys."),
        KEY("Signing", "Certificate", CONFIG_PATH, signing_certificate, "",
                        "The key's certificate, a PEM or DER file. The kernel must trust it, as one of its built-in keys "
                        "or through a machine owner key (MOK). If empty, it is looked for in the file of Key=."),
        KEY("Signing", "Hash", CONFIG_HASH, signing_hash, "",
                        "The digest that is signed. If empty, it is the one of the kernel's own modules, "
                        "CONFIG_MODULE_SIG_HASH of its configuration."),
        KEY("Signing", "PinFile", CONFIG_PATH, signing_pin_file, "",
                        "A file whose first line is the passphrase of the key, or the PIN of its token."),

        KEY("Store", "Directory", CONFIG_PATH, store_directory, "/var/lib/nvidia-driverd",
                        "Directory of the builds. It is made if it is not there."),
        NUMBER("Store", "Keep", store_keep, 1, 100, "3",
                        "How many builds to keep for each kernel; older ones are removed once the driver is ready. The one "
                        "in use and the one that worked last are never removed."),
        NUMBER("Store", "KeepKernels", store_keep_kernels, 0, 1000, "0",
                        "Of how many kernels to keep builds; the running one is always among them, and the others are those "
                        "with the newest builds. All builds of further kernels are removed, even those that worked. With 0 those "
                        "of all kernels are kept, so that a machine can go back to any of them."),
        KEY("Store", "LockTimeoutSec", CONFIG_SPAN, store_lock_timeout, "2min",
                        "How long a finished build waits for another process that writes to the store, such as an import. "
                        "After that it fails with the code store-locked, and the attempt is made again."),
        KEY("Store", "Shared", CONFIG_PATHS, store_shared, "",
                        "Directories with builds of other machines, such as a mount that a fleet shares: stores, or what "
                        "nvidia-driver build --output fills. They are searched in this order when the own store has no build "
                        "that serves, and only read; a build that serves is copied into the own store and checked there. Who can "
                        "write to them decides what runs in this kernel. Assignments add up, an empty one empties the list."),
        KEY("Store", "SharedTimeoutSec", CONFIG_SPAN, store_shared_timeout, "15s",
                        "How long a shared directory may take to tell what it has, and ten times that for a copy. A mount that "
                        "does not answer is left out after that."),

        KEY("Store", "KeepTrees", CONFIG_BOOL, store_keep_trees, "yes",
                        "Whether a kernel tree that was prepared from sources is kept in the store, some 70 MB, so that the "
                        "next build for that kernel takes neither the sources nor the time. It goes when the store has no "
                        "build for that kernel any more. With no, kept ones are not used, and removed."),

        KEY("Load", "TimeoutSec", CONFIG_SPAN, load_timeout, "60s",
                        "How long one operation of the kernel, such as loading a module, may take. An operation that "
                        "takes longer is not interrupted, because it cannot be; the state becomes STUCK until the "
                        "kernel answers."),
        KEY("Load", "DeviceTimeoutSec", CONFIG_SPAN, device_timeout, "30s",
                        "How long to wait for the device nodes of every GPU once the modules are loaded."),

        KEY("Devices", "Include", CONFIG_ADDRESSES, include, "",
                        "PCI addresses of the GPUs to use. If empty, all NVIDIA GPUs are used. Assignments add up as "
                        "those of Modules= do."),
        KEY("Devices", "Exclude", CONFIG_ADDRESSES, exclude, "",
                        "PCI addresses of GPUs to leave alone, also if they are in Include=. They are not waited for, "
                        "not complained of and not counted. The driver binds every GPU that is free; so that it does "
                        "not bind these, or those that are missing in Include=, their driver_override= is set to "
                        "nvidia-driverd-excluded as long as our driver is loaded, unless somebody else has set it. "
                        "Assignments add up as those of Modules= do."),
        KEY("Devices", "TakeOver", CONFIG_BOOL, take_over, "no",
                        "Whether a GPU that is to be used and is bound to another driver, such as nouveau or vfio-pci, "
                        "is taken from it. With no, nothing is done and the reason is gpu-claimed. With yes, the GPU is "
                        "unbound, a driver_override= is cleared, and nouveau is unloaded if nothing else uses "
                        "it. One that a virtual machine uses through vfio-pci is waited for; other programs, such as a "
                        "graphical session on nouveau, lose it. They are not given back on stop."),
        KEY("Devices", "CreateNodes", CONFIG_BOOL, create_nodes, "yes",
                        "Whether the device nodes that the kernel does not make by itself are made, watched and waited "
                        "for: /dev/nvidiactl, one for each GPU, those of nvidia-uvm, nvidia-modeset and of the driver's "
                        "capabilities, and their links in /dev/char. Owner and mode are what the driver's parameters "
                        "NVreg_DeviceFileUID=, NVreg_DeviceFileGID= and NVreg_DeviceFileMode= say; with "
                        "NVreg_ModifyDeviceFiles=0 they are waited for, but left to somebody else. With no, all "
                        "of it is somebody else's business."),
        KEY("Devices", "CreateOnHost", CONFIG_BOOL, create_on_host, "yes",
                        "Whether a daemon in a container makes the nodes in the host's /dev as well as in its own. That "
                        "needs the host's processes to be visible (--pid=host)."),

        KEY("Stop", "TimeoutSec", CONFIG_SPAN, stop_timeout, "8s",
                        "How long to wait on stop for programs to let go of the driver. After that the driver stays "
                        "loaded for them, and the daemon ends with the names of those who hold it. The default "
                        "is inside of the ten seconds that docker stop gives. A module that the kernel is unloading right "
                        "then is waited for, up to six seconds longer; children that do not end are not."),
        KEY("Stop", "Policy", CONFIG_POLICY, stop_policy, "leave",
                        "What a stop does about programs that use the driver. With leave they get TimeoutSec= to let go of "
                        "it by themselves. With wait the daemon waits for them for as long as they take, so the "
                        "service manager's own limit has to be raised with it (TimeoutStopSec= of the unit, docker stop "
                        "--time, terminationGracePeriodSeconds). With evict they are asked to end (SIGTERM) at once. In all cases "
                        "nvidia-drm is unloaded first if nobody uses it, even if the rest has to stay."),
        KEY("Stop", "GraceSec", CONFIG_DELAY, stop_grace, "4s",
                        "With Policy=evict, how long a program has to end after SIGTERM. It is part of TimeoutSec=, which "
                        "must be longer."),
        KEY("Stop", "Kill", CONFIG_BOOL, stop_kill, "no",
                        "With Policy=evict, whether a program that is still there after GraceSec= is killed (SIGKILL)."),
        KEY("Stop", "UnloadLostGpu", CONFIG_BOOL, unload_lost_gpu, "no",
                        "Whether the modules are unloaded although a GPU that they are bound to has fallen off the bus. "
                        "That is known to hang inside the kernel, so by default the driver is left as it is and the "
                        "machine has to be rebooted."),

        KEY("Watch", "KernelLog", CONFIG_BOOL, watch_kernel_log, "yes",
                        "Whether the kernel's log is watched for errors of the GPUs (Xid, fallen off the bus)."),
        KEY("Watch", "QuietSec", CONFIG_SPAN, watch_quiet, "10min",
                        "How long a GPU must have been without a further error until it counts as healthy again. Errors "
                        "that user programs cause do not count. A GPU that has fallen off the bus does not heal by itself."),

        NUMBER("Retry", "Attempts", retry_attempts, 0, 10000, "5",
                        "How many attempts are made before giving up. 0 never gives up. A driver that has to go and is in use is waited for without a limit."),
        KEY("Retry", "DelaySec", CONFIG_DELAY, retry_delay, "2s",
                        "How long to wait before the second attempt. The delay doubles with each further one."),
        KEY("Retry", "MaxDelaySec", CONFIG_DELAY, retry_max_delay, "5min",
                        "The longest delay between two attempts. It may not be shorter than DelaySec=."),

        KEY("Services", "Persistenced", CONFIG_AUTO, persistenced, "auto",
                        "Whether to run nvidia-persistenced. With auto it is run where the program is there, unless a "
                        "systemd of this host has the unit nvidia-persistenced.service, whose business it is then, or "
                        "somebody else runs it already. With yes its absence is a failure of the service."),
        KEY("Services", "FabricManager", CONFIG_AUTO, fabric_manager, "auto",
                        "Whether to run nv-fabricmanager. With auto it is run where an NVSwitch is on the PCI bus, under the "
                        "same conditions as nvidia-persistenced; the unit is nvidia-fabricmanager.service."),
        KEY("Services", "Required", CONFIG_NAMES, required_services, "",
                        "Names of services that the driver is not ready without: nvidia-persistenced, nv-fabricmanager, or "
                        "keys of [ServiceCommands]. If one of them does not start, the start fails. The first assignment "
                        "replaces the default, further ones append, an empty one empties the list."),
        KEY("Services", "StartTimeoutSec", CONFIG_SPAN, service_start_timeout, "90s",
                        "How long a service that puts itself into the background may take to do so. One that stays in "
                        "the foreground counts as started when it has run for half a second."),
        KEY("Services", "StopTimeoutSec", CONFIG_SPAN, service_stop_timeout, "3s",
                        "How long a service may take to end after SIGTERM before all of its processes are killed. All services "
                        "together never get more than half of TimeoutSec= in [Stop]."),
        KEY("Services", "RestartDelaySec", CONFIG_DELAY, service_restart_delay, "1s",
                        "How long to wait before a service that ended is started again. The delay doubles each time, up to "
                        "a minute, and is forgotten once the service has run for a minute."),
        NUMBER("Services", "Attempts", service_attempts, 0, 10000, "5",
                        "How many times in a row a required service is started before the start of the driver counts as "
                        "failed. 0 never gives up. Once the driver is ready, every service is tried again without a limit."),
        {},
};

/* In the order to apply them: a later variable wins over an earlier one for the same key. */
const ConfigVariable config_variables[] = {
        { "DRIVER_VERSION", "Driver", "Version", NULL, "Stands for Version= in [Driver]." },
        { "OPEN_KERNEL_MODULES_ENABLED", "Driver", "Type", "open",
                        "An older way to say Type=open in [Driver]: true chooses the open modules, false says "
                        "nothing. KERNEL_MODULE_TYPE wins over it." },
        { "KERNEL_MODULE_TYPE", "Driver", "Type", NULL, "Stands for Type= in [Driver]." },
        { "MAX_THREADS", "Build", "Jobs", NULL, "Stands for Jobs= in [Build]." },
        {},
};

const ConfigSection *config_section_find(const char *section)
{
        for (const ConfigSection *s = config_sections; s->name; s++)
                if (streq(s->name, section))
                        return s;
        return NULL;
}

const ConfigKey *config_key_find(const char *section, const char *key)
{
        for (const ConfigKey *k = config_keys; k->section; k++)
                if (streq(k->section, section) && streq(k->key, key))
                        return k;
        return NULL;
}
