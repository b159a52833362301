/* SPDX-License-Identifier: Apache-2.0 */

/* The reason of the last end, as the next "status" finds it; and where the programs find each other. */

#include "unit.h"

#include "base/str.h"
#include "build-config.h"
#include "failure.h"
#include "paths.h"
#include "tmproot.h"

static void check_read(TmpRoot *t, Code code, const char *detail)
{
        _cleanup_free_ char *got = NULL;
        Code c = _CODE_INVALID;

        ck_assert_int_eq(failure_read(t->root, &c, &got), 0);
        ck_assert_int_eq(c, code);
        ck_assert_str_eq(got, detail);
}

static void check_none(TmpRoot *t)
{
        char *detail = (char *)t;
        Code code = CODE_BUSY;

        ck_assert_int_eq(failure_read(t->root, &code, &detail), 1);
        ck_assert_int_eq(code, CODE_BUSY);
        ck_assert_ptr_eq(detail, (char *)t);
}

START_TEST(test_round_trip)
{
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();

        check_none(&t);
        for (Code code = 0; code < _CODE_MAX; code++) {
                ck_assert_int_eq(failure_write(t.root, code, code_sentence(code)), 0);
                check_read(&t, code, code_sentence(code));
        }
        ck_assert_int_eq(failure_write(t.root, CODE_BUSY, NULL), 0);
        check_read(&t, CODE_BUSY, "");
        ck_assert_int_eq(failure_write(t.root, CODE_BUSY, "two\nlines"), 0);
        check_read(&t, CODE_BUSY, "two\nlines");
        ck_assert_int_eq(failure_forget(t.root), 0);
        check_none(&t);
        ck_assert_int_eq(failure_forget(t.root), 0);
}
END_TEST

/* However long the reason is, it can be read back. */
START_TEST(test_long)
{
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();
        char detail[20000];
        _cleanup_free_ char *got = NULL;
        Code code;

        memset(detail, 'x', sizeof(detail) - 1);
        detail[sizeof(detail) - 1] = '\0';
        for (size_t n = 8170; n < sizeof(detail); n = n < 8200 ? n + 1 : sizeof(detail)) {
                char saved = detail[n];

                detail[n] = '\0';
                ck_assert_int_eq(failure_write(t.root, CODE_BUSY, detail), 0);
                detail[n] = saved;
                freep(&got);
                ck_assert_int_eq(failure_read(t.root, &code, &got), 0);
                ck_assert_int_eq(code, CODE_BUSY);
                ck_assert_uint_ge(strlen(got), 8170);
        }
}
END_TEST

static const char *const garbage[] = { "", "\n", "no-such-code\ndetail\n", " busy\n", "busy detail\n",
        "invalid\n" };

START_TEST(test_garbage)
{
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();

        tmproot_write(&t, RUNTIME_FAILURE, garbage[_i]);
        check_none(&t);
}
END_TEST

START_TEST(test_cut)
{
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();

        tmproot_write(&t, RUNTIME_FAILURE, "busy");
        check_read(&t, CODE_BUSY, "");
}
END_TEST

START_TEST(test_too_big)
{
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();
        char big[9000];

        memset(big, ' ', sizeof(big) - 1);
        big[sizeof(big) - 1] = '\0';
        memcpy(big, "busy\n", 5);
        tmproot_write(&t, RUNTIME_FAILURE, big);
        check_none(&t);
}
END_TEST

START_TEST(test_impossible)
{
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();
        char *detail = NULL;
        Code code;

        tmproot_mkdir(&t, RUNTIME_FAILURE);
        ck_assert_int_eq(failure_read(t.root, &code, &detail), -EISDIR);
        ck_assert_int_lt(failure_write(t.root, CODE_BUSY, "x"), 0);
        ck_assert_int_lt(failure_forget(t.root), 0);
        tmproot_rm(&t, RUNTIME_DIRECTORY);
        tmproot_write(&t, RUNTIME_DIRECTORY, "a file");
        ck_assert_int_lt(failure_write(t.root, CODE_BUSY, "x"), 0);
        check_none(&t);
        ck_assert_ptr_null(detail);
}
END_TEST

/* The environment names other programs only where that is allowed, and only by absolute paths. */
START_TEST(test_paths)
{
        static const struct {
                const char *variable, *fallback;
                const char *(*path)(void);
        } paths[] = {
                { "NVIDIA_DRIVERD_HELPER", PATH_HELPER, path_of_helper },
                { "NVIDIA_DRIVERD_WORKER", PATH_WORKER, path_of_worker },
                { "NVIDIA_DRIVERD_FETCH", PATH_FETCH, path_of_fetch },
                { "NVIDIA_DRIVERD_KEEPER", PATH_KEEPER, path_of_keeper },
                { "NVIDIA_DRIVERD_TOOLCHAIN", PATH_TOOLCHAIN, path_of_toolchain },
                { "NVIDIA_DRIVERD_UDEVADM", "/usr/bin/udevadm", path_of_udevadm },
                { "NVIDIA_DRIVERD_DAEMON", PATH_DRIVERD, path_of_daemon },
        };
        const char *variable = paths[_i].variable, *fallback = paths[_i].fallback;

        ck_assert_int_eq(unsetenv(variable), 0);
        ck_assert_str_eq(paths[_i].path(), fallback);
        ck_assert_int_eq(setenv(variable, "/opt/x", 1), 0);
        ck_assert_str_eq(paths[_i].path(), fallback);
        paths_allow_environment(true);
        ck_assert_str_eq(paths[_i].path(), "/opt/x");
        ck_assert_int_eq(setenv(variable, "x", 1), 0);
        ck_assert_str_eq(paths[_i].path(), fallback);
        ck_assert_int_eq(setenv(variable, "", 1), 0);
        ck_assert_str_eq(paths[_i].path(), fallback);
        paths_allow_environment(false);
}
END_TEST

UNIT_MAIN("failure", UNIT_TEST(test_round_trip), UNIT_TEST(test_long),
                UNIT_LOOP(test_garbage, ELEMENTSOF(garbage)), UNIT_TEST(test_cut), UNIT_TEST(test_too_big),
                UNIT_TEST(test_impossible), UNIT_LOOP(test_paths, 7))
