/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The walk over processes: over a made-up /proc, and over this machine's own,
 * with real children. There /dev/zero has to play the driver's node: the table
 * of devices is taken from a tree in which major 1 is the driver's.
 */

#include "unit.h"

#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>

#include "base/str.h"
#include "sys/procholders.h"
#include "tmproot.h"

#define DEVICES "Character devices:\n  1 nvidia-caps\n"
#define NODE    "/dev/nvidia-caps/nvidia-cap5" /* /dev/zero is 1:5 */

typedef struct Found {
        pid_t only;       /* 0: all */
        const char *node; /* only this one, and no cgroup */
        char **lines;
        uint64_t start;
        int result;
} Found;

static int on_found(void *userdata, Holder *h, const char *cgroup)
{
        Found *f = userdata;

        if ((f->only && h->pid != f->only) || (f->node && !streq(f->node, h->node)))
                return 0;
        f->start = h->start;
        ck_assert_int_eq(strv_pushf(&f->lines, "%d %u %s %s %s %d%s%s", (int)h->pid, (unsigned)h->uid,
                                         h->command, h->node, holder_kind_to_string(h->kind), h->fd,
                                         f->node ? "" : " ", f->node ? "" : cgroup),
                        0);
        return f->result;
}

static void check_lines(Found *f, const char *expected)
{
        _cleanup_free_ char *text = NULL;

        strv_sort(f->lines);
        text = strv_join(f->lines, "|");
        ck_assert_str_eq(text, expected);
        f->lines = strv_free(f->lines);
}

/* --- a made-up /proc --- */

static void process(TmpRoot *t, int pid, const char *comm, unsigned uid, unsigned start)
{
        _cleanup_free_ char *
                        path = str_format("proc/%d/stat", pid),
                       *status_path = str_format("proc/%d/status", pid),
                       *fds = str_format("proc/%d/fd", pid),
                       *status = str_format("Name:\tx\nUid:\t7\t%u\t7\t7\n", uid),
                       *stat = str_format("%d (%s) S 1 1 1 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 %u 99 88\n",
                                       pid, comm, start);

        tmproot_write(t, path, stat);
        tmproot_write(t, status_path, status);
        tmproot_mkdir(t, fds);
}

static void open_fd(TmpRoot *t, int pid, int fd, const char *target)
{
        _cleanup_free_ char *path = str_format("proc/%d/fd/%d", pid, fd);

        tmproot_link(t, target, path);
}

static void put(TmpRoot *t, int pid, const char *name, const char *text)
{
        _cleanup_free_ char *path = str_format("proc/%d/%s", pid, name);

        tmproot_write(t, path, text);
}

static int scan(TmpRoot *t, Found *f, ProcHoldersCount *count)
{
        _cleanup_(node_names_freep) NodeNames *names = NULL;

        ck_assert_int_eq(node_names_new(t->root, &names), 0);
        return proc_holders_scan(t->root, names, on_found, f, count);
}

