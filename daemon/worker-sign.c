/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Signing. This is the only program that ever sees a private key, for as long
 * as it takes to sign the modules of one build; key and PIN are named by path
 * on its command line, and neither is in what it answers.
 *
 *   signer   can this key sign, and whose is it? Before anything is compiled.
 *   sign     signs all modules of a directory, and checks the signatures
 *   attach   puts a signature on that was made elsewhere; detach takes it off
 */

#include <fcntl.h>
#include <sys/mman.h>
#include <time.h>

#include "base/result.h"
#include "base/root.h"
#include "base/str.h"
#include "helper.h"
#include "sys/modkey.h"
#include "sys/modsign.h"

enum { PIN_MAX = 1024 };

/* What is to sign. */
typedef struct Signing {
        Root *root;
        ModCert *cert;
        ModKey *key;
} Signing;

static void signing_done(Signing *s)
{
        modkey_free(s->key);
        modcert_free(s->cert);
        root_free(s->root);
}

static void wipe_freep(char **s)
{
        if (*s)
                explicit_bzero(*s, strlen(*s));
        free(*s);
}

static Code fail(Code code, const char *what, int r, const char *why)
{
        helper_say(HELPER_KEY_DETAIL, "%s%s%s", strempty(what), what ? ": " : "",
                        why     ? why
                        : r < 0 ? strerror(-r)
                                : "unexpected answer");
        return code_of_write(r, code);
}

static Code check_validity(const ModCert *cert, const char *path)
{
        int64_t from, to, now = (int64_t)time(NULL);
        char text[64] = "long ago";
        time_t when;
        struct tm tm;

        modcert_validity(cert, &from, &to);
        switch (signer_validity(from, to, now)) {
        case SIGNER_EXPIRED:
                when = (time_t)to;
                if (gmtime_r(&when, &tm))
                        (void)strftime(text, sizeof(text), "on %Y-%m-%d %H:%M:%S UTC", &tm);
                helper_say(HELPER_KEY_DETAIL, "%s: the certificate expired %s", path, text);
                return CODE_KEY_UNUSABLE;
        case SIGNER_NOT_YET:
                helper_say(HELPER_KEY_NOTE,
                                "%s: the certificate is not valid yet, or this machine's clock is wrong",
                                path);
                return CODE_OK;
        case SIGNER_VALID:
        case _SIGNER_VALIDITY_MAX:
        case _SIGNER_VALIDITY_INVALID:
                break;
        }
        return CODE_OK;
}

static Code load_certificate(Signing *s, const char *key, const char *path)
{
        _cleanup_free_ char *why = NULL;
        int r;

        if (!*path && *key != '/') {
                helper_say(HELPER_KEY_DETAIL,
                                "Key= is in a token, so Certificate= has to name its certificate");
                return CODE_KEY_UNUSABLE;
        }
        path = *path ? path : key;
        r = modcert_read(s->root, path, &s->cert, &why);
        return r ? fail(CODE_KEY_UNUSABLE, why ? NULL : path, r, why) : check_validity(s->cert, path);
}

static Code read_pin(const Root *root, const char *path, char **ret)
{
        int r;

        if (!*path)
                return CODE_OK;
        r = root_read_line(root, path, PIN_MAX, ret);
        if (r == 0)
                return CODE_OK;
        return fail(CODE_KEY_UNUSABLE, path, r,
                        r == ROOT_E_ABSENT    ? "No such file or directory"
                        : r == ROOT_E_TOO_BIG ? "it is larger than any PIN"
                                              : NULL);
}

/* @arguments: key, certificate, PIN file; "" for what is not set. */
static Code load(Signing *s, char **arguments)
{
        _cleanup_(wipe_freep) char *pin = NULL;
        _cleanup_free_ char *why = NULL;
        Code code;
        int r;

        r = root_new("/", &s->root);
        if (r)
                return fail(CODE_INTERNAL, "/", r, NULL);
        code = load_certificate(s, arguments[0], arguments[1]);
        if (code == CODE_OK)
                code = read_pin(s->root, arguments[2], &pin);
        if (code)
                return code;

        r = modkey_load(s->root, arguments[0], pin, &s->key, &why);
        if (r)
                return fail(CODE_KEY_UNUSABLE, why ? NULL : arguments[0], r, why);
        if (modkey_matches(s->key, s->cert))
                return CODE_OK;
        helper_say(HELPER_KEY_DETAIL, "%s is not the key of the certificate %s", arguments[0],
                        *arguments[1] ? arguments[1] : arguments[0]);
        return CODE_KEY_UNUSABLE;
}

/* Signs and has another look. */
static Code sign_fd(const Signing *s, int fd, const char *hash, const char *name, Code code)
{
        _cleanup_free_ char *why = NULL;
        int r;

        r = modsign_sign(fd, s->key, s->cert, hash, &why);
        if (r == 0)
                r = modsign_verify(fd, s->cert, &why);
        return r ? fail(code, name, r, why) : CODE_OK;
}

/* A token may hold a key and yet not let it sign. */
static Code try_key(const Signing *s, const char *key)
{
        static const char content[] = "trial";
        _cleanup_close_ int fd = memfd_create("trial", MFD_CLOEXEC);

        if (fd < 0 || write(fd, content, sizeof(content)) != sizeof(content))
                return fail(CODE_INTERNAL, "memfd", -errno, NULL);
        return sign_fd(s, fd, "sha256", key, CODE_KEY_UNUSABLE);
}

