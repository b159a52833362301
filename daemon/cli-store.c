/* SPDX-License-Identifier: Apache-2.0 */

/* The store for the commands about builds: read once, locked for those that write. */

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

#include "base/result.h"
#include "base/str.h"
#include "cli-store.h"
#include "paths.h"
#include "sys/digest.h"
#include "sys/kernel.h"
#include "sys/proc.h"
#include "sys/store.h"
#include "sys/storelock.h"
#include "sys/sysmod.h"

static void forget(CliStore *s)
{
        build_manifests_done(&s->builds);
        s->in_use = strv_free(s->in_use);
        s->good = strv_free(s->good);
        s->n_unreadable = 0;
}

void cli_store_done(CliStore *s)
{
        forget(s);
        config_free(s->config);
        free(s->release);
        safe_close(s->lock);
        *s = (CliStore){ .lock = -EBADF };
}

/* Builds are told apart by srcversion: what the loaded modules may be from stays. */
static int find_in_use(CliStore *s)
{
        ModuleFacts modules = {};
        int r;

        r = sysmod_list_family(s->cli->root, &modules);
        for (size_t i = 0; r == 0 && s->release && i < s->builds.n; i++)
                if (build_manifest_may_be_loaded(&s->builds.items[i], s->release, &modules))
                        r = strv_push(&s->in_use, s->builds.items[i].id);
        module_facts_done(&modules);
        return err_trace(r);
}

static Code look(CliStore *s, bool tell)
{
        _cleanup_strv_ char **problems = NULL;
        int r;

        forget(s);
        r = store_list(s->cli->root, s->config->store_directory, &s->builds, &problems);
        if (r == 0)
                r = store_good_list(s->cli->root, s->config->store_directory, &s->good);
        if (r == 0)
                r = find_in_use(s);
        s->n_unreadable = strv_length(problems);
        if (tell)
                STRV_FOREACH (problem, problems)
                        cli_line(stderr, "nvidia-driver: %s, ignoring this build", *problem);
        return r < 0 ? cli_fail(CODE_STORE_FAILED, "%s: %s.", s->config->store_directory, strerror(-r))
                     : CODE_OK;
}

Code cli_store_open(const Cli *cli, CliStore *ret)
{
        CliStore s = { .cli = cli, .lock = -EBADF };
        KernelFact kernel = {};
        Code code;

        code = cli_config(cli, &s.config);
        if (code)
                return code;
        if (kernel_read(cli->root, &kernel) == 0)
                s.release = TAKE_PTR(kernel.release);
        kernel_fact_done(&kernel);

        code = look(&s, /* tell= */ true);
        if (code) {
                cli_store_done(&s);
                return code;
        }
        *ret = s;
        return CODE_OK;
}

int cli_store_open_file(const CliStore *s, const char *directory, const char *name, int flags, int *ret)
{
        _cleanup_free_ char *path = str_format("%s/%s", directory, name);
        int r = path ? root_open(s->cli->root, path, flags | O_NOFOLLOW | O_NONBLOCK, ret)
                     : err_origin(-ENOMEM);

        return r > 0 ? err_origin(-ENOENT) : err_trace(r);
}

static void tell_holder(pid_t pid)
{
        (void)fprintf(stderr, "nvidia-driver: waiting for process %d, which writes to the store\n",
                        (int)pid);
}

Code cli_store_lock(CliStore *s)
{
        pid_t holder = 0;
        int r;

        r = storelock_wait(s->cli->root, s->config->store_directory, s->cli->wait ? s->cli->wait_timeout : 0,
                        tell_holder, &s->lock, &holder);
        if (r < 0)
                return cli_fail(code_of_write(r, CODE_STORE_FAILED), "%s: %s.", s->config->store_directory,
                                strerror(-r));
        if (r == STORELOCK_E_HELD)
                return cli_fail(CODE_STORE_LOCKED, "%s: process %d.", s->config->store_directory,
                                (int)holder);
        /* Who had the lock until now has changed things; so has the daemon, which loads without it. */
        return look(s, /* tell= */ false);
}

Code cli_store_find(const CliStore *s, const char *id, const BuildManifest **ret)
{
        size_t n = build_manifests_find(&s->builds, id, ret);

        if (n == 0)
                return cli_fail(CODE_BUILD_UNKNOWN, "%s: \"%s\".", s->config->store_directory, id);
        if (n > 1)
                return cli_fail(CODE_BUILD_UNKNOWN, "\"%s\" may be any of %zu builds.", id, n);
        return CODE_OK;
}