START_TEST(test_fixture)
{
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();
        ProcHoldersCount count = {};
        Found f = {};

        process(&t, 1, "systemd", 0, 1);
        open_fd(&t, 1, 0, "/dev/null");
        open_fd(&t, 1, 5, "socket:[4711]");
        process(&t, 20, "python3", 1000, 777);
        open_fd(&t, 20, 3, "/dev/nvidiactl");
        open_fd(&t, 20, 12, "/dev/nvidia0");
        open_fd(&t, 20, 4, "/dev/nvidia0");
        put(&t, 20, "cgroup", "0::/a.service");
        put(&t, 20, "maps",
                        "7f00-7f01 rw-s 00000000 00:05 412                        /dev/nvidiactl\n"
                        "7f01-7f02 rw-s 00001000 00:05 412                        /dev/nvidiactl\n"
                        "7f02-7f03 rw-s 00000000 00:05 413                        /dev/nvidia-uvm\n"
                        "7f03-7f04 r-xp 00000000 08:01 99                         /usr/lib/libc.so.6\n"
                        "7f04-7f05 rw-p 00000000 00:00 0                          [stack]\n"
                        "7f05-7f06 rw-p 00000000 00:00 0\n"
                        "nonsense\n"
                        "7g-7f rw-p 0 08:01 99 /dev/nvidia7\n"
                        "7f06-7f07 rw-s 00000000 00:05 414                        /dev/nvidia9");
        process(&t, 21, "a) b (c", 0, 5); /* who likes parentheses */
        open_fd(&t, 21, 0, "/dev/nvidiactl");
        process(&t, 22, "systemd-logind", 0, 5); /* only names it */
        open_fd(&t, 22, 9, "/dev/nvidiactl");
        put(&t, 22, "fdinfo/9", "pos:\t0\nflags:\t012100000\nmnt_id:\t30\n");
        process(&t, 23, "opened", 0, 5);
        open_fd(&t, 23, 9, "/dev/nvidiactl");
        put(&t, 23, "fdinfo/9", "pos:\t0\nflags:\t02100002\nmnt_id:\t30\n");
        tmproot_write(&t, "proc/version", "Linux\n");
        tmproot_mkdir(&t, "proc/0");
        tmproot_mkdir(&t, "proc/sys");

        ck_assert_int_eq(scan(&t, &f, &count), 0);
        check_lines(&f, "20 1000 python3 /dev/nvidia-uvm mapping -1 0::/a.service|"
                        "20 1000 python3 /dev/nvidia0 fd 4 0::/a.service|"
                        "20 1000 python3 /dev/nvidiactl fd 3 0::/a.service|"
                        "20 1000 python3 /dev/nvidiactl mapping -1 0::/a.service|"
                        "21 0 a) b (c /dev/nvidiactl fd 0 |"
                        "23 0 opened /dev/nvidiactl fd 9 ");
        ck_assert_uint_eq(count.n_processes, 5);
        ck_assert_uint_eq(count.n_unreadable, 0);
}
END_TEST

/* What is missing of a process that is going away while it is looked at. */
START_TEST(test_vanishing)
{
        static const char *const gone[] = { "stat", "status", "cgroup", "fd", "maps", "" };
        static const char *const seen[] = { "",
                "9 0 x /dev/nvidia1 mapping -1 0::/|9 0 x /dev/nvidiactl fd 3 0::/",
                "9 1000 x /dev/nvidia1 mapping -1 |9 1000 x /dev/nvidiactl fd 3 ",
                "9 1000 x /dev/nvidia1 mapping -1 0::/", "9 1000 x /dev/nvidiactl fd 3 0::/", "" };
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();
        _cleanup_free_ char *path = str_format("proc/9/%s", gone[_i]);
        ProcHoldersCount count = {};
        Found f = {};

        process(&t, 9, "x", 1000, 5);
        open_fd(&t, 9, 3, "/dev/nvidiactl");
        put(&t, 9, "cgroup", "0::/");
        put(&t, 9, "maps", "1000-2000 rw-s 0 00:05 4 /dev/nvidia1\n");
        tmproot_rm(&t, path);
        ck_assert_int_eq(scan(&t, &f, &count), 0);
        check_lines(&f, seen[_i]);
        ck_assert_uint_eq(count.n_unreadable, 0);
}
END_TEST

/* A broken stat is as good as none; a line of maps without end is dropped and the next is read. */
START_TEST(test_garbage)
{
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();
        _cleanup_free_ char *maps = malloc(200001);
        ProcHoldersCount count = {};
        Found f = {};

        process(&t, 9, "x", 1000, 5);
        put(&t, 9, "stat", "9 (x) S 1 2");
        open_fd(&t, 9, 3, "/dev/nvidiactl");
        process(&t, 10, "y", 1000, 5);
        memset(maps, 'a', 200000);
        (void)strcpy(maps + 199000, "\n1000-2000 rw-s 0 00:05 4 /dev/nvidia1\n");
        put(&t, 10, "maps", maps);
        ck_assert_int_eq(scan(&t, &f, &count), 0);
        check_lines(&f, "10 1000 y /dev/nvidia1 mapping -1 ");
}
END_TEST

