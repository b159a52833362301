/* SPDX-License-Identifier: Apache-2.0 */

#include <fcntl.h>
#include <fts.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "base/result.h"
#include "base/str.h"
#include "sys/treedigest.h"

/* NVIDIA's sources have some 1500 files, the open ones 3000. */
enum { FILES_MAX = 200 * 1000 };

static void close_fts(FTS **fts)
{
        if (*fts)
                (void)fts_close(*fts);
}

/* By the bytes of the name, whatever the locale: the digest has to be the same everywhere. */
static int by_name(const FTSENT **a, const FTSENT **b)
{
        return strcmp((*a)->fts_name, (*b)->fts_name);
}

static int add_file(FILE *list, const char *name, const char *path)
{
        char hex[DIGEST_HEX_SIZE];
        _cleanup_close_ int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
        int r;

        if (fd < 0)
                return err_origin(-errno);
        r = digest_fd(fd, hex, NULL);
        if (r)
                return err_trace(r);
        return fprintf(list, "%s  %s%c", hex, name, '\0') < 0 ? err_origin(-ENOMEM) : 0;
}

static int add_link(FILE *list, const char *name, const char *path)
{
        char target[PATH_MAX];
        ssize_t n = readlink(path, target, sizeof(target) - 1);

        if (n < 0)
                return err_origin(-errno);
        target[n] = '\0';
        return fprintf(list, "-> %s%c%s%c", target, '\0', name, '\0') < 0 ? err_origin(-ENOMEM) : 0;
}

static int add(FILE *list, const FTSENT *e, const char *name)
{
        switch (e->fts_info) {
        case FTS_F:
                return err_trace(add_file(list, name, e->fts_path));
        case FTS_SL:
        case FTS_SLNONE:
                return err_trace(add_link(list, name, e->fts_path));
        case FTS_DNR:
        case FTS_ERR:
        case FTS_NS:
                return err_origin(-e->fts_errno);
        default: /* directories are in the names; sockets and the like are nothing that is compiled */
                return 0;
        }
}

static int make_list(const char *directory, bool (*leaves_out)(const char *path), FILE *list, char **reterr)
{
        char *paths[] = { (char *)directory, NULL };
        _cleanup_(close_fts) FTS *fts = fts_open(paths, FTS_PHYSICAL | FTS_NOCHDIR | FTS_XDEV, by_name);
        size_t n = 0, skip = strlen(directory);
        const FTSENT *e;
        int r = 0;

        if (!fts)
                return err_origin(-errno);
        for (errno = 0; r == 0 && (e = fts_read(fts)); errno = 0) {
                const char *name = e->fts_path + skip;

                name += strspn(name, "/");
                if (leaves_out && e->fts_level > 0 && leaves_out(name))
                        continue;
                if (n++ > FILES_MAX)
                        return TREEDIGEST_E_TOO_BIG;
                r = add(list, e, name);
                if (r)
                        *reterr = strdup(*name ? name : directory);
        }
        if (r == 0 && errno)
                return err_origin(-errno);
        return r ? err_trace(r) : 0;
}

int treedigest(const char *directory, bool (*leaves_out)(const char *path),
                char ret_hex[static DIGEST_HEX_SIZE], char **reterr)
{
        _cleanup_free_ char *text = NULL;
        size_t size = 0;
        FILE *list = open_memstream(&text, &size);
        int r;

        if (!list)
                return err_origin(-errno);
        r = make_list(directory, leaves_out, list, reterr);
        if (fclose(list) < 0 && r == 0)
                r = err_origin(-ENOMEM);
        if (r)
                return r < 0 ? err_trace(r) : TREEDIGEST_E_TOO_BIG;
        return err_trace(digest_text(text, size, ret_hex));
}
