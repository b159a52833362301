/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A look at a handful of names, once per start. Which numbers GPUs get is known
 * when the driver is loaded; they are 0 and up, and one that is found to be in
 * the way later makes the driver degraded.
 */

#include <fcntl.h>

#include "base/result.h"
#include "base/str.h"
#include "nodeblock.h"
#include "sys/devnodes.h"

static bool wants(const Config *config, const char *module)
{
        STRV_FOREACH (name, config->modules)
                if (modname_eq(*name, module))
                        return true;
        return false;
}

/* NVreg_ModifyDeviceFiles=0 in [Parameters]; of two values the later one holds, as for the kernel. */
static int is_hands_off(const Config *config, bool *ret)
{
        const char *parameters = config_module_parameters(config, "nvidia");
        _cleanup_strv_ char **words = NULL;
        int r;

        *ret = false;
        if (!parameters)
                return 0;
        r = strv_split(parameters, " \t", &words);
        STRV_FOREACH (word, words) {
                const char *value = startswith(*word, "NVreg_ModifyDeviceFiles=");
                uint64_t number;

                if (value)
                        *ret = str_to_u64(value, 0, 0, UINT32_MAX, &number) == 0 && number == 0;
        }
        return err_trace(r);
}

static int expected_names(const Config *config, const GpuFacts *gpus, char ***ret)
{
        _cleanup_strv_ char **names = NULL;
        int r;

        r = strv_push(&names, "nvidiactl");
        for (size_t i = 0; r == 0 && i < gpus->n; i++)
                r = strv_pushf(&names, "nvidia%zu", i);
        if (r == 0 && wants(config, "nvidia-modeset"))
                r = strv_push(&names, "nvidia-modeset");
        if (r == 0 && wants(config, "nvidia-uvm"))
                r = strv_push(&names, "nvidia-uvm");
        if (r == 0 && wants(config, "nvidia-uvm"))
                r = strv_push(&names, "nvidia-uvm-tools");
        if (r)
                return err_trace(r);
        *ret = TAKE_PTR(names);
        return 0;
}

/* Docker makes a directory of a device that is to be bound into a container and is not there. */
static int push_command(const Root *root, const char *file, char ***commands)
{
        _cleanup_close_ int fd = -EBADF;
        struct stat st = {};
        bool is_directory;

        is_directory = root_open(root, file, O_PATH | O_NOFOLLOW, &fd) == 0 && fstat(fd, &st) == 0 &&
                       S_ISDIR(st.st_mode);
        return err_trace(strv_pushf(commands, "%s %s", is_directory ? "rmdir" : "rm", file));
}

static int push_if_blocked(const Root *root, const char *directory, const DevEntry *e, char ***commands)
{
        _cleanup_free_ char *file = NULL;

        if (e->kind == DEV_ENTRY_NODE || e->kind == DEV_ENTRY_EMPTY)
                return 0;
        file = str_format("/%s/%s", directory, e->name);
        return file ? err_trace(push_command(root, file, commands)) : err_origin(-ENOMEM);
}

static int look(const Root *root, const char *directory, char *const *names, char ***commands)
{
        _cleanup_(dev_entries_done) DevEntries entries = {};
        int r = 0;

        STRV_FOREACH (name, names)
                if (r == 0)
                        r = devdir_find(root, directory, *name, &entries);
        for (size_t i = 0; r == 0 && i < entries.n; i++)
                r = push_if_blocked(root, directory, &entries.items[i], commands);
        return err_trace(r);
}

/* Ours under another name, where there is no container. */
static bool is_host_other(const Root *root)
{
        struct stat own, host;

        return root_stat(root, "dev", &own) == 0 && root_stat(root, "proc/1/root/dev", &host) == 0 &&
               (own.st_dev != host.st_dev || own.st_ino != host.st_ino);
}

int nodeblock_find(const Root *root, const Config *config, const GpuFacts *gpus, char ***ret)
{
        _cleanup_strv_ char **names = NULL, **commands = NULL;
        bool hands_off;
        int r;

        if (!config->create_nodes)
                return 0;
        r = is_hands_off(config, &hands_off);
        if (r || hands_off)
                return err_trace(r);
        r = expected_names(config, gpus, &names);
        if (r == 0)
                r = look(root, "dev", names, &commands);
        if (r == 0 && config->create_on_host && is_host_other(root))
                r = look(root, "proc/1/root/dev", names, &commands);
        if (r)
                return err_trace(r);
        *ret = TAKE_PTR(commands);
        return 0;
}

char *nodeblock_explain(const Root *root, char *const *files)
{
        _cleanup_strv_ char **commands = NULL;
        _cleanup_free_ char *text = NULL;
        int r = 0;

        STRV_FOREACH (file, files)
                if (r == 0)
                        r = push_command(root, *file, &commands);
        text = r == 0 ? strv_join(commands, "; ") : NULL;
        return text ? str_format("To remove it: %s", text) : NULL;
}
