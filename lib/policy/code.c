/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The table of failure codes. Exit statuses 1 to 7 follow the LSB and the old
 * script (1: another instance runs), 70, 71 and 78 sysexits(3), the rest is ours:
 * 10 to 19 inputs, 20 to 29 building, 30 to 39 loading, 40 to 49 the live
 * driver, 50 to 69 signatures, packages and toolchains. 200 and above belong to systemd.
 */

#include "policy/code.h"

typedef struct CodeInfo {
        const char *name;
        int exit_status;
        bool transient;
        const char *sentence;
        const char *remedy;
} CodeInfo;

static const CodeInfo codes[_CODE_MAX] = {
        [CODE_OK] = { "ok", 0, false, "All is well.", "Nothing to do." },
        [CODE_ALREADY_RUNNING] = { "already-running", 1, false,
                        "An instance of the NVIDIA driver is already running, aborting",
                        "Stop the other instance first; its pid is in /run/nvidia/nvidia-driver.pid." },
        [CODE_USAGE] = { "usage", 2, false, "The command line is not valid.", "See nvidia-driver --help." },
        [CODE_NOT_PERMITTED] = { "not-permitted", 4, false, "This needs root's capabilities.",
                        "Run as root; in a container use --privileged." },
        [CODE_CONFIG_INVALID] = { "config-invalid", 78, false, "The configuration cannot be used.",
                        "Correct the file and line named above; see driverd.conf(5)." },
        [CODE_INTERNAL] = { "internal", 70, false, "An operation of the system failed unexpectedly.",
                        "Read the trace above; if it is not a broken machine, please report it." },
        [CODE_RESOURCES] = { "resources", 71, true,
                        "The system is short of memory, processes, file descriptors or space, or cannot be read.",
                        "Free what is named above or raise its limit; it is tried again." },
        [CODE_NO_GPU] = { "no-gpu", 10, false, "No NVIDIA GPU is on the PCI bus.",
                        "Check lspci -d 10de: ; a passed-through GPU must reach this machine." },
        [CODE_SOURCE_MISSING] = { "driver-source-missing", 11, false,
                        "There is no driver build for this kernel and no driver source to make one from.",
                        "Import a build into the store, or name the sources with Source= in driverd.conf." },
        [CODE_SOURCE_INVALID] = { "driver-source-invalid", 12, false,
                        "The driver source is neither a whole NVIDIA kernel module source nor a usable .run file.",
                        "Do what is said above, or point Source= at the folder that holds Kbuild and nvidia/nv-kernel.o_binary." },
        [CODE_SOURCE_VERSION] = { "driver-source-version", 13, false,
                        "The driver source is of another version than the one wanted.",
                        "Correct Version= (or DRIVER_VERSION) or provide the sources of that version." },
        [CODE_TREE_MISSING] = { "kernel-tree-missing", 14, false,
                        "No kernel build tree was found for this kernel.",
                        "Install the kernel's headers or name its tree with Tree= in driverd.conf." },
        [CODE_TREE_UNUSABLE] = { "kernel-tree-unusable", 15, false,
                        "The kernel tree lacks what a module build needs.",
                        "Provide what is named above from the kernel's own build, or another tree with Tree=." },
        [CODE_TREE_MISMATCH] = { "kernel-tree-mismatch", 16, false,
                        "The kernel tree, or its configuration, belongs to another kernel.",
                        "Provide the tree and the .config of the kernel that is named above." },
        [CODE_TREE_DIRTY] = { "kernel-tree-dirty", 17, false,
                        "The kernel source tree holds results of an earlier build and could not be cleaned in a copy.",
                        "Provide a clean source tree (make mrproper on a copy)." },
        [CODE_PREPARE_FAILED] = { "prepare-failed", 18, false, "Preparing the kernel tree failed.",
                        "Read the first error lines above; the whole log is named there." },
        [CODE_TOOLCHAIN_MISSING] = { "toolchain-missing", 19, false,
                        "A tool that the build needs is not installed.",
                        "Install gcc, make and binutils, or import a finished build." },
        [CODE_COMPILER_MISMATCH] = { "compiler-mismatch", 28, false,
                        "The kernel was built with another compiler than the one that is here.",
                        "Install the compiler named above, or set IgnoreCompilerMismatch=yes." },
        [CODE_COMPILE_FAILED] = { "compile-failed", 20, false, "Compiling the kernel modules failed.",
                        "Read the first error lines above; the whole log is named there." },
        [CODE_DRIVER_TOO_OLD] = { "driver-too-old", 29, false,
                        "The driver does not compile against this kernel's interfaces: it is too old for this kernel.",
                        "Provide a newer driver, or go back to a kernel that this one supports; the first error lines are above." },
        [CODE_HEADER_MISSING] = { "header-missing", 62, false,
                        "The driver includes a header that the kernel tree does not have.",
                        "Provide the whole tree of this very kernel, or a newer driver if this kernel no longer has that header." },
        [CODE_KERNEL_CONFIG_CHANGED] = { "kernel-config-changed", 65, false,
                        "The tools here change the kernel's configuration, so modules would not fit the kernel.",
                        "Provide the tools named above, as the kernel's own build had them, or the kernel's headers." },
        [CODE_OUT_OF_MEMORY] = { "out-of-memory", 21, true,
                        "A program of the build was killed, most likely for lack of memory.",
                        "Give the build more memory or set Jobs=1." },
        [CODE_NO_SPACE] = { "no-space", 22, true, "The disk is full.",
                        "Free space in the store's file system, or move it with Directory= (and ReadWritePaths= of the unit)." },
        [CODE_LINK_FAILED] = { "link-failed", 23, false, "Linking a kernel module failed.",
                        "Read the linker's message above." },
        [CODE_BUILD_MISMATCH] = { "build-mismatch", 24, false,
                        "The modules were built for another kernel than this one.",
                        "Build for this kernel; both identities are named above." },
        [CODE_BUILD_DAMAGED] = { "build-damaged", 25, false, "A file of the build is not what was built.",
                        "Check the disk it lies on; the damaged build is kept in damaged/ of the store. Import another one, or provide what a build needs." },
        [CODE_STORE_FAILED] = { "store-failed", 26, true, "The store cannot be written.",
                        "Check that the store's directory is on a writable file system." },
        [CODE_BUILD_TIMEOUT] = { "build-timeout", 27, true, "The build took longer than allowed.",
                        "Raise TimeoutSec= in [Build], or find what holds it up." },
        [CODE_LOAD_REFUSED] = { "load-refused", 30, false, "The kernel refuses the module's signature.",
                        "Sign the modules with a key this kernel trusts, or end the enforcement." },
        [CODE_LOAD_NO_DEVICE] = { "load-no-device", 31, false, "The driver found no GPU that it supports.",
                        "Compare the GPU's PCI id with the driver's supported products." },
        [CODE_LOAD_FORMAT] = { "load-format", 32, false, "The kernel does not accept the module's format.",
                        "The module was built for another kernel: build for this one." },
        [CODE_LOAD_SYMBOLS] = { "load-symbols", 33, false,
                        "The module needs a kernel symbol that this kernel does not have.",
                        "Load the module it comes from, or build for this kernel." },
        [CODE_LOAD_FAILED] = { "load-failed", 34, true, "Loading a kernel module failed.",
                        "Read the kernel's lines above." },
        [CODE_DEVICES_MISSING] = { "devices-missing", 35, true,
                        "The driver is loaded, but device nodes did not appear in time.",
                        "See the nodes and the kernel log above; for those in /dev/dri, is udevd running?" },
        [CODE_BUSY] = { "busy", 40, true, "Could not unload NVIDIA driver kernel modules, driver is in use",
                        "nvidia-driver holders shows who uses it; once a stop has left it, nvidia-driver unload --wait unloads it when they have gone." },
        [CODE_STUCK] = { "stuck", 41, false, "A kernel operation does not return.",
                        "Read the kernel stack above; usually only a reboot helps." },
        [CODE_UNLOAD_FAILED] = { "unload-failed", 42, true, "Unloading a kernel module failed.",
                        "Read the kernel's lines above." },
        [CODE_FOREIGN_DRIVER] = { "foreign-driver", 43, false,
                        "Another NVIDIA driver is loaded that somebody else is responsible for.",
                        "Unload it, or let that other program keep it and disable this one." },
        [CODE_DEVICES_LOST] = { "devices-lost", 44, true, "Device nodes vanished.",
                        "See the kernel log for what happened to the GPU." },
        [CODE_MODULES_LOST] = { "modules-lost", 45, true, "A driver module was unloaded by somebody else.",
                        "Find out who removed it, if it does not come back." },
        [CODE_INTERRUPTED] = { "interrupted", 46, false, "It was interrupted.", "Run it again." },
        [CODE_NOT_READY] = { "not-ready", 5, true, "The driver is not ready yet.",
                        "Wait: nvidia-driver status shows what is being done." },
        [CODE_NOT_RUNNING] = { "not-running", 3, false, "The daemon is not running.",
                        "systemctl start nvidia-driverd, or start the container." },
        [CODE_NODES_FAILED] = { "nodes-failed", 36, true, "A device node of the driver could not be made.",
                        "See the node and the error named above; is /dev writable?" },
        [CODE_NODE_BLOCKED] = { "node-blocked", 66, false,
                        "Something that is no device node has the name of a node of the driver.",
                        "Remove it with the command above if nobody needs it, then start again." },
        [CODE_GPU_CLAIMED] = { "gpu-claimed", 37, false, "A wanted GPU is bound to another driver.",
                        "Unbind it or exclude it with Exclude=; TakeOver=yes in [Devices] lets this program do it." },
        [CODE_PARAMETER_UNKNOWN] = { "parameter-unknown", 38, false,
                        "A module does not have a parameter that is configured for it.",
                        "Correct the parameter where it is set; modinfo -p lists those there are." },
        [CODE_FIRMWARE_HIDDEN] = { "firmware-hidden", 39, true,
                        "The driver's firmware cannot be made visible to the kernel.",
                        "See the path named above; it must be readable in init's mount namespace." },
        [CODE_SERVICE_FAILED] = { "service-failed", 47, true,
                        "A service that belongs to the driver does not run.",
                        "Read the lines of the service above." },
        [CODE_GPU_LOST] = { "gpu-lost", 48, false, "A GPU has fallen off the bus.",
                        "Reboot the machine: an unload is known to hang now." },
        [CODE_GPU_ERROR] = { "gpu-error", 49, true, "The driver reports an error of a GPU.",
                        "See the message and the GPU's PCI address above; for an Xid, NVIDIA's list of Xid errors." },
        [CODE_SIGNATURE_REQUIRED] = { "signature-required", 50, false,
                        "This kernel only loads signed modules, and the build is not signed with a key it trusts.",
                        "Set Key= and Certificate= in [Signing] to a key that the kernel trusts, or end the enforcement." },
        [CODE_KEY_UNUSABLE] = { "signing-key-unusable", 51, false,
                        "The signing key or its certificate cannot be used.",
                        "Correct Key= and Certificate= in [Signing]." },
        [CODE_SIGN_FAILED] = { "sign-failed", 52, false, "Signing a kernel module failed.",
                        "Read the message above." },
        [CODE_SYMBOL_MISMATCH] = { "symbol-mismatch", 53, false,
                        "A module does not fit the kernel's symbols.",
                        "Build with the tree and the Module.symvers of this very kernel." },
        [CODE_PACKAGE_INVALID] = { "package-invalid", 54, false,
                        "The package is not one of ours, or is damaged.",
                        "Export it again, or get it again; nothing was imported." },
        [CODE_STORE_LOCKED] = { "store-locked", 55, true, "Another process is writing to the store.",
                        "Wait for it to end; the process is named above." },
        [CODE_BUILD_UNKNOWN] = { "build-unknown", 56, false, "The store has no such build.",
                        "See nvidia-driver builds list." },
        [CODE_DOWNLOAD_FAILED] = { "download-failed", 57, true, "A download failed.",
                        "Check the network, or provide the file locally; what was received is kept and resumed." },
        [CODE_TOOLCHAIN_INVALID] = { "toolchain-invalid", 58, false, "The toolchain root cannot be used.",
                        "Provide a directory or an image with the compiler of this system's release." },
        [CODE_TOOLCHAIN_MISMATCH] = { "toolchain-mismatch", 59, false,
                        "The toolchain root belongs to another system release.",
                        "Provide the developer container of the release that is named above." },
        [CODE_DRIVER_FALLBACK] = { "driver-fallback", 60, true,
                        "The wanted driver could not be had; the last one that worked is loaded.",
                        "See why above; a restart tries the wanted one again." },
        [CODE_GPUS_CONFLICT] = { "gpus-conflict", 61, false,
                        "The GPUs need different kinds of kernel modules: no driver drives them all.",
                        "Leave GPUs out with Exclude= in [Devices], or decide with Type= in [Driver]." },
};

