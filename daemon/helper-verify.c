/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Is a build still what it was? Asked before every load, so it is a program
 * that starts at once, and the manifest stays with the caller: what every file
 * has to be comes on the command line. Nothing is changed here; the worker
 * takes a damaged build out of the store.
 */

#include <fcntl.h>
#include <sys/stat.h>

#include "base/str.h"
#include "helper.h"
#include "sys/digest.h"

static Code damaged(const char *name, const char *why)
{
        helper_say(HELPER_KEY_DETAIL, "%s %s", name, why);
        return CODE_BUILD_DAMAGED;
}

static Code verify_file(int directory, const char *name, const char *size, const char *xxh64)
{
        char fast[DIGEST_FAST_HEX_SIZE], text[32];
        _cleanup_close_ int fd = -EBADF;
        uint64_t n = 0;
        struct stat st;

        /* O_NONBLOCK: a FIFO in its place is found to be none of ours, not waited for. */
        fd = openat(directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        if (fd < 0 || fstat(fd, &st) < 0)
                return damaged(name, strerror(errno));
        if (!S_ISREG(st.st_mode))
                return damaged(name, "is not a regular file");
        (void)snprintf(text, sizeof(text), "%llu", (unsigned long long)st.st_size);
        if (!streq(text, size))
                return damaged(name, "does not have the size it was built with");
        if (digest_fast_fd(fd, fast, &n) < 0)
                return damaged(name, "cannot be read");
        return streq(fast, xxh64) ? CODE_OK : damaged(name, "is not as it was built");
}

Code helper_verify(char **arguments)
{
        _cleanup_close_ int directory = -EBADF;
        Code code = CODE_OK;

        directory = open(arguments[0], O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (directory < 0)
                return damaged(arguments[0], strerror(errno));
        for (char **a = arguments + 1; code == CODE_OK && *a; a += 3) {
                if (!a[1] || !a[2] || strchr(*a, '/'))
                        return CODE_USAGE;
                code = verify_file(directory, *a, a[1], a[2]);
        }
        return code;
}
