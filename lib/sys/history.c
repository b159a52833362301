/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Nothing is synced: an entry may be lost with the power, but neither is the
 * caller held up by a disk. A line that was cut short is ended by the next
 * entry's first byte and skipped by readers.
 */

#include <fcntl.h>

#include "base/result.h"
#include "base/str.h"
#include "sys/history.h"
#include "sys/historyjson.h"

static int open_file(const Root *root, const char *path, int *ret)
{
        _cleanup_free_ char *full = root_path(root, path);
        struct stat st;

        if (!full)
                return err_origin(-ENOMEM);
        *ret = open(full, O_RDWR | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, HISTORY_MODE);
        if (*ret < 0 || fstat(*ret, &st) < 0)
                return err_origin(-errno);
        if (!S_ISREG(st.st_mode))
                return err_origin(-EINVAL);
        /* Older versions let everybody read it. */
        if ((st.st_mode & 07777 & ~HISTORY_MODE) && fchmod(*ret, HISTORY_MODE) < 0)
                return err_origin(-errno);
        return 0;
}

/* A full file makes room. */
static int rotate(const Root *root, const char *path)
{
        _cleanup_free_ char *from = root_path(root, path), *to = from ? str_format("%s.1", from) : NULL;
        struct stat st;

        if (!to)
                return err_origin(-ENOMEM);
        if (lstat(from, &st) < 0 || st.st_size < HISTORY_FILE_MAX)
                return 0;
        return rename(from, to) < 0 ? err_origin(-errno) : 0;
}

static bool ends_in_line(int fd)
{
        struct stat st;
        char last = '\n';

        return fstat(fd, &st) < 0 || st.st_size == 0 || pread(fd, &last, 1, st.st_size - 1) != 1 ||
               last == '\n';
}

static int format_entry(const HistoryEntry *e, char **ret)
{
        _cleanup_free_ char *detail = NULL;
        HistoryEntry copy = *e;

        if (e->detail && strlen(e->detail) > HISTORY_DETAIL_MAX) {
                detail = strndup(e->detail, HISTORY_DETAIL_MAX);
                if (!detail)
                        return err_origin(-ENOMEM);
                copy.detail = detail;
        }
        return err_trace(historyjson_format(&copy, ret));
}

int history_append(const Root *root, const char *directory, const HistoryEntry *e)
{
        _cleanup_free_ char *path = str_format("%s/" HISTORY_NAME, directory), *line = NULL, *text = NULL;
        _cleanup_close_ int fd = -EBADF;
        ssize_t size;
        int r;

        if (!path)
                return err_origin(-ENOMEM);
        r = format_entry(e, &line);
        if (r == 0)
                r = root_mkdirs(root, directory, 0755);
        if (r == 0)
                r = rotate(root, path);
        if (r == 0)
                r = open_file(root, path, &fd);
        if (r)
                return err_trace(r);

        text = str_format("%s%s", ends_in_line(fd) ? "" : "\n", line);
        if (!text)
                return err_origin(-ENOMEM);
        size = write(fd, text, strlen(text));
        if (size < 0)
                return err_origin(-errno);
        return size == (ssize_t)strlen(text) ? 0 : err_origin(-ENOSPC);
}

static int read_one(const Root *root, const char *directory, const char *name, HistoryEntries *l)
{
        _cleanup_free_ char *path = str_format("%s/%s", directory, name), *text = NULL;
        int r;

        if (!path)
                return err_origin(-ENOMEM);
        r = root_read_file(root, path, 2 * HISTORY_FILE_MAX, &text, NULL);
        if (r == ROOT_E_TOO_BIG)
                return err_origin(-EFBIG);
        if (r)
                return r < 0 ? err_trace(r) : 0;

        for (char *line = text; *line;) {
                size_t size = strcspn(line, "\n");
                bool ended = line[size] == '\n';
                HistoryEntry e = {};

                line[size] = '\0';
                r = size > 0 ? historyjson_parse(line, &e) : 0;
                if (r == 0 && size > 0)
                        r = history_entries_add(l, &e);
                else if (r > 0)
                        l->n_damaged++;
                history_entry_done(&e);
                if (r < 0)
                        return err_trace(r);
                line += size + ended;
        }
        return 0;
}

int history_read(const Root *root, const char *directory, HistoryEntries *ret)
{
        HistoryEntries l = {};
        int r;

        r = read_one(root, directory, HISTORY_NAME ".1", &l);
        if (r == 0)
                r = read_one(root, directory, HISTORY_NAME, &l);
        if (r) {
                history_entries_done(&l);
                return err_trace(r);
        }
        *ret = l;
        return 0;
}
