/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Every way this product can fail: a stable name, an exit status, one
 * sentence, one next step. Names and statuses are a contract with users'
 * scripts: they are added to, never changed or used again.
 */

#include "base/macro.h"

typedef enum Code {
        CODE_OK,
        CODE_ALREADY_RUNNING,
        CODE_USAGE,
        CODE_NOT_PERMITTED,
        CODE_CONFIG_INVALID,
        CODE_INTERNAL,
        CODE_RESOURCES,
        CODE_NO_GPU,
        CODE_SOURCE_MISSING,
        CODE_SOURCE_INVALID,
        CODE_SOURCE_VERSION,
        CODE_TREE_MISSING,
        CODE_TREE_UNUSABLE,
        CODE_TREE_MISMATCH,
        CODE_TREE_DIRTY,
        CODE_PREPARE_FAILED,
        CODE_TOOLCHAIN_MISSING,
        CODE_COMPILER_MISMATCH,
        CODE_COMPILE_FAILED,
        CODE_OUT_OF_MEMORY,
        CODE_NO_SPACE,
        CODE_LINK_FAILED,
        CODE_BUILD_MISMATCH,
        CODE_BUILD_DAMAGED,
        CODE_STORE_FAILED,
        CODE_BUILD_TIMEOUT,
        CODE_LOAD_REFUSED,
        CODE_LOAD_NO_DEVICE,
        CODE_LOAD_FORMAT,
        CODE_LOAD_SYMBOLS,
        CODE_LOAD_FAILED,
        CODE_DEVICES_MISSING,
        CODE_BUSY,
        CODE_STUCK,
        CODE_UNLOAD_FAILED,
        CODE_FOREIGN_DRIVER,
        CODE_DEVICES_LOST,
        CODE_MODULES_LOST,
        CODE_NOT_RUNNING,
        CODE_INTERRUPTED,
        CODE_NOT_READY,
        CODE_NODES_FAILED,
        CODE_GPU_CLAIMED,
        CODE_PARAMETER_UNKNOWN,
        CODE_FIRMWARE_HIDDEN,
        CODE_SERVICE_FAILED,
        CODE_GPU_LOST,
        CODE_GPU_ERROR,
        CODE_SIGNATURE_REQUIRED,
        CODE_KEY_UNUSABLE,
        CODE_SIGN_FAILED,
        CODE_SYMBOL_MISMATCH,
        CODE_PACKAGE_INVALID,
        CODE_STORE_LOCKED,
        CODE_BUILD_UNKNOWN,
        CODE_DOWNLOAD_FAILED,
        CODE_TOOLCHAIN_INVALID,
        CODE_TOOLCHAIN_MISMATCH,
        CODE_DRIVER_FALLBACK,
        CODE_GPUS_CONFLICT,
        CODE_DRIVER_TOO_OLD,
        CODE_HEADER_MISSING,
        CODE_KERNEL_CONFIG_CHANGED,
        CODE_NODE_BLOCKED,
        _CODE_MAX,
        _CODE_INVALID = -EINVAL,
} Code;

const char *code_to_string(Code code);

/* Returns _CODE_INVALID for a name that is none. */
Code code_from_string(const char *name);

/* The program's exit status when it ends for this reason. */
int code_exit_status(Code code);

/* The reverse, for a child's exit status: _CODE_INVALID if no code has it. */
Code code_from_exit_status(int status);

/* One sentence, without the particulars of the case. */
const char *code_sentence(Code code);

/* One next step for the person on call. */
const char *code_remedy(Code code);

/* What the daemon does about it, by what it was doing when it happened. */
const char *code_course(Code code);

/* Of a write that failed with the negative errno @error: no room and no quota are one code, the rest is
 * @otherwise. */
Code code_of_write(int error, Code otherwise);

/* What a failed call of the system means: CODE_RESOURCES if the same call may succeed in a moment, else
 * CODE_INTERNAL. */
Code code_of_error(int error);

/*
 * True if trying again in this very process can help: the reason is one that
 * passes by itself (a full disk, a busy driver, a killed compiler). The others
 * end the daemon, and the unit's RestartPreventExitStatus= names them.
 */
bool code_is_transient(Code code);

/* True if a restart by the service manager cannot mend it. */
bool code_prevents_restart(Code code);

/*
 * Whether the wanted driver is what failed: another one may do. Not so if the
 * machine, the configuration or somebody who uses the driver is in the way.
 */
bool code_is_about_driver(Code code);
