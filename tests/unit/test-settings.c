/* SPDX-License-Identifier: Apache-2.0 */

#include "tree.h"

#include "settings.h"
#include "tmproot.h"

#define ETC "etc/nvidia-driverd/"
#define LIB "usr/lib/nvidia-driverd/"

typedef struct Loaded {
        Config *config;
        char **problems;
        char *text; /* the problems, one per line */
} Loaded;

static void loaded_done(Loaded *l)
{
        config_free(l->config);
        strv_free(l->problems);
        free(l->text);
}

static void load(Tree *tree, const char *explicit_file, const char *const *environ_pairs, Loaded *ret)
{
        ck_assert_int_eq(settings_load(tree->root, explicit_file, (char *const *)environ_pairs, NULL,
                                         &ret->problems, &ret->config),
                        0);
        ret->text = strv_join(ret->problems, "\n");
}

START_TEST(test_nothing_there)
{
        _cleanup_(loaded_done) Loaded l = {};
        _cleanup_tree_ Tree tree = {};

        tree_init(&tree);
        load(&tree, NULL, NULL, &l);
        ck_assert_str_eq(l.text, "");
        ck_assert_uint_eq(l.config->store_keep, 3);
}
END_TEST

START_TEST(test_order_of_authority)
{
        static const char *const environment[] = { "HOME=/", "MAX_THREADS_X=9", "MAX_THREADS=5",
                "MAX_THREADS=6", "DRIVER_VERSION=", NULL };
        _cleanup_(loaded_done) Loaded l = {};
        _cleanup_free_ char *modules = NULL;
        _cleanup_tree_ Tree tree = {};

        tree_init(&tree);
        tree_write(&tree, LIB "driverd.conf", "[Store]\nKeep=99\n");
        tree_write(&tree, ETC "driverd.conf",
                        "[Driver]\nVersion=1.2\nModules=nvidia\n[Store]\nKeep=4\n[Build]\nJobs=3\n[Parameters]\n"
                        "nvidia=a=1\n");
        tree_write(&tree, ETC "driverd.conf.d/20.conf", "[Store]\nKeep=6\n[Parameters]\nnvidia=b=2\n");
        tree_write(&tree, LIB "driverd.conf.d/10.conf", "[Store]\nKeep=5\n[Driver]\nModules=nvidia-uvm\n");
        load(&tree, NULL, environment, &l);

        ck_assert_str_eq(l.text, "");
        ck_assert_uint_eq(l.config->store_keep, 6);
        ck_assert_uint_eq(l.config->build_jobs, 5);
        ck_assert_str_eq(l.config->driver_version, "1.2");
        ck_assert_str_eq(config_module_parameters(l.config, "nvidia"), "a=1 b=2");
        modules = strv_join(l.config->modules, " ");
        ck_assert_str_eq(modules, "nvidia nvidia-uvm");
}
END_TEST

START_TEST(test_module_type_wins)
{
        static const char *const environment[] = { "KERNEL_MODULE_TYPE=proprietary",
                "OPEN_KERNEL_MODULES_ENABLED=true", NULL };
        _cleanup_(loaded_done) Loaded l = {};
        _cleanup_tree_ Tree tree = {};

        tree_init(&tree);
        load(&tree, NULL, environment, &l);
        ck_assert_int_eq(l.config->driver_type, DRIVER_CHOICE_PROPRIETARY);
}
END_TEST

START_TEST(test_problems)
{
        static const char *const environment[] = { "MAX_THREADS=all", NULL };
        _cleanup_free_ char *expected = NULL;
        _cleanup_(loaded_done) Loaded l = {};
        _cleanup_tree_ Tree tree = {};

        tree_init(&tree);
        tree_write(&tree, ETC "driverd.conf",
                        "[Build]\n# a comment\nJobs=many\nJob=4\n  DebugInfo=yes\n[Bild]\nJobs=4\n[Retry]\n"
                        "DelaySec=6min\n");
        tree_symlink(&tree, "nowhere", ETC "driverd.conf.d/a.conf");
        ck_assert_int_eq(root_mkdirs(tree.root, ETC "driverd.conf.d/b.conf", 0755), 0);
        tree_symlink(&tree, "c", ETC "driverd.conf.d/c.conf/d");
        load(&tree, NULL, environment, &l);

        expected = str_format(
                        "%1$s/" ETC "driverd.conf:3: Jobs=many: expected a whole number from 0 to 1024; "
                        "ignoring the line\n"
                        "%1$s/" ETC "driverd.conf:4: Job=: no such key in [Build], did you mean Jobs=?; "
                        "ignoring the line\n"
                        "%1$s/" ETC
                        "driverd.conf:5: expected the line to start in its first column, ignoring "
                        "the line; an indented line does not continue the one before it\n"
                        "%1$s/" ETC "driverd.conf:7: [Bild] Jobs=: no such section, did you mean [Build]?; "
                        "ignoring the line\n"
                        "%1$s/" ETC "driverd.conf.d/a.conf: no such file or directory; ignoring the file\n"
                        "%1$s/" ETC "driverd.conf.d/b.conf: Is a directory; ignoring the file\n"
                        "%1$s/" ETC "driverd.conf.d/c.conf: Is a directory; ignoring the file\n"
                        "environment variable MAX_THREADS=all: expected a whole number from 0 to 1024; ignoring it\n"
                        "[Retry] MaxDelaySec=: 5min 0s is shorter than DelaySec= (6min 0s), using 6min 0s for both",
                        tree.path);
        ck_assert_str_eq(l.text, expected);
        ck_assert_uint_eq(l.config->build_jobs, 0);
        ck_assert(!l.config->build_debug_info);
}
END_TEST

