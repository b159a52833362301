/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Modules must be signed when module.sig_enforce is on (by CONFIG_MODULE_SIG_FORCE,
 * the command line, or written to at run time), or when the kernel is locked
 * down, which distributions do under Secure Boot. Secure Boot itself is only
 * told as the reason: without lockdown the kernel does not ask for signatures.
 *
 * Which key is trusted is a matter of keyrings that cannot be read from user
 * space in full. /proc/keys shows keys with their id, but not in which keyring
 * they are. So a key that is found may still not be trusted, and that is left
 * to the kernel; a key that is not found, in a list that is as long as the
 * keyrings say, cannot be trusted.
 */

#include "base/result.h"
#include "policy/enforcement.h"

static const char *const lockdowns[_LOCKDOWN_MAX] = {
        [LOCKDOWN_UNKNOWN] = "unknown",
        [LOCKDOWN_NONE] = "none",
        [LOCKDOWN_INTEGRITY] = "integrity",
        [LOCKDOWN_CONFIDENTIALITY] = "confidentiality",
};

const char *lockdown_to_string(Lockdown lockdown)
{
        return lockdown >= 0 && lockdown < _LOCKDOWN_MAX ? lockdowns[lockdown] : "invalid";
}

Lockdown lockdown_from_string(const char *name)
{
        for (Lockdown l = LOCKDOWN_NONE; l < _LOCKDOWN_MAX; l++)
                if (streq(lockdowns[l], name))
                        return l;
        return _LOCKDOWN_INVALID;
}

static const char *const verdicts[_ENFORCEMENT_VERDICT_MAX] = {
        [ENFORCEMENT_OFF] = "off",
        [ENFORCEMENT_TRUSTED] = "trusted",
        [ENFORCEMENT_UNSURE] = "unsure",
        [ENFORCEMENT_UNSIGNED] = "unsigned",
        [ENFORCEMENT_UNTRUSTED] = "untrusted",
};

const char *enforcement_verdict_to_string(EnforcementVerdict verdict)
{
        return verdict >= 0 && verdict < _ENFORCEMENT_VERDICT_MAX ? verdicts[verdict] : "invalid";
}

void enforcement_facts_done(EnforcementFacts *f)
{
        strv_free(f->keys);
        *f = (EnforcementFacts){};
}

/* One line of /proc/keys: "0a3e8d1c I------ 1 perm 1f030000 0 0 asymmetri DESCRIPTION". */
typedef struct KeyLine {
        const char *flags, *type;
        char *description;
} KeyLine;

static bool split_line(char *line, KeyLine *ret)
{
        char *fields[8];

        for (size_t i = 0; i < ELEMENTSOF(fields); i++) {
                line += strspn(line, " ");
                fields[i] = line;
                line += strcspn(line, " ");
                if (!*line)
                        return false;
                *line++ = '\0';
        }
        *ret = (KeyLine){ .flags = fields[1], .type = fields[7], .description = line + strspn(line, " ") };
        return true;
}

/* ".builtin_trusted_keys: 3" or "...: empty": how many there are; -1 for another keyring. */
static int count_keyring(const char *description)
{
        /* .secondary_trusted_keys counts links to two of these beside keys of its own: it is left out. */
        static const char *const names[] = {
                ".builtin_trusted_keys: ", ".machine: ", ".platform: ", ".system_keyring: "
        };
        uint64_t n;

        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                const char *rest = startswith(description, names[i]);

                if (rest)
                        return str_to_u64(rest, 10, 0, 10000, &n) == 0 ? (int)n : 0;
        }
        return -1;
}

/*
 * "Debian Secure Boot CA: 6ccece7e4c6c0d1f6149f3dd27dfcc5cbb419ea1: X509.rsa bb419ea1 []":
 * the subject's name may hold anything, so it is read from the end.
 */
static const char *id_of_key(char *description)
{
        char *end = NULL, *id;

        for (char *p = strstr(description, ": X509."); p; p = strstr(p + 1, ": X509."))
                end = p;
        if (!end)
                return NULL;
        *end = '\0';
        id = strrchr(description, ' ');
        return id && strlen(id + 1) >= 2 && strspn(id + 1, "0123456789abcdef") == strlen(id + 1) ? id + 1
                                                                                                 : NULL;
}

static int add_line(EnforcementFacts *f, char *line, int *n_expected, int *n_seen)
{
        const char *id;
        KeyLine key;
        int n;

        if (!split_line(line, &key))
                return 0;
        if (streq(key.type, "keyring")) {
                n = count_keyring(key.description);
                if (n >= 0)
                        *n_expected = MAX(*n_expected, 0) + n;
                return 0;
        }
        if (!streq(key.type, "asymmetri"))
                return 0;

        ++*n_seen;
        /* Revoked, dead, invalidated: there, but of no use. */
        id = strpbrk(key.flags, "RDi") ? NULL : id_of_key(key.description);
        return id ? err_trace(strv_push(&f->keys, id)) : 0;
}