const char *code_to_string(Code code)
{
        return code >= 0 && code < _CODE_MAX ? codes[code].name : "invalid";
}

Code code_from_string(const char *name)
{
        for (Code c = 0; c < _CODE_MAX; c++)
                if (streq(codes[c].name, name))
                        return c;
        return _CODE_INVALID;
}

int code_exit_status(Code code)
{
        return code >= 0 && code < _CODE_MAX ? codes[code].exit_status : 70;
}

Code code_from_exit_status(int status)
{
        for (Code c = 0; c < _CODE_MAX; c++)
                if (codes[c].exit_status == status)
                        return c;
        return _CODE_INVALID;
}

const char *code_sentence(Code code)
{
        return code >= 0 && code < _CODE_MAX ? codes[code].sentence : "";
}

const char *code_remedy(Code code)
{
        return code >= 0 && code < _CODE_MAX ? codes[code].remedy : "";
}

const char *code_course(Code code)
{
        static const char *const degraded =
                        "The service stays degraded, and is ready again by itself when this has healed.";
        static const char *const courses[_CODE_MAX] = {
                [CODE_BUSY] = "At a start the daemon waits until nobody uses the driver, and goes on by itself. "
                              "At a stop it waits as Policy= in [Stop] says; then the service ends and the "
                              "driver stays loaded, until nvidia-driver unload or another start and stop.",
                [CODE_MODULES_LOST] =
                                "The daemon loads it again by itself if it had loaded it before, and is "
                                "ready again when it is there; else the service stays degraded until then.",
                [CODE_DEVICES_LOST] = degraded,
                [CODE_SERVICE_FAILED] = degraded,
                [CODE_GPU_ERROR] = degraded,
                [CODE_DRIVER_FALLBACK] = "The service stays degraded until a restart.",
                [CODE_PARAMETER_UNKNOWN] = "The driver is loaded all the same, and the service is degraded.",
        };

        if (code >= 0 && code < _CODE_MAX && courses[code])
                return courses[code];
        return code_is_transient(code)
                               ? "The daemon tries again by itself."
                               : "The daemon does not try again by itself. If a driver that works is "
                                 "loaded already, it is kept, and the service is degraded.";
}

