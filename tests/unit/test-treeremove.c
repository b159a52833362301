/* SPDX-License-Identifier: Apache-2.0 */

#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>

#include "base/str.h"
#include "sys/treeremove.h"
#include "tmproot.h"

enum { NOT_PERMITTED = 77 };

static char *troubles;

static void take_trouble(void *userdata, const char *name, int error)
{
        char *more = str_format("%s%s:%s ", strempty(troubles), name, strerrorname_np(error));

        free(troubles);
        troubles = more;
}

static int remove_from(TmpRoot *t, const char *name)
{
        _cleanup_close_ int fd = open(t->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        troubles = (free(troubles), NULL);
        return treeremove(fd, name, take_trouble, NULL);
}

static bool is_there(TmpRoot *t, const char *name)
{
        struct stat st;

        return root_stat(t->root, name, &st) == 0;
}

START_TEST(test_tree)
{
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();

        tmproot_write(&t, "tree/a/b/c/file", "x");
        tmproot_write(&t, "tree/a/other", "x");
        tmproot_write(&t, "outside/kept", "x");
        tmproot_link(&t, "../outside", "tree/link");
        tmproot_link(&t, "/outside", "tree/a/link");
        ck_assert_int_eq(remove_from(&t, "tree"), 0);
        ck_assert(!is_there(&t, "tree"));
        ck_assert(is_there(&t, "outside/kept"));

        ck_assert_int_eq(remove_from(&t, "tree"), 0); /* it is gone already */
        tmproot_link(&t, "outside", "link");
        ck_assert_int_eq(remove_from(&t, "link"), 0);
        ck_assert(is_there(&t, "outside/kept"));
        ck_assert_ptr_null(troubles);
}
END_TEST

START_TEST(test_names)
{
        static const char *const names[] = { "", ".", "..", "a/b", "/" };
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();

        ck_assert_int_eq(remove_from(&t, names[_i]), -EINVAL);
}
END_TEST

START_TEST(test_deep)
{
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();
        _cleanup_close_ int fd = open(t.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        for (int i = 0; i < 300; i++) {
                int below;

                ck_assert_int_eq(mkdirat(fd, "d", 0755), 0);
                below = openat(fd, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
                ck_assert_int_ge(below, 0);
                safe_close(fd);
                fd = below;
        }
        ck_assert_int_eq(remove_from(&t, "d"), TREEREMOVE_E_LEFT);
        ck_assert_str_eq(troubles, "d:ELOOP ");
        ck_assert(is_there(&t, "d/d/d"));
}
END_TEST

/* No unlink is possible in procfs, so nothing is at stake; and what it says is that it did not even look
 * inside. */
START_TEST(test_proc)
{
        _cleanup_close_ int fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        ck_assert_int_eq(treeremove(fd, "proc", take_trouble, NULL), TREEREMOVE_E_LEFT);
        ck_assert_str_eq(troubles, "proc:EXDEV ");
}
END_TEST

/* In a mount namespace of its own, which ends with the process: directories of the test's own, nothing else.
 */
static int with_mount(TmpRoot *t)
{
        _cleanup_free_ char *from = root_path(t->root, "outside"), *to = root_path(t->root, "tree/mounted"),
                            *file = root_path(t->root, "tree/file"),
                            *kept = root_path(t->root, "outside/kept");

        if ((unshare(CLONE_NEWNS) < 0 && unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0) ||
                        mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
                return NOT_PERMITTED;
        if (mount(from, to, NULL, MS_BIND, NULL) < 0 || mount(kept, file, NULL, MS_BIND, NULL) < 0)
                return 2;
        return remove_from(t, "tree") == TREEREMOVE_E_LEFT && strstr(strempty(troubles), "mounted:EXDEV ") &&
                                               strstr(troubles, "file:EBUSY ")
                               ? 0
                               : 1;
}

START_TEST(test_mount)
{
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();
        int status = 0;
        pid_t pid;

        tmproot_write(&t, "outside/kept", "x");
        tmproot_write(&t, "tree/removed", "x");
        tmproot_write(&t, "tree/file", "x");
        tmproot_write(&t, "tree/mounted/covered", "x");
        pid = fork();
        if (pid == 0)
                _exit(with_mount(&t));
        ck_assert_int_eq(waitpid(pid, &status, 0), pid);
        ck_assert(WIFEXITED(status));
        if (WEXITSTATUS(status) == NOT_PERMITTED) {
                printf("# no mount namespace is to be had here: a bind mount was not tried\n");
                return;
        }
        ck_assert_int_eq(WEXITSTATUS(status), 0);
        ck_assert(is_there(&t, "outside/kept"));
        ck_assert(is_there(&t, "tree/mounted/covered"));
        ck_assert(!is_there(&t, "tree/removed"));
}
END_TEST

UNIT_MAIN("treeremove", UNIT_TEST(test_tree), UNIT_LOOP(test_names, 5), UNIT_TEST(test_deep),
                UNIT_TEST(test_proc), UNIT_TEST(test_mount))
