/* SPDX-License-Identifier: Apache-2.0 */

/* Kept kernel trees: what belongs into one, and the two texts beside it. */

#include "unit.h"

#include "base/str.h"
#include "policy/kepttree.h"

#if defined(__aarch64__)
#define ARCH "arch/arm64"
#else
#define ARCH "arch/x86"
#endif

static const struct {
        const char *path;
        bool source, output;
} files[] = {
        { "Makefile", true, false },
        { "Kbuild", true, false },
        { ".config", false, true },
        { "Module.symvers", false, true },
        { "System.map", false, false },
        { "init/main.c", false, false },
        { "scripts/Makefile.build", true, true },
        { "scripts/mod/modpost", true, true },
        { "scripts/mod/modpost.o", false, false },
        { "scripts/mod/.modpost.cmd", false, false },
        { "scripts/dtc/include-prefixes/arm", false, true },
        { "include/linux/module.h", true, true },
        { "include/generated/autoconf.h", false, true },
        { "include/generatedly.h", true, true },
        { "include/config/auto.conf", false, true },
        { ARCH "/Makefile", true, false },
        { ARCH "/include/asm/io.h", true, true },
        { ARCH "/include/generated/asm/unistd.h", false, true },
        { ARCH "/kernel/vmlinux.lds", true, true },
        { ARCH "/kernel/head.S", false, false },
        { "arch/sparc/Makefile", false, false },
        { "tools/objtool/objtool", false, true },
        { "tools/objtool/check.c", false, false },
        { "tools/objtool/objtool-in.o", false, false },
};

START_TEST(test_wants)
{
        ck_assert_msg(kepttree_wants(KEPT_OF_SOURCE, files[_i].path) == files[_i].source, "source: %s",
                        files[_i].path);
        ck_assert_msg(kepttree_wants(KEPT_OF_OUTPUT, files[_i].path) == files[_i].output, "output: %s",
                        files[_i].path);
}
END_TEST

/* Whatever is wanted can be reached. */
START_TEST(test_enters)
{
        for (KeptPart part = KEPT_OF_OUTPUT; part <= KEPT_OF_SOURCE; part++) {
                char path[128];

                if (!kepttree_wants(part, files[_i].path))
                        continue;
                (void)snprintf(path, sizeof(path), "%s", files[_i].path);
                for (char *slash = strrchr(path, '/'); slash; slash = strrchr(path, '/')) {
                        *slash = '\0';
                        ck_assert_msg(kepttree_enters(part, path), "%d: %s", part, path);
                }
        }
        ck_assert(!kepttree_enters(KEPT_OF_SOURCE, "drivers"));
        ck_assert(!kepttree_enters(KEPT_OF_SOURCE, "arch/sparc"));
        ck_assert(!kepttree_enters(KEPT_OF_SOURCE, "include/config"));
        ck_assert(!kepttree_enters(KEPT_OF_SOURCE, "scripts/dtc/include-prefixes"));
        ck_assert(!kepttree_enters(KEPT_OF_OUTPUT, "tools/bpf"));
}
END_TEST

static const struct {
        const char *path;
        bool plain;
} paths[] = {
        { "a", true },
        { "a/b.c", true },
        { "a/..b", true },
        { "include/x+y,z=1", true },
        { "", false },
        { "/a", false },
        { "a/", false },
        { "a//b", false },
        { "..", false },
        { "a/../b", false },
        { "./a", false },
        { "a/.", false },
        { "a b", false },
        { "a\nb", false },
        { "a\"b", false },
        { "a\\b", false },
        { "a'b", false },
        { "\x80", false },
};

START_TEST(test_plain)
{
        ck_assert_msg(kepttree_path_is_plain(paths[_i].path) == paths[_i].plain, "%s", paths[_i].path);
}
END_TEST

START_TEST(test_files)
{
        _cleanup_free_ char *text = NULL, *again = NULL;
        KeptFiles f = {}, g = {};

        for (unsigned i = 0; i < 100; i++) {
                char name[32];

                (void)snprintf(name, sizeof(name), "scripts/%u", i);
                ck_assert_int_eq(kept_files_add(&f, name, i, i % 2, "0123456789abcdef"), 0);
        }
        text = kept_files_format(&f);
        ck_assert_ptr_nonnull(text);
        ck_assert_ptr_nonnull(strstr(text, "0123456789abcdef 7 x scripts/7\n"));
        ck_assert_int_eq(kept_files_parse(text, &g), 0);
        ck_assert_uint_eq(g.n, 100);
        ck_assert_str_eq(g.items[99].name, "scripts/99");
        ck_assert(g.items[99].executable && !g.items[98].executable);
        again = kept_files_format(&g);
        ck_assert_str_eq(again, text);
        kept_files_done(&f);
        kept_files_done(&g);
}
END_TEST

