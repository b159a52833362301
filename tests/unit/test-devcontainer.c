/* SPDX-License-Identifier: Apache-2.0 */

/* Which developer container a host needs, and what its DIGESTS file says of it. */

#include "unit.h"

#include "base/str.h"
#include "policy/devcontainer.h"
#include "policy/envfile.h"

static const struct {
        const char *text, *value;
} env_cases[] = {
        { "A=b", "b" },
        { "A=b\nA=c\n", "c" },
        { "# A=x\n A=b\n", "b" },
        { "A=\"b c\"\n", "b c" },
        { "A='b \\c'\n", "b \\c" },
        { "A=\"b\\\"c\"", "b\"c" },
        { "A=b c\n", "b" },
        { "A=b\r\n", "b" },
        { "A=\n", "" },
        { "A=\"open\nB=x\n", "open" },
        { "A=$B\n", "$B" },
        { "AA=b\nB=A=c\n", NULL },
        { "", NULL },
};

START_TEST(test_env)
{
        _cleanup_free_ char *value = NULL;

        ck_assert_int_eq(envfile_get(env_cases[_i].text, "A", &value), 0);
        if (env_cases[_i].value)
                ck_assert_str_eq(value, env_cases[_i].value);
        else
                ck_assert_ptr_null(value);
}
END_TEST

#define FLATCAR                                                                                             \
        "NAME=\"Flatcar Container Linux by Kinvolk\"\nID=flatcar\nID_LIKE=coreos\nVERSION=4230.2.3\n"       \
        "VERSION_ID=4230.2.3\nBUILD_ID=2025-09-02-2100\nFLATCAR_BOARD=\"amd64-usr\"\n"

static const struct {
        const char *os_release, *usr, *etc;
        const char *version, *channel; /* NULL: refused */
        const char *why;
} hosts[] = {
        { FLATCAR, "SERVER=x\nGROUP=beta\n", NULL, "4230.2.3", "beta", NULL },
        { FLATCAR, "GROUP=beta\n", "GROUP=alpha\n", "4230.2.3", "alpha", NULL },
        { FLATCAR, "GROUP=lts\n", "REBOOT_STRATEGY=off\n", "4230.2.3", "lts", NULL },
        { FLATCAR, "GROUP=lts\n", "GROUP=\n", "4230.2.3", "lts", NULL },
        { FLATCAR, NULL, NULL, "4230.2.3", "stable", NULL },
        { FLATCAR "VERSION=4372.0.0+nightly-20250902-2100\n", NULL, NULL, "4372.0.0+nightly-20250902-2100",
                        "stable", NULL },
        { "ID=flatcar\nVERSION_ID=1.2.3\nCOREOS_BOARD=arm64-usr\n", NULL, NULL, "1.2.3", "stable", NULL },
        { "ID=debian\nVERSION_ID=12\n", NULL, NULL, NULL, NULL, "ID=debian" },
        { "", NULL, NULL, NULL, NULL, "ID=" },
        { "ID=flatcar\nVERSION=1.2.3\n", NULL, NULL, NULL, NULL, "FLATCAR_BOARD=" },
        { "ID=flatcar\nFLATCAR_BOARD=amd64-usr\n", NULL, NULL, NULL, NULL, "VERSION=" },
        { FLATCAR "VERSION=../../etc\n", NULL, NULL, NULL, NULL, "VERSION=../../etc" },
        { FLATCAR "VERSION=1/2\n", NULL, NULL, NULL, NULL, "VERSION=1/2" },
        { FLATCAR, "GROUP=\"a b\"\n", NULL, NULL, NULL, "GROUP=a b" },
        { FLATCAR, "GROUP=0123456789012345678901234567890123456789012345678901234567890123456789\n", NULL,
                        NULL, NULL, "GROUP=0123" },
};

START_TEST(test_identify)
{
        _cleanup_free_ char *why = NULL;
        DevContainer d = {};
        int r;

        r = devcontainer_identify(hosts[_i].os_release, hosts[_i].usr, hosts[_i].etc, &d, &why);
        if (!hosts[_i].version) {
                ck_assert_int_eq(r, DEVCONTAINER_E_FOREIGN);
                ck_assert_msg(strstr(why, hosts[_i].why) != NULL, "%s", why);
                return;
        }
        ck_assert_int_eq(r, 0);
        ck_assert_str_eq(d.version, hosts[_i].version);
        ck_assert_str_eq(d.channel, hosts[_i].channel);
        ck_assert_str_eq(devcontainer_release(&d).board, d.board);
        devcontainer_done(&d);
}
END_TEST