START_TEST(test_too_big)
{
        static char big[65 * 1024];
        _cleanup_(loaded_done) Loaded l = {};
        _cleanup_tree_ Tree tree = {};

        tree_init(&tree);
        (void)memset(big, '\n', sizeof(big));
        tree_write_bytes(&tree, ETC "driverd.conf", big, sizeof(big));
        load(&tree, NULL, NULL, &l);
        ck_assert(strstr(l.text, "driverd.conf: larger than 64 KiB; ignoring the file"));
}
END_TEST

START_TEST(test_many_problems)
{
        char text[400 * 2 + 1];
        _cleanup_(loaded_done) Loaded l = {};
        _cleanup_tree_ Tree tree = {};

        tree_init(&tree);
        for (size_t i = 0; i < 400; i++)
                (void)strcpy(text + 2 * i, "x\n");
        tree_write(&tree, ETC "driverd.conf", text);
        tree_write(&tree, ETC "driverd.conf.d/a.conf", "[Store]\nKeep=7\n");
        load(&tree, NULL, NULL, &l);
        ck_assert_uint_eq(strv_length(l.problems), 101);
        ck_assert_str_eq(l.problems[100], "there are more problems than are shown here");
        ck_assert_uint_eq(l.config->store_keep, 7);
}
END_TEST

START_TEST(test_explicit_file)
{
        _cleanup_(loaded_done) Loaded l = {};
        _cleanup_tree_ Tree tree = {};

        tree_init(&tree);
        tree_write(&tree, ETC "driverd.conf", "[Store]\nKeep=7\n");
        tree_write(&tree, ETC "driverd.conf.d/a.conf", "[Store]\nKeep=8\n");
        tree_write(&tree, "my.conf", "[Build]\nJobs=2\nJobs=x\n");
        load(&tree, "/my.conf", NULL, &l);
        ck_assert_uint_eq(l.config->store_keep, 3);
        ck_assert_uint_eq(l.config->build_jobs, 2);
        ck_assert(strstr(l.text, "/my.conf:3: Jobs=x: expected"));
}
END_TEST

START_TEST(test_explicit_file_fails)
{
        static char big[65 * 1024];
        char **problems = (char **)big;
        Config *config = (Config *)big;
        _cleanup_tree_ Tree tree = {};

        tree_init(&tree);
        ck_assert_int_eq(settings_load(tree.root, "/my.conf", NULL, NULL, &problems, &config),
                        SETTINGS_E_NO_FILE);
        ck_assert_int_eq(root_mkdirs(tree.root, "my.conf", 0755), 0);
        ck_assert_int_eq(settings_load(tree.root, "/my.conf", NULL, NULL, &problems, &config),
                        SETTINGS_E_UNREADABLE);
        ck_assert_int_eq(errno, EISDIR);
        tree_write_bytes(&tree, "big.conf", big, sizeof(big));
        ck_assert_int_eq(settings_load(tree.root, "/big.conf", NULL, NULL, &problems, &config),
                        SETTINGS_E_UNREADABLE);
        ck_assert_int_eq(errno, EFBIG);

        /* set on success only */
        ck_assert_ptr_eq(problems, (char **)big);
        ck_assert_ptr_eq(config, (Config *)big);
}
END_TEST

