/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The list of configuration files, as systemd's own programs make it.
 *
 * The main file is the first one there is in four places: the administrator's
 * (/etc), the one of this boot (/run), the local and the distribution's vendor
 * directory (/usr). Then come the drop-ins of driverd.conf.d in all four,
 * sorted by file name wherever they lie. Of drop-ins of the same name only the
 * one in the first place counts. A symlink to /dev/null masks: as main file
 * there is none then, as drop-in the name is gone from all places behind it.
 *
 * The link's text decides about masking, not what it leads to, because a tree
 * given by --root= may have no /dev.
 */

#include "base/result.h"
#include "base/str.h"
#include "sys/conffiles.h"

#define MAIN_FILE "driverd.conf"
#define DROPINS   "driverd.conf.d"

/* The highest priority first. */
static const char *const places[] = {
        "etc/nvidia-driverd",
        "run/nvidia-driverd",
        "usr/local/lib/nvidia-driverd",
        "usr/lib/nvidia-driverd",
};

/* A name and the place it was found in first. */
typedef struct DropIn {
        char *name;
        char *path;
} DropIn;

typedef struct DropIns {
        DropIn *items;
        size_t n;
} DropIns;

static void drop_ins_done(DropIns *l)
{
        for (size_t i = 0; i < l->n; i++) {
                free(l->items[i].name);
                free(l->items[i].path);
        }
        free(l->items);
        *l = (DropIns){};
}

static bool drop_ins_contain(const DropIns *l, const char *name)
{
        for (size_t i = 0; i < l->n; i++)
                if (streq(l->items[i].name, name))
                        return true;
        return false;
}

/* Takes over both strings, also on failure. */
static int drop_ins_add(DropIns *l, char *name, char *path)
{
        DropIn *grown = NULL;

        if (name && path)
                grown = reallocarray(l->items, l->n + 1, sizeof(*grown));
        if (!grown) {
                free(name);
                free(path);
                return err_origin(-ENOMEM);
        }

        l->items = grown;
        l->items[l->n++] = (DropIn){ .name = name, .path = path };
        return 0;
}

static int compare_drop_ins(const void *a, const void *b)
{
        return strcmp(((const DropIn *)a)->name, ((const DropIn *)b)->name);
}

static bool has_suffix(const char *s, const char *suffix)
{
        size_t n = strlen(s), n_suffix = strlen(suffix);

        return n > n_suffix && streq(s + n - n_suffix, suffix);
}

/* "/dev/null" or "../../dev/null". */
static bool is_masked(const Root *root, const char *path)
{
        _cleanup_free_ char *text = NULL;

        return root_readlink(root, path, &text) == 0 &&
               (streq(text, "/dev/null") || has_suffix(text, "/dev/null"));
}

static int find_main_file(const Root *root, char ***files)
{
        for (size_t i = 0; i < ELEMENTSOF(places); i++) {
                _cleanup_free_ char *path = str_format("%s/" MAIN_FILE, places[i]);
                struct stat st;

                if (!path)
                        return err_origin(-ENOMEM);
                if (is_masked(root, path))
                        return 0;
                /* A file that is there and broken is listed: reading it tells why. */
                if (root_stat(root, path, &st) != ROOT_E_ABSENT)
                        return err_trace(strv_push_consume(files, TAKE_PTR(path)));
        }
        return 0;
}

static int find_drop_ins(const Root *root, const char *place, DropIns *l)
{
        _cleanup_free_ char *directory = str_format("%s/" DROPINS, place);
        _cleanup_strv_ char **names = NULL;
        int r;

        if (!directory)
                return err_origin(-ENOMEM);

        r = root_list(root, directory, &names);
        if (r == ROOT_E_ABSENT)
                return 0;
        if (r < 0)
                return err_trace(drop_ins_add(l, strdup(directory), strdup(directory)));

        STRV_FOREACH (name, names) {
                if (!has_suffix(*name, ".conf") || drop_ins_contain(l, *name))
                        continue;
                r = drop_ins_add(l, strdup(*name), str_format("%s/%s", directory, *name));
                if (r)
                        return err_trace(r);
        }
        return 0;
}

static int push_drop_ins(const Root *root, const DropIns *l, char ***files)
{
        int r;

        for (size_t i = 0; i < l->n; i++) {
                if (is_masked(root, l->items[i].path))
                        continue;
                r = strv_push(files, l->items[i].path);
                if (r)
                        return err_trace(r);
        }
        return 0;
}

int conffiles_list(const Root *root, char ***ret)
{
        _cleanup_(drop_ins_done) DropIns drop_ins = {};
        _cleanup_strv_ char **files = NULL;
        int r;

        r = find_main_file(root, &files);
        if (r)
                return err_trace(r);

        for (size_t i = 0; i < ELEMENTSOF(places); i++) {
                r = find_drop_ins(root, places[i], &drop_ins);
                if (r)
                        return err_trace(r);
        }

        if (drop_ins.n > 0)
                qsort(drop_ins.items, drop_ins.n, sizeof(*drop_ins.items), compare_drop_ins);
        r = push_drop_ins(root, &drop_ins, &files);
        if (r)
                return err_trace(r);

        *ret = TAKE_PTR(files);
        return 0;
}
