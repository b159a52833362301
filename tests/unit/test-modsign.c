/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Keys made by openssl(1), signatures made by us, judged by openssl(1) and
 * libkmod, and the other way round. What a kernel would refuse is refused.
 */

#include <sys/mman.h>

#include "unit.h"

#include "base/str.h"
#include "sys/kmodinfo.h"
#include "sys/modkey.h"
#include "sys/modsign.h"
#include "tmproot.h"

static const uint8_t trailer_of_700[MODSIG_TRAILER_SIZE] = "\0\0\2\0\0\0\0\0\0\0\2\274"
                                                           "~Module signature appended~\n";

START_TEST(test_trailer)
{
        uint8_t trailer[MODSIG_TRAILER_SIZE];
        ModsigPlace place = {};

        modsig_trailer(700, trailer);
        ck_assert_mem_eq(trailer, trailer_of_700, sizeof(trailer));
        ck_assert_int_eq(modsig_find(trailer, 10740, &place), 0);
        ck_assert_uint_eq(place.content, 10000);
        ck_assert_uint_eq(place.size, 700);
        ck_assert_int_eq(modsig_find(trailer, 740, &place), 0);
        ck_assert_uint_eq(place.content, 0);
}
END_TEST

/* One byte of the trailer changed, or the file too short for what it says. */
static const struct {
        int at;
        uint8_t byte;
        uint64_t size;
        int r;
} trailers[] = {
        { 12, 'M', 10740, MODSIG_E_NONE },
        { 39, '\0', 10740, MODSIG_E_NONE },
        { 0, 1, 10740, MODSIG_E_INVALID },
        { 1, 4, 10740, MODSIG_E_INVALID },
        { 2, 1, 10740, MODSIG_E_INVALID }, /* the kernel's own format before 4.3 */
        { 3, 20, 10740, MODSIG_E_INVALID },
        { 7, 1, 10740, MODSIG_E_INVALID },
        { 8, 0xff, 10740, MODSIG_E_INVALID }, /* 4 GB */
        { 9, 2, 1000000, MODSIG_E_INVALID },
        { 10, 0, 10740, 0 },
        { 10, 3, 739, MODSIG_E_INVALID },
        { 0, 0, 739, MODSIG_E_INVALID },
        { 0, 0, 40, MODSIG_E_INVALID },
};

START_TEST(test_trailers)
{
        uint8_t trailer[MODSIG_TRAILER_SIZE];
        ModsigPlace place = {};

        memcpy(trailer, trailer_of_700, sizeof(trailer));
        trailer[trailers[_i].at] = trailers[_i].byte;
        ck_assert_int_eq(modsig_find(trailer, trailers[_i].size, &place), trailers[_i].r);
        modsig_trailer(0, trailer);
        ck_assert_int_eq(modsig_find(trailer, 40, &place), MODSIG_E_INVALID);
}
END_TEST

static void run(const TmpRoot *t, const char *format, ...) _printf_(2, 3);

/* A shell command in the test's directory. */
static void run(const TmpRoot *t, const char *format, ...)
{
        char text[2048], command[4096];
        va_list ap;

        va_start(ap, format);
        (void)vsnprintf(text, sizeof(text), format, ap);
        va_end(ap);
        (void)snprintf(command, sizeof(command), "cd %s && exec 2>>errors && %s", t->path, text);
        ck_assert_msg(system(command) == 0, "failed: %s", command);
}

/* Quickly made. */
#define EC "ec -pkeyopt ec_paramgen_curve:P-256"

#define REQ "openssl req -new -x509 -nodes -days 2 "

static void make_key(const TmpRoot *t, const char *name, const char *type, const char *subject)
{
        run(t, REQ "-newkey %s -keyout %s.pem -out %s.crt -subj '%s'", type, name, name, subject);
        run(t, "chmod 600 %s.pem", name);
}

static ModCert *read_cert(const TmpRoot *t, const char *path)
{
        _cleanup_free_ char *why = NULL;
        ModCert *c = NULL;
        int r = modcert_read(t->root, path, &c, &why);

        ck_assert_msg(r == 0, "%s: %d %s", path, r, strna(why));
        return c;
}

