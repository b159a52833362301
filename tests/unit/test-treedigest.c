/* SPDX-License-Identifier: Apache-2.0 */

#include "base/str.h"
#include "sys/treedigest.h"
#include "tmproot.h"

static bool is_left_out(const char *path)
{
        return streq(path, "a/left-out");
}

static void digest_of(const TmpRoot *t, const char *name, char hex[static DIGEST_HEX_SIZE])
{
        _cleanup_free_ char *path = str_format("%s/%s", t->path, name), *why = NULL;

        ck_assert_int_eq(treedigest(path, is_left_out, hex, &why), 0);
        ck_assert_ptr_null(why);
}

static void fill(TmpRoot *t, const char *name)
{
        static const struct {
                const char *file, *text;
        } files[] = { { "b", "two" }, { "a/x", "one" }, { "a/deep/y", "" }, { "a-b", "three" } };

        for (size_t i = 0; i < ELEMENTSOF(files); i++) {
                _cleanup_free_ char *path = str_format("%s/%s", name, files[i].file);

                tmproot_write(t, path, files[i].text);
        }
}

/* Where it lies, in what order it was written, and what does not count. */
START_TEST(test_same)
{
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();
        char one[DIGEST_HEX_SIZE], other[DIGEST_HEX_SIZE];

        fill(&t, "one");
        tmproot_write(&t, "deep/er/other/a-b", "three");
        fill(&t, "deep/er/other");
        tmproot_write(&t, "deep/er/other/a/left-out", "x");
        tmproot_mkdir(&t, "deep/er/other/empty");
        digest_of(&t, "one", one);
        digest_of(&t, "deep/er/other", other);
        ck_assert_str_eq(one, other);
        ck_assert_uint_eq(strlen(one), 64);
}
END_TEST

static const struct {
        const char *file, *text, *link;
} changes[] = {
        { "t/b", "twO", NULL },
        { "t/b", "", NULL },
        { "t/new", "", NULL },
        { "t/a/deep/z", "", NULL },
        { "t/link", NULL, "b" },
        { "t/link", NULL, "/etc/passwd" },
        { "t/link", NULL, "nowhere" },
};

START_TEST(test_other)
{
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();
        char before[DIGEST_HEX_SIZE], after[DIGEST_HEX_SIZE];

        fill(&t, "t");
        digest_of(&t, "t", before);
        if (changes[_i].link)
                tmproot_link(&t, changes[_i].link, changes[_i].file);
        else
                tmproot_write(&t, changes[_i].file, changes[_i].text);
        digest_of(&t, "t", after);
        ck_assert_str_ne(before, after);
}
END_TEST

/* Two links that lead elsewhere are two. */
START_TEST(test_links)
{
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();
        char one[DIGEST_HEX_SIZE], other[DIGEST_HEX_SIZE];

        tmproot_write(&t, "one/f", "x");
        tmproot_write(&t, "other/f", "x");
        tmproot_link(&t, "f", "one/link");
        tmproot_link(&t, "./f", "other/link");
        digest_of(&t, "one", one);
        digest_of(&t, "other", other);
        ck_assert_str_ne(one, other);
}
END_TEST

START_TEST(test_absent)
{
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();
        _cleanup_free_ char *path = str_format("%s/none", t.path), *why = NULL;
        char hex[DIGEST_HEX_SIZE];

        ck_assert_int_eq(treedigest(path, NULL, hex, &why), -ENOENT);
        ck_assert_str_eq(why, path);
}
END_TEST

UNIT_MAIN("treedigest", UNIT_TEST(test_same), UNIT_LOOP(test_other, ELEMENTSOF(changes)),
                UNIT_TEST(test_links), UNIT_TEST(test_absent))
