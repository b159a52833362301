/* SPDX-License-Identifier: Apache-2.0 */

/* The store's directories: staging with its locks, what is stale, and builds good and bad. */

#include "unit.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/wait.h>

#include "base/str.h"
#include "sys/manifestjson.h"
#include "sys/store.h"
#include "sys/storelock.h"
#include "tmproot.h"

#define STORE "var/lib/store"
#define MANIFEST                                                                                            \
        "{\"format\":1,\"driverVersion\":\"%s\",\"driverType\":\"open\",\"kernelRelease\":\"k\",\"files\":[]}"

static void add_build(TmpRoot *t, const char *id, const char *version)
{
        _cleanup_free_ char *path = str_format(STORE "/builds/%s/" MANIFEST_NAME, id);
        _cleanup_free_ char *text = str_format(MANIFEST, version);

        tmproot_write(t, path, text);
}

static void check_stale(TmpRoot *t, const char *expected)
{
        _cleanup_strv_ char **paths = NULL;
        _cleanup_free_ char *text = NULL;

        ck_assert_int_eq(store_stale(t->root, STORE, &paths), 0);
        text = strv_join(paths, " ");
        ck_assert_str_eq(text, expected);
}

static mode_t mode_of(TmpRoot *t, const char *path)
{
        struct stat st;

        ck_assert_int_eq(root_stat(t->root, path, &st), 0);
        return st.st_mode & 07777;
}

/* The store is for everybody to look at, the work in it is not. */
START_TEST(test_stage)
{
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();
        _cleanup_free_ char *a = NULL, *b = NULL;
        _cleanup_close_ int lock_a = -EBADF, lock_b = -EBADF;

        (void)umask(022);
        ck_assert_int_eq(store_stage(t.root, STORE, &a, &lock_a), 0);
        ck_assert_int_eq(store_stage(t.root, STORE, &b, &lock_b), 0);
        ck_assert_str_ne(a, b);
        ck_assert(startswith(a, STORE "/staging/"));
        ck_assert_uint_eq(strlen(a), strlen(STORE "/staging/") + 16);
        ck_assert_uint_eq(mode_of(&t, a), 0700);
        ck_assert_uint_eq(mode_of(&t, STORE), 0755);
        ck_assert_uint_eq(mode_of(&t, STORE "/staging"), 0755);
        ck_assert_int_ne(fcntl(lock_a, F_GETFD) & FD_CLOEXEC, 0);

        check_stale(&t, "");
        lock_a = safe_close(lock_a);
        check_stale(&t, a);
        check_stale(&t, a); /* looking does not keep the lock */
        ck_assert_int_eq(flock(lock_b, LOCK_EX | LOCK_NB), 0);
}
END_TEST

/* A killed process leaves its directory; the lock goes with it. */
START_TEST(test_killed)
{
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();
        _cleanup_free_ char *path = NULL;
        int ready[2], lock = -EBADF;
        pid_t pid;
        char c;

        ck_assert_int_eq(store_stage(t.root, STORE, &path, &lock), 0);
        ck_assert_int_eq(pipe2(ready, O_CLOEXEC), 0);
        pid = fork();
        if (pid == 0) {
                (void)!write(ready[1], "x", 1);
                for (;;)
                        (void)pause();
        }
        ck_assert_int_eq(read(ready[0], &c, 1), 1);
        closep(&lock);
        check_stale(&t, ""); /* the child has it too */
        ck_assert_int_eq(kill(pid, SIGKILL), 0);
        ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
        check_stale(&t, path);
}
END_TEST

START_TEST(test_stage_impossible)
{
        static const char *const obstacles[] = { "var", STORE, STORE "/staging" };
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();
        char *path = NULL;
        int lock = -EBADF;

        tmproot_write(&t, obstacles[_i], "a file");
        ck_assert_int_lt(store_stage(t.root, STORE, &path, &lock), 0);
        ck_assert_ptr_null(path);
        ck_assert_int_eq(lock, -EBADF);
        check_stale(&t, "");
}
END_TEST

START_TEST(test_stale)
{
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();

        check_stale(&t, ""); /* no store */
        tmproot_mkdir(&t, STORE "/staging");
        check_stale(&t, "");
        tmproot_write(&t, STORE "/staging/b/build/x.ko", "x");
        tmproot_mkdir(&t, STORE "/staging/damaged-1-a");
        tmproot_write(&t, STORE "/staging/file", "no directory");
        tmproot_mkdir(&t, "etc");
        tmproot_link(&t, "/etc", STORE "/staging/link");
        check_stale(&t, STORE "/staging/b " STORE "/staging/damaged-1-a");
}
END_TEST

static void check_list(TmpRoot *t, size_t n, const char *problems)
{
        _cleanup_(build_manifests_done) BuildManifests l = {};
        _cleanup_strv_ char **lines = NULL;
        _cleanup_free_ char *text = NULL;

        ck_assert_int_eq(store_list(t->root, STORE, &l, &lines), 0);
        text = strv_join(lines, "\n");
        ck_assert_str_eq(text, problems);
        ck_assert_uint_eq(l.n, n);
        for (size_t i = 0; i < l.n; i++) {
                _cleanup_free_ char *manifest = str_format("%s/" MANIFEST_NAME, l.items[i].directory);

                ck_assert(root_exists(t->root, manifest));
        }
}

