/* SPDX-License-Identifier: Apache-2.0 */

#include "unit.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/result.h"
#include "base/root.h"
#include "base/str.h"

static int fails_deep(void)
{
        return err_origin(-EIO);
}

START_TEST(test_result_trace)
{
        const ErrFrame *frames;
        unsigned n;

        ck_assert_int_eq(err_trace(fails_deep()), -EIO);
        frames = err_frames(&n);
        ck_assert_uint_eq(n, 2);
        ck_assert_str_eq(frames[0].function, "fails_deep");
        ck_assert_int_eq(err_trace(0), 0);
        ck_assert_int_eq(err_fold(3), -ENOTRECOVERABLE);
        ck_assert_int_eq(err_fold(-EIO), -EIO);
}
END_TEST

START_TEST(test_strv_remove)
{
        _cleanup_strv_ char **l = NULL;

        strv_remove(NULL, "a");
        ck_assert_int_eq(strv_split("a,b,a,c,a", ",", &l), 0);
        strv_remove(l, "d");
        ck_assert_uint_eq(strv_length(l), 5);
        strv_remove(l, "a");
        ck_assert_uint_eq(strv_length(l), 2);
        ck_assert_str_eq(l[0], "b");
        ck_assert_str_eq(l[1], "c");
        strv_remove(l, "b");
        strv_remove(l, "c");
        ck_assert_uint_eq(strv_length(l), 0);
}
END_TEST

START_TEST(test_strv)
{
        _cleanup_strv_ char **l = NULL, **copy = NULL;
        _cleanup_free_ char *joined = NULL, *empty = NULL;

        ck_assert_int_eq(strv_split(" nvidia, nvidia-uvm ,,nvidia-drm", ", ", &l), 0);
        ck_assert_uint_eq(strv_length(l), 3);
        ck_assert(strv_contains(l, "nvidia-uvm"));
        ck_assert(!strv_contains(l, ""));
        ck_assert_int_eq(strv_pushf(&l, "x%d", 4), 0);
        ck_assert_int_eq(strv_copy(l, &copy), 0);
        strv_sort(copy);
        joined = strv_join(copy, " ");
        ck_assert_str_eq(joined, "nvidia nvidia-drm nvidia-uvm x4");
        empty = strv_join(NULL, " ");
        ck_assert_str_eq(empty, "");
}
END_TEST

START_TEST(test_modname)
{
        ck_assert(modname_eq("nvidia-uvm", "nvidia_uvm"));
        ck_assert(!modname_eq("nvidia", "nvidia_uvm"));
        ck_assert(!modname_eq("nvidia_uvm", "nvidia"));
}
END_TEST

static const struct {
        const char *text;
        int r;
        usec_t usec;
} spans[] = {
        { "90", 0, 90 * USEC_PER_SEC },
        { "20min", 0, 20 * USEC_PER_MINUTE },
        { "1min 30s", 0, 90 * USEC_PER_SEC },
        { "250ms", 0, 250 * USEC_PER_MSEC },
        { " 2 h ", 0, 2 * USEC_PER_HOUR },
        { "infinity", 0, USEC_INFINITY },
        { "", -EINVAL, 0 },
        { "5 parsecs", -EINVAL, 0 },
        { "-5s", -EINVAL, 0 },
        { "99999999999999999999d", -EINVAL, 0 },
        { "18446744073709551615h", -EINVAL, 0 },
};

START_TEST(test_usec)
{
        usec_t usec = 0;

        ck_assert_int_eq(str_to_usec(spans[_i].text, &usec), spans[_i].r);
        if (spans[_i].r == 0)
                ck_assert_uint_eq(usec, spans[_i].usec);
}
END_TEST

START_TEST(test_usec_print)
{
        _cleanup_free_ char *a = str_from_usec(8400 * USEC_PER_MSEC), *b = str_from_usec(62 * USEC_PER_SEC),
                            *c = str_from_usec(250 * USEC_PER_MSEC), *d = str_from_usec(USEC_PER_HOUR);

        ck_assert_str_eq(a, "8.4s");
        ck_assert_str_eq(b, "1min 2s");
        ck_assert_str_eq(c, "250ms");
        ck_assert_str_eq(d, "1h 0min");
}
END_TEST

