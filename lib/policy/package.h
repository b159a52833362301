/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What a package is: one file with a build in it that may be given away.
 * NVIDIA's licence does not let the linked modules of the proprietary driver
 * be passed on, so they stay behind with a package of it and are linked again,
 * from the same parts, where it is imported.
 */

#include "policy/manifest.h"

enum {
        PACKAGE_FILES_MAX = 64,
};
#define PACKAGE_FILE_MAX ((uint64_t)512 * 1024 * 1024)

/* Whether the file itself is in the package; else it is linked where it is imported. */
bool package_ships(const BuildManifest *m, const BuildFile *f);

/* "nvidia.ko.sig" is in the package if "nvidia.ko" is signed and not shipped. */
bool package_ships_signature(const BuildManifest *m, const BuildFile *f);

/*
 * Whether the manifest tells all that a package of it needs.
 * Returns 1 if it does, 0 if not (one sentence in *@ret_why, the caller's), or -ENOMEM.
 */
int package_is_possible(const BuildManifest *m, char **ret_why);
