/* SPDX-License-Identifier: Apache-2.0 */

/* Processors of this process, memory of fixture machines. */

#include "unit.h"

#include <sched.h>

#include "sys/resources.h"
#include "tmproot.h"

#define MIB (1024ULL * 1024)

START_TEST(test_cpus)
{
        cpu_set_t all, one;
        int first = 0;

        CPU_ZERO(&all);
        ck_assert_int_eq(sched_getaffinity(0, sizeof(all), &all), 0);
        ck_assert_uint_eq(resources_cpus(), (unsigned)CPU_COUNT(&all));

        while (!CPU_ISSET(first, &all))
                first++;
        CPU_ZERO(&one);
        CPU_SET(first, &one);
        ck_assert_int_eq(sched_setaffinity(0, sizeof(one), &one), 0);
        ck_assert_uint_eq(resources_cpus(), 1);
}
END_TEST

/* NULL: no such file; "meminfo" is what is available. */
static const struct {
        const char *meminfo, *cgroup, *max, *current;
        int result;
        uint64_t mib;
} machines[] = {
        { "8388608", NULL, NULL, NULL, 0, 8192 },
        { "8388608", "0::/a.slice/b.service\n", NULL, NULL, 0, 8192 },
        { "8388608", "0::/a.slice/b.service\n", "max\n", "1048576\n", 0, 8192 },
        { "8388608", "0::/a.slice/b.service\n", "2147483648\n", "1073741824\n", 0, 1024 },
        { "8388608", "0::/a.slice/b.service\n", "2147483648\n", NULL, 0, 8192 },
        { "8388608", "0::/a.slice/b.service\n", "2147483648\n", "nonsense\n", 0, 8192 },
        { "8388608", "0::/a.slice/b.service\n", "1048576\n", "2097152\n", 0,
                        0 },                                                    /* over the limit already */
        { "524288", "0::/a.slice/b.service\n", "2147483648\n", "0\n", 0, 512 }, /* the machine has less */
        { "8388608", "0::/\n", NULL, NULL, 0, 8192 },
        { "8388608", "12:memory:/a.slice/b.service\n0::/a.slice/b.service\n", "0\n", "0\n", 0,
                        8192 }, /* v1 */
        { "8388608", "", "0\n", "0\n", 0, 8192 },
        { NULL, "0::/a.slice/b.service\n", "2147483648\n", "0\n", 1, 0 },
        { "no number", NULL, NULL, NULL, 1, 0 },
};

START_TEST(test_memory)
{
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();
        uint64_t memory = 99;

        if (machines[_i].meminfo) {
                char text[256];

                (void)snprintf(text, sizeof(text),
                                "MemTotal:       16384000 kB\nMemFree:          100000 kB\n"
                                "MemAvailable:   %s kB\nBuffers:          1 kB\n",
                                machines[_i].meminfo);
                tmproot_write(&t, "proc/meminfo", text);
        }
        if (machines[_i].cgroup)
                tmproot_write(&t, "proc/self/cgroup", machines[_i].cgroup);
        if (machines[_i].max)
                tmproot_write(&t, "sys/fs/cgroup/a.slice/b.service/memory.max", machines[_i].max);
        if (machines[_i].current)
                tmproot_write(&t, "sys/fs/cgroup/a.slice/b.service/memory.current", machines[_i].current);

        ck_assert_int_eq(resources_memory(t.root, &memory), machines[_i].result);
        ck_assert_uint_eq(memory, machines[_i].result ? 99 : machines[_i].mib * MIB);
}
END_TEST

/* A container with its own cgroup namespace is at the root of what it sees. */
START_TEST(test_container)
{
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();
        uint64_t memory;

        tmproot_write(&t, "proc/meminfo", "MemAvailable: 8388608 kB\n");
        tmproot_write(&t, "proc/self/cgroup", "0::/\n");
        tmproot_write(&t, "sys/fs/cgroup/memory.max", "1073741824\n");
        tmproot_write(&t, "sys/fs/cgroup/memory.current", "268435456\n");
        ck_assert_int_eq(resources_memory(t.root, &memory), 0);
        ck_assert_uint_eq(memory, 768 * MIB);
}
END_TEST

