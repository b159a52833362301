/* SPDX-License-Identifier: Apache-2.0 */

/*
 * How long it takes to find who holds the driver among thousands of processes,
 * and that a loop which asks goes on beating meanwhile. The processes are real
 * and so is the worker; only the driver is not there, and /dev/zero takes its
 * node's place: in a mount namespace of our own /proc/devices says that it is
 * the driver's.
 *
 * Times are printed. Judged is only that no turn of the loop needs more than
 * 50 ms of processor time; when a beat comes also depends on what else this
 * machine has to do.
 *
 *     bench-holders CROWD [PROCESSES]        and NVIDIA_DRIVERD_WORKER
 */

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <time.h>

#include "base/result.h"
#include "base/str.h"
#include "holders.h"
#include "paths.h"
#include "sys/clock.h"

enum { SCANS = 9, N_FDS = 20, N_HOLDERS = 5 };

#define NODE       "/dev/zero"
#define NODE_FOUND "/dev/nvidia-caps/nvidia-cap5"
#define BEAT       (5 * USEC_PER_MSEC)
#define BOUND      (50 * USEC_PER_MSEC)

typedef struct Bench {
        sd_event *event;
        JobPool *pool;
        Root *root;
        sd_event_source *heart, *begin, *end;
        HoldersScan *scan;
        unsigned n_processes;
        usec_t started, last_beat, gap, turn, turn_began;
        usec_t scans[SCANS], gaps[SCANS], turns[SCANS];
        unsigned n;
        const char *trouble;
} Bench;