START_TEST(test_list)
{
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();

        check_list(&t, 0, "");
        tmproot_mkdir(&t, STORE "/builds");
        check_list(&t, 0, "");
        add_build(&t, "one", "535.1");
        add_build(&t, "two", "535.2");
        check_list(&t, 2, "");
}
END_TEST

/* Whatever is wrong with one, the others are found, and every wrong one is named with its reason. */
START_TEST(test_list_damaged)
{
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();
        _cleanup_free_ char *big = calloc(1, MANIFEST_SIZE_MAX + 2);

        memset(big, ' ', MANIFEST_SIZE_MAX + 1);
        add_build(&t, "a-good", "535.1");
        tmproot_mkdir(&t, STORE "/builds/b-empty");
        tmproot_write(&t, STORE "/builds/c-cut/" MANIFEST_NAME, "{\n");
        tmproot_write(&t, STORE "/builds/d-big/" MANIFEST_NAME, big);
        tmproot_write(&t, STORE "/builds/e-file", "no directory");
        tmproot_mkdir(&t, STORE "/builds/f-strange/" MANIFEST_NAME);
        tmproot_link(&t, "loop", STORE "/builds/g-loop/loop");
        tmproot_link(&t, "loop", STORE "/builds/g-loop/" MANIFEST_NAME);
        tmproot_link(&t, "/nowhere", STORE "/builds/h-gone");
        add_build(&t, "z-good", "535.2");
        tmproot_write(&t, STORE "/builds/.hidden", "x");

        check_list(&t, 2,
                        STORE
                        "/builds/b-empty/manifest.json: there is none\n" STORE
                        "/builds/c-cut/manifest.json: line 2: string or '}' expected near end of file\n" STORE
                        "/builds/d-big/manifest.json: it is larger than 1048576 bytes\n" STORE
                        "/builds/e-file/manifest.json: there is none\n" STORE
                        "/builds/f-strange/manifest.json: it cannot be read: Is a directory\n" STORE
                        "/builds/g-loop/manifest.json: it cannot be read: Too many levels of symbolic links\n" STORE
                        "/builds/h-gone/manifest.json: there is none");
}
END_TEST

START_TEST(test_read)
{
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();
        _cleanup_(build_manifest_done) BuildManifest m = {};
        _cleanup_free_ char *reason = NULL;

        add_build(&t, "one", "535.1");
        ck_assert_int_eq(store_read(t.root, STORE "/builds/one", &m, &reason), 0);
        ck_assert_str_eq(m.directory, STORE "/builds/one");
        ck_assert_str_eq(m.driver_version, "535.1");
        ck_assert_ptr_null(reason);

        ck_assert_int_eq(store_read(t.root, STORE "/builds/two", &m, &reason), STORE_E_ABSENT);
        ck_assert_ptr_null(reason);
        tmproot_write(&t, STORE "/builds/two/" MANIFEST_NAME, "[]");
        ck_assert_int_eq(store_read(t.root, STORE "/builds/two", &m, &reason), STORE_E_INVALID);
        ck_assert_str_eq(reason, "line 1: not a JSON object");
}
END_TEST

/* What may be of use one day is not among them: a newer program's, and one that cannot be read just now. */
START_TEST(test_broken)
{
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();
        _cleanup_strv_ char **none = NULL, **paths = NULL;

        ck_assert_int_eq(store_broken(t.root, STORE, &none), 0);
        ck_assert_ptr_null(none);
        add_build(&t, "good", "535.1");
        tmproot_mkdir(&t, STORE "/builds/empty");
        tmproot_write(&t, STORE "/builds/cut/" MANIFEST_NAME, "{");
        tmproot_write(&t, STORE "/builds/newer/" MANIFEST_NAME, "{\"format\":3}");
        tmproot_mkdir(&t, STORE "/builds/unreadable/" MANIFEST_NAME);
        tmproot_write(&t, STORE "/builds/file", "");
        ck_assert_int_eq(store_broken(t.root, STORE, &paths), 0);
        ck_assert_uint_eq(strv_length(paths), 2);
        ck_assert(strv_contains(paths, STORE "/builds/empty"));
        ck_assert(strv_contains(paths, STORE "/builds/cut"));
}
END_TEST

