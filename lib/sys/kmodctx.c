/* SPDX-License-Identifier: Apache-2.0 */

#include <libkmod.h>

#include "base/result.h"
#include "base/str.h"
#include "sys/kmodctx.h"

void kmodctx_unrefp(struct kmod_ctx **ctx)
{
        if (*ctx)
                (void)kmod_unref(*ctx);
}

void kmodctx_module_unrefp(struct kmod_module **module)
{
        if (*module)
                (void)kmod_module_unref(*module);
}

static void log_nothing(void *data, int priority, const char *file, int line, const char *function,
                const char *format, va_list args)
{
}

int kmodctx_new(const char *directory, const char *const *config, struct kmod_ctx **ret)
{
        static const char *const no_config[] = { NULL };
        struct kmod_ctx *ctx;

        errno = 0;
        ctx = kmod_new(directory ? directory : "/", config ? config : no_config);
        if (!ctx)
                return err_origin(errno > 0 ? -errno : -ENOMEM);
        kmod_set_log_fn(ctx, log_nothing, /* data= */ NULL);
        *ret = ctx;
        return 0;
}

int kmodctx_open_file(int fd, struct kmod_ctx **ret_ctx, struct kmod_module **ret)
{
        char path[64];
        int r;

        r = kmodctx_new(NULL, NULL, ret_ctx);
        if (r)
                return err_trace(r);
        (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        r = kmod_module_new_from_path(*ret_ctx, path, ret);
        return r == -ENOMEM ? err_origin(r) : r < 0 ? KMODCTX_E_FORMAT : 0;
}
