/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A crowd of processes that do nothing:
 *
 *     crowd PROCESSES DESCRIPTORS HOLDERS NODE
 *
 * Each has so many descriptors of the usual kinds. The first HOLDERS have NODE
 * open, but for the first of all, which has mapped it and closed the descriptor.
 * Prints the number of processes when all are there, and ends them when its
 * standard input ends. It is built without sanitizers, which would make each
 * process a hundred times as large.
 */

#include <fcntl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "base/macro.h"

static _Noreturn void fail(const char *what)
{
        perror(what);
        _exit(1);
}

/* One descriptor; which kind goes by turns. */
static int make(unsigned turn)
{
        int ends[2];

        switch (turn % 5) {
        case 0:
                return open("/dev/ptmx",
                                O_RDWR | O_NOCTTY); /* not /dev/null: its major plays the driver's */
        case 1:
                return open("/proc/self/exe", O_RDONLY);
        case 2:
                return eventfd(0, 0);
        case 3:
                return epoll_create1(0);
        default:
                if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) < 0)
                        return -1;
                (void)close(ends[1]);
                return ends[0];
        }
}

static _Noreturn void stand(unsigned number, unsigned n_holders, const char *node)
{
        int fd;

        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void)prctl(PR_SET_NAME, number < n_holders ? "holder" : "crowd");
        if (number < n_holders) {
                fd = open(node, O_RDWR);
                if (fd < 0)
                        fail(node);
                if (number == 0) {
                        if (mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0) == MAP_FAILED)
                                fail("mmap");
                        (void)close(fd);
                }
        }
        (void)close(STDIN_FILENO);
        /* The last one to let go of standard output tells the reader that all are there. */
        (void)close(STDOUT_FILENO);
        for (;;)
                (void)pause();
}

int main(int argc, char **argv)
{
        unsigned n = argc == 5 ? (unsigned)atoi(argv[1]) : 0,
                 n_fds = argc == 5 ? (unsigned)atoi(argv[2]) : 0;
        char byte;

        if (n == 0 || n_fds < 3) {
                (void)fprintf(stderr, "usage: crowd PROCESSES DESCRIPTORS HOLDERS NODE\n");
                return 2;
        }
        (void)close_range(STDERR_FILENO + 1, ~0U, 0);
        /* Beside standard error and the two that are closed, all are inherited. */
        for (unsigned i = 1; i < n_fds; i++)
                if (make(i) < 0)
                        fail("descriptor");
        for (unsigned i = 0; i < n; i++) {
                pid_t pid = fork();

                if (pid < 0)
                        fail("fork");
                if (pid == 0)
                        stand(i, (unsigned)atoi(argv[3]), argv[4]);
        }
        (void)printf("%u\n", n);
        (void)fflush(stdout);
        (void)close(STDOUT_FILENO);
        while (read(STDIN_FILENO, &byte, 1) > 0)
                ;
        (void)signal(SIGTERM, SIG_IGN);
        (void)kill(0, SIGKILL);
        return 0;
}