bool code_is_transient(Code code)
{
        return code >= 0 && code < _CODE_MAX && codes[code].transient;
}

/* What we do not understand ourselves may be over with a new process, which adopts the driver in
 * milliseconds. */
bool code_prevents_restart(Code code)
{
        return code > CODE_OK && code < _CODE_MAX && code != CODE_INTERNAL && !codes[code].transient;
}

Code code_of_write(int error, Code otherwise)
{
        return error == -ENOSPC || error == -EDQUOT ? CODE_NO_SPACE : otherwise;
}

Code code_of_error(int error)
{
        switch (error) {
        case -ENOMEM:
        case -EMFILE:
        case -ENFILE:
        case -EAGAIN:
        case -ENOSPC:
        case -EDQUOT:
        case -EROFS:
        case -EIO:
                return CODE_RESOURCES;
        default:
                return CODE_INTERNAL;
        }
}

bool code_is_about_driver(Code code)
{
        static const bool about_driver[_CODE_MAX] = {
                [CODE_SOURCE_MISSING] = true,
                [CODE_SOURCE_INVALID] = true,
                [CODE_SOURCE_VERSION] = true,
                [CODE_GPUS_CONFLICT] = true,
                [CODE_TREE_MISSING] = true,
                [CODE_TREE_UNUSABLE] = true,
                [CODE_TREE_MISMATCH] = true,
                [CODE_TREE_DIRTY] = true,
                [CODE_PREPARE_FAILED] = true,
                [CODE_TOOLCHAIN_MISSING] = true,
                [CODE_COMPILER_MISMATCH] = true,
                [CODE_COMPILE_FAILED] = true,
                [CODE_DRIVER_TOO_OLD] = true,
                [CODE_HEADER_MISSING] = true,
                [CODE_KERNEL_CONFIG_CHANGED] = true,
                [CODE_OUT_OF_MEMORY] = true,
                [CODE_NO_SPACE] = true,
                [CODE_LINK_FAILED] = true,
                [CODE_BUILD_MISMATCH] = true,
                [CODE_BUILD_DAMAGED] = true,
                [CODE_BUILD_TIMEOUT] = true,
                [CODE_STORE_FAILED] = true,
                [CODE_STORE_LOCKED] = true,
                [CODE_LOAD_REFUSED] = true,
                [CODE_LOAD_NO_DEVICE] = true,
                [CODE_LOAD_FORMAT] = true,
                [CODE_LOAD_SYMBOLS] = true,
                [CODE_LOAD_FAILED] = true,
                [CODE_DEVICES_MISSING] = true,
                [CODE_FIRMWARE_HIDDEN] = true,
                [CODE_SIGNATURE_REQUIRED] = true,
                [CODE_KEY_UNUSABLE] = true,
                [CODE_SIGN_FAILED] = true,
                [CODE_SYMBOL_MISMATCH] = true,
                [CODE_DOWNLOAD_FAILED] = true,
                [CODE_TOOLCHAIN_INVALID] = true,
                [CODE_TOOLCHAIN_MISMATCH] = true,
        };

        return code >= 0 && code < _CODE_MAX && about_driver[code];
}
