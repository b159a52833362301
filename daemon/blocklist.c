/* SPDX-License-Identifier: Apache-2.0 */

/*
 * udev asks libkmod for a driver whenever a GPU appears, and libkmod obeys
 * modprobe.d. But udevd reads that configuration once, and then watches only
 * those directories that were there: a new /run/modprobe.d goes unnoticed
 * (seen with systemd 252). When its rules change it begins anew, so a file
 * without rules goes with the list. It looks for that every three seconds at
 * most; where it matters at once, stage-clear.c tells it.
 *
 * Both are in /run: a reboot undoes them. The first line says whose they are,
 * the second whether the directory is ours too.
 */

#include <fcntl.h>

#include "base/result.h"
#include "base/str.h"
#include "blocklist.h"

#define MARK      "# Made by nvidia-driverd, which removes it when the driver is unloaded."
#define MARK_MADE "# Its directory, too."

enum { SIZE_MAX_READ = 4096 };

typedef struct Item {
        const char *directory, *name, *text;
} Item;

static const Item items[] = {
        { "run/modprobe.d", "nvidia-driverd.conf",
                        "blacklist nouveau\nblacklist nova_core\nblacklist nova_drm\n" },
        { "run/udev/rules.d", "99-nvidia-driverd.rules",
                        "# No rules. udevd looks at a new /run/modprobe.d when its rules have changed.\n" },
};

/* Positive: there is one, and it is not ours. *@ret_made: its directory is. */
static int look(const Root *root, const char *path, char **ret_text, bool *ret_made)
{
        int r;

        r = root_read_file(root, path, SIZE_MAX_READ, ret_text, NULL);
        if (r < 0)
                return err_trace(r);
        if (r == ROOT_E_ABSENT)
                return 0;
        *ret_made = *ret_text && startswith(*ret_text, MARK "\n" MARK_MADE "\n");
        return *ret_text && startswith(*ret_text, MARK "\n") ? 0 : 1;
}

static int write_item(const Root *root, const Item *item, char ***foreign)
{
        _cleanup_free_ char *path = str_format("%s/%s", item->directory, item->name), *old = NULL,
                            *text = NULL;
        bool made = false;
        int r;

        if (!path)
                return err_origin(-ENOMEM);
        r = look(root, path, &old, &made);
        if (r)
                return r < 0 ? err_trace(r) : err_trace(strv_push_consume(foreign, root_path(root, path)));

        made = made || !root_exists(root, item->directory);
        text = str_format("%s\n%s%s", MARK, made ? MARK_MADE "\n" : "", item->text);
        if (!text)
                return err_origin(-ENOMEM);
        if (old && streq(old, text))
                return 0;
        r = root_mkdirs(root, item->directory, 0755);
        if (r == 0)
                r = root_write_file(root, path, text, strlen(text), 0644);
        return err_trace(r);
}

int blocklist_write(const Root *root, char ***foreign)
{
        int r = 0;

        /* The rules last: what they make udevd look at has to be there. */
        for (size_t i = 0; r == 0 && i < ELEMENTSOF(items); i++)
                r = write_item(root, &items[i], foreign);
        return err_trace(r);
}

static int remove_item(const Root *root, const Item *item)
{
        _cleanup_free_ char *path = str_format("%s/%s", item->directory, item->name), *old = NULL;
        bool made = false;
        int r;

        if (!path)
                return err_origin(-ENOMEM);
        r = look(root, path, &old, &made);
        if (r || !old)
                return r < 0 ? err_trace(r) : 0;
        r = root_unlink(root, path);
        if (r == 0 && made)
                (void)unlinkat(root->fd, item->directory, AT_REMOVEDIR); /* stays if others use it */
        return err_trace(r);
}

int blocklist_remove(const Root *root)
{
        int r = 0;

        for (size_t i = 0; i < ELEMENTSOF(items); i++) {
                int one = remove_item(root, &items[i]);

                r = r ? r : one;
        }
        return err_trace(r);
}
