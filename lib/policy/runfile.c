/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What is known of these scripts is from the makeself.sh (1.6.0-nv2) that
 * NVIDIA packs into every .run file:
 *
 *   - --check compares a checksum of everything, with status 2 if it differs;
 *     --extract-only with --target does so too, then unpacks, and runs nothing;
 *   - the target must not exist, TMPDIR must allow execution (an unpacker for
 *     xz or zstd may be embedded), and neither path is quoted in the script;
 *   - if tar fails, a full disk for one, the script ends itself by SIGTERM and
 *     has thrown away what tar said.
 */

#include "base/result.h"
#include "policy/runfile.h"

int runfile_step(RunFileStep step, const char *file, const char *target, const char *temporary,
                RecipeStep *ret)
{
        RecipeStep s = {};
        int r;

        r = recipe_environment(&s.environment);
        if (r == 0)
                r = strv_pushf(&s.environment, "TMPDIR=%s", temporary);
        if (r == 0)
                r = strv_push(&s.argv, "sh");
        if (r == 0)
                r = strv_push(&s.argv, file);
        if (r == 0)
                r = strv_push(&s.argv, step == RUNFILE_CHECK ? "--check" : "--extract-only");
        if (r == 0 && step == RUNFILE_EXTRACT)
                r = strv_push(&s.argv, "--target");
        if (r == 0 && step == RUNFILE_EXTRACT)
                r = strv_push(&s.argv, target);
        if (r) {
                recipe_step_done(&s);
                return err_trace(r);
        }
        /* What it unpacks with is in it, and in every system. */
        s.on_host = true;
        *ret = s;
        return 0;
}