START_TEST(test_numbers)
{
        uint64_t u = 7;
        bool b = false;

        ck_assert_int_eq(str_to_u64("12", 10, 0, 100, &u), 0);
        ck_assert_uint_eq(u, 12);
        ck_assert_int_eq(str_to_u64("101", 10, 0, 100, &u), -ERANGE);
        ck_assert_int_eq(str_to_u64("-1", 10, 0, 100, &u), -EINVAL);
        ck_assert_int_eq(str_to_u64("1x", 10, 0, 100, &u), -EINVAL);
        ck_assert_int_eq(str_to_u64("", 10, 0, 100, &u), -EINVAL);
        ck_assert_int_eq(str_to_u64("0x10de", 0, 0, 65535, &u), 0);
        ck_assert_uint_eq(u, 0x10de);
        ck_assert_int_eq(str_to_bool("On", &b), 0);
        ck_assert(b);
        ck_assert_int_eq(str_to_bool("maybe", &b), -EINVAL);
}
END_TEST

static char *make_tree(void)
{
        char *path = strdup("/tmp/test-root-XXXXXX");

        ck_assert_ptr_nonnull(mkdtemp(path));
        return path;
}

static void remove_tree(const char *path)
{
        _cleanup_free_ char *command = str_format("rm -rf -- '%s'", path);

        ck_assert_int_eq(system(command), 0);
}

/* Hidden ones too, which root_list() leaves out. */
static size_t count_entries(const Root *root, const char *directory)
{
        _cleanup_closedir_ DIR *d = NULL;
        size_t n = 0;

        ck_assert_int_eq(root_opendir(root, directory, &d), 0);
        for (const struct dirent *de = readdir(d); de; de = readdir(d))
                n += !streq(de->d_name, ".") && !streq(de->d_name, "..");
        return n;
}

START_TEST(test_root_files)
{
        _cleanup_(root_freep) Root *root = NULL;
        _cleanup_free_ char *path = make_tree(), *text = NULL, *shown = NULL;
        _cleanup_strv_ char **names = NULL;
        struct stat st;

        ck_assert_int_eq(root_new(path, &root), 0);
        ck_assert(!root_is_host(root));
        ck_assert_int_eq(root_mkdirs(root, "sys/module/nvidia", 0755), 0);
        ck_assert_int_eq(root_mkdirs(root, "sys/module/nvidia", 0755), 0);
        ck_assert_int_eq(root_write_file(root, "sys/module/nvidia/version", " 535.1 \nx", 9, 0600), 0);
        ck_assert_int_eq(root_stat(root, "sys/module/nvidia/version", &st), 0);
        ck_assert_uint_eq(st.st_mode & 07777, 0600);
        ck_assert_int_eq(root_read_line(root, "sys/module/nvidia/version", 64, &text), 0);
        ck_assert_str_eq(text, "535.1");
        ck_assert_int_eq(root_read_file(root, "sys/module/nvidia/version", 8, &shown, NULL), ROOT_E_TOO_BIG);
        ck_assert_int_eq(root_read_line(root, "sys/module/nouveau/version", 64, &shown), ROOT_E_ABSENT);
        ck_assert_int_eq(root_list(root, "sys/module/nvidia", &names), 0);
        ck_assert_uint_eq(strv_length(names), 1);
        ck_assert_uint_eq(count_entries(root, "sys/module/nvidia"), 1); /* no temporary file stays */
        ck_assert_int_eq(root_unlink(root, "sys/module/nvidia/version"), 0);
        ck_assert_int_eq(root_unlink(root, "sys/module/nvidia/version"), 0);
        ck_assert_int_eq(root_unlink(root, "no/such/dir"), 0);
        ck_assert_int_lt(root_write_file(root, "no/such/dir", "", 0, 0644), 0);
        shown = root_path(root, "/a");
        ck_assert(startswith(shown, path));
        remove_tree(path);
}
END_TEST

/* What killed writers left goes; what only looks like it stays. */
START_TEST(test_root_sweep)
{
        static const char *const files[] = { "d/.#0123456789abcdef", "d/.#ffffffffffffffff",
                "d/.#0123456789abcde", "d/.#0123456789abcdef0", "d/.#0123456789abcdeg",
                "d/#0123456789abcdef", "d/x" };
        _cleanup_(root_freep) Root *root = NULL;
        _cleanup_free_ char *path = make_tree();

        ck_assert_int_eq(root_new(path, &root), 0);
        ck_assert_int_eq(root_mkdirs(root, "d/.#0000000000000000", 0755), 0); /* cannot be unlinked */
        for (size_t i = 0; i < ELEMENTSOF(files); i++)
                ck_assert_int_eq(root_write_file(root, files[i], "", 0, 0644), 0);
        root_sweep(root, "d");
        for (size_t i = 0; i < ELEMENTSOF(files); i++)
                ck_assert_int_eq(root_exists(root, files[i]), i >= 2);
        ck_assert_uint_eq(count_entries(root, "d"), ELEMENTSOF(files) - 2 + 1);
        root_sweep(root, "none");
        remove_tree(path);
}
END_TEST

