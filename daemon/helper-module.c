/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The kernel operations of the helper. What they report is a hint for people;
 * whether a module is loaded is read from /sys/module by the daemon.
 *
 * On a failure the kernel log since the start of the operation is the best
 * evidence there is ("NVRM: The NVIDIA GPU ... is not supported by ..."), so
 * it is passed on.
 */

#include <fcntl.h>
#include <sys/syscall.h>

#include "base/str.h"
#include "helper.h"
#include "policy/verdict.h"

enum { EVIDENCE_MAX = 24 };

/* Positioned behind the last record; -EBADF where the log cannot be read. */
static int open_kernel_log(void)
{
        int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);

        if (fd >= 0)
                (void)lseek(fd, 0, SEEK_END);
        return fd;
}

/* A record is "prio,seq,usec,flags;text\n" and continuation lines; one read(2) gives one record. */
static void say_kernel_log(int fd)
{
        char record[8192];

        for (unsigned n = 0; fd >= 0 && n < EVIDENCE_MAX;) {
                ssize_t size = read(fd, record, sizeof(record) - 1);
                char *text;

                if (size < 0 && errno == EPIPE)
                        continue; /* records were overwritten while we read: go on with what is left */
                if (size <= 0)
                        return;
                record[size] = '\0';
                text = strchr(record, ';');
                if (!text)
                        continue;
                text++;
                text[strcspn(text, "\n")] = '\0';
                if (*str_strip(text)) {
                        helper_say(HELPER_KEY_KERNEL, "%s", str_strip(text));
                        n++;
                }
        }
}

static Code report(int error, Code code, int log)
{
        helper_say(HELPER_KEY_ERRNO, "%d", error);
        if (error)
                say_kernel_log(log);
        return code;
}

Code helper_insert(char **arguments)
{
        _cleanup_close_ int fd = -EBADF, log = -EBADF;
        const char *parameters = strempty(arguments[1]);
        int error = 0;
        Code code;

        fd = open(arguments[0], O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        if (fd < 0) {
                helper_say(HELPER_KEY_DETAIL, "%s: %s", arguments[0], strerror(errno));
                return CODE_LOAD_FAILED;
        }

        log = open_kernel_log();
        if (syscall(SYS_finit_module, fd, parameters, 0) < 0)
                error = errno;
        (void)verdict_load(error, error ? MOD_ABSENT : MOD_LIVE, &code);
        return report(error, code, log);
}

Code helper_delete(char **arguments)
{
        _cleanup_close_ int log = -EBADF;
        int error = 0;
        Code code;

        /* O_NONBLOCK: a module in use is refused at once; never O_TRUNC, which forces. */
        log = open_kernel_log();
        if (syscall(SYS_delete_module, arguments[0], O_NONBLOCK) < 0)
                error = errno;
        (void)verdict_unload(error, error ? MOD_LIVE : MOD_ABSENT, &code);
        return report(error, code, log);
}