static Code say_signer(const ModCert *cert)
{
        Signer signer = {};
        int r;

        r = modcert_signer(cert, &signer);
        if (r)
                return fail(CODE_INTERNAL, "certificate", r, NULL);
        helper_say(HELPER_KEY_NAME, "%s", strempty(signer.name));
        helper_say(HELPER_KEY_ISSUER, "%s", strempty(signer.issuer));
        helper_say(HELPER_KEY_SERIAL, "%s", strempty(signer.serial));
        helper_say(HELPER_KEY_ID, "%s", strempty(signer.key_id));
        helper_say(HELPER_KEY_FINGERPRINT, "%s", strempty(signer.fingerprint));
        signer_done(&signer);
        return CODE_OK;
}

Code worker_signer(char **arguments)
{
        _cleanup_(signing_done) Signing s = {};
        Code code;

        code = load(&s, arguments);
        if (code == CODE_OK && modkey_is_exposed(s.key))
                helper_say(HELPER_KEY_NOTE,
                                "%s can be read by others than its owner; whoever has it can sign for this machine",
                                arguments[0]);
        if (code == CODE_OK)
                code = try_key(&s, arguments[0]);
        return code ? code : say_signer(s.cert);
}

static bool is_module(const char *name)
{
        size_t n = strlen(name);

        return n > 3 && streq(name + n - 3, ".ko");
}

static int open_module(const Root *root, const char *path, int *ret)
{
        int r = root_open(root, path, O_RDWR | O_NOFOLLOW | O_NONBLOCK, ret);

        return r > 0 ? err_origin(-ENOENT) : err_trace(r);
}

static Code sign_file(const Signing *s, const char *directory, const char *name, const char *hash)
{
        _cleanup_free_ char *path = str_format("%s/%s", directory, name);
        _cleanup_close_ int fd = -EBADF;
        Code code;
        int r;

        r = path ? open_module(s->root, path, &fd) : -ENOMEM;
        if (r)
                return fail(CODE_SIGN_FAILED, name, r, NULL);
        code = sign_fd(s, fd, hash, name, CODE_SIGN_FAILED);
        if (code == CODE_OK)
                helper_say(HELPER_KEY_SIGNED, "%s", name);
        return code;
}

Code worker_sign(char **arguments)
{
        _cleanup_(signing_done) Signing s = {};
        _cleanup_strv_ char **names = NULL;
        size_t n = 0;
        Code code;
        int r;

        code = load(&s, arguments + 2);
        if (code)
                return code;
        r = root_list(s.root, arguments[0], &names);
        if (r)
                return fail(CODE_SIGN_FAILED, arguments[0], r, r > 0 ? "there is no such directory" : NULL);
        STRV_FOREACH (name, names)
                if (code == CODE_OK && is_module(*name)) {
                        code = sign_file(&s, arguments[0], *name, arguments[1]);
                        n++;
                }
        return code == CODE_OK && n == 0 ? fail(CODE_SIGN_FAILED, arguments[0], 0, "it has no modules")
                                         : code;
}

static Code open_both(const char *path, Root **ret_root, int *ret_fd)
{
        int r;

        r = root_new("/", ret_root);
        if (r == 0)
                r = open_module(*ret_root, path, ret_fd);
        return r ? fail(CODE_SIGN_FAILED, path, r, NULL) : CODE_OK;
}

Code worker_attach(char **arguments)
{
        _cleanup_(root_freep) Root *root = NULL;
        _cleanup_free_ char *der = NULL, *why = NULL;
        _cleanup_close_ int fd = -EBADF;
        size_t size = 0;
        Code code;
        int r;

        code = open_both(arguments[0], &root, &fd);
        if (code)
                return code;
        r = root_read_file(root, arguments[1], MODSIG_SIZE_MAX, &der, &size);
        if (r)
                return fail(CODE_SIGN_FAILED, arguments[1], r,
                                r == ROOT_E_ABSENT    ? "No such file or directory"
                                : r == ROOT_E_TOO_BIG ? "it is larger than any signature"
                                                      : NULL);
        r = modsign_attach(fd, der, size, &why);
        if (r == 0 && fsync(fd) < 0)
                r = -errno;
        return r ? fail(CODE_SIGN_FAILED, why ? arguments[1] : arguments[0], r, why) : CODE_OK;
}

Code worker_detach(char **arguments)
{
        _cleanup_(root_freep) Root *root = NULL;
        _cleanup_free_ char *der = NULL, *why = NULL;
        _cleanup_close_ int fd = -EBADF;
        size_t size = 0;
        Code code;
        int r;

        code = open_both(arguments[0], &root, &fd);
        if (code)
                return code;
        r = modsign_read(fd, &der, &size, &why);
        if (r > 0)
                return fail(CODE_SIGN_FAILED, arguments[0], 0, why ? why : "it is not signed");
        /* Written and synced before it is taken off: at no instant is it nowhere. */
        if (r == 0)
                r = root_write_file(root, arguments[1], der, size, 0644);
        if (r == 0)
                r = modsign_strip(fd);
        if (r == 0 && fsync(fd) < 0)
                r = -errno;
        return r ? fail(CODE_SIGN_FAILED, arguments[0], r, NULL) : CODE_OK;
}