char *cli_store_path(const CliStore *s, const char *build, const char *name)
{
        _cleanup_free_ char *path = str_format("%s/%s", build, name);

        return path ? root_path(s->cli->root, path) : NULL;
}

static bool verify_file(const CliStore *s, const BuildFile *f, const char *directory)
{
        _cleanup_free_ char *path = str_format("%s/%s", directory, f->name);
        char hex[DIGEST_HEX_SIZE] = "";
        _cleanup_close_ int fd = -EBADF;
        uint64_t size = 0;
        struct stat st;
        int r;

        r = path ? root_open(s->cli->root, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, &fd) : -ENOMEM;
        if (r == 0 && (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)))
                r = -EINVAL;
        if (r == 0)
                r = digest_fd(fd, hex, &size);
        if (r == 0 && size == f->size && streq(hex, strempty(f->sha256)))
                return true;
        if (r)
                cli_line(stderr, "nvidia-driver: %s/%s: %s", directory, f->name,
                                r == ROOT_E_ABSENT ? "it is gone" : strerror(-r));
        else
                cli_line(stderr, "nvidia-driver: %s/%s: it is not what was built", directory, f->name);
        return false;
}

Code cli_store_verify(const CliStore *s, const BuildManifest *m, const char *directory,
                bool (*wanted)(const BuildManifest *m, const BuildFile *f))
{
        Code code = CODE_OK;

        for (size_t i = 0; i < m->n_files; i++)
                if ((!wanted || wanted(m, &m->files[i])) && !verify_file(s, &m->files[i], directory))
                        code = CODE_BUILD_DAMAGED;
        return code;
}

/* What a program may say, and what of it is looked at; it is never stopped in the middle of a word. */
enum { OUTPUT_MAX = 1024 * 1024 };

/* To its very end: who does not read on lets the program wait for ever, and waits for it. */
static int read_output(int fd, char **ret)
{
        _cleanup_free_ char *text = malloc(OUTPUT_MAX + 1);
        char rest[16384];
        size_t size = 0;

        if (!text)
                return err_origin(-ENOMEM);
        for (;;) {
                bool full = size == OUTPUT_MAX;
                ssize_t n = read(fd, full ? rest : text + size, full ? sizeof(rest) : OUTPUT_MAX - size);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return err_origin(-errno);
                if (n == 0)
                        break;
                size += full ? 0 : (size_t)n;
        }
        text[size] = '\0';
        *ret = TAKE_PTR(text);
        return 0;
}

int cli_store_run(char *const *argv, char *const *environment, BuildLog *log, char **ret_build)
{
        ProcSpec spec = { .argv = argv, .environment = environment, .death_signal = SIGKILL };
        _cleanup_close_ int output = -EBADF;
        _cleanup_free_ char *text = NULL;
        siginfo_t si = {};
        pid_t pid;
        int r;

        r = proc_spawn(&spec, &pid, &output);
        if (r < 0)
                return err_trace(r);
        (void)fcntl(output, F_SETFL, 0);
        r = read_output(output, &text);
        /* It gets an error instead of a reader that does not come back. */
        output = safe_close(output);
        while (waitid(P_PID, (id_t)pid, &si, WEXITED) < 0)
                if (errno != EINTR)
                        return err_origin(-errno);
        if (r < 0)
                return err_trace(r);
        if (log && text && buildlog_feed(log, text, strlen(text), NULL) < 0)
                return err_origin(-ENOMEM);
        if (log && buildlog_finish(log) < 0)
                return err_origin(-ENOMEM);
        for (char *line = text ? strtok(text, "\n") : NULL; line; line = strtok(NULL, "\n")) {
                const char *build = startswith(line, "build=");

                if (build && ret_build)
                        (void)str_replace(ret_build, build);
                else
                        cli_line(stderr, "%s", line);
        }
        return si.si_code == CLD_EXITED ? si.si_status : 128;
}

int cli_store_discard_stale(const CliStore *s)
{
        _cleanup_strv_ char **stale = NULL, **argv = NULL;
        int r;

        r = store_stale(s->cli->root, s->config->store_directory, &stale);
        if (r || !stale)
                return err_trace(r);
        r = strv_push(&argv, path_of_worker());
        if (r == 0)
                r = strv_push(&argv, "discard");
        STRV_FOREACH (path, stale)
                if (r == 0)
                        r = strv_push_consume(&argv, root_path(s->cli->root, *path));
        if (r == 0)
                r = cli_store_run(argv, NULL, NULL, NULL);
        return r > 0 ? err_origin(-EIO) : err_trace(r);
}
