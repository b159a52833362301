/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A container with a memory limit sees the whole machine's memory in
 * /proc/meminfo and is killed for using it (pain 18), so the cgroup's own
 * limit is read too: memory.max less memory.current of our cgroup and of those
 * it is in, where page cache is counted as used although it gives way.
 */

#include <inttypes.h>
#include <sched.h>
#include <sys/statvfs.h>

#include "base/result.h"
#include "base/str.h"
#include "sys/resources.h"

unsigned resources_cpus(void)
{
        cpu_set_t set;

        CPU_ZERO(&set);
        if (sched_getaffinity(0, sizeof(set), &set) < 0)
                return 1;
        return (unsigned)MAX(CPU_COUNT(&set), 1);
}

static int read_available(const Root *root, uint64_t *ret)
{
        _cleanup_free_ char *text = NULL;
        const char *line;
        uint64_t kib;
        int r;

        r = root_read_file(root, "proc/meminfo", 65536, &text, NULL);
        if (r)
                return r < 0 ? err_trace(r) : 1;
        line = strstr(text, "MemAvailable:");
        if (!line || sscanf(line, "MemAvailable: %" SCNu64 " kB", &kib) != 1)
                return 1;
        *ret = kib * 1024;
        return 0;
}

static int read_limit(const Root *root, const char *cgroup, const char *name, uint64_t *ret)
{
        _cleanup_free_ char *path = str_format("sys/fs/cgroup%s/%s", cgroup, name), *line = NULL;
        int r;

        if (!path)
                return err_origin(-ENOMEM);
        r = root_read_line(root, path, 64, &line);
        if (r)
                return r < 0 ? err_trace(r) : 1;
        return str_to_u64(line, 10, 0, UINT64_MAX, ret) < 0 ? 1 : 0; /* "max" is no number: no limit */
}

/* Page cache that nobody has asked for of late; the kernel drops it before it kills. 0 if it is not told. */
static uint64_t read_droppable(const Root *root, const char *cgroup)
{
        _cleanup_free_ char *path = str_format("sys/fs/cgroup%s/memory.stat", cgroup), *text = NULL;
        const char *line;
        uint64_t bytes;

        if (!path || root_read_file(root, path, 65536, &text, NULL) != 0)
                return 0;
        line = strstr(text, "\ninactive_file ");
        return line && sscanf(line, " inactive_file %" SCNu64, &bytes) == 1 ? bytes : 0;
}

static uint64_t room_of(const Root *root, const char *cgroup)
{
        uint64_t limit = 0, current = 0;

        if (read_limit(root, cgroup, "memory.max", &limit) != 0 ||
                        read_limit(root, cgroup, "memory.current", &current) != 0)
                return UINT64_MAX;
        current -= MIN(current, read_droppable(root, cgroup));
        return limit > current ? limit - current : 0;
}

int resources_memory(const Root *root, uint64_t *ret)
{
        _cleanup_free_ char *cgroup = NULL;
        uint64_t available = 0;
        char *path, *slash;
        int r;

        r = read_available(root, &available);
        if (r)
                return r;

        /* "0::/system.slice/x.service"; a cgroup v1 machine has other lines and no answer here. */
        r = root_read_line(root, "proc/self/cgroup", 4096, &cgroup);
        if (r < 0)
                return err_trace(r);
        if (r == 0 && startswith(cgroup, "0::/")) {
                /* "" is the root of what is seen: its files are there in a container only. */
                path = cgroup + strlen("0::");
                path[strlen(path) - (path[strlen(path) - 1] == '/')] = '\0';
                available = MIN(available, room_of(root, path));
                while ((slash = strrchr(path, '/'))) {
                        *slash = '\0';
                        available = MIN(available, room_of(root, path));
                }
        }

        *ret = available;
        return 0;
}

#define ROOM_LEAST (1024 * 1024ULL)

bool resources_is_full(int fd)
{
        struct statvfs st;

        if (fstatvfs(fd, &st) < 0)
                return false;
        /* Without a fixed number of inodes there are none to count. */
        return st.f_bavail * st.f_frsize < ROOM_LEAST || (st.f_files > 0 && st.f_favail == 0);
}
