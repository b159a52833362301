/* SPDX-License-Identifier: Apache-2.0 */

#include <fcntl.h>

#include "base/result.h"
#include "base/str.h"
#include "sys/pidfile.h"

enum {
        NUMBER_MAX = 64,
        COMM_MAX = 15, /* the kernel's TASK_COMM_LEN less the NUL */
};

static pid_t read_number(int fd)
{
        _cleanup_free_ char *text = NULL;
        uint64_t number;

        if (fd_read_file(fd, NUMBER_MAX, &text, NULL) != 0)
                return 0;
        text[strcspn(text, "\n")] = '\0';
        return str_to_u64(str_strip(text), 10, 1, INT32_MAX, &number) == 0 ? (pid_t)number : 0;
}

static bool is_called(const Root *root, pid_t pid, const char *program)
{
        _cleanup_free_ char *path = str_format("proc/%d/comm", (int)pid), *comm = NULL;

        return path && root_read_line(root, path, NUMBER_MAX, &comm) == 0 &&
               strncmp(comm, program, COMM_MAX) == 0;
}

int pidfile_owner(const Root *root, const char *path, const char *program, pid_t *ret)
{
        struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
        _cleanup_close_ int fd = -EBADF;
        pid_t named;
        int r;

        r = root_open(root, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, &fd);
        if (r)
                return r < 0 ? err_trace(r) : PIDFILE_E_ABSENT;

        if (fcntl(fd, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK) {
                *ret = lock.l_pid > 0 ? lock.l_pid : PIDFILE_HIDDEN;
                return 0;
        }
        named = read_number(fd);
        *ret = named;
        return named > 0 && is_called(root, named, program) ? 0 : PIDFILE_E_STALE;
}
