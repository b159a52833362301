/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The end of LINK: the worker holds the finished modules against the kernel
 * they are for. What the kernel would refuse ends the build here, before
 * anybody tries to load it; the whole list of defects is in build.log.
 */

#include <syslog.h>

#include "base/result.h"
#include "base/str.h"
#include "build-internal.h"
#include "helper.h"

static void on_checked(Build *b, const JobResult *result)
{
        if (!build_worker_failed(b, result, CODE_LINK_FAILED))
                build_sign(b);
}

void build_check_line(Build *b, const char *line)
{
        const char *value;

        if ((value = startswith(line, HELPER_KEY_NOTE "=")))
                build_log(b, LOG_WARNING, "%s.", value);
        else if ((value = startswith(line, HELPER_KEY_CHECKED "=")))
                build_log(b, LOG_INFO, "Checked %s against kernel %s.", value, b->request.kernel->release);
        else if ((value = startswith(line, HELPER_KEY_DEBUG "=")) && !b->request.config->build_debug_info)
                build_log(b, LOG_WARNING, "%s has debugging information although DebugInfo=no, ignoring.",
                                value);
}

void build_check(Build *b)
{
        _cleanup_free_ char *modules = build_path(b, "build"), *tree = build_tree_path(b);

        if (modules && tree)
                build_worker(b, on_checked, NULL, "check", modules, tree,
                                build_tree(b)->inside ? build_tree_root(b)->prefix : NULL, NULL);
        else
                build_fatal(b, -ENOMEM, "check");
}