START_TEST(test_root_confines)
{
        _cleanup_(root_freep) Root *root = NULL;
        _cleanup_free_ char *path = make_tree(), *line = NULL, *link = NULL;

        ck_assert_int_eq(root_new(path, &root), 0);
        ck_assert_int_eq(symlinkat("/etc/passwd", root->fd, "out"), 0);
        ck_assert_int_eq(symlinkat("../../../../etc", root->fd, "up"), 0);
        ck_assert(!root_exists(root, "out"));
        ck_assert(!root_exists(root, "up/passwd"));
        ck_assert(!root_exists(root, "../../../../etc/passwd"));
        ck_assert_int_eq(root_mkdirs(root, "etc", 0755), 0);
        ck_assert_int_eq(root_write_file(root, "etc/passwd", "ours", 4, 0644), 0);
        ck_assert_int_eq(root_read_line(root, "out", 64, &line), 0);
        ck_assert_str_eq(line, "ours");
        ck_assert_int_eq(root_readlink(root, "out", &link), 0);
        ck_assert_str_eq(link, "/etc/passwd");
        remove_tree(path);
}
END_TEST

/* Renames without end, until it is killed. */
static pid_t start_renamer(const Root *root)
{
        pid_t pid;

        ck_assert_int_eq(root_write_file(root, "one", "", 0, 0644), 0);
        pid = fork();
        if (pid != 0)
                return pid;
        for (;;) {
                (void)renameat(root->fd, "one", root->fd, "two");
                (void)renameat(root->fd, "two", root->fd, "one");
        }
}

/* For paths with "..", the kernel refuses to say where it is while anything is renamed. */
START_TEST(test_root_beside_renames)
{
        _cleanup_(root_freep) Root *root = NULL;
        _cleanup_free_ char *path = make_tree();
        pid_t pid;

        ck_assert_int_eq(root_new(path, &root), 0);
        ck_assert_int_eq(root_mkdirs(root, "a/b", 0755), 0);
        ck_assert_int_eq(symlinkat("../../a/b", root->fd, "a/link"), 0);
        pid = start_renamer(root);
        ck_assert_int_gt(pid, 0);
        for (int i = 0; i < 100000; i++)
                ck_assert(root_exists(root, "a/link"));
        ck_assert_int_eq(kill(pid, SIGKILL), 0);
        ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
        remove_tree(path);
}
END_TEST

START_TEST(test_printable)
{
        static const struct {
                const char *text, *expected;
        } cases[] = {
                { "", "" }, { "plain text, 100%", "plain text, 100%" },
                { "\xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80", "\xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80" },
                { "a\nb\tc\rd", "a b c d" }, { "\033[2Jx\a\177", "?[2Jx??" },
                { "\xc2\x9b"
                  "31m",
                                "?31m" }, /* CSI as one character */
                { "\xe2\x80\xae"
                  "abc\xe2\x81\xa6\xe2\x80\x8f",
                                "?abc??" },                 /* right-to-left override, isolate, mark */
                { "\xe2\x80\xa8", "?" },                    /* line separator */
                { "\xff\xc3", "??" }, { "\xc0\xaf", "??" }, /* too long for a slash */
                { "\xed\xa0\x80", "???" },                  /* a surrogate */
                { "\xf4\x90\x80\x80", "????" },             /* beyond Unicode */
                { "\xe2\x82", "??" },                       /* cut */
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_free_ char *text = strdup(cases[i].text);

                ck_assert_int_eq(str_is_printable(text), streq(cases[i].text, cases[i].expected));
                ck_assert_ptr_eq(str_printable(text), text);
                ck_assert_str_eq(text, cases[i].expected);
                ck_assert(str_is_printable(text));
        }
        ck_assert_ptr_null(str_printable(NULL));
}
END_TEST

UNIT_MAIN("base", UNIT_TEST(test_printable), UNIT_TEST(test_result_trace), UNIT_TEST(test_strv),
                UNIT_TEST(test_strv_remove), UNIT_TEST(test_modname),
                UNIT_LOOP(test_usec, ELEMENTSOF(spans)), UNIT_TEST(test_usec_print), UNIT_TEST(test_numbers),
                UNIT_TEST(test_root_files), UNIT_TEST(test_root_sweep), UNIT_TEST(test_root_confines),
                UNIT_TEST(test_root_beside_renames))
