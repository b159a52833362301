/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Who the running kernel is. uname(2) would tell the same, but could not be
 * replayed from a fixture tree; /proc/sys/kernel has the very same strings
 * (kernel/utsname_sysctl.c).
 */

#include "base/result.h"
#include "base/str.h"
#include "sys/kernel.h"

enum {
        LINE_MAX_BYTES = 4096,     /* __NEW_UTS_LEN is 64 */
        CMDLINE_MAX_BYTES = 65536, /* COMMAND_LINE_SIZE is 2048 on x86, a bootconfig may add to it */
};

static int read_line(const Root *root, const char *path, char **ret)
{
        int r;

        r = root_read_line(root, path, LINE_MAX_BYTES, ret);
        if (r < 0)
                return err_trace(r);
        return r == 0 ? 0 : KERNEL_E_ABSENT;
}

int kernel_read(const Root *root, KernelFact *ret)
{
        _cleanup_(kernel_fact_done) KernelFact k = {};
        int r;

        r = read_line(root, "proc/sys/kernel/osrelease", &k.release);
        if (r == 0)
                r = read_line(root, "proc/sys/kernel/version", &k.version);
        if (r)
                return r < 0 ? err_trace(r) : KERNEL_E_ABSENT;
        if (isempty(k.release))
                return KERNEL_E_ABSENT;

        *ret = k;
        k = (KernelFact){};
        return 0;
}

int kernel_boot_id(const Root *root, char **ret)
{
        _cleanup_free_ char *id = NULL;
        int r;

        r = read_line(root, "proc/sys/kernel/random/boot_id", &id);
        if (r)
                return r < 0 ? err_trace(r) : KERNEL_E_ABSENT;
        if (strlen(id) != 36)
                return KERNEL_E_ABSENT;

        *ret = TAKE_PTR(id);
        return 0;
}

/*
 * Takes the next word off *@text, which is changed in place: lib/cmdline.c,
 * next_arg(). A blank ends a word only outside of quotes, a backslash means nothing.
 */
static char *next_word(char **text)
{
        char *from = *text + strspn(*text, " \t\n"), *to = from, *word = from;
        bool quoted = false;

        for (; *from && (quoted || !strchr(" \t\n", *from)); from++) {
                if (*from == '"')
                        quoted = !quoted;
                else
                        *to++ = *from;
        }
        *text = *from ? from + 1 : from;
        *to = '\0';
        return word;
}

int kernel_cmdline(const Root *root, char ***ret)
{
        _cleanup_free_ char *data = NULL;
        _cleanup_strv_ char **words = NULL;
        char *rest;
        int r;

        r = root_read_file(root, "proc/cmdline", CMDLINE_MAX_BYTES, &data, NULL);
        if (r)
                return r < 0 ? err_trace(r) : KERNEL_E_ABSENT;

        for (rest = data; *rest;) {
                const char *word = next_word(&rest);

                if (!*word)
                        continue;
                r = strv_push(&words, word);
                if (r)
                        return err_trace(r);
        }

        *ret = TAKE_PTR(words);
        return 0;
}
