/* SPDX-License-Identifier: Apache-2.0 */

#include "unit.h"

#include "base/str.h"
#include "policy/signer.h"

#define PRINT "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

/* Two certificates, and what a signature tells of them. */
static const Signer full = {
        .name = (char *)"Module Key",
        .issuer = (char *)"Root",
        .serial = (char *)"01",
        .key_id = (char *)"aabb",
        .fingerprint = (char *)PRINT,
        .hash = (char *)"sha512",
};
static const Signer twin = { .issuer = (char *)"Root", .serial = (char *)"01", .fingerprint = (char *)"ff" };
static const Signer seen = { .issuer = (char *)"Root", .serial = (char *)"01", .hash = (char *)"sha512" };
static const Signer other_serial = { .issuer = (char *)"Root", .serial = (char *)"02" };
static const Signer other_issuer = { .issuer = (char *)"Boot", .serial = (char *)"01" };
static const Signer empty = {};

static const struct {
        const Signer *a, *b;
        bool same;
} pairs[] = {
        { &full, &full, true },
        { &full, &seen, true },
        { &seen, &twin, true },
        { &full, &twin, false }, /* a serial number used twice */
        { &full, &other_serial, false },
        { &seen, &other_issuer, false },
        { &full, &empty, false },
        { &empty, &empty, false },
        { NULL, &full, false },
        { NULL, NULL, false },
};

START_TEST(test_same)
{
        ck_assert_int_eq(signer_same(pairs[_i].a, pairs[_i].b), pairs[_i].same);
        ck_assert_int_eq(signer_same(pairs[_i].b, pairs[_i].a), pairs[_i].same);
}
END_TEST

START_TEST(test_copy)
{
        Signer copy = {};

        ck_assert_int_eq(signer_copy(&full, &copy), 0);
        ck_assert(signer_same(&full, &copy));
        ck_assert_str_eq(copy.key_id, "aabb");
        ck_assert_str_eq(copy.hash, "sha512");
        ck_assert_ptr_ne(copy.name, full.name);
        signer_done(&copy);
        ck_assert(signer_is_empty(&copy));
        ck_assert_int_eq(signer_copy(&empty, &copy), 0);
        ck_assert(signer_is_empty(&copy));
        signer_done(&copy);
}
END_TEST

START_TEST(test_texts)
{
        _cleanup_free_ char *a = signer_identity(&full), *b = signer_identity(&seen),
                            *none = signer_identity(&empty);

        ck_assert_str_eq(a, "signer=01 sha512 Root");
        ck_assert_str_eq(a, b);
        ck_assert_str_eq(none, "signer=n/a n/a n/a");
        ck_assert_str_eq(signer_name(&full), "Module Key");
        ck_assert_str_eq(signer_name(&seen), "Root");
        ck_assert_str_eq(signer_name(&empty), "");
}
END_TEST

START_TEST(test_validity)
{
        ck_assert_int_eq(signer_validity(10, 20, 9), SIGNER_NOT_YET);
        ck_assert_int_eq(signer_validity(10, 20, 10), SIGNER_VALID);
        ck_assert_int_eq(signer_validity(10, 20, 20), SIGNER_VALID);
        ck_assert_int_eq(signer_validity(10, 20, 21), SIGNER_EXPIRED);
        ck_assert_int_eq(signer_validity(INT64_MIN, INT64_MAX, INT64_MAX), SIGNER_VALID);
}
END_TEST

UNIT_MAIN("signer", UNIT_TEST(test_validity), UNIT_LOOP(test_same, ELEMENTSOF(pairs)), UNIT_TEST(test_copy),
                UNIT_TEST(test_texts))