static ModKey *load_key(const TmpRoot *t, const char *path, const char *pin)
{
        _cleanup_free_ char *why = NULL;
        ModKey *k = NULL;
        int r = modkey_load(t->root, path, pin, &k, &why);

        ck_assert_msg(r == 0, "%s: %d %s", path, r, strna(why));
        return k;
}

static int open_file(const TmpRoot *t, const char *path)
{
        int fd = -EBADF;

        ck_assert_int_eq(root_open(t->root, path, O_RDWR, &fd), 0);
        return fd;
}

static void make_module(TmpRoot *t)
{
        tmproot_write(t, "m.c",
                        "static const char i[] __attribute__((section(\".modinfo\"), used)) = \"name=m\";\n");
        run(t, "${CC:-cc} -w -c -o m.ko m.c && cp m.ko plain.ko");
}

static char *contents(const TmpRoot *t, const char *path, size_t *ret_size)
{
        char *data = NULL;

        ck_assert_int_eq(root_read_file(t->root, path, 16 * 1024 * 1024, &data, ret_size), 0);
        return data;
}

/* Type of the key, digest, and what openssl(1) says of both. */
static const struct {
        const char *type, *hash;
} kinds[] = {
        { "rsa:2048", "sha256" },
        { "rsa:2048", "sha512" },
        { "rsa:3072", "sha384" },
        { "ec -pkeyopt ec_paramgen_curve:P-384", "sha384" },
};

START_TEST(test_sign)
{
        _cleanup_(modcert_freep) ModCert *cert = NULL;
        _cleanup_(modkey_freep) ModKey *key = NULL;
        _cleanup_(signer_done) Signer whose = {}, signer = {};
        _cleanup_(kmodinfo_done) KmodInfo info = {};
        _cleanup_close_ int fd = -EBADF;
        _cleanup_free_ char *why = NULL;
        TmpRoot t = tmproot_new();
        uint64_t content = 0;
        struct stat st;

        make_module(&t);
        make_key(&t, "k", kinds[_i].type, "/O=Test/CN=Our Module Key");
        cert = read_cert(&t, "/k.crt");
        key = load_key(&t, "/k.pem", NULL);
        ck_assert(modkey_matches(key, cert));
        ck_assert(!modkey_is_exposed(key));
        fd = open_file(&t, "m.ko");
        ck_assert_int_eq(fstat(fd, &st), 0);

        ck_assert_int_eq(modsign_inspect(fd, &signer, NULL, &why), MODSIGN_E_UNSIGNED);
        ck_assert_int_eq(modsign_verify(fd, cert, &why), MODSIGN_E_UNSIGNED);
        ck_assert_int_eq(modsign_sign(fd, key, cert, kinds[_i].hash, &why), 0);
        ck_assert_int_eq(modsign_verify(fd, cert, &why), 0);
        ck_assert_int_eq(modsign_inspect(fd, &signer, &content, &why), 0);
        ck_assert_uint_eq(content, (uint64_t)st.st_size);
        ck_assert_int_eq(modcert_signer(cert, &whose), 0);
        ck_assert(signer_same(&signer, &whose));
        ck_assert_str_eq(signer.issuer, "Our Module Key");
        ck_assert_str_eq(whose.name, "Our Module Key");
        ck_assert_str_eq(signer.hash, kinds[_i].hash);
        ck_assert_uint_eq(strlen(whose.fingerprint), 64);
        ck_assert_uint_eq(strlen(whose.key_id), 40);

        /* Others see the same. */
        ck_assert_int_eq(kmodinfo_read(t.root, "m.ko", &info), 0);
        ck_assert_str_eq(info.signer, "Our Module Key");
        run(&t,
                        "size=$(($(stat -c %%s m.ko) - %d)) && sig=$((size - $(stat -c %%s plain.ko))) && "
                        "head -c $size m.ko | tail -c $sig >s.der && "
                        "openssl cms -verify -binary -inform DER -in s.der -content plain.ko -certfile k.crt -noverify -out /dev/null",
                        MODSIG_TRAILER_SIZE);
        tmproot_done(&t);
}
END_TEST

/* A module is its content and the signature: taken apart and put together it is the same, and signed again,
 * too. */
