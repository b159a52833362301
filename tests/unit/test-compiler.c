/* SPDX-License-Identifier: Apache-2.0 */

#include "unit.h"

#include "base/str.h"
#include "policy/compiler.h"

#define DEBIAN_GCC "gcc-12 (Debian 12.2.0-14+deb12u1) 12.2.0"
#define CROSS_GCC  "x86_64-linux-gnu-gcc-12 (Debian 12.2.0-14+deb12u1) 12.2.0"
#define FLATCAR    "x86_64-cros-linux-gnu-gcc (Gentoo Hardened 13.3.1_p20240614 p17) 13.3.1 20240614"
#define FEDORA     "gcc (GCC) 14.2.1 20240912 (Red Hat 14.2.1-3)"
#define CLANG_14   "Debian clang version 14.0.6"
#define CLANG_17   "clang version 17.0.6 (https://github.com/llvm/llvm-project 6009708b4)"

static const struct {
        const char *text;
        int r;
        CompilerVersion version;
        const char *candidates;
} texts[] = {
        { DEBIAN_GCC, 0, { COMPILER_GCC, 12, 2, 0 }, "gcc-12 gcc" },
        { DEBIAN_GCC "\nCopyright (C) 2022 clang version 3.1", 0, { COMPILER_GCC, 12, 2, 0 }, "gcc-12 gcc" },
        { CROSS_GCC, 0, { COMPILER_GCC, 12, 2, 0 }, "x86_64-linux-gnu-gcc-12 gcc-12 gcc" },
        { FLATCAR, 0, { COMPILER_GCC, 13, 3, 1 }, "x86_64-cros-linux-gnu-gcc gcc-13 gcc" },
        { FEDORA, 0, { COMPILER_GCC, 14, 2, 1 }, "gcc-14 gcc" },
        { "cc (Debian 12.2.0-14) 12.2.0", 0, { COMPILER_GCC, 12, 2, 0 }, "gcc-12 gcc" },
        { "aarch64-linux-gcc.br_real (Buildroot 2020.08-14-ge5a2a90) 9.3", 0, { COMPILER_GCC, 9, 3, 0 },
                        "aarch64-linux-gcc.br_real gcc-9 gcc" },
        { "gcc (a (nested) b) 11.4.0", 0, { COMPILER_GCC, 11, 4, 0 }, "gcc-11 gcc" },
        { "../gcc 11.4.0", 0, { COMPILER_GCC, 11, 4, 0 }, "gcc-11 gcc" },
        { CLANG_14, 0, { COMPILER_CLANG, 14, 0, 6 }, "clang-14 clang" },
        { CLANG_17, 0, { COMPILER_CLANG, 17, 0, 6 }, "clang-17 clang" },
        { "clang version trunk", COMPILER_E_UNKNOWN, {}, "gcc cc" },
        { "gcc (Debian 12.2.0)", COMPILER_E_UNKNOWN, {}, "gcc cc" },
        { "gcc 123456.1", COMPILER_E_UNKNOWN, {}, "gcc cc" },
        { "tcc version 0.9.27", COMPILER_E_UNKNOWN, {}, "gcc cc" },
        { "", COMPILER_E_UNKNOWN, {}, "gcc cc" },
        { NULL, COMPILER_E_UNKNOWN, {}, "gcc cc" },
};

START_TEST(test_parse)
{
        CompilerVersion v = {};

        ck_assert_int_eq(compiler_version_parse(texts[_i].text, &v), texts[_i].r);
        ck_assert_int_eq(v.kind, texts[_i].version.kind);
        ck_assert_uint_eq(v.major, texts[_i].version.major);
        ck_assert_uint_eq(v.minor, texts[_i].version.minor);
        ck_assert_uint_eq(v.patch, texts[_i].version.patch);
}
END_TEST

START_TEST(test_candidates)
{
        _cleanup_strv_ char **l = NULL, **own = NULL;
        _cleanup_free_ char *joined = NULL, *joined_own = NULL;

        ck_assert_int_eq(compiler_candidates(texts[_i].text, NULL, &l), 0);
        joined = strv_join(l, " ");
        ck_assert_str_eq(joined, texts[_i].candidates);
        ck_assert_int_eq(compiler_candidates(texts[_i].text, "/opt/gcc", &own), 0);
        joined_own = strv_join(own, " ");
        ck_assert_str_eq(joined_own, "/opt/gcc");
}
END_TEST

