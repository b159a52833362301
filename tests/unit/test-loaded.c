/* SPDX-License-Identifier: Apache-2.0 */

/* The record of the modules we loaded: it must outlive the daemon and not the boot. */

#include "unit.h"

#include "base/str.h"
#include "loaded.h"
#include "paths.h"
#include "tmproot.h"

#define BOOT_ID_FILE "proc/sys/kernel/random/boot_id"
#define BOOT_1       "11111111-2222-3333-4444-555555555555"
#define BOOT_2       "66666666-7777-8888-9999-000000000000"

static char *const names[] = { (char *)"nvidia", (char *)"nvidia-uvm", (char *)"nvidia_drm", NULL };

static void check_read(TmpRoot *t, const char *expected)
{
        _cleanup_strv_ char **list = NULL;
        _cleanup_free_ char *text = NULL;

        ck_assert_int_eq(loaded_read(t->root, &list), 0);
        text = strv_join(list, " ");
        ck_assert_str_eq(text, expected);
}

START_TEST(test_round_trip)
{
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();

        tmproot_write(&t, BOOT_ID_FILE, BOOT_1 "\n");
        check_read(&t, "");
        ck_assert_int_eq(loaded_write(t.root, names, NULL), 0);
        check_read(&t, "nvidia nvidia_uvm nvidia_drm");

        /* The new record takes the place of the old one. */
        ck_assert_int_eq(loaded_write(t.root, names + 2, NULL), 0);
        check_read(&t, "nvidia_drm");

        ck_assert_int_eq(loaded_forget(t.root), 0);
        check_read(&t, "");
        ck_assert_int_eq(loaded_forget(t.root), 0);
        ck_assert_int_eq(loaded_write(t.root, NULL, NULL), 0);
        check_read(&t, "");
}
END_TEST

/* Our own parameters come back; those of an older record are not known, and none is not the same as that. */
START_TEST(test_parameters)
{
        static char *const parameters[] = { (char *)"NVreg_A=1 NVreg_B=\"x y\"", (char *)"",
                (char *)LOADED_UNKNOWN, NULL };
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();
        _cleanup_(module_facts_done) ModuleFacts modules = {};
        _cleanup_strv_ char **list = NULL;

        for (size_t i = 0; names[i]; i++) {
                ModuleFact m = { .name = str_underscore(strdup(names[i])) };

                ck_assert_int_eq(module_facts_add(&modules, &m), 0);
        }
        tmproot_write(&t, BOOT_ID_FILE, BOOT_1 "\n");
        ck_assert_int_eq(loaded_write(t.root, names, parameters), 0);
        check_read(&t, "nvidia nvidia_uvm nvidia_drm");
        ck_assert_int_eq(loaded_read_with(t.root, &modules, &list), 0);
        ck_assert_uint_eq(strv_length(list), 3);
        ck_assert_str_eq(modules.items[0].loaded_with, parameters[0]);
        ck_assert_str_eq(modules.items[1].loaded_with, "");
        ck_assert_ptr_null(modules.items[2].loaded_with);
}
END_TEST

START_TEST(test_another_boot)
{
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();

        tmproot_write(&t, BOOT_ID_FILE, BOOT_1 "\n");
        ck_assert_int_eq(loaded_write(t.root, names, NULL), 0);
        tmproot_write(&t, BOOT_ID_FILE, BOOT_2 "\n");
        check_read(&t, "");
        tmproot_rm(&t, BOOT_ID_FILE);
        check_read(&t, "");
        tmproot_write(&t, BOOT_ID_FILE, BOOT_1 "\n");
        check_read(&t, "nvidia nvidia_uvm nvidia_drm");
}
END_TEST

/* A kernel that does not tell the boot: nothing is taken for ours. */
START_TEST(test_no_boot_id)
{
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();

        ck_assert_int_eq(loaded_write(t.root, names, NULL), 0);
        check_read(&t, "");
        tmproot_write(&t, BOOT_ID_FILE, "short\n");
        ck_assert_int_eq(loaded_write(t.root, names, NULL), 0);
        check_read(&t, "");
}
END_TEST

static const char *const records[] = {
        "",
        "\n",
        BOOT_1,
        BOOT_1 "\n\n\n",
        "nvidia\n",
        BOOT_1 "nvidia\n",
        "\n" BOOT_2 "\nnvidia\n",
};

START_TEST(test_damaged)
{
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();

        tmproot_write(&t, BOOT_ID_FILE, BOOT_1 "\n");
        tmproot_write(&t, RUNTIME_LOADED, records[_i]);
        check_read(&t, "");
}
END_TEST

START_TEST(test_cut)
{
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();

        tmproot_write(&t, BOOT_ID_FILE, BOOT_1 "\n");
        tmproot_write(&t, RUNTIME_LOADED, BOOT_1 "\nnvidia\nnvidia-uv");
        check_read(&t, "nvidia nvidia_uv");
}
END_TEST

START_TEST(test_too_big)
{
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();
        char big[20000];

        memset(big, 'a', sizeof(big) - 1);
        big[sizeof(big) - 1] = '\0';
        memcpy(big, BOOT_1 "\n", strlen(BOOT_1) + 1);
        tmproot_write(&t, BOOT_ID_FILE, BOOT_1 "\n");
        tmproot_write(&t, RUNTIME_LOADED, big);
        check_read(&t, "");
}
END_TEST

#define RECORD_DIRECTORY "run/nvidia"

START_TEST(test_impossible)
{
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();
        char **list = NULL;

        tmproot_write(&t, BOOT_ID_FILE, BOOT_1 "\n");
        tmproot_mkdir(&t, RUNTIME_LOADED);
        ck_assert_int_eq(loaded_read(t.root, &list), -EISDIR);
        ck_assert_int_lt(loaded_write(t.root, names, NULL), 0);
        ck_assert_int_lt(loaded_forget(t.root), 0);

        /* Nothing of the failed attempts is left beside it. */
        tmproot_rm(&t, RUNTIME_LOADED);
        ck_assert_int_eq(rmdir(strcat(t.path, "/" RECORD_DIRECTORY)), 0);
        t.path[strlen(t.path) - strlen("/" RECORD_DIRECTORY)] = '\0';

        tmproot_write(&t, RECORD_DIRECTORY, "a file");
        ck_assert_int_lt(loaded_write(t.root, names, NULL), 0);
        ck_assert_int_eq(loaded_forget(t.root), 0);
        check_read(&t, "");

        tmproot_rm(&t, RECORD_DIRECTORY);
        ck_assert_int_eq(loaded_write(t.root, names, NULL), 0);
        tmproot_rm(&t, BOOT_ID_FILE);
        tmproot_mkdir(&t, BOOT_ID_FILE);
        ck_assert_int_eq(loaded_read(t.root, &list), -EISDIR);
        ck_assert_int_eq(loaded_write(t.root, names, NULL), -EISDIR);
        ck_assert_ptr_null(list);
}
END_TEST

UNIT_MAIN("loaded", UNIT_TEST(test_round_trip), UNIT_TEST(test_parameters), UNIT_TEST(test_another_boot),
                UNIT_TEST(test_no_boot_id), UNIT_LOOP(test_damaged, ELEMENTSOF(records)),
                UNIT_TEST(test_cut), UNIT_TEST(test_too_big), UNIT_TEST(test_impossible))