START_TEST(test_round_trip)
{
        _cleanup_(modcert_freep) ModCert *cert = NULL;
        _cleanup_(modkey_freep) ModKey *key = NULL;
        _cleanup_free_ char *der = NULL, *why = NULL, *before = NULL, *again = NULL, *plain = NULL,
                            *stripped = NULL, *resigned = NULL;
        size_t n_der = 0, n_before, n_again, n_plain, n_stripped, n_resigned;
        _cleanup_close_ int fd = -EBADF;
        TmpRoot t = tmproot_new();

        make_module(&t);
        make_key(&t, "k", "rsa:2048", "/CN=k");
        cert = read_cert(&t, "/k.crt");
        key = load_key(&t, "/k.pem", NULL);
        plain = contents(&t, "m.ko", &n_plain);
        fd = open_file(&t, "m.ko");
        ck_assert_int_eq(modsign_read(fd, &der, &n_der, &why), MODSIGN_E_UNSIGNED);
        ck_assert_int_eq(modsign_strip(fd), 0);
        ck_assert_int_eq(modsign_sign(fd, key, cert, "sha256", &why), 0);
        before = contents(&t, "m.ko", &n_before);

        ck_assert_int_eq(modsign_sign(fd, key, cert, "sha256", &why), 0);
        resigned = contents(&t, "m.ko", &n_resigned);
        ck_assert_uint_eq(n_resigned, n_before);
        ck_assert_mem_eq(resigned, before, n_before);

        ck_assert_int_eq(modsign_read(fd, &der, &n_der, &why), 0);
        ck_assert_int_eq(modsign_strip(fd), 0);
        stripped = contents(&t, "m.ko", &n_stripped);
        ck_assert_uint_eq(n_stripped, n_plain);
        ck_assert_mem_eq(stripped, plain, n_plain);

        ck_assert_int_eq(modsign_attach(fd, der, n_der, &why), 0);
        ck_assert_int_eq(modsign_attach(fd, der, n_der, &why), 0); /* in place of itself */
        again = contents(&t, "m.ko", &n_again);
        ck_assert_uint_eq(n_again, n_before);
        ck_assert_mem_eq(again, before, n_before);
        ck_assert_int_eq(modsign_verify(fd, cert, &why), 0);
        tmproot_done(&t);
}
END_TEST

START_TEST(test_wrong)
{
        _cleanup_(modcert_freep) ModCert *cert = NULL, *other = NULL;
        _cleanup_(modkey_freep) ModKey *key = NULL;
        _cleanup_free_ char *why = NULL, *of_key = NULL, *of_content = NULL, *hash = NULL;
        _cleanup_close_ int fd = -EBADF;
        TmpRoot t = tmproot_new();

        make_module(&t);
        make_key(&t, "k", EC, "/CN=k");
        make_key(&t, "other", EC, "/CN=other");
        cert = read_cert(&t, "k.crt");
        other = read_cert(&t, "other.crt");
        key = load_key(&t, "/k.pem", NULL);
        ck_assert(!modkey_matches(key, other));

        fd = open_file(&t, "m.ko");
        ck_assert_int_eq(modsign_sign(fd, key, cert, "no-such-digest", &hash), MODSIGN_E_FAILED);
        ck_assert_str_eq(hash, "libcrypto does not know the digest no-such-digest");
        ck_assert_int_eq(modsign_sign(fd, key, cert, "sha256", &why), 0);
        ck_assert_int_eq(modsign_verify(fd, other, &of_key), MODSIGN_E_WRONG);
        ck_assert_ptr_nonnull(startswith(of_key, "the signature does not fit"));
        ck_assert_int_eq(pwrite(fd, "X", 1, 100), 1);
        ck_assert_int_eq(modsign_verify(fd, cert, &of_content), MODSIGN_E_WRONG);
        ck_assert_ptr_nonnull(startswith(of_content, "the signature does not fit"));
        tmproot_done(&t);
}
END_TEST

/* Detached signatures made by openssl(1): the options, and why the kernel would not take them; NULL: it
 * would. */
static const struct {
        const char *options, *why;
} foreign[] = {
        { "-noattr -nocerts", NULL },
        { "-noattr", NULL }, /* certificates in it do no harm */
        { "-nocerts", "it has signed attributes, which the kernel refuses" },
        { "-noattr -nocerts -nodetach", "it holds the signed data itself" },
        { "-noattr -nocerts -signer other.crt -inkey other.pem",
                        "it is signed by nobody, or by more than one" },
};