static const struct {
        const char *kernel, *compiler;
        CompilerVerdict verdict;
        bool usable, ignored;
        const char *words;
} pairs[] = {
        { CROSS_GCC, DEBIAN_GCC, COMPILER_SAME, true, true, "the kernel's: \"" DEBIAN_GCC "\"" },
        { "gcc (GCC) 12.1.0", DEBIAN_GCC, COMPILER_MINOR, true, true, "same major version" },
        { "gcc (GCC) 12.2.1", DEBIAN_GCC, COMPILER_MINOR, true, true, "same major version" },
        { FEDORA, DEBIAN_GCC "\nmore", COMPILER_MAJOR, false, true,
                        "\"" DEBIAN_GCC "\", the kernel was built with \"" FEDORA },
        { CLANG_14, DEBIAN_GCC, COMPILER_OTHER, false, true, "another compiler" },
        { DEBIAN_GCC, CLANG_14, COMPILER_OTHER, false, true, "another compiler" },
        { CLANG_14, CLANG_17, COMPILER_MAJOR, false, true, "another major version" },
        { NULL, DEBIAN_GCC, COMPILER_NOT_KNOWN, true, true, "n/a" },
        { DEBIAN_GCC, "tcc", COMPILER_NOT_KNOWN, true, true, "cannot be compared" },
};

START_TEST(test_judge)
{
        CompilerVerdict verdict = compiler_judge(pairs[_i].kernel, pairs[_i].compiler);
        _cleanup_free_ char *text = compiler_explain(verdict, pairs[_i].kernel, pairs[_i].compiler);

        ck_assert_int_eq(verdict, pairs[_i].verdict);
        ck_assert_int_eq(compiler_verdict_usable(verdict, false), pairs[_i].usable);
        ck_assert_int_eq(compiler_verdict_usable(verdict, true), pairs[_i].ignored);
        ck_assert_msg(strstr(text, pairs[_i].words), "%s", text);
        ck_assert_ptr_null(strchr(text, '\n'));
}
END_TEST

START_TEST(test_choose)
{
        const CompilerFact none[] = { { "gcc-12", NULL }, { "gcc", NULL } };
        const CompilerFact second[] = { { "gcc-12", NULL }, { "gcc", DEBIAN_GCC } };
        const CompilerFact better[] = { { "cc", CLANG_14 }, { "gcc-13", FLATCAR }, { "odd", "odd" },
                { "gcc-12", DEBIAN_GCC }, { "gcc", DEBIAN_GCC } };
        const CompilerFact wrong[] = { { "cc", CLANG_14 }, { "gcc", FEDORA } };
        CompilerChoice c;

        ck_assert(!compiler_choose(DEBIAN_GCC, none, 2, true).found);
        ck_assert(!compiler_choose(DEBIAN_GCC, NULL, 0, true).found);
        c = compiler_choose(DEBIAN_GCC, second, 2, false);
        ck_assert(c.found && c.usable && c.index == 1 && c.verdict == COMPILER_SAME);
        c = compiler_choose(DEBIAN_GCC, better, 5, false);
        ck_assert(c.found && c.usable && c.index == 3 && c.verdict == COMPILER_SAME);
        c = compiler_choose("gcc 12.1.0", better, 5, false);
        ck_assert(c.usable && c.index == 3 && c.verdict == COMPILER_MINOR);
        c = compiler_choose(DEBIAN_GCC, better, 3, false);
        ck_assert(c.usable && c.index == 2 && c.verdict == COMPILER_NOT_KNOWN);
        c = compiler_choose(DEBIAN_GCC, wrong, 2, false);
        ck_assert(c.found && !c.usable && c.index == 1 && c.verdict == COMPILER_MAJOR);
        c = compiler_choose(DEBIAN_GCC, wrong, 2, true);
        ck_assert(c.found && c.usable && c.index == 1);
}
END_TEST

START_TEST(test_names)
{
        _cleanup_free_ char *text = compiler_explain(_COMPILER_VERDICT_INVALID, NULL, NULL);

        ck_assert_str_eq(compiler_kind_to_string(COMPILER_UNKNOWN), "unknown");
        ck_assert_str_eq(compiler_kind_to_string(COMPILER_GCC), "gcc");
        ck_assert_str_eq(compiler_kind_to_string(COMPILER_CLANG), "clang");
        ck_assert_str_eq(compiler_kind_to_string(_COMPILER_KIND_MAX), "invalid");
        for (CompilerVerdict v = 0; v < _COMPILER_VERDICT_MAX; v++)
                ck_assert_ptr_nonnull(compiler_verdict_to_string(v));
        ck_assert_str_eq(compiler_verdict_to_string(_COMPILER_VERDICT_INVALID), "invalid");
        ck_assert(!compiler_verdict_usable(_COMPILER_VERDICT_INVALID, true));
        ck_assert_str_eq(text, "no compiler");
}
END_TEST

UNIT_MAIN("compiler", UNIT_LOOP(test_parse, ELEMENTSOF(texts)),
                UNIT_LOOP(test_candidates, ELEMENTSOF(texts)), UNIT_LOOP(test_judge, ELEMENTSOF(pairs)),
                UNIT_TEST(test_choose), UNIT_TEST(test_names))
