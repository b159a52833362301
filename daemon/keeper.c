/* SPDX-License-Identifier: Apache-2.0 */

/*
 * nvidia-driverd-keeper: how it is started. The process that the daemon started
 * ends as soon as its child, the keeper, has started the service, or has not:
 * so a keeper is nobody's child and looks the same to the daemon that started
 * it and to the next one.
 */

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "base/result.h"
#include "base/str.h"
#include "helper.h"
#include "keeper.h"
#include "sys/keep.h"

/* Their own session and no standard streams: nothing of the daemon's is left. */
static int detach(void)
{
        int null;

        if (setsid() < 0)
                return err_origin(-errno);
        null = open("/dev/null", O_RDWR | O_CLOEXEC);
        if (null < 0)
                return err_origin(-errno);
        for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
                if (dup2(null, fd) < 0)
                        return err_origin(-errno);
        if (null > STDERR_FILENO)
                safe_close(null);
        return 0;
}

static _Noreturn void keep(Keeper *k, pid_t launcher, int report)
{
        int r;

        /* Who gives up waiting for a start must not be surprised by it later. */
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != launcher)
                _exit(1);
        /* Nobody may listen any more: the service is not to be left because of that. */
        (void)signal(SIGPIPE, SIG_IGN);
        r = detach();
        if (r == 0)
                r = keeper_begin(k);
        (void)prctl(PR_SET_PDEATHSIG, 0);
        (void)!write(report, &r, sizeof(r));
        safe_close(report);
        if (r == 0)
                keeper_run(k);
        /* The locks go with the process. */
        _exit(r == 0 ? 0 : 1);
}

static Code explain(const char *name, int r)
{
        if (r == 0)
                return CODE_OK;
        if (r == KEEP_E_HELD)
                return CODE_ALREADY_RUNNING;
        if (r == KEEP_E_FAMILY)
                helper_say(HELPER_KEY_DETAIL, "processes of an earlier %s do not end", name);
        else
                helper_say(HELPER_KEY_DETAIL, "%s", strerror(-r));
        return CODE_SERVICE_FAILED;
}

static int launch(Keeper *k)
{
        int ends[2], r = -ECHILD;
        pid_t launcher = getpid(), pid;

        if (pipe2(ends, O_CLOEXEC) < 0)
                return err_origin(-errno);
        pid = fork();
        if (pid < 0)
                return err_origin(-errno);
        if (pid == 0) {
                safe_close(ends[0]);
                keep(k, launcher, ends[1]);
        }
        safe_close(ends[1]);
        /* Nothing: it was killed before it could say anything. */
        if (read(ends[0], &r, sizeof(r)) != sizeof(r))
                r = err_origin(-ECHILD);
        safe_close(ends[0]);
        return r;
}

/* Without a program: only ends what a keeper that was killed has left. */
static Code end_family(const Keeper *k)
{
        int lock, r;

        r = keep_lock(k->directory, k->name, &lock);
        if (r == KEEP_E_FAMILY)
                return keeper_end_family(k->directory, k->name, k->proc, k->grace) ? CODE_OK
                                                                                   : explain(k->name, r);
        return explain(k->name, r);
}

int main(int argc, char **argv)
{
        Keeper k = { .directory = -EBADF, .lock = -EBADF, .signals = -EBADF };
        uint64_t grace;
        Code code;

        if (argc < 4 || str_to_u64(argv[3], 10, 0, INT64_MAX, &grace) < 0) {
                (void)fprintf(stderr,
                                "usage: nvidia-driverd-keeper DIRECTORY NAME GRACE_USEC [PROGRAM [ARGUMENT...]]\n");
                return code_exit_status(CODE_USAGE);
        }
        k.name = argv[2];
        k.grace = grace;
        k.argv = argv + 4;
        k.directory = open(argv[1], O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (k.directory < 0 || root_new("/", &k.proc) < 0) {
                helper_say(HELPER_KEY_DETAIL, "%s: %s", argv[1], strerror(errno));
                return code_exit_status(CODE_SERVICE_FAILED);
        }

        code = argc > 4 ? explain(k.name, launch(&k)) : end_family(&k);
        root_free(k.proc);
        safe_close(k.directory);
        return code_exit_status(code);
}
