/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A manifest that said "signed" of a module that is not would make a machine
 * that enforces signatures try what it must refuse, and the digest of the
 * content is what a signature that was made elsewhere is matched by. So
 * neither is taken from the draft.
 */

#include <fcntl.h>

#include "base/result.h"
#include "base/str.h"
#include "helper.h"
#include "sys/digest.h"
#include "sys/modsign.h"
#include "worker-signature.h"

static Code fail(const char *name, int r, const char *why)
{
        helper_say(HELPER_KEY_DETAIL, "%s: %s", name,
                        why     ? why
                        : r < 0 ? strerror(-r)
                                : "unexpected answer");
        return CODE_SIGN_FAILED;
}

static int open_module(const Root *root, const BuildManifest *m, const BuildFile *f, int *ret)
{
        _cleanup_free_ char *path = str_format("%s/%s", m->directory, f->name);
        int r;

        if (!path)
                return err_origin(-ENOMEM);
        r = root_open(root, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, ret);
        return r > 0 ? err_origin(-ENOENT) : err_trace(r);
}

static int note_content(int fd, uint64_t content, BuildFile *f)
{
        char hex[DIGEST_HEX_SIZE];
        int r;

        r = lseek(fd, 0, SEEK_SET) < 0 ? err_origin(-errno) : digest_head_fd(fd, content, hex);
        return r ? err_trace(r) : err_trace(str_replace(&f->unsigned_sha256, hex));
}

/* The draft's signer knows more than the signature tells; but the digest is the signature's word. */
static Code note_signer(BuildManifest *m, const BuildFile *f, Signer *found)
{
        if (signer_is_empty(&m->signer)) {
                m->signer = *found;
                *found = (Signer){};
                return CODE_OK;
        }
        if (!signer_same(&m->signer, found)) {
                helper_say(HELPER_KEY_DETAIL, "%s is signed by '%s' (serial %s), not by '%s' (serial %s)",
                                f->name, signer_name(found), strna(found->serial), signer_name(&m->signer),
                                strna(m->signer.serial));
                return CODE_SIGN_FAILED;
        }
        return str_replace(&m->signer.hash, found->hash) < 0 ? fail(f->name, -ENOMEM, NULL) : CODE_OK;
}

Code worker_note_signature(const Root *root, BuildManifest *m, BuildFile *f)
{
        _cleanup_(signer_done) Signer found = {};
        _cleanup_close_ int fd = -EBADF;
        _cleanup_free_ char *why = NULL;
        uint64_t content = 0;
        int r;

        free(TAKE_PTR(f->unsigned_sha256));
        r = open_module(root, m, f, &fd);
        if (r == 0)
                r = modsign_inspect(fd, &found, &content, &why);
        if (r == MODSIGN_E_UNSIGNED)
                return CODE_OK;
        if (r)
                return fail(f->name, r, why);
        r = note_content(fd, content, f);
        return r ? fail(f->name, r, NULL) : note_signer(m, f, &found);
}

Code worker_check_signatures(const BuildManifest *m)
{
        for (size_t i = 0; i < m->n_files; i++) {
                const BuildFile *f = &m->files[i];

                if (f->module && !f->unsigned_sha256 && !signer_is_empty(&m->signer)) {
                        helper_say(HELPER_KEY_DETAIL,
                                        "%s is not signed, unlike what the build says or its other modules are",
                                        f->name);
                        return CODE_SIGN_FAILED;
                }
        }
        return CODE_OK;
}
