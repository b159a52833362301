/* SPDX-License-Identifier: Apache-2.0 */

#include <fcntl.h>
#include <inttypes.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/root.h"
#include "sys/lockfile.h"
#include "sys/lockowner.h"

enum { STATUS_MAX = 16384 };

typedef enum Owner {
        OWNER_GONE,
        OWNER_OTHER,
        OWNER_TRUSTED,
} Owner;

/* By the effective user: the directory's owner is root for a process that cannot be dumped. */
static Owner judge(pid_t pid)
{
        _cleanup_close_ int fd = -EBADF;
        _cleanup_free_ char *text = NULL;
        const char *line;
        unsigned uid;
        char path[64];

        if (pid <= 0)
                return OWNER_GONE;
        (void)snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0 || fd_read_file(fd, STATUS_MAX, &text, NULL) != 0)
                return OWNER_GONE;
        line = strstr(text, "\nUid:");
        if (!line || sscanf(line, "\nUid: %*u %u", &uid) != 1)
                return OWNER_GONE;
        return uid == 0 || uid == geteuid() ? OWNER_TRUSTED : OWNER_OTHER;
}

/* "1: FLOCK  ADVISORY  WRITE 4711 00:17:815 0 EOF"; an arrow before the kind marks one that waits. */
static pid_t parse(const char *line, const struct stat *wanted)
{
        unsigned major, minor;
        uint64_t inode;
        int pid;

        if (sscanf(line, "%*u: FLOCK %*s %*s %d %x:%x:%" SCNu64, &pid, &major, &minor, &inode) != 4)
                return 0;
        return makedev(major, minor) == wanted->st_dev && inode == wanted->st_ino ? (pid_t)pid : 0;
}

bool lockowner_is_trusted(int fd, pid_t named)
{
        _cleanup_fclose_ FILE *locks = fopen("/proc/locks", "re");
        bool others = false;
        struct stat st;
        char line[256];

        if (!lockfile_is_open_to_others(fd) || !locks || fstat(fd, &st) < 0)
                return true;
        while (fgets(line, sizeof(line), locks)) {
                Owner owner = judge(parse(line, &st));

                if (owner == OWNER_TRUSTED)
                        return true;
                others = others || owner == OWNER_OTHER;
        }
        return !others && judge(named) == OWNER_TRUSTED;
}
