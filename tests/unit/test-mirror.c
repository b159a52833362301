/* SPDX-License-Identifier: Apache-2.0 */

/* Where files of a release may lie, and which of these places is believed. */

#include "unit.h"

#include "base/str.h"
#include "policy/mirror.h"

static const MirrorRelease release = { "stable", "amd64-usr", "4230.2.3" };

static const struct {
        const char *text, *expanded; /* NULL: not valid */
        bool remote, trusted;
} cases[] = {
        { "/srv", "/srv", false, true },
        { "/srv/%c/%b/%v/", "/srv/stable/amd64-usr/4230.2.3", false, true },
        { "file:///srv/%v//", "/srv/4230.2.3", false, true },
        { "/a%%b", "/a%b", false, true },
        { "https://%c.example/%b/%v", "https://stable.example/amd64-usr/4230.2.3", true, true },
        { "https://host:8443/x", "https://host:8443/x", true, true },
        { "http://host/x", "http://host/x", true, false },
        { "http://127.0.0.1/x", "http://127.0.0.1/x", true, true },
        { "http://127.1.2.3:80/x", "http://127.1.2.3:80/x", true, true },
        { "http://localhost:80", "http://localhost:80", true, true },
        { "http://[::1]:80/x", "http://[::1]:80/x", true, true },
        { "http://[::2]:80/x", "http://[::2]:80/x", true, false },
        { "http://[::1]a/x", "http://[::1]a/x", true, false },
        { "http://localhost.example/x", "http://localhost.example/x", true, false },
        { "http://127.0.0.1.example/x", "http://127.0.0.1.example/x", true, false },
        { "http://127.0.0.1.2/x", "http://127.0.0.1.2/x", true, false },
        { "http://127.0.0/x", "http://127.0.0/x", true, false },
        { "http://127..0.1/x", "http://127..0.1/x", true, false },
        { "http://127.0.0.", "http://127.0.0.", true, false },
        { "http://1270.0.0.1/x", "http://1270.0.0.1/x", true, false },
        { "https://", NULL, false, false },
        { "https:///x", NULL, false, false },
        { "https://:80/x", NULL, false, false },
        { "https://user@host/x", NULL, false, false },
        { "https://host/x?token=1", NULL, false, false },
        { "https://host/x#y", NULL, false, false },
        { "https://host/../x", NULL, false, false },
        { "/srv/..", NULL, false, false },
        { "/", NULL, false, false },
        { "file://host/x", NULL, false, false },
        { "file:///", NULL, false, false },
        { "ftp://host/x", NULL, false, false },
        { "srv", NULL, false, false },
        { "/srv/%d", NULL, false, false },
        { "/srv/%", NULL, false, false },
        { "/srv/\"x\"", NULL, false, false },
        { "", NULL, false, false },
};

START_TEST(test_mirror)
{
        _cleanup_free_ char *expanded = NULL;

        ck_assert_msg(mirror_is_valid(cases[_i].text) == !!cases[_i].expanded, "'%s'", cases[_i].text);
        if (!cases[_i].expanded)
                return;
        expanded = mirror_expand(cases[_i].text, &release);
        ck_assert_str_eq(expanded, cases[_i].expanded);
        ck_assert_int_eq(mirror_is_remote(expanded), cases[_i].remote);
        ck_assert_int_eq(mirror_is_trusted(expanded), cases[_i].trusted);
}
END_TEST

START_TEST(test_too_long)
{
        char text[2048] = "/";

        memset(text + 1, 'x', 1023);
        ck_assert(mirror_is_valid(text));
        text[1024] = 'x';
        ck_assert(!mirror_is_valid(text));
}
END_TEST

#define HEX64 "0123456789abcdef0123456789ABCDEF0123456789abcdef0123456789abcdef"

START_TEST(test_checksum)
{
        Checksum a = {}, b = {};

        ck_assert(checksum_parse("sha256:" HEX64, &a));
        ck_assert_int_eq(a.kind, CHECKSUM_SHA256);
        ck_assert_str_eq(a.hex, "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef");
        ck_assert(checksum_parse("sha512:" HEX64 HEX64, &b));
        ck_assert_int_eq(b.kind, CHECKSUM_SHA512);
        ck_assert(!checksum_equal(&a, &b));
        ck_assert(checksum_equal(&b, &b));
        ck_assert(!checksum_parse("sha512:" HEX64, &b));
        ck_assert(!checksum_parse("sha256:" HEX64 "0", &b));
        ck_assert(!checksum_parse(
                        "sha256:g123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", &b));
        ck_assert(!checksum_parse("sha256" HEX64, &b));
        ck_assert(!checksum_parse("md5:0123456789abcdef0123456789abcdef", &b));
        ck_assert(!checksum_parse("", &b));
        ck_assert_int_eq(b.kind, CHECKSUM_SHA512);
        ck_assert_int_eq(checksum_kind_from_string("sha512"), CHECKSUM_SHA512);
        ck_assert_int_lt(checksum_kind_from_string("sha1"), 0);
        ck_assert_str_eq(checksum_kind_to_string(CHECKSUM_SHA256), "sha256");
        ck_assert_ptr_null(checksum_kind_to_string(_CHECKSUM_KIND_MAX));
}
END_TEST

UNIT_MAIN("mirror", UNIT_LOOP(test_mirror, ELEMENTSOF(cases)), UNIT_TEST(test_too_long),
                UNIT_TEST(test_checksum))