START_TEST(test_good)
{
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();
        _cleanup_strv_ char **none = NULL, **ids = NULL;
        _cleanup_free_ char *text = NULL, *good = NULL, *bad = NULL;

        ck_assert_int_eq(store_good_list(t.root, STORE, &none), 0);
        ck_assert_ptr_null(none);
        ck_assert_int_eq(store_good_mark(t.root, STORE, "6.1", "old"), 0);
        tmproot_write(&t, STORE "/good/.#0123456789abcdef", "killed");
        ck_assert_int_eq(store_good_mark(t.root, STORE, "6.1", "new"), 0);
        ck_assert(!root_exists(t.root, STORE "/good/.#0123456789abcdef"));
        ck_assert_int_eq(store_good_mark(t.root, STORE, "6.12", "other"), 0);
        ck_assert_int_lt(store_good_mark(t.root, STORE, "../builds", "x"), 0);
        tmproot_write(&t, STORE "/good/6.6", "");
        ck_assert_int_eq(store_good_list(t.root, STORE, &ids), 0);
        ck_assert_int_eq(store_good_read(t.root, STORE, "6.1", &good), 0);
        ck_assert_str_eq(good, "new");
        ck_assert_int_eq(store_good_read(t.root, STORE, "6.6", &bad), 0);
        ck_assert_int_eq(store_good_read(t.root, STORE, "6.5", &bad), 0);
        ck_assert_int_eq(store_good_read(t.root, STORE, "../good/6.1", &bad), 0);
        ck_assert_ptr_null(bad);
        text = strv_join(ids, " ");
        ck_assert_str_eq(text, "new other");
}
END_TEST

START_TEST(test_lock)
{
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();
        _cleanup_close_ int first = -EBADF, second = -EBADF;
        pid_t holder = 0;

        ck_assert_int_eq(storelock_acquire(t.root, STORE, &first, &holder), 0);
        ck_assert_int_ne(fcntl(first, F_GETFD) & FD_CLOEXEC, 0);
        ck_assert_int_eq(storelock_acquire(t.root, STORE, &second, &holder), STORELOCK_E_HELD);
        ck_assert_int_eq(holder, getpid());
        first = safe_close(first);
        ck_assert_int_eq(storelock_acquire(t.root, STORE, &second, &holder), 0);
}
END_TEST

static pid_t told;
static unsigned n_told;

static void on_held(pid_t pid)
{
        told = pid;
        n_told++;
}

/* Only who can open it can lock it. One that an older version made for all is private afterwards. */
START_TEST(test_lock_mode)
{
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();
        _cleanup_close_ int first = -EBADF, second = -EBADF;
        pid_t holder = -1;
        struct stat st;

        ck_assert_int_eq(storelock_acquire(t.root, STORE, &first, &holder), 0);
        ck_assert_int_eq(fstat(first, &st), 0);
        ck_assert_uint_eq(st.st_mode & 07777, 0600);
        ck_assert_int_eq(fchmod(first, 0644), 0);
        ck_assert_int_eq(storelock_acquire(t.root, STORE, &second, &holder), STORELOCK_E_HELD);
        ck_assert_int_eq(fstat(first, &st), 0);
        ck_assert_uint_eq(st.st_mode & 07777, 0600);
}
END_TEST

START_TEST(test_lock_wait)
{
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();
        _cleanup_close_ int first = -EBADF, second = -EBADF;
        pid_t holder = 0, child;
        int fds[2];
        char c;

        told = n_told = 0;
        ck_assert_int_eq(storelock_wait(t.root, STORE, 0, on_held, &first, &holder), 0);
        ck_assert_int_eq(storelock_wait(t.root, STORE, 0, on_held, &second, &holder), STORELOCK_E_HELD);
        ck_assert_uint_eq(n_told, 0);
        ck_assert_int_eq(storelock_wait(t.root, STORE, 1, on_held, &second, &holder), STORELOCK_E_HELD);
        ck_assert_int_eq(storelock_wait(t.root, STORE, USEC_PER_SEC / 4, on_held, &second, &holder),
                        STORELOCK_E_HELD);
        ck_assert_uint_ge(n_told, 1);
        ck_assert_uint_le(n_told, 2);
        ck_assert_int_eq(told, getpid());
        first = safe_close(first);

        /* A child has it, and gives it back by being killed. */
        ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
        child = fork();
        ck_assert_int_ge(child, 0);
        if (child == 0) {
                pid_t other = 0;

                if (storelock_acquire(t.root, STORE, &first, &other) == 0)
                        (void)!write(fds[1], "x", 1);
                /* Only now is there somebody to be told of. */
                (void)poll(NULL, 0, 300);
                (void)raise(SIGKILL);
        }
        ck_assert_int_eq(read(fds[0], &c, 1), 1);
        n_told = 0;
        ck_assert_int_eq(storelock_wait(t.root, STORE, USEC_INFINITY, on_held, &second, &holder), 0);
        ck_assert_uint_eq(n_told, 1);
        ck_assert_int_eq(told, child);
        ck_assert_int_eq(waitpid(child, NULL, 0), child);
        (void)close(fds[0]);
        (void)close(fds[1]);
}
END_TEST

UNIT_MAIN("store", UNIT_TEST(test_broken), UNIT_TEST(test_good), UNIT_TEST(test_lock),
                UNIT_TEST(test_lock_mode), UNIT_TEST(test_lock_wait), UNIT_TEST(test_stage),
                UNIT_TEST(test_killed), UNIT_LOOP(test_stage_impossible, 3), UNIT_TEST(test_stale),
                UNIT_TEST(test_list), UNIT_TEST(test_list_damaged), UNIT_TEST(test_read))
