/* SPDX-License-Identifier: Apache-2.0 */

/*
 * libkmod takes the tables of an ELF file on trust: it aborts the process where
 * they lead out of the file. So it is only given files that have been through
 * here, and unpacked ones, because the bounds are those of the content.
 */

#include <fcntl.h>
#include <sys/mman.h>

#include "base/result.h"
#include "sys/decompress.h"
#include "sys/elfsections.h"
#include "sys/modulefile.h"

static bool is_compressed(int fd)
{
        static const struct {
                const char *magic;
                size_t size;
        } formats[] = { { "\xfd"
                          "7zXZ",
                                        6 },
                { "\x28\xb5\x2f\xfd", 4 }, { "\x1f\x8b", 2 }, { "BZh", 3 } };
        char head[8] = {};

        if (pread(fd, head, sizeof(head), 0) < 0)
                return false;
        for (size_t i = 0; i < ELEMENTSOF(formats); i++)
                if (memcmp(head, formats[i].magic, formats[i].size) == 0)
                        return true;
        return false;
}

static int unpack(int fd, uint64_t limit, int *ret)
{
        _cleanup_close_ int memory = memfd_create("module", MFD_CLOEXEC);
        _cleanup_free_ char *why = NULL;
        uint64_t size;
        int r;

        if (memory < 0)
                return err_origin(-errno);
        r = decompress(fd, memory, limit, NULL, NULL, &size, &why);
        if (r)
                return r < 0 ? err_trace(r) : MODULEFILE_E_DAMAGED;
        *ret = TAKE_FD(memory);
        return 0;
}

int modulefile_open(const Root *root, const char *path, uint64_t limit, int *ret)
{
        _cleanup_close_ int fd = -EBADF, plain = -EBADF;
        struct stat st;
        int r;

        r = root_open(root, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, &fd);
        if (r)
                return r < 0 ? err_trace(r) : MODULEFILE_E_ABSENT;
        if (fstat(fd, &st) < 0)
                return err_origin(-errno);
        if (!S_ISREG(st.st_mode))
                return MODULEFILE_E_DAMAGED;

        if (is_compressed(fd)) {
                r = unpack(fd, limit, &plain);
                if (r)
                        return r < 0 ? err_trace(r) : r;
        } else {
                plain = TAKE_FD(fd);
        }
        r = elfsections_check(plain);
        if (r)
                return r < 0 ? err_trace(r) : MODULEFILE_E_DAMAGED;
        *ret = TAKE_FD(plain);
        return 0;
}
