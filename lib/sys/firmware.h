/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The kernel's search for firmware, as far as it can be seen from outside, and
 * the one way to influence it: the parameter "path" of firmware_class.
 */

#include "base/root.h"
#include "policy/firmware.h"

/*
 * Looks where the kernel will look for nvidia/@version, through init's root,
 * and unless it is there, for a source: in each of @sources (directories that
 * hold the files), in order, then in our own /lib/firmware and public place.
 * @ret is the caller's to firmware_facts_done(). Returns 0 or a negative errno.
 */
int firmware_read(const Root *root, const char *release, const char *version, char *const *sources,
                FirmwareFacts *ret);

/* True if init sees the files of @version in our public place. */
bool firmware_is_shown(const Root *root, const char *version);

enum {
        _FIRMWARE_E_SUCCESS,
        FIRMWARE_E_READ_ONLY, /* /sys is mounted read only here */
        FIRMWARE_E_TAKEN,     /* meanwhile somebody else has set it */
        FIRMWARE_E_ABSENT,    /* this kernel has no such parameter */
};

/*
 * firmware_class.path from @expected to @path, both absolute or "". Returns 0,
 * FIRMWARE_E_* or a negative errno.
 */
int firmware_point(const Root *root, const char *expected, const char *path);

/*
 * Copies the regular files of @source to @target, all or none of them: there
 * is no target until it is whole. Blocks. *@reterr names the file that failed.
 * Returns 0 or a negative errno.
 */
int firmware_copy(const Root *root, const char *source, const char *target, char **reterr);

/* Removes the copy in our public place, and what only it needed. Absence is success. */
int firmware_remove(const Root *root, const char *version);
