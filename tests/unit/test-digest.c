/* SPDX-License-Identifier: Apache-2.0 */

/* Known vectors: SHA-256 of FIPS 180-2, XXH64 with seed 0 of xxHash's own documents. */

#include "unit.h"

#include "sys/digest.h"
#include "tmproot.h"

static const struct {
        const char *text;
        const char *sha256;
        const char *xxh64;
} vectors[] = {
        { "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "ef46db3751d8e999" },
        { "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", "44bc2cf5ad770999" },
        { "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
                        "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1", NULL },
};

static int open_below(TmpRoot *t, const char *path)
{
        int fd;

        ck_assert_int_eq(root_open(t->root, path, O_RDONLY, &fd), 0);
        return fd;
}

START_TEST(test_vectors)
{
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();
        char hex[DIGEST_HEX_SIZE], fast[DIGEST_FAST_HEX_SIZE];
        size_t size = strlen(vectors[_i].text);
        uint64_t n = 99;
        int fd;

        ck_assert_int_eq(digest_text(vectors[_i].text, size, hex), 0);
        ck_assert_str_eq(hex, vectors[_i].sha256);

        tmproot_write(&t, "f", vectors[_i].text);
        fd = open_below(&t, "f");
        ck_assert_int_eq(digest_fd(fd, hex, &n), 0);
        ck_assert_str_eq(hex, vectors[_i].sha256);
        ck_assert_uint_eq(n, size);

        n = 99;
        ck_assert_int_eq(lseek(fd, 0, SEEK_SET), 0);
        ck_assert_int_eq(digest_fast_fd(fd, fast, &n), 0);
        ck_assert_uint_eq(strlen(fast), 16);
        if (vectors[_i].xxh64)
                ck_assert_str_eq(fast, vectors[_i].xxh64);
        ck_assert_uint_eq(n, size);
        closep(&fd);
}
END_TEST

START_TEST(test_head)
{
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();
        char hex[DIGEST_HEX_SIZE] = "";
        _cleanup_close_ int fd = -EBADF;

        tmproot_write(&t, "f", "abcdef");
        fd = open_below(&t, "f");
        ck_assert_int_eq(digest_head_fd(fd, 3, hex), 0);
        ck_assert_str_eq(hex, vectors[1].sha256);
        ck_assert_int_eq(digest_head_fd(fd, 4, hex), -ENODATA); /* three are left */
        ck_assert_int_eq(digest_head_fd(fd, 0, hex), 0);
        ck_assert_str_eq(hex, vectors[0].sha256);
}
END_TEST

/* More than one buffer: a million times 'a', and the size is optional. */
START_TEST(test_large)
{
        const size_t size = 1000000;
        _cleanup_free_ char *data = malloc(size);
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();
        char hex[DIGEST_HEX_SIZE], fast[2][DIGEST_FAST_HEX_SIZE];
        int fd;

        memset(data, 'a', size);
        ck_assert_int_eq(digest_text(data, size, hex), 0);
        ck_assert_str_eq(hex, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
        ck_assert_int_eq(root_write_file(t.root, "f", data, size, 0644), 0);
        fd = open_below(&t, "f");
        ck_assert_int_eq(digest_fd(fd, hex, NULL), 0);
        ck_assert_str_eq(hex, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");

        /* From the current position: now there is nothing left. */
        ck_assert_int_eq(digest_fd(fd, hex, NULL), 0);
        ck_assert_str_eq(hex, vectors[0].sha256);
        ck_assert_int_eq(lseek(fd, 0, SEEK_SET), 0);
        ck_assert_int_eq(digest_fast_fd(fd, fast[0], NULL), 0);
        ck_assert_int_eq(digest_fast_fd(fd, fast[1], NULL), 0);
        ck_assert_str_eq(fast[1], vectors[0].xxh64);
        closep(&fd);

        /* One bit of it, at the far end. */
        data[size - 1] ^= 1;
        ck_assert_int_eq(root_write_file(t.root, "f", data, size, 0644), 0);
        fd = open_below(&t, "f");
        ck_assert_int_eq(digest_fast_fd(fd, fast[1], NULL), 0);
        ck_assert_str_ne(fast[0], fast[1]);
        closep(&fd);
}
END_TEST

START_TEST(test_unreadable)
{
        _unused_ _cleanup_(tmproot_done) TmpRoot t = tmproot_new();
        char hex[DIGEST_HEX_SIZE] = "untouched", fast[DIGEST_FAST_HEX_SIZE] = "untouched";
        uint64_t n = 99;
        int fd = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        ck_assert_int_eq(digest_fd(fd, hex, &n), -EISDIR);
        ck_assert_int_eq(digest_fast_fd(fd, fast, &n), -EISDIR);
        closep(&fd);
        ck_assert_int_eq(digest_fd(-EBADF, hex, &n), -EBADF);
        ck_assert_int_eq(digest_fast_fd(-EBADF, fast, &n), -EBADF);
        ck_assert_str_eq(hex, "untouched");
        ck_assert_str_eq(fast, "untouched");
        ck_assert_uint_eq(n, 99);
}
END_TEST

UNIT_MAIN("digest", UNIT_TEST(test_head), UNIT_LOOP(test_vectors, ELEMENTSOF(vectors)),
                UNIT_TEST(test_large), UNIT_TEST(test_unreadable))