START_TEST(test_names)
{
        DevContainer d = {
                .version = (char *)"1.2.3", .board = (char *)"amd64-usr", .channel = (char *)"beta"
        };
        Checksum c = { .kind = CHECKSUM_SHA256, .hex = "0123456789abcdef" };
        _cleanup_free_ char *name = devcontainer_cache_name(&d, &c), *prefix = devcontainer_cache_prefix(&d);
        size_t n = 0;

        ck_assert_str_eq(name, "flatcar-developer-container-1.2.3-amd64-usr-0123456789ab");
        ck_assert(startswith(name, prefix));
        ck_assert_str_eq(devcontainer_name(0), "flatcar_developer_container.bin.bz2");
        while (devcontainer_name(n))
                ck_assert(devcontainer_is_file(devcontainer_name(n++)));
        ck_assert_uint_eq(n, 5);
        ck_assert(devcontainer_is_file("/srv/mine.img.zst"));
        ck_assert(devcontainer_is_file("/srv/mine.raw"));
        ck_assert(!devcontainer_is_file("/srv/4230.2.3"));
        ck_assert(!devcontainer_is_file("/srv/images.zst"));
        ck_assert(!devcontainer_is_file(".img"));
}
END_TEST

#define A64  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B64  "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define MD5  "# MD5 HASH\n0123456789abcdef0123456789abcdef  f.bz2\n"
#define SHA1 "# SHA1 HASH\n0123456789abcdef0123456789abcdef01234567  f.bz2\n"

static const struct {
        const char *text;
        const char *hex; /* NULL: says nothing */
        ChecksumKind kind;
} digests[] = {
        { MD5 SHA1 "# SHA512 HASH\n" A64 B64 "  f.bz2\n", A64 B64, CHECKSUM_SHA512 },
        { MD5 SHA1 "# SHA512 HASH\n" A64 B64 "  f.bz2", A64 B64, CHECKSUM_SHA512 },
        { "# SHA512 HASH\n" A64 A64 "  other\n" A64 B64 " *./f.bz2\r\n" B64 B64 "  f.bz2.sig\n", A64 B64,
                        CHECKSUM_SHA512 },
        { "# SHA512 HASH\n" A64 B64 "  f.bz2\n# SHA256 HASH\n" A64 "  f.bz2\n", A64 B64, CHECKSUM_SHA512 },
        { "# SHA256 HASH\n" A64 "  f.bz2\n# BLAKE2B HASH\n" B64 B64 "  f.bz2\n", A64, CHECKSUM_SHA256 },
        { "# SHA512 HASH\n" A64 B64 "  f.bz2\n" A64 B64 "  f.bz2\n", A64 B64, CHECKSUM_SHA512 },
        { "# SHA512 HASH\n" A64 B64 "  f.bz2\n" B64 B64 "  f.bz2\n", NULL, 0 },
        { "# SHA512 HASH\n" A64 "  f.bz2\n", NULL, 0 },
        { "# SHA512 HASH\n" A64 B64 "  f.bz2.sig\n", NULL, 0 },
        { "# SHA512 HASH\n" A64 B64 "  xf.bz2\n", NULL, 0 },
        { "# SHA512 HASH\n" A64 B64 "\n", NULL, 0 },
        { "# SHA512 HASH\n" A64 B64, NULL, 0 },
        { "# SHA512256 HASH\n" A64 B64 "  f.bz2\n", NULL, 0 },
        { A64 B64 "  f.bz2\n", NULL, 0 },
        { MD5 SHA1, NULL, 0 },
        { "<html>Not Found</html>\n", NULL, 0 },
        { "#\n#", NULL, 0 },
        { "", NULL, 0 },
};

START_TEST(test_digests)
{
        Checksum c = {};

        ck_assert_int_eq(devcontainer_digest(digests[_i].text, "f.bz2", &c), !!digests[_i].hex);
        if (!digests[_i].hex)
                return;
        ck_assert_int_eq(c.kind, digests[_i].kind);
        ck_assert_str_eq(c.hex, digests[_i].hex);
}
END_TEST

START_TEST(test_manifest)
{
        DevContainer d = {
                .version = (char *)"1.2.3", .board = (char *)"amd64-usr", .channel = (char *)"beta"
        };
        DevImage i = { .size = 77,
                .digest = (char *)"0011223344556677",
                .source = (char *)"https://host/x" },
                 back = {};
        _cleanup_free_ char *text = NULL;

        ck_assert(checksum_parse("sha256:" A64, &i.checksum));
        text = devimage_format(&i, &d);
        ck_assert_int_eq(devimage_parse(text, &back), 0);
        ck_assert(checksum_equal(&i.checksum, &back.checksum));
        ck_assert_uint_eq(back.size, 77);
        ck_assert_str_eq(back.digest, i.digest);
        ck_assert_str_eq(back.source, i.source);
        devimage_done(&back);

        /* Cut off at any byte but the last newline it is none, or has another source. */
        for (size_t n = 0; n + 1 < strlen(text); n++) {
                _cleanup_free_ char *cut = strndup(text, n);
                int r = devimage_parse(cut, &back);

                ck_assert_int_ge(r, 0);
                if (r == 0)
                        ck_assert(strstr(cut, "source=") != NULL);
                devimage_done(&back);
        }
}
END_TEST

UNIT_MAIN("devcontainer", UNIT_LOOP(test_env, ELEMENTSOF(env_cases)),
                UNIT_LOOP(test_identify, ELEMENTSOF(hosts)), UNIT_TEST(test_names),
                UNIT_LOOP(test_digests, ELEMENTSOF(digests)), UNIT_TEST(test_manifest))
