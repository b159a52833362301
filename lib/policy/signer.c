/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Signers are compared by issuer and serial number, as the kernel does: that
 * is all that a signature holds. The fingerprint decides where both sides have
 * one, because small authorities use a serial number twice.
 */

#include "base/result.h"
#include "base/str.h"
#include "policy/signer.h"

void signer_done(Signer *s)
{
        free(s->name);
        free(s->issuer);
        free(s->serial);
        free(s->key_id);
        free(s->fingerprint);
        free(s->hash);
        *s = (Signer){};
}

void signing_fact_done(SigningFact *f)
{
        free(f->detail);
        signer_done(&f->signer);
        strv_free(f->notes);
        *f = (SigningFact){};
}

int signer_copy(const Signer *from, Signer *ret)
{
        Signer s = {};
        int r;

        r = str_replace(&s.name, from->name);
        if (r == 0)
                r = str_replace(&s.issuer, from->issuer);
        if (r == 0)
                r = str_replace(&s.serial, from->serial);
        if (r == 0)
                r = str_replace(&s.key_id, from->key_id);
        if (r == 0)
                r = str_replace(&s.fingerprint, from->fingerprint);
        if (r == 0)
                r = str_replace(&s.hash, from->hash);
        if (r) {
                signer_done(&s);
                return err_trace(r);
        }
        *ret = s;
        return 0;
}

bool signer_is_empty(const Signer *s)
{
        return !s || (!s->serial && !s->issuer);
}

bool signer_same(const Signer *a, const Signer *b)
{
        if (signer_is_empty(a) || signer_is_empty(b))
                return false;
        if (a->fingerprint && b->fingerprint)
                return streq(a->fingerprint, b->fingerprint);
        return streq_ptr(a->serial, b->serial) && streq_ptr(a->issuer, b->issuer);
}

const char *signer_name(const Signer *s)
{
        return s->name ? s->name : strempty(s->issuer);
}

SignerValidity signer_validity(int64_t from, int64_t to, int64_t now)
{
        if (now > to)
                return SIGNER_EXPIRED;
        return now < from ? SIGNER_NOT_YET : SIGNER_VALID;
}

char *signer_identity(const Signer *s)
{
        return str_format("signer=%s %s %s", strna(s->serial), strna(s->hash), strna(s->issuer));
}