/* More different files than there is room for at first. */
START_TEST(test_many_files)
{
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();
        _cleanup_strv_ char **lines = NULL;
        _cleanup_free_ char *maps = NULL;
        ProcHoldersCount count = {};
        Found f = {};

        for (int i = 0; i < 5000; i++)
                ck_assert_int_eq(strv_pushf(&lines, "1000-2000 r-xp 0 08:01 %d /lib/%d", i, i), 0);
        ck_assert_int_eq(strv_push(&lines, "1000-2000 rw-s 0 00:05 4 /dev/nvidia1\n"), 0);
        maps = strv_join(lines, "\n");
        process(&t, 9, "x", 1000, 5);
        put(&t, 9, "maps", maps);
        process(&t, 10, "y", 1000, 5);
        put(&t, 10, "maps", maps);
        ck_assert_int_eq(scan(&t, &f, &count), 0);
        check_lines(&f, "10 1000 y /dev/nvidia1 mapping -1 |9 1000 x /dev/nvidia1 mapping -1 ");
}
END_TEST

START_TEST(test_no_proc)
{
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();
        ProcHoldersCount count = { 7, 7 };
        Found f = {};

        ck_assert_int_eq(scan(&t, &f, &count), -ENOENT);
        ck_assert_uint_eq(count.n_processes, 7);
}
END_TEST

START_TEST(test_stopped)
{
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();
        ProcHoldersCount count = {};
        Found f = { .result = -ECANCELED };

        process(&t, 9, "x", 1000, 5);
        put(&t, 9, "maps", "1000-2000 rw-s 0 00:05 4 /dev/nvidia1\n");
        process(&t, 10, "x", 1000, 5);
        if (_i)
                open_fd(&t, 9, 3, "/dev/nvidiactl");
        ck_assert_int_eq(scan(&t, &f, &count), -ECANCELED);
        ck_assert_uint_eq(strv_length(f.lines), 1);
        f.lines = strv_free(f.lines);
}
END_TEST

/* --- this machine's --- */

/* Runs @script in a child, and looks at the child when it says so. */
static void look_at_child(void (*script)(void), Found *f, ProcHoldersCount *count)
{
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();
        _cleanup_(node_names_freep) NodeNames *names = NULL;
        _cleanup_(root_freep) Root *host = NULL;
        int ready[2];
        char byte;

        tmproot_write(&t, "proc/devices", DEVICES);
        ck_assert_int_eq(node_names_new(t.root, &names), 0);
        ck_assert_int_eq(root_new("/", &host), 0);
        ck_assert_int_eq(pipe(ready), 0);
        f->only = fork();
        ck_assert_int_ge(f->only, 0);
        if (f->only == 0) {
                (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
                (void)prctl(PR_SET_NAME, "holder");
                script();
                if (write(ready[1], "r", 1) == 1)
                        for (;;)
                                (void)pause();
                _exit(1);
        }
        (void)close(ready[1]);
        ck_assert_int_eq(read(ready[0], &byte, 1), 1);
        (void)close(ready[0]);
        ck_assert_int_eq(proc_holders_scan(host, names, on_found, f, count), 0);
        (void)kill(f->only, SIGKILL);
        (void)waitpid(f->only, NULL, 0);
}

static int zero(int flags, int number)
{
        int fd = open("/dev/zero", flags), moved = fcntl(fd, F_DUPFD, number);

        if (moved != number)
                _exit(1);
        (void)close(fd);
        return moved;
}

static void with_fd(void)
{
        (void)zero(O_RDWR, 77);
        (void)zero(O_RDWR, 55);
}

static void with_path(void)
{
        (void)zero(O_PATH, 55);
}

static void with_both(void)
{
        (void)zero(O_PATH, 55);
        (void)zero(O_RDWR, 77);
}

static void with_mapping(void)
{
        int fd = zero(O_RDWR, 55);

        if (mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0) == MAP_FAILED)
                _exit(1);
        (void)close(fd);
}