START_TEST(test_foreign)
{
        _cleanup_(modcert_freep) ModCert *cert = NULL;
        _cleanup_free_ char *der = NULL, *why = NULL, *none = NULL;
        _cleanup_close_ int fd = -EBADF;
        TmpRoot t = tmproot_new();
        size_t size;
        int r;

        make_module(&t);
        make_key(&t, "k", EC, "/CN=k");
        make_key(&t, "other", EC, "/CN=other");
        run(&t, "openssl cms -sign -binary -md sha256 -outform DER -in m.ko -signer k.crt -inkey k.pem %s -out s.der",
                        foreign[_i].options);
        der = contents(&t, "s.der", &size);
        cert = read_cert(&t, "k.crt");
        fd = open_file(&t, "m.ko");
        r = modsign_attach(fd, der, size, &why);
        ck_assert_int_eq(r, foreign[_i].why ? MODSIGN_E_INVALID : 0);
        ck_assert(streq_ptr(why, foreign[_i].why));
        ck_assert_int_eq(modsign_verify(fd, cert, &none), r ? MODSIGN_E_UNSIGNED : 0);
        tmproot_done(&t);
}
END_TEST

/* Every byte of a signature turned, and every length of it: taken, or refused with a reason. */
START_TEST(test_damaged)
{
        _cleanup_(modcert_freep) ModCert *cert = NULL;
        _cleanup_(modkey_freep) ModKey *key = NULL;
        _cleanup_free_ char *der = NULL, *none = NULL;
        _cleanup_close_ int fd = -EBADF;
        TmpRoot t = tmproot_new();
        size_t size = 0;

        make_module(&t);
        make_key(&t, "k", EC, "/CN=k");
        cert = read_cert(&t, "k.crt");
        key = load_key(&t, "/k.pem", NULL);
        fd = open_file(&t, "m.ko");
        ck_assert_int_eq(modsign_sign(fd, key, cert, "sha256", &none), 0);
        ck_assert_int_eq(modsign_read(fd, &der, &size, &none), 0);
        for (size_t i = 0; i < size; i++) {
                _cleanup_free_ char *why = NULL, *short_why = NULL, *exact = malloc(i + 1);
                _cleanup_(signer_done) Signer signer = {};
                int r;

                der[i] = (char)~der[i];
                r = modsign_attach(fd, der, size, &why);
                ck_assert(r == 0 || r == MODSIGN_E_INVALID);
                ck_assert_int_eq(r == 0, why == NULL);
                if (r == 0) {
                        _cleanup_free_ char *inspected = NULL, *verified = NULL;

                        ck_assert_int_ge(modsign_inspect(fd, &signer, NULL, &inspected), 0);
                        ck_assert_int_ge(modsign_verify(fd, cert, &verified), 0);
                }
                der[i] = (char)~der[i];

                memcpy(exact, der, i);
                ck_assert_int_eq(modsign_attach(fd, exact, i, &short_why), MODSIGN_E_INVALID);
        }
        ck_assert_int_eq(modsign_attach(fd, der, MODSIG_SIZE_MAX + 1, &none), MODSIGN_E_INVALID);
        tmproot_done(&t);
}
END_TEST

/* A file that ends as if it were signed. */
START_TEST(test_pretended)
{
        _cleanup_free_ char *first = NULL, *second = NULL, *third = NULL;
        _cleanup_(signer_done) Signer signer = {};
        _cleanup_close_ int fd = memfd_create("m", MFD_CLOEXEC);
        uint8_t trailer[MODSIG_TRAILER_SIZE];

        modsig_trailer(8, trailer);
        ck_assert_int_eq(write(fd, "module", 6), 6);
        ck_assert_int_eq(modsign_inspect(fd, &signer, NULL, &first), MODSIGN_E_UNSIGNED);
        ck_assert_int_eq(write(fd, "12345678", 8), 8);
        ck_assert_int_eq(write(fd, trailer, sizeof(trailer)), sizeof(trailer));
        ck_assert_int_eq(modsign_inspect(fd, &signer, NULL, &first), MODSIGN_E_INVALID);
        ck_assert_str_eq(first, "it is no signed data");
        trailer[0] = 1;
        ck_assert_int_eq(write(fd, trailer, sizeof(trailer)), sizeof(trailer));
        ck_assert_int_eq(modsign_inspect(fd, &signer, NULL, &second), MODSIGN_E_INVALID);
        ck_assert_str_eq(second, "what is at its end is no PKCS#7 signature");
        ck_assert_int_eq(modsign_strip(fd), MODSIGN_E_INVALID);
        ck_assert_int_eq(modsign_inspect(-EBADF, &signer, NULL, &third), -EBADF);
}
END_TEST

