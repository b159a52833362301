/* SPDX-License-Identifier: Apache-2.0 */

/* The limit is on what comes out: a few bytes can unpack to gigabytes. */

#include <fcntl.h>
#include <sys/mman.h>

#include "base/result.h"
#include "base/str.h"
#include "sys/decompress.h"
#include "sys/packedfile.h"

static int read_memory(int fd, size_t size, char **ret)
{
        _cleanup_free_ char *text = malloc(size + 1);
        size_t done = 0;

        if (!text)
                return err_origin(-ENOMEM);
        while (done < size) {
                ssize_t n = pread(fd, text + done, size - done, (off_t)done);

                if (n <= 0)
                        return err_origin(n < 0 ? -errno : -EIO);
                done += (size_t)n;
        }
        text[size] = '\0';
        *ret = TAKE_PTR(text);
        return 0;
}

int packedfile_read(const Root *root, const char *path, size_t max, char **ret, size_t *ret_size)
{
        _cleanup_close_ int fd = -EBADF, memory = -EBADF;
        _cleanup_free_ char *why = NULL;
        uint64_t size = 0;
        struct stat st;
        int r;

        r = root_open(root, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, &fd);
        if (r)
                return r < 0 ? err_trace(r) : PACKEDFILE_E_ABSENT;
        if (fstat(fd, &st) < 0)
                return err_origin(-errno);
        if (!S_ISREG(st.st_mode))
                return PACKEDFILE_E_ABSENT;

        memory = memfd_create("unpacked", MFD_CLOEXEC);
        if (memory < 0)
                return err_origin(-errno);
        r = decompress(fd, memory, max, NULL, NULL, &size, &why);
        if (r)
                return r < 0 ? err_trace(r) : PACKEDFILE_E_BROKEN;
        r = read_memory(memory, (size_t)size, ret);
        if (r)
                return err_trace(r);
        *ret_size = (size_t)size;
        return 0;
}