/* A host whose image brings a main file and two drop-ins, one of which its administrator has replaced. */
START_TEST(test_story_of_a_flatcar_host)
{
        _cleanup_free_ char *path = str_format("%s/config/flatcar", getenv("FIXTURES")), *modules = NULL;
        _cleanup_(root_freep) Root *root = NULL;
        _cleanup_(loaded_done) Loaded l = {};

        ck_assert_int_eq(root_new(path, &root), 0);
        ck_assert_int_eq(settings_load(root, NULL, NULL, NULL, &l.problems, &l.config), 0);
        ck_assert_ptr_null(l.problems);
        ck_assert_str_eq(l.config->driver_version, "535.261.03");
        ck_assert_str_eq(l.config->driver_source, "/opt/nvidia/535.261.03");
        ck_assert_uint_eq(l.config->store_keep, 2);
        ck_assert_uint_eq(l.config->retry_attempts, 0);
        modules = strv_join(l.config->modules, " ");
        ck_assert_str_eq(modules, "nvidia nvidia-uvm nvidia-modeset nvidia-drm nvidia-peermem");
        ck_assert_str_eq(config_module_parameters(l.config, "nvidia-drm"), "modeset=1 fbdev=1");
}
END_TEST

/* What we ship, read as a host would read it. */
START_TEST(test_shipped_file)
{
        _cleanup_free_ char *path = str_format("%s/../../conf", getenv("FIXTURES"));
        _cleanup_(root_freep) Root *root = NULL;
        _cleanup_(loaded_done) Loaded l = {};

        ck_assert_int_eq(root_new(path, &root), 0);
        ck_assert_int_eq(settings_load(root, "/driverd.conf", NULL, NULL, &l.problems, &l.config), 0);
        ck_assert_ptr_null(l.problems);
        ck_assert_uint_eq(l.config->assigned, 0);
}
END_TEST

START_TEST(test_operator_files)
{
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();
        _cleanup_(config_freep) Config *config = NULL;
        _cleanup_strv_ char **problems = NULL;
        _cleanup_free_ char *text = NULL, *expected = NULL;

        tmproot_write(&t, "drivers/nvidia.conf",
                        "# from the operator\n\nNVreg_A=1 NVreg_B=\"x y\"\r\noptions nvidia NVreg_C=1\nNVreg_D=\"\n"
                        "NVreg_E=5");
        tmproot_write(&t, "drivers/nvidia-uvm.conf", "uvm_debug=1\n");
        tmproot_mkdir(&t, "drivers/nvidia-peermem.conf");
        tmproot_write(&t, "etc/nvidia-driverd/driverd.conf",
                        "[Parameters]\nnvidia=NVreg_A=2\nnvidia_uvm=\n");
        ck_assert_int_eq(settings_load(t.root, NULL, NULL, NULL, &problems, &config), 0);
        ck_assert_str_eq(config_module_parameters(config, "nvidia"),
                        "NVreg_A=1 NVreg_B=\"x y\" NVreg_E=5 NVreg_A=2");
        ck_assert_ptr_null(config_module_parameters(config, "nvidia-uvm"));
        text = strv_join(problems, "\n");
        expected = str_format(
                        "%1$s/drivers/nvidia.conf:4: options nvidia NVreg_C=1: expected only key=value, such as "
                        "NVreg_X=1, and no \"options\" before it; ignoring the line\n"
                        "%1$s/drivers/nvidia.conf:5: NVreg_D=\": expected module parameters such as NVreg_X=1 "
                        "NVreg_Y=2; ignoring the line\n"
                        "%1$s/drivers/nvidia-peermem.conf: Is a directory; ignoring the file",
                        t.path);
        ck_assert_str_eq(text, expected);
}
END_TEST

/* Whoever may write such a file must not be able to hold the loop up with it. */
START_TEST(test_operator_lines)
{
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();
        _cleanup_strv_ char **problems = NULL;
        _cleanup_(config_freep) Config *c = NULL;
        char text[1026];

        memset(text, '\n', sizeof(text) - 1);
        text[sizeof(text) - 1] = '\0';
        tmproot_write(&t, "drivers/nvidia.conf", text);
        memcpy(text, "a=1", 3);
        text[1024] = '\0';
        tmproot_write(&t, "drivers/nvidia-uvm.conf", text);
        ck_assert_int_eq(settings_load(t.root, NULL, NULL, NULL, &problems, &c), 0);
        ck_assert_uint_eq(strv_length(problems), 1);
        ck_assert_ptr_nonnull(strstr(problems[0], "/drivers/nvidia.conf: more than 1024 lines"));
        ck_assert_str_eq(config_module_parameters(c, "nvidia-uvm"), "a=1");
}
END_TEST

UNIT_MAIN("settings", UNIT_TEST(test_operator_files), UNIT_TEST(test_operator_lines),
                UNIT_TEST(test_nothing_there), UNIT_TEST(test_order_of_authority),
                UNIT_TEST(test_module_type_wins), UNIT_TEST(test_problems), UNIT_TEST(test_too_big),
                UNIT_TEST(test_many_problems), UNIT_TEST(test_explicit_file),
                UNIT_TEST(test_explicit_file_fails), UNIT_TEST(test_story_of_a_flatcar_host),
                UNIT_TEST(test_shipped_file))