int enforcement_add_keys(EnforcementFacts *f, const char *text)
{
        _cleanup_free_ char *copy = strdup(text);
        int n_expected = -1, n_seen = 0;
        char *rest = copy, *line;

        if (!copy)
                return err_origin(-ENOMEM);
        while ((line = strsep(&rest, "\n"))) {
                int r = add_line(f, line, &n_expected, &n_seen);

                if (r)
                        return err_trace(r);
        }
        /* Without permission for a key its line is missing; without any for keyrings nothing can be said. */
        f->all_keys = n_expected >= 0 && n_seen >= n_expected;
        return 0;
}

static bool is_enforced(const EnforcementFacts *f)
{
        return f->sig_enforce == KNOWN_YES || f->lockdown == LOCKDOWN_INTEGRITY ||
               f->lockdown == LOCKDOWN_CONFIDENTIALITY;
}

/* The kernel calls a key by its subject key identifier, or by its serial number if it has none. */
static const char *id_of_signer(const Signer *s)
{
        if (s->key_id)
                return s->key_id;
        /* Of a signature alone nobody can tell whether the certificate has an identifier. */
        return s->fingerprint ? s->serial : NULL;
}

EnforcementVerdict enforcement_judge(const EnforcementFacts *f, const Signer *signer)
{
        const char *id;

        if (!is_enforced(f))
                return ENFORCEMENT_OFF;
        if (signer_is_empty(signer))
                return ENFORCEMENT_UNSIGNED;
        id = id_of_signer(signer);
        if (!id)
                return ENFORCEMENT_UNSURE;
        if (strv_contains(f->keys, id))
                return ENFORCEMENT_TRUSTED;
        return f->all_keys ? ENFORCEMENT_UNTRUSTED : ENFORCEMENT_UNSURE;
}

bool enforcement_refuses(EnforcementVerdict verdict)
{
        return verdict == ENFORCEMENT_UNSIGNED || verdict == ENFORCEMENT_UNTRUSTED;
}

char *enforcement_describe(const EnforcementFacts *f)
{
        _cleanup_strv_ char **reasons = NULL;
        _cleanup_free_ char *list = NULL;
        int r = 0;

        /* Distributions lock the kernel down at Secure Boot; that it did is not said here. */
        if (!is_enforced(f) && f->lockdown == LOCKDOWN_UNKNOWN && f->secure_boot == KNOWN_YES)
                return strdup("not known to be enforced (Secure Boot, /sys/kernel/security cannot be read)");
        if (!is_enforced(f))
                return strdup(f->sig_enforce == KNOWN_NOT && f->lockdown == LOCKDOWN_UNKNOWN
                                                ? "not known to be enforced"
                                                : "not enforced");
        if (f->sig_enforce == KNOWN_YES)
                r = strv_push(&reasons, f->on_command_line
                                                        ? "module.sig_enforce on the kernel's command line"
                                                        : "module.sig_enforce");
        if (r == 0 && f->lockdown > LOCKDOWN_NONE)
                r = strv_pushf(&reasons, "lockdown %s", lockdown_to_string(f->lockdown));
        if (r == 0 && f->secure_boot == KNOWN_YES)
                r = strv_push(&reasons, "Secure Boot");
        list = r == 0 ? strv_join(reasons, ", ") : NULL;
        return list ? str_format("enforced (%s)", list) : NULL;
}

int enforcement_summarize(const EnforcementFacts *f, const Signer *signer, bool made, char **ret)
{
        _cleanup_free_ char *how = enforcement_describe(f);
        char *text = NULL;

        if (how && signer_is_empty(signer))
                text = str_format("%s, build unsigned", how);
        else if (how)
                text = str_format("%s, build %ssigned by '%s'", how, made ? "" : "to be ",
                                signer_name(signer));
        if (!text)
                return err_origin(-ENOMEM);
        *ret = text;
        return 0;
}

char *enforcement_explain(const EnforcementFacts *f, const Signer *signer, const char *what)
{
        _cleanup_free_ char *how = enforcement_describe(f);

        if (!how)
                return NULL;
        if (signer_is_empty(signer))
                return str_format("Signatures are %s, and %s is not signed.", how, what);
        return str_format(
                        "Signatures are %s, and the kernel does not have the key of '%s' (id %s) that %s is signed with.",
                        how, signer_name(signer), strna(id_of_signer(signer)), what);
}
