/* SPDX-License-Identifier: Apache-2.0 */

#include "base/result.h"
#include "base/str.h"
#include "policy/package.h"

bool package_ships(const BuildManifest *m, const BuildFile *f)
{
        return m->driver_type == DRIVER_OPEN || !f->core;
}

bool package_ships_signature(const BuildManifest *m, const BuildFile *f)
{
        return !package_ships(m, f) && f->unsigned_sha256;
}

static bool has_file(const BuildManifest *m, const char *name)
{
        for (size_t i = 0; i < m->n_files; i++)
                if (streq(m->files[i].name, name))
                        return true;
        return false;
}

static bool has_input(const BuildManifest *m, const char *name)
{
        for (size_t i = 0; i < m->n_inputs; i++)
                if (streq(m->inputs[i].name, name))
                        return true;
        return false;
}

static int refuse(char **ret_why, char *why)
{
        if (!why)
                return err_origin(-ENOMEM);
        *ret_why = why;
        return 0;
}

int package_is_possible(const BuildManifest *m, char **ret_why)
{
        const BuildFile *nvidia = build_manifest_module(m, "nvidia");

        if (!m->id || m->n_files == 0 || m->n_files > PACKAGE_FILES_MAX)
                return refuse(ret_why, str_format("its manifest lists %zu files", m->n_files));
        if (m->driver_type == DRIVER_PROPRIETARY && (!nvidia || !nvidia->core))
                return refuse(ret_why,
                                strdup("it does not say what nvidia.ko is linked from: an older version made it"));

        for (size_t i = 0; i < m->n_files; i++) {
                const BuildFile *f = &m->files[i];

                if (!f->sha256 || f->size > PACKAGE_FILE_MAX)
                        return refuse(ret_why, str_format("%s has no digest, or is too large", f->name));
                if (package_ships(m, f))
                        continue;
                if (!f->interface || !has_file(m, f->interface) || !has_input(m, f->core) ||
                                !has_file(m, MANIFEST_LINKER_SCRIPT))
                        return refuse(ret_why, str_format("it lacks what %s is linked from", f->name));
        }
        return 1;
}
