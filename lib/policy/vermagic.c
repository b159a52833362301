/* SPDX-License-Identifier: Apache-2.0 */

/*
 * VERMAGIC_STRING of include/linux/vermagic.h, unchanged in shape from 5.14
 * to 6.12:
 *
 *   UTS_RELEASE SMP? preempt|preempt_rt? mod_unload? modversions? ARCH RANDSTRUCT_...?
 *
 * each word followed by a blank. PREEMPT_BUILD is tested before PREEMPT_RT;
 * kernels with PREEMPT_DYNAMIC have PREEMPT_BUILD whatever runs. Older ones
 * (before 5.14) test PREEMPT, which implies PREEMPT_BUILD where the latter
 * exists: so either is taken. x86_64 adds no word of its own, arm64 "aarch64".
 *
 * When MODVERSIONS is on, the kernel itself skips the release (same_magic() in
 * kernel/module/version.c) and believes the CRCs. We do not: a module with
 * another release was built for another kernel, and the caller shall say so.
 */

#include "base/result.h"
#include "base/str.h"
#include "policy/vermagic.h"

const char *vermagic_verdict_to_string(VermagicVerdict verdict)
{
        switch (verdict) {
        case VERMAGIC_SAME:
                return "same";
        case VERMAGIC_ABSENT:
                return "absent";
        case VERMAGIC_RELEASE:
                return "release";
        case VERMAGIC_FLAGS:
                return "flags";
        case _VERMAGIC_MAX:
        case _VERMAGIC_INVALID:
                break;
        }
        return "invalid";
}

static const char *preempt_word(const Kconfig *config)
{
        if (kconfig_enabled(config, "PREEMPT_BUILD"))
                return "preempt";
        if (kconfig_enabled(config, "PREEMPT_RT"))
                return "preempt_rt";
        if (kconfig_enabled(config, "PREEMPT"))
                return "preempt";
        return NULL;
}

int vermagic_from_config(const char *release, const Kconfig *config, const char *randstruct, char **ret)
{
        const char *words[8];
        _cleanup_strv_ char **l = NULL;
        size_t n = 0;
        char *text;
        int r = 0;

        words[n++] = release;
        words[n++] = kconfig_enabled(config, "SMP") ? "SMP" : NULL;
        words[n++] = preempt_word(config);
        words[n++] = kconfig_enabled(config, "MODULE_UNLOAD") ? "mod_unload" : NULL;
        words[n++] = kconfig_enabled(config, "MODVERSIONS") ? "modversions" : NULL;
        words[n++] = kconfig_enabled(config, "ARM64") ? "aarch64" : NULL;

        for (size_t i = 0; i < n && r == 0; i++)
                if (words[i])
                        r = strv_push(&l, words[i]);
        if (r == 0 && randstruct && kconfig_enabled(config, "RANDSTRUCT"))
                r = strv_pushf(&l, "RANDSTRUCT_%s", randstruct);
        if (r)
                return err_origin(r);

        text = strv_join(l, " ");
        if (!text)
                return err_origin(-ENOMEM);
        *ret = text;
        return 0;
}

/* The next word of @s and its length; NULL at the end. */
static const char *next_word(const char *s, size_t *ret_n)
{
        s += strspn(s, " ");
        *ret_n = strcspn(s, " ");
        return *ret_n > 0 ? s : NULL;
}

static bool has_word(const char *text, const char *word, size_t n)
{
        size_t m;

        for (const char *w = next_word(text, &m); w; w = next_word(w + m, &m))
                if (m == n && memcmp(w, word, n) == 0)
                        return true;
        return false;
}

VermagicVerdict vermagic_compare(const char *want, const char *have)
{
        size_t n = 0, m = 0;
        const char *w, *h;

        h = have ? next_word(have, &m) : NULL;
        if (!h)
                return VERMAGIC_ABSENT;
        w = next_word(want, &n);
        if (!w || n != m || memcmp(w, h, n) != 0)
                return VERMAGIC_RELEASE;

        do {
                w = next_word(w + n, &n);
                h = next_word(h + m, &m);
                if (w && h && (n != m || memcmp(w, h, n) != 0))
                        return VERMAGIC_FLAGS;
        } while (w && h);
        return w || h ? VERMAGIC_FLAGS : VERMAGIC_SAME;
}

/* Names the words of @from, after its first, that @in lacks. */
static int list_missing(const char *from, const char *in, const char *what, char ***l)
{
        size_t n;
        const char *w = next_word(from, &n);

        for (w = w ? next_word(w + n, &n) : NULL; w; w = next_word(w + n, &n)) {
                int r = has_word(in, w, n) ? 0 : strv_pushf(l, "%.*s %s", (int)n, w, what);

                if (r)
                        return r;
        }
        return 0;
}

char *vermagic_explain(const char *want, const char *have)
{
        _cleanup_strv_ char **l = NULL;
        VermagicVerdict verdict = vermagic_compare(want, have);
        int r = 0;

        if (verdict == VERMAGIC_ABSENT)
                return strdup("the module carries no vermagic at all");
        if (verdict == VERMAGIC_SAME)
                return strdup("");

        if (verdict == VERMAGIC_RELEASE) {
                size_t n, m;
                const char *w = next_word(want, &n), *h = next_word(have, &m);

                r = strv_pushf(&l, "release is %.*s, not %.*s", (int)m, h, (int)n, w ? w : "");
        }
        if (r == 0)
                r = list_missing(want, have, "is missing", &l);
        if (r == 0)
                r = list_missing(have, want, "is too much", &l);
        if (r == 0 && !l)
                r = strv_push(&l, "the flags are in another order");
        return r ? NULL : strv_join(l, "; ");
}
