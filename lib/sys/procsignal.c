/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The order makes it safe: first the pidfd, then the start time behind the
 * pid. If the time is the right one, the process that has the pid now is the
 * one that is meant. It had the pid before the pidfd was opened, too, since a
 * pid is not given away while its owner lives; so the pidfd is its own.
 */

#include <inttypes.h>
#include <sys/pidfd.h>

#include "base/result.h"
#include "base/str.h"
#include "sys/procsignal.h"

enum {
        STAT_MAX = 4096,
        FIELD_AFTER_COMMAND = 3, /* as proc(5) counts */
        FIELD_START = 22,
};

/* The command, in parentheses, may have blanks and parentheses of its own. */
static bool parse_start(char *stat, uint64_t *ret)
{
        _cleanup_strv_ char **fields = NULL;
        char *end = strrchr(stat, ')');

        return end && strv_split(end + 1, " \n", &fields) == 0 &&
               strv_length(fields) > FIELD_START - FIELD_AFTER_COMMAND &&
               str_to_u64(fields[FIELD_START - FIELD_AFTER_COMMAND], 10, 0, UINT64_MAX, ret) == 0;
}

int procsignal_start(const Root *host, pid_t pid, uint64_t *ret)
{
        _cleanup_free_ char *path = str_format("proc/%" PRIi32 "/stat", (int32_t)pid), *stat = NULL;
        int r;

        if (!path)
                return err_origin(-ENOMEM);
        r = root_read_file(host, path, STAT_MAX, &stat, NULL);
        if (r == ROOT_E_ABSENT || r == -ESRCH)
                return PROCSIGNAL_E_GONE;
        if (r)
                return r < 0 ? err_trace(r) : err_fold(r);
        return parse_start(stat, ret) ? 0 : err_origin(-EBADMSG);
}

/* Returns 0, PROCSIGNAL_E_GONE or a negative errno. */
static int check_start(const Root *host, pid_t pid, uint64_t start)
{
        uint64_t now;
        int r;

        r = procsignal_start(host, pid, &now);
        if (r)
                return r < 0 ? err_trace(r) : r;
        return now == start ? 0 : PROCSIGNAL_E_GONE;
}

int procsignal_send(const Root *host, pid_t pid, uint64_t start, int signal)
{
        _cleanup_close_ int fd = -EBADF;
        int r;

        fd = pidfd_open(pid, 0);
        if (fd < 0)
                return errno == ESRCH ? PROCSIGNAL_E_GONE : err_origin(-errno);
        r = check_start(host, pid, start);
        if (r)
                return r < 0 ? err_trace(r) : r;
        if (pidfd_send_signal(fd, signal, NULL, 0) < 0)
                return errno == ESRCH ? PROCSIGNAL_E_GONE : err_origin(-errno);
        return 0;
}