static usec_t processor_time(void)
{
        struct timespec ts = {};

        (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
        return (usec_t)ts.tv_sec * USEC_PER_SEC + (usec_t)ts.tv_nsec / NSEC_PER_USEC;
}

static int on_beat(sd_event_source *source, uint64_t usec, void *userdata)
{
        Bench *b = userdata;
        usec_t now = now_usec(), turn = processor_time();

        b->gap = MAX(b->gap, now - b->last_beat);
        b->turn = MAX(b->turn, turn - b->turn_began);
        b->last_beat = now;
        b->turn_began = turn;
        (void)sd_event_source_set_time_relative(source, BEAT);
        return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

static void begin(Bench *b);

/* The crowd's holders and nobody else: all that have the node, once each, one of them by a mapping. */
static const char *judge(const Bench *b, const Holders *l)
{
        unsigned n_holders = 0, n_mappings = 0;

        if (!l)
                return holders_scan_reason(b->scan);
        if (l->incomplete || l->n_processes < b->n_processes)
                return "the scan is not complete";
        for (size_t i = 0; i < l->n; i++) {
                if (!streq(l->items[i].node, NODE_FOUND) || !streq(l->items[i].command, "holder"))
                        continue;
                n_holders++;
                n_mappings += l->items[i].kind == HOLDER_MAPPING;
        }
        return n_holders == N_HOLDERS && n_mappings == 1 ? NULL : "not those who hold it are found";
}

static void on_scanned(void *userdata, const Holders *l)
{
        Bench *b = userdata;

        /* The beat that is due while we are here counts as well. */
        b->scans[b->n] = now_usec() - b->started;
        b->gaps[b->n] = MAX(b->gap, now_usec() - b->last_beat);
        b->turns[b->n] = MAX(b->turn, processor_time() - b->turn_began);
        b->n++;
        b->trouble = judge(b, l);
        b->scan = holders_scan_free(b->scan);
        if (b->trouble || b->n == SCANS)
                (void)sd_event_exit(b->event, 0);
        else
                begin(b);
}

static void begin(Bench *b)
{
        b->gap = b->turn = 0;
        b->started = b->last_beat = now_usec();
        b->turn_began = processor_time();
        if (holders_scan(b->pool, b->root, on_scanned, b, &b->scan) < 0) {
                b->trouble = "the worker could not be started";
                (void)sd_event_exit(b->event, 0);
        }
}

static int compare(const void *x, const void *y)
{
        usec_t a = *(const usec_t *)x, b = *(const usec_t *)y;

        return a < b ? -1 : a > b;
}

/* Sorts; the median is in the middle then. */
static void print_times(const char *what, usec_t *times)
{
        qsort(times, SCANS, sizeof(*times), compare);
        (void)printf("# %s: median %.1f ms, least %.1f ms, most %.1f ms\n", what,
                        (double)times[SCANS / 2] / 1000, (double)times[0] / 1000,
                        (double)times[SCANS - 1] / 1000);
}

static int run(Bench *b)
{
        sigset_t child;
        int r;

        (void)sigemptyset(&child);
        (void)sigaddset(&child, SIGCHLD);
        (void)sigprocmask(SIG_BLOCK, &child, NULL);
        r = root_new("/", &b->root);
        if (r == 0)
                r = sd_event_new(&b->event);
        if (r >= 0)
                r = job_pool_new(b->event, NULL, NULL, &b->pool);
        if (r >= 0)
                r = sd_event_add_time_relative(b->event, &b->heart, CLOCK_MONOTONIC, BEAT, 1, on_beat, b);
        if (r < 0)
                return r;
        begin(b);
        r = sd_event_loop(b->event);
        sd_event_source_disable_unref(b->heart);
        holders_scan_free(b->scan);
        job_pool_free(b->pool);
        sd_event_unref(b->event);
        root_free(b->root);
        return r;
}

/* Starts the crowd; its end comes with that of *@ret_input. */
static bool assemble(const char *program, unsigned n, int *ret_input)
{
        _cleanup_free_ char *count = str_format("%u", n), *fds = str_format("%d", N_FDS),
                            *holders = str_format("%d", N_HOLDERS);
        int input[2], output[2];
        char text[16] = "";
        ssize_t got = 0, more;
        pid_t pid;

        if (pipe2(input, O_CLOEXEC) < 0 || pipe2(output, O_CLOEXEC) < 0)
                return false;
        (void)fflush(stdout);
        pid = fork();
        if (pid == 0) {
                (void)setpgid(0, 0);
                if (dup2(input[0], STDIN_FILENO) < 0 || dup2(output[1], STDOUT_FILENO) < 0)
                        _exit(1);
                (void)execl(program, program, count, fds, holders, NODE, NULL);
                _exit(127);
        }
        (void)close(input[0]);
        (void)close(output[1]);
        while ((more = read(output[0], text + got, sizeof(text) - 1 - (size_t)got)) > 0)
                got += more;
        (void)close(output[0]);
        *ret_input = input[1];
        return pid > 0 && (unsigned)atoi(text) == n;
}

/* /proc/devices as if the devices of memory were the driver's. */
static bool pretend(void)
{
        char path[] = "/tmp/bench-holders-XXXXXX";
        const char *text = "Character devices:\n  1 nvidia-caps\n";
        int fd;
        bool done;

        if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
                return false;
        fd = mkostemp(path, O_CLOEXEC);
        done = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text) && fchmod(fd, 0444) == 0 &&
               mount(path, "/proc/devices", NULL, MS_BIND, NULL) == 0;
        safe_close(fd);
        (void)unlink(path);
        return done;
}

static void report(Bench *b)
{
        (void)printf("# %u processes with %d descriptors each, %d of them holders, %d scans\n",
                        b->n_processes, N_FDS, N_HOLDERS, SCANS);
        print_times("a complete scan", b->scans);
        print_times("longest gap between two beats of the loop", b->gaps);
        print_times("longest turn of the loop, processor time", b->turns);
        (void)printf("%sok 2 - no turn of the loop needs 50 ms\n",
                        b->turns[SCANS - 1] < BOUND ? "" : "not ");
}

int main(int argc, char **argv)
{
        Bench b = { .n_processes = argc > 2 ? (unsigned)atoi(argv[2]) : 5000 };
        int input = -EBADF;

        if (argc < 2)
                return 2;
        paths_allow_environment(true);
        if (!pretend()) {
                (void)printf("1..0 # SKIP only root can lay a file over /proc/devices: %s\n",
                                strerror(errno));
                return 0;
        }
        (void)printf("1..2\n");
        if (!assemble(argv[1], b.n_processes, &input))
                b.trouble = "the crowd did not assemble";
        else if (run(&b) < 0)
                b.trouble = "the loop";
        safe_close(input);
        (void)wait(NULL);

        (void)printf("%sok 1 - all who hold the node are found, and nobody else\n", b.trouble ? "not " : "");
        if (b.trouble) {
                (void)printf("Bail out! %s\n", b.trouble);
                return 1;
        }
        report(&b);
        return b.turns[SCANS - 1] < BOUND && b.gaps[SCANS / 2] < BOUND ? 0 : 1;
}