/* The node under another name, in a mount namespace of its own, and no name at all in the end. */
static void with_other_name(void)
{
        if (unshare(CLONE_NEWNS) == 0) {
                int fd;

                if (mknod("/tmp/unit-other-name", S_IFCHR | 0600, makedev(1, 5)) < 0)
                        _exit(1);
                fd = open("/tmp/unit-other-name", O_RDONLY);
                if (fcntl(fd, F_DUPFD, 55) != 55 || unlink("/tmp/unit-other-name") < 0)
                        _exit(1);
                (void)close(fd);
        } else {
                (void)zero(O_RDWR, 55); /* nobody special: the node as it is */
        }
}

static void with_nothing(void)
{
        int sockets[2];

        if (socketpair(AF_UNIX, SOCK_STREAM, 0, sockets) < 0)
                _exit(1);
}

static const struct {
        void (*script)(void);
        const char *kind; /* and number; NULL: not found */
} scripts[] = {
        { with_fd, "fd 55" },
        { with_path, NULL },
        { with_both, "fd 77" },
        { with_mapping, "mapping -1" },
        { with_other_name, "fd 55" },
        { with_nothing, NULL },
};

START_TEST(test_host)
{
        _cleanup_free_ char *expected = strdup("");
        ProcHoldersCount count = {};
        Found f = { .node = NODE };

        look_at_child(scripts[_i].script, &f, &count);
        if (scripts[_i].kind) {
                free(expected);
                expected = str_format("%d %u holder " NODE " %s", (int)f.only, (unsigned)geteuid(),
                                scripts[_i].kind);
                ck_assert_uint_gt(f.start, 0);
        }
        check_lines(&f, expected);
        ck_assert_uint_gt(count.n_processes, 1);
}
END_TEST

/*
 * Somebody who may look into nobody else's processes: they are counted, kernel
 * threads are not. Their own mappings are found, although map_files is denied.
 */
static int scan_unprivileged(NodeNames *names)
{
        _cleanup_(root_freep) Root *host = NULL;
        ProcHoldersCount count = {};
        Found f = { .only = getpid(), .node = NODE };
        char expected[100];

        if (geteuid() == 0 && (setgid(65534) < 0 || setuid(65534) < 0))
                return 1;
        /* setuid(2) has made us untraceable, even for ourselves. */
        if (prctl(PR_SET_DUMPABLE, 1) < 0 || prctl(PR_SET_NAME, "holder") < 0)
                return 2;
        with_mapping();
        if (root_new("/", &host) < 0 || proc_holders_scan(host, names, on_found, &f, &count) < 0)
                return 3;
        (void)snprintf(expected, sizeof(expected), "%d %u holder " NODE " mapping -1", (int)getpid(),
                        (unsigned)getuid());
        if (strv_length(f.lines) != 1 || !streq(f.lines[0], expected))
                return 4;
        strv_free(f.lines);
        return count.n_unreadable > 0 && count.n_unreadable < count.n_processes ? 0 : 5;
}

START_TEST(test_unprivileged)
{
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();
        _cleanup_(node_names_freep) NodeNames *names = NULL;
        int status;
        pid_t pid;

        tmproot_write(&t, "proc/devices", DEVICES);
        ck_assert_int_eq(node_names_new(t.root, &names), 0);
        pid = fork();
        ck_assert_int_ge(pid, 0);
        if (pid == 0)
                _exit(scan_unprivileged(names));
        ck_assert_int_eq(waitpid(pid, &status, 0), pid);
        ck_assert_int_eq(status, 0);
}
END_TEST

UNIT_MAIN("procholders", UNIT_TEST(test_fixture), UNIT_LOOP(test_vanishing, 6), UNIT_TEST(test_garbage),
                UNIT_TEST(test_many_files), UNIT_TEST(test_no_proc), UNIT_LOOP(test_stopped, 2),
                UNIT_LOOP(test_host, ELEMENTSOF(scripts)), UNIT_TEST(test_unprivileged))
