/* SPDX-License-Identifier: Apache-2.0 */

/* libkmod reads .modinfo of a file, and lists the parts of an appended signature with it. */

#include <libkmod.h>

#include "base/result.h"
#include "base/str.h"
#include "sys/kmodctx.h"
#include "sys/kmodinfo.h"
#include "sys/modulefile.h"

/* nvidia.ko with debugging information has 200 MB. */
#define UNPACKED_MAX (1024ULL * 1024 * 1024)

static void info_list_freep(struct kmod_list **l)
{
        if (*l)
                kmod_module_info_free_list(*l);
}

void kmodinfo_done(KmodInfo *info)
{
        free(info->name);
        free(info->vermagic);
        free(info->version);
        free(info->srcversion);
        free(info->license);
        free(info->retpoline);
        free(info->signer);
        free(info->hash);
        strv_free(info->depends);
        strv_free(info->parameters);
        *info = (KmodInfo){};
}

/* "NVreg_EnableMSI:int" is there for every parameter, a description ("parm") only for some. */
static int take_parameter(KmodInfo *info, const char *value)
{
        _cleanup_free_ char *name = strndup(value, strcspn(value, ":"));

        if (!name)
                return err_origin(-ENOMEM);
        return strv_contains(info->parameters, name) ? 0 : err_trace(strv_push(&info->parameters, name));
}

/* One line of .modinfo, or of the signature, which libkmod lists in the same way. */
static int take_info(KmodInfo *info, const char *key, const char *value)
{
        const struct {
                const char *key;
                char **target;
        } keys[] = {
                { "name", &info->name },
                { "vermagic", &info->vermagic },
                { "version", &info->version },
                { "srcversion", &info->srcversion },
                { "license", &info->license },
                { "retpoline", &info->retpoline },
                { "signer", &info->signer },
                { "sig_hashalgo", &info->hash },
        };

        if (streq(key, "parmtype") || streq(key, "parm"))
                return err_trace(take_parameter(info, value));
        if (streq(key, "depends") && !info->depends)
                return strv_split(value, ",", &info->depends);
        for (size_t i = 0; i < ELEMENTSOF(keys); i++)
                /* Of several licences the first counts, as for the kernel (get_modinfo()). */
                if (streq(key, keys[i].key) && !*keys[i].target)
                        return str_replace(keys[i].target, value);
        return 0;
}

static int take_info_list(struct kmod_list *list, KmodInfo *ret)
{
        _cleanup_(kmodinfo_done) KmodInfo info = {};
        struct kmod_list *l;
        int r;

        kmod_list_foreach(l, list)
        {
                r = take_info(&info, kmod_module_info_get_key(l), kmod_module_info_get_value(l));
                if (r)
                        return err_trace(r);
        }

        if (info.name)
                str_underscore(info.name);
        *ret = info;
        info = (KmodInfo){};
        return 0;
}

static int info_from_fd(int fd, KmodInfo *ret)
{
        _cleanup_(kmodctx_unrefp) struct kmod_ctx *ctx = NULL;
        _cleanup_(kmodctx_module_unrefp) struct kmod_module *mod = NULL;
        _cleanup_(info_list_freep) struct kmod_list *list = NULL;
        int r;

        r = kmodctx_open_file(fd, &ctx, &mod);
        if (r)
                return r < 0 ? err_trace(r) : KMODINFO_E_FORMAT;
        r = kmod_module_get_info(mod, &list);
        if (r == -ENOMEM)
                return err_origin(r);
        /* Too short, no ELF, another machine's, no .modinfo, a compression this libkmod cannot read. */
        if (r < 0)
                return KMODINFO_E_FORMAT;

        r = take_info_list(list, ret);
        return r ? err_trace(r) : 0;
}

/* Before 4.x a module did not say its own name: that of the file, up to the first dot. */
static int name_from_path(const char *path, char **ret)
{
        const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
        char *name;

        name = strndup(base, strcspn(base, "."));
        if (!name)
                return err_origin(-ENOMEM);
        *ret = str_underscore(name);
        return 0;
}

int kmodinfo_read(const Root *root, const char *path, KmodInfo *ret)
{
        _cleanup_(kmodinfo_done) KmodInfo info = {};
        _cleanup_close_ int fd = -EBADF;
        int r;

        r = modulefile_open(root, path, UNPACKED_MAX, &fd);
        if (r)
                return r < 0                      ? err_trace(r)
                       : r == MODULEFILE_E_ABSENT ? KMODINFO_E_ABSENT
                                                  : KMODINFO_E_FORMAT;

        r = info_from_fd(fd, &info);
        if (r)
                return r < 0 ? err_trace(r) : KMODINFO_E_FORMAT;
        r = info.name ? 0 : name_from_path(path, &info.name);
        if (r)
                return err_trace(r);

        *ret = info;
        info = (KmodInfo){};
        return 0;
}
