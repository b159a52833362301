/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The configuration that a prepared tree has, against the one that the kernel
 * was built with. olddefconfig takes options away where the tools here are not
 * those of the kernel's own build, and says nothing. The modules are compiled
 * with other structures then, although release and vermagic are those of the
 * kernel: at best they do not load.
 */

#include <syslog.h>

#include "base/result.h"
#include "base/str.h"
#include "build-internal.h"
#include "policy/kconfigchange.h"

enum { CHANGES_SHOWN = 200, NAMES_SHOWN = 8 };

static void report_harmless(
                Build *b, const KconfigChanges *changes, KconfigChangeKind kind, const char *what)
{
        _cleanup_free_ char *names = NULL;

        if (changes->count[kind] == 0)
                return;
        names = kconfig_changes_names(changes, kind, NAMES_SHOWN);
        build_log(b, LOG_INFO, "The prepared configuration differs from the kernel's in %zu options %s: %s.",
                        changes->count[kind], what, strna(names));
}

static void list_dangerous(Build *b, const KconfigChanges *changes, int level)
{
        size_t shown = 0;

        for (size_t i = 0; i < changes->n && shown < CHANGES_SHOWN; i++) {
                _cleanup_free_ char *text = NULL;

                if (changes->items[i].kind != KCONFIG_CHANGE_ABI)
                        continue;
                text = kconfig_change_to_string(&changes->items[i]);
                build_log(b, level, "  %s", strna(text));
                shown++;
        }
}

/* True if the stage has failed. */
static bool judge(Build *b, const KconfigChanges *changes, const char *cause)
{
        size_t n = changes->count[KCONFIG_CHANGE_ABI];
        bool ignored = b->request.config->build_ignore_config_changes;
        _cleanup_free_ char *names = NULL, *why = NULL;

        report_harmless(b, changes, KCONFIG_CHANGE_TOOLCHAIN, "that describe the tools");
        report_harmless(b, changes, KCONFIG_CHANGE_HARMLESS, "that no C module depends on");
        report_harmless(b, changes, KCONFIG_CHANGE_NEW, "that it does not name");
        if (n == 0)
                return false;

        names = kconfig_changes_names(changes, KCONFIG_CHANGE_ABI, NAMES_SHOWN);
        why = cause ? str_format(" Cause: %s.", cause) : strdup("");
        build_log(b, ignored ? LOG_WARNING : LOG_ERR,
                        "Preparing the kernel source changed %zu options that the kernel was built with:",
                        n);
        list_dangerous(b, changes, ignored ? LOG_WARNING : LOG_ERR);
        if (ignored) {
                build_log(b, LOG_WARNING,
                                "Building all the same (IgnoreConfigChanges=yes): the modules may not load, or "
                                "may crash the machine.%s",
                                strna(why));
                return false;
        }
        build_fail(b, CODE_KERNEL_CONFIG_CHANGED, "Changed by olddefconfig: %s.%s", strna(names),
                        strna(why));
        return true;
}

static int read_configs(Build *b, Kconfig **ret_before, Kconfig **ret_after)
{
        const TreeFacts *t = b->request.tree;
        _cleanup_free_ char *path = build_root_path(b, "kernel/.config"), *text = NULL;
        size_t size = 0;
        int r;

        if (!path)
                return err_origin(-ENOMEM);
        r = root_read_file(b->request.root, path, KCONFIG_SIZE_MAX, &text, &size);
        if (r == 0)
                r = kconfig_parse(t->config, t->config_size, ret_before);
        if (r == 0)
                r = kconfig_parse(text, size, ret_after);
        /* What make was given and has left cannot be absent, empty or too big. */
        return r > 0 ? err_origin(-EBADMSG) : err_trace(r);
}

bool build_config_changed(Build *b)
{
        _cleanup_(kconfig_freep) Kconfig *before = NULL, *after = NULL;
        _cleanup_(kconfig_changes_done) KconfigChanges changes = {};
        _cleanup_free_ char *cause = NULL;
        int r;

        r = read_configs(b, &before, &after);
        if (r == 0)
                r = kconfig_compare(before, after, &changes);
        if (r == 0)
                r = kconfig_changes_cause(&changes, before, after, &cause);
        if (r) {
                build_fatal(b, r, "comparing the kernel's configuration");
                return true;
        }
        return judge(b, &changes, cause);
}
