/* SPDX-License-Identifier: Apache-2.0 */

/* libarchive's filters, without an archive in them. Its other half is package.c. */

#include <archive.h>

#include "base/result.h"
#include "base/root.h"
#include "base/str.h"
#include "sys/decompress.h"

enum { CHUNK = 256 * 1024, HOLE = 4096 };

static int invalid(char **reterr, char *why)
{
        if (!why)
                return err_origin(-ENOMEM);
        free(*reterr);
        *reterr = why;
        return DECOMPRESS_E_INVALID;
}

static void archive_freep(struct archive **a)
{
        if (*a)
                (void)archive_read_free(*a);
}

/* To the end of the block that @at is in. */
static size_t block(uint64_t at, size_t size)
{
        return MIN(size, (size_t)(HOLE - at % HOLE));
}

static bool is_zero(const char *data, size_t size)
{
        return *data == 0 && memcmp(data, data + 1, size - 1) == 0;
}

/* An image is mostly empty; what is never written takes no space. */
static int put_sparse(int fd, const char *data, size_t size, uint64_t at)
{
        while (size > 0) {
                size_t n = 0;
                int r;

                while (n < size && !is_zero(data + n, block(at + n, size - n)))
                        n += block(at + n, size - n);
                r = fd_write_at(fd, data, n, at);
                if (r)
                        return err_trace(r);
                if (n < size)
                        n += block(at + n, size - n);
                data += n;
                at += n;
                size -= n;
        }
        return 0;
}

/* ARCHIVE_WARN means that another program would have to be run for it: none is. */
static bool support(struct archive *a)
{
        return archive_read_support_filter_bzip2(a) == ARCHIVE_OK &&
               archive_read_support_filter_gzip(a) == ARCHIVE_OK &&
               archive_read_support_filter_xz(a) == ARCHIVE_OK &&
               archive_read_support_filter_zstd(a) == ARCHIVE_OK &&
               archive_read_support_format_raw(a) == ARCHIVE_OK;
}

int decompress(int from, int to, uint64_t limit, void (*progress)(void *userdata, uint64_t read),
                void *userdata, uint64_t *ret_size, char **reterr)
{
        _cleanup_(archive_freep) struct archive *a = archive_read_new();
        struct archive_entry *entry;
        const void *data = NULL;
        uint64_t end = 0;
        la_int64_t at = 0;
        size_t size = 0;
        int r, result;

        if (!a)
                return err_origin(-ENOMEM);
        if (!support(a))
                return err_origin(-EOPNOTSUPP);
        if (archive_read_open_fd(a, from, CHUNK) != ARCHIVE_OK ||
                        archive_read_next_header(a, &entry) != ARCHIVE_OK)
                return invalid(reterr,
                                str_format("it cannot be decompressed: %s", strna(archive_error_string(a))));

        while ((result = archive_read_data_block(a, &data, &size, &at)) == ARCHIVE_OK) {
                if (size == 0)
                        continue;
                if ((uint64_t)at > limit || size > limit - (uint64_t)at)
                        return invalid(reterr, str_format("decompressed it has more than %llu bytes",
                                                               (unsigned long long)limit));
                r = put_sparse(to, data, size, (uint64_t)at);
                if (r)
                        return err_trace(r);
                end = (uint64_t)at + size;
                if (progress)
                        progress(userdata, (uint64_t)archive_filter_bytes(a, -1));
        }
        if (result != ARCHIVE_EOF)
                return invalid(reterr,
                                str_format("it cannot be decompressed: %s", strna(archive_error_string(a))));
        /* The last block may have been a hole. */
        if (ftruncate(to, (off_t)end) < 0)
                return err_origin(-errno);
        *ret_size = end;
        return 0;
}
