/* SPDX-License-Identifier: Apache-2.0 */

/* Where a kernel's modules are, and what is no such place. */

#include "unit.h"

#include "base/str.h"
#include "sys/moduletree.h"
#include "tmproot.h"

#define RELEASE "6.1.0-56-amd64"

static const char *const places[] = {
        "lib/modules/" RELEASE,
        "usr/lib/modules/" RELEASE,
        "usr/lib64/modules/" RELEASE,
        "proc/1/root/lib/modules/" RELEASE,
        "proc/1/root/usr/lib/modules/" RELEASE,
        "proc/1/root/usr/lib64/modules/" RELEASE,
};

/* A module file with a vermagic, by the compiler. */
static void add_module(TmpRoot *t, const char *path, const char *release)
{
        _cleanup_free_ char *command = NULL, *source = NULL;

        source = str_format("static const char i[] __attribute__((section(\".modinfo\"), used)) = "
                            "\"license=GPL\\0vermagic=%s SMP mod_unload \";\n",
                        release);
        tmproot_write(t, "tmp/module.c", source);
        tmproot_mkdir_above(t, path);
        command = str_format("${CC:-cc} -w -c -o %s/%s %s/tmp/module.c", t->path, path, t->path);
        ck_assert_int_eq(system(command), 0);
}

static void put(TmpRoot *t, const char *place, const char *file, const char *text)
{
        _cleanup_free_ char *path = str_format("%s/%s", place, file);

        tmproot_write(t, path, text);
}

static void put_module(TmpRoot *t, const char *place, const char *file, const char *release)
{
        _cleanup_free_ char *path = str_format("%s/%s", place, file);

        add_module(t, path, release);
}

static void assert_found(TmpRoot *t, const char *expected)
{
        _cleanup_free_ char *found = NULL;

        ck_assert_int_eq(moduletree_find(t->root, RELEASE, &found), expected ? 0 : MODULETREE_E_ABSENT);
        ck_assert_pstr_eq(found, expected);
}

START_TEST(test_places)
{
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();

        for (size_t i = 0; i < (size_t)_i; i++)
                tmproot_mkdir(&t, places[i]); /* as Docker makes them */
        tmproot_mkdir(&t, places[_i]);
        assert_found(&t, NULL);
        put(&t, places[_i], "modules.dep", "kernel/a.ko: kernel/b.ko\n");
        assert_found(&t, NULL);
        put_module(&t, places[_i], "kernel/a.ko", RELEASE);
        assert_found(&t, places[_i]);
}
END_TEST

START_TEST(test_order)
{
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();
        size_t place = 0;

        for (size_t i = 0; i < ELEMENTSOF(places); i++) {
                put(&t, places[i], "modules.dep", "a.ko.xz:\n");
                put(&t, places[i], "a.ko.xz", "is not unpacked");
        }
        for (size_t i = 0; i < ELEMENTSOF(places); i++) {
                _cleanup_free_ char *found = NULL;

                ck_assert_int_eq(moduletree_next(t.root, RELEASE, &place, &found), 0);
                ck_assert_str_eq(found, places[i]);
        }
        ck_assert_int_eq(moduletree_next(t.root, RELEASE, &place, NULL), MODULETREE_E_ABSENT);
        place = 0;
        ck_assert_int_eq(moduletree_next(t.root, "../" RELEASE, &place, NULL), MODULETREE_E_ABSENT);
}
END_TEST

START_TEST(test_other_kernel)
{
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();

        put(&t, places[0], "modules.dep", "\nold.ko:\n");
        put(&t, places[0], "modules.builtin", "kernel/fs/ext4.ko\n");
        put_module(&t, places[0], "old.ko", "5.10.0");
        assert_found(&t, NULL);
        put_module(&t, places[0], "old.ko", RELEASE "-rt");
        assert_found(&t, NULL);
        /* RHEL's weak-updates: one of this kernel is enough. */
        put(&t, places[0], "modules.dep", "old.ko:\nnew.ko:\n");
        put_module(&t, places[0], "new.ko", RELEASE);
        assert_found(&t, places[0]);
}
END_TEST

START_TEST(test_builtin)
{
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();

        put(&t, places[0], "modules.builtin", "kernel/fs/ext4.ko\n");
        assert_found(&t, NULL);
        put(&t, places[0], "modules.dep", "");
        assert_found(&t, places[0]);
        put(&t, places[0], "modules.builtin", "");
        assert_found(&t, NULL);
}
END_TEST

START_TEST(test_absolute_and_strange)
{
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();

        put_module(&t, "opt", "a.ko", RELEASE);
        put(&t, places[2], "modules.dep", "/opt/a.ko:\n");
        assert_found(&t, places[2]);
        tmproot_rm(&t, "usr");
        tmproot_mkdir(&t, "usr/lib64/modules/" RELEASE "/modules.dep");
        assert_found(&t, NULL);
}
END_TEST

START_TEST(test_sentence)
{
        _cleanup_free_ char *text = moduletree_explain_absence(RELEASE);

        ck_assert_ptr_nonnull(strstr(text, RELEASE));
        ck_assert_ptr_nonnull(strstr(text, "--pid=host"));
}
END_TEST

UNIT_MAIN("moduletree", UNIT_LOOP(test_places, ELEMENTSOF(places)), UNIT_TEST(test_order),
                UNIT_TEST(test_other_kernel), UNIT_TEST(test_builtin), UNIT_TEST(test_absolute_and_strange),
                UNIT_TEST(test_sentence))