/* A disk that becomes full while the signature is written: the module is as it was. */
START_TEST(test_full)
{
        _cleanup_(modcert_freep) ModCert *cert = NULL;
        _cleanup_(modkey_freep) ModKey *key = NULL;
        _cleanup_close_ int fd = memfd_create("m", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        _cleanup_free_ char *why = NULL;
        TmpRoot t = tmproot_new();
        struct stat st;

        make_key(&t, "k", EC, "/CN=k");
        cert = read_cert(&t, "k.crt");
        key = load_key(&t, "/k.pem", NULL);
        ck_assert_int_eq(write(fd, "content", 7), 7);
        ck_assert_int_eq(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW), 0);
        ck_assert_int_eq(modsign_sign(fd, key, cert, "sha256", &why), -EPERM);
        ck_assert_int_eq(fstat(fd, &st), 0);
        ck_assert_int_eq(st.st_size, 7);
        tmproot_done(&t);
}
END_TEST

START_TEST(test_keys)
{
        _cleanup_(modkey_freep) ModKey *exposed = NULL, *encrypted = NULL, *legacy = NULL;
        _cleanup_(modcert_freep) ModCert *der = NULL, *both = NULL;
        _cleanup_(signer_done) Signer a = {}, b = {};
        TmpRoot t = tmproot_new();

        make_key(&t, "k", "rsa:2048", "/CN=k");
        run(&t, "cp k.pem open.pem && chmod 644 open.pem");
        run(&t, "openssl pkcs8 -topk8 -in k.pem -out secret.pem -passout pass:geheim");
        run(&t, "openssl rsa -traditional -aes128 -in k.pem -out legacy.pem -passout pass:geheim");
        run(&t, "openssl x509 -in k.crt -outform DER -out k.der");
        run(&t, "cat k.pem k.crt >both.pem && ln -s both.pem link.pem");

        exposed = load_key(&t, "/open.pem", NULL);
        ck_assert(modkey_is_exposed(exposed));
        encrypted = load_key(&t, "/secret.pem", "geheim");
        legacy = load_key(&t, "/legacy.pem", "geheim");
        der = read_cert(&t, "k.der");
        both = read_cert(&t, "link.pem");
        ck_assert(modkey_matches(encrypted, der) && modkey_matches(legacy, both) &&
                        modkey_matches(exposed, der));
        ck_assert_int_eq(modcert_signer(der, &a), 0);
        ck_assert_int_eq(modcert_signer(both, &b), 0);
        ck_assert_str_eq(a.fingerprint, b.fingerprint);
        tmproot_done(&t);
}
END_TEST

/* What is no key: the command that makes k.pem, the PIN, and the end of the sentence. */
static const struct {
        const char *make, *pin, *why;
} bad_keys[] = {
        { "true", NULL, "/k.pem: No such file or directory" },
        { "mkdir k.pem", NULL, "/k.pem: not a regular file" },
        { "mkfifo k.pem", NULL, "/k.pem: not a regular file" },
        { "ln -s k.pem k.pem", NULL, "/k.pem: Too many levels of symbolic links" },
        { ": >k.pem", NULL, "/k.pem: it holds no private key in PEM form: " },
        { "echo hello >k.pem", NULL, "/k.pem: it holds no private key in PEM form: " },
        { "openssl req -new -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout x -out k.pem -subj /CN=k",
                        NULL, "/k.pem: it holds no private key in PEM form: " },
        { "openssl ecparam -genkey -name prime256v1 -noout -out x && head -n 3 x >k.pem", NULL,
                        "/k.pem: it holds no private key in PEM form: " },
        { "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -aes128 -pass pass:right -out k.pem",
                        NULL, "/k.pem: it is encrypted, and there is no PinFile=" },
        { "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -aes128 -pass pass:right -out k.pem",
                        "wrong", "/k.pem: it cannot be decrypted: " },
        { "openssl genpkey -algorithm ed25519 -out k.pem", NULL,
                        "/k.pem: it is neither an RSA nor an EC key" },
        { "head -c 2000000 /dev/zero >k.pem", NULL, "/k.pem: larger than any key" },
};