static const char *const bad_files[] = {
        "",
        "0123456789abcdef 1 x",
        "0123456789abcde 1 x a\n",
        "0123456789ABCDEF 1 x a\n",
        "0123456789abcdef -1 x a\n",
        "0123456789abcdef 1 w a\n",
        "0123456789abcdef 1 x ../a\n",
        "0123456789abcdef 1 x /a\n",
        "0123456789abcdef 1 x a\n0123456789abcdef 1 x\n",
};

START_TEST(test_bad_files)
{
        KeptFiles f = {};

        ck_assert_int_eq(kept_files_parse(bad_files[_i], &f), 1);
        ck_assert_uint_eq(f.n, 0);
}
END_TEST

#define SHA "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

START_TEST(test_origin)
{
        const char *text = "RELEASE=6.1.0-1\nSOURCE=usr/src/linux\nFILES_XXH64=0123456789abcdef\n"
                           "CONFIG=boot/config\nCONFIG_SHA256=" SHA "\n";
        _cleanup_free_ char *again = NULL;
        KeptOrigin o = {};

        ck_assert_int_eq(kept_origin_parse(text, &o), 0);
        ck_assert_str_eq(o.release, "6.1.0-1");
        ck_assert_str_eq(o.source, "usr/src/linux");
        ck_assert_str_eq(o.inputs[KEPT_CONFIG].path, "boot/config");
        ck_assert_ptr_null(o.inputs[KEPT_SYMVERS].path);
        again = kept_origin_format(&o);
        ck_assert_str_eq(again, text);
        kept_origin_done(&o);
}
END_TEST

#define GOOD "RELEASE=6\nSOURCE=a\nFILES_XXH64=0123456789abcdef\n"

static const char *const bad_origins[] = {
        "",
        "RELEASE=6\nSOURCE=a\n",
        "RELEASE=6\nFILES_XXH64=0123456789abcdef\n",
        "SOURCE=a\nFILES_XXH64=0123456789abcdef\n",
        "RELEASE=6\nSOURCE=../a\nFILES_XXH64=0123456789abcdef\n",
        "RELEASE=6\nSOURCE=a\nFILES_XXH64=0123456789abcde\n",
        GOOD "CONFIG=a\n",
        GOOD "CONFIG_SHA256=" SHA "\n",
        GOOD "CONFIG=/a\nCONFIG_SHA256=" SHA "\n",
        GOOD "CONFIG=a\nCONFIG_SHA256=12\n",
};

START_TEST(test_bad_origin)
{
        KeptOrigin o = {};

        ck_assert_int_eq(kept_origin_parse(bad_origins[_i], &o), 1);
        ck_assert_ptr_null(o.release);
}
END_TEST

START_TEST(test_names)
{
        BuildManifest m = { .kernel_release = (char *)"6.1.0-1" };
        const BuildManifests builds = { &m, 1 };
        _cleanup_free_ char *name = kepttree_name("6.1.0-1", SHA), *bad = kepttree_name("../6", SHA),
                            *dot = kepttree_name("..", SHA);

        ck_assert_str_eq(name, "6.1.0-1-0123456789ab");
        ck_assert_ptr_null(bad);
        ck_assert_ptr_null(dot);
        ck_assert(kepttree_is_for(name, "6.1.0-1"));
        ck_assert(kepttree_is_for(name, NULL));
        ck_assert(!kepttree_is_for(name, "6.1.0"));
        ck_assert(!kepttree_is_for("6.1.0-1", "6.1.0"));
        ck_assert(!kepttree_is_for("6.1.0-1", NULL));
        ck_assert(!kepttree_is_for("lost", NULL));
        ck_assert(kepttree_is_needed(name, &builds));
        ck_assert(!kepttree_is_needed("6.1.0-2-0123456789ab", &builds));
}
END_TEST

UNIT_MAIN("kepttree", UNIT_LOOP(test_wants, ELEMENTSOF(files)), UNIT_LOOP(test_enters, ELEMENTSOF(files)),
                UNIT_LOOP(test_plain, ELEMENTSOF(paths)), UNIT_TEST(test_files),
                UNIT_LOOP(test_bad_files, ELEMENTSOF(bad_files)), UNIT_TEST(test_origin),
                UNIT_LOOP(test_bad_origin, ELEMENTSOF(bad_origins)), UNIT_TEST(test_names))