/* What systemd.resource-control(5) says of a slice is the limit of all that is in it. */
START_TEST(test_parents)
{
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();
        uint64_t memory;

        tmproot_write(&t, "proc/meminfo", "MemAvailable: 8388608 kB\n");
        tmproot_write(&t, "proc/self/cgroup", "0::/a.slice/b.slice/c.service\n");
        tmproot_write(&t, "sys/fs/cgroup/a.slice/b.slice/c.service/memory.max", "max\n");
        tmproot_write(&t, "sys/fs/cgroup/a.slice/b.slice/c.service/memory.current", "1048576\n");
        tmproot_write(&t, "sys/fs/cgroup/a.slice/memory.max", "1073741824\n");
        tmproot_write(&t, "sys/fs/cgroup/a.slice/memory.current", "1073741824\n");
        ck_assert_int_eq(resources_memory(t.root, &memory), 0);
        ck_assert_uint_eq(memory, 0);

        /* Nearly all of that is cache. */
        tmproot_write(&t, "sys/fs/cgroup/a.slice/memory.stat",
                        "anon 1\nactive_file 4096\ninactive_file 536870912\nslab 1\n");
        ck_assert_int_eq(resources_memory(t.root, &memory), 0);
        ck_assert_uint_eq(memory, 512 * MIB);
        tmproot_write(&t, "sys/fs/cgroup/a.slice/memory.stat", "anon 1\ninactive_file 99999999999999\n");
        ck_assert_int_eq(resources_memory(t.root, &memory), 0);
        ck_assert_uint_eq(memory, 1024 * MIB);
        tmproot_write(&t, "sys/fs/cgroup/a.slice/memory.stat", "inactive_file nothing\n");
        ck_assert_int_eq(resources_memory(t.root, &memory), 0);
        ck_assert_uint_eq(memory, 0);
}
END_TEST

START_TEST(test_unreadable)
{
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();
        uint64_t memory = 99;

        tmproot_mkdir(&t, "proc/meminfo");
        ck_assert_int_eq(resources_memory(t.root, &memory), -EISDIR);

        tmproot_rm(&t, "proc/meminfo");
        tmproot_write(&t, "proc/meminfo", "MemAvailable: 1024 kB\n");
        tmproot_mkdir(&t, "proc/self/cgroup");
        ck_assert_int_eq(resources_memory(t.root, &memory), -EISDIR);
        ck_assert_uint_eq(memory, 99);

        /* A limit that cannot be read is none. */
        tmproot_rm(&t, "proc/self/cgroup");
        tmproot_write(&t, "proc/self/cgroup", "0::/x\n");
        tmproot_mkdir(&t, "sys/fs/cgroup/x/memory.max");
        ck_assert_int_eq(resources_memory(t.root, &memory), 0);
        ck_assert_uint_eq(memory, MIB);
}
END_TEST

START_TEST(test_this_machine)
{
        _cleanup_(root_freep) Root *root = NULL;
        uint64_t memory = 0;

        ck_assert_int_eq(root_new("/", &root), 0);
        ck_assert_int_eq(resources_memory(root, &memory), 0);
        ck_assert_uint_lt(memory, 1ULL << 50);
}
END_TEST

START_TEST(test_full)
{
        int fds[2];

        ck_assert(!resources_is_full(-EBADF));
        /* procfs and pipes have no blocks at all, so there is no room in them. */
        ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
        ck_assert(resources_is_full(fds[0]));
        (void)close(fds[0]);
        (void)close(fds[1]);
}
END_TEST

UNIT_MAIN("resources", UNIT_TEST(test_full), UNIT_TEST(test_cpus),
                UNIT_LOOP(test_memory, ELEMENTSOF(machines)), UNIT_TEST(test_container),
                UNIT_TEST(test_parents), UNIT_TEST(test_unreadable), UNIT_TEST(test_this_machine))
