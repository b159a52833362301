/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* libkmod's handle as every file here uses it: silent, because its log function would write to our stderr.
 */

struct kmod_ctx;
struct kmod_module;

enum {
        _KMODCTX_E_SUCCESS,
        KMODCTX_E_FORMAT, /* libkmod cannot take the file for a module */
};

/* For _cleanup_(). */
void kmodctx_unrefp(struct kmod_ctx **ctx);
void kmodctx_module_unrefp(struct kmod_module **module);

/*
 * @directory: that of a kernel's modules, NULL where only single files are
 * read. @config: the directories of modprobe.d, NULL for none. The caller
 * releases *@ret. Returns 0 or a negative errno.
 */
int kmodctx_new(const char *directory, const char *const *config, struct kmod_ctx **ret);

/*
 * A module file that is open for reading. libkmod wants a path: the file was
 * opened by our own rules and is handed over through /proc/self/fd, so that a
 * link in a fixture stays in the fixture. The caller releases both, the first
 * also after a failure. Returns 0, KMODCTX_E_FORMAT or a negative errno.
 */
int kmodctx_open_file(int fd, struct kmod_ctx **ret_ctx, struct kmod_module **ret);