START_TEST(test_bad_key)
{
        _cleanup_free_ char *why = NULL;
        TmpRoot t = tmproot_new();
        ModKey *k = NULL;

        run(&t, "%s", bad_keys[_i].make);
        ck_assert_int_eq(modkey_load(t.root, "/k.pem", bad_keys[_i].pin, &k, &why), MODKEY_E_UNUSABLE);
        ck_assert_msg(startswith(why, bad_keys[_i].why), "%s", why);
        ck_assert_ptr_null(strstr(why, "wrong"));
        ck_assert_ptr_null(k);
        tmproot_done(&t);
}
END_TEST

static const struct {
        const char *make, *why;
} bad_certs[] = {
        { "true", "k.crt: No such file or directory" },
        { ": >k.crt", "k.crt: it holds no certificate" },
        { "openssl ecparam -genkey -name prime256v1 -out k.crt", "k.crt: it holds no certificate" },
        { "openssl req -new -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout x -out y -subj /CN=k && head -n 4 y >k.crt",
                        "k.crt: it holds no certificate" },
        { "head -c 2000000 /dev/zero >k.crt", "k.crt: larger than any key" },
};

START_TEST(test_bad_cert)
{
        _cleanup_free_ char *why = NULL;
        TmpRoot t = tmproot_new();
        ModCert *c = NULL;

        run(&t, "%s", bad_certs[_i].make);
        ck_assert_int_eq(modcert_read(t.root, "k.crt", &c, &why), MODKEY_E_UNUSABLE);
        ck_assert_msg(startswith(why, bad_certs[_i].why), "%s", why);
        ck_assert_ptr_null(c);
        tmproot_done(&t);
}
END_TEST

/* Names as they come, and as they go into a log. */
static const struct {
        const char *subject, *options, *name;
} names[] = {
        { "/O=Only an organisation", "", "/O=Only an organisation" },
        { "/CN=two\nlines", "", "two?lines" },
        { "/CN=Schl\xc3\xbcssel", "-utf8", "Schl\xc3\xbcssel" },
        { "/CN=first/CN=second", "", "first" },
};

START_TEST(test_names)
{
        _cleanup_(modcert_freep) ModCert *c = NULL;
        _cleanup_(signer_done) Signer s = {};
        TmpRoot t = tmproot_new();
        int64_t from, to;

        run(&t, REQ "-newkey " EC " -keyout k -out k.crt -subj '%s' %s", names[_i].subject,
                        names[_i].options);
        c = read_cert(&t, "k.crt");
        ck_assert_int_eq(modcert_signer(c, &s), 0);
        ck_assert_str_eq(s.name, names[_i].name);
        modcert_validity(c, &from, &to);
        ck_assert_int_eq(to - from, INT64_C(2) * 24 * 3600);
        tmproot_done(&t);
}
END_TEST

UNIT_MAIN("modsign", UNIT_TEST(test_trailer), UNIT_LOOP(test_trailers, ELEMENTSOF(trailers)),
                UNIT_LOOP(test_sign, ELEMENTSOF(kinds)), UNIT_TEST(test_round_trip), UNIT_TEST(test_wrong),
                UNIT_LOOP(test_foreign, ELEMENTSOF(foreign)), UNIT_TEST(test_damaged),
                UNIT_TEST(test_pretended), UNIT_TEST(test_full), UNIT_TEST(test_keys),
                UNIT_LOOP(test_bad_key, ELEMENTSOF(bad_keys)),
                UNIT_LOOP(test_bad_cert, ELEMENTSOF(bad_certs)), UNIT_LOOP(test_names, ELEMENTSOF(names)))
