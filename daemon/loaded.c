/* SPDX-License-Identifier: Apache-2.0 */

/*
 * One line with the boot id, then one module per line: its name, and after a
 * tab what it was loaded with. Without a tab that is not known. The record is
 * written before the load and not after: killed in between, we would find a
 * driver loaded and take it for somebody else's.
 */

#include "base/result.h"
#include "base/str.h"
#include "loaded.h"
#include "paths.h"
#include "sys/kernel.h"

enum { RECORD_SIZE_MAX = 16384 };

/* Cuts the line behind the name. */
static int take_line(char *line, ModuleFacts *modules, char ***names)
{
        char *tab = strchr(line, '\t');

        if (tab)
                *tab = '\0';
        for (size_t i = 0; tab && modules && i < modules->n; i++)
                if (modname_eq(modules->items[i].name, line)) {
                        int r = str_replace(&modules->items[i].loaded_with, tab + 1);

                        if (r)
                                return err_trace(r);
                }
        return err_trace(strv_push(names, str_underscore(line)));
}

int loaded_read(const Root *root, char ***ret)
{
        return err_trace(loaded_read_with(root, /* modules= */ NULL, ret));
}

int loaded_read_with(const Root *root, ModuleFacts *modules, char ***ret)
{
        _cleanup_free_ char *text = NULL, *boot = NULL;
        _cleanup_strv_ char **lines = NULL, **names = NULL;
        int r;

        r = root_read_file(root, RUNTIME_LOADED, RECORD_SIZE_MAX, &text, NULL);
        if (r)
                return r < 0 ? err_trace(r) : 0;
        r = kernel_boot_id(root, &boot);
        if (r < 0)
                return err_trace(r);
        r = strv_split(text, "\n", &lines);
        if (r)
                return err_trace(r);
        /* /run does not survive a boot, but a container's may be a plain directory. */
        if (!lines || !streq(lines[0], strempty(boot)))
                return 0;

        STRV_FOREACH (name, lines + 1) {
                r = take_line(*name, modules, &names);
                if (r)
                        return err_trace(r);
        }
        *ret = TAKE_PTR(names);
        return 0;
}

int loaded_write(const Root *root, char *const *names, char *const *parameters)
{
        _cleanup_free_ char *boot = NULL, *joined = NULL, *text = NULL;
        _cleanup_strv_ char **lines = NULL;
        int r;

        r = kernel_boot_id(root, &boot);
        for (size_t i = 0; r >= 0 && names && names[i]; i++)
                r = parameters && !streq(parameters[i], LOADED_UNKNOWN)
                                    ? strv_pushf(&lines, "%s\t%s", names[i], parameters[i])
                                    : strv_push(&lines, names[i]);
        if (r < 0)
                return err_trace(r);
        joined = strv_join(lines, "\n");
        text = joined ? str_format("%s\n%s\n", strempty(boot), joined) : NULL;
        if (!text)
                return err_origin(-ENOMEM);

        r = root_mkdirs(root, "run/nvidia", 0755);
        if (r == 0)
                r = root_write_file(root, RUNTIME_LOADED, text, strlen(text), 0644);
        return err_trace(r);
}

int loaded_forget(const Root *root)
{
        return err_trace(root_unlink(root, RUNTIME_LOADED));
}
