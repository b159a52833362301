/* SPDX-License-Identifier: Apache-2.0 */

/* What the kernel says about signatures, from files of all kinds of machines, and what follows from it. */

#include "unit.h"

#include "sys/lockdown.h"
#include "tmproot.h"

#define SKID   "bed85871492cbe49cec7a6901f78d0cfba68643e"
#define DEBIAN "6ccece7e4c6c0d1f6149f3dd27dfcc5cbb419ea1"

/* As Debian's 6.1 shows them to root. */
#define KEYRING(name, n) "2c2a3f3b I------     1 perm 1f0b0000     0     0 keyring   " name ": " n "\n"
#define KEY(flags, name, id)                                                                                \
        "0f6d1f9a " flags "     1 perm 1f030000     0     0 asymmetri " name ": " id                        \
        ": X509.rsa bb419ea1 []\n"
#define OTHERS                                                                                              \
        KEYRING(".blacklist", "1")                                                                          \
        KEYRING("_uid_ses.0", "1")                                                                          \
        "10a8f5a3 I------     1 perm 1f010000     0     0 user      invocation_id: 16\n"                    \
        "1a3b I--Q---\n\n"

static const Signer ours = { .name = (char *)"Our Key",
        .issuer = (char *)"Our Key",
        .serial = (char *)"14234a",
        .key_id = (char *)SKID,
        .fingerprint = (char *)"75" };
static const Signer without_id = { .name = (char *)"Old Key",
        .issuer = (char *)"Old Key",
        .serial = (char *)"14234a",
        .fingerprint = (char *)"75" };
static const Signer from_signature = { .issuer = (char *)"Our Key", .serial = (char *)"14234a" };

static const struct {
        const char *keys;
        bool all;
        size_t n;
        const char *last;
} key_lists[] = {
        { "", false, 0, NULL },
        { OTHERS, false, 0, NULL },
        { OTHERS KEYRING(".builtin_trusted_keys", "empty"), true, 0, NULL },
        { KEYRING(".builtin_trusted_keys", "1") KEY("I------", "Debian Secure Boot CA", DEBIAN), true, 1,
                        DEBIAN },
        { KEYRING(".builtin_trusted_keys", "2") KEY("I------", "Debian Secure Boot CA", DEBIAN), false, 1,
                        DEBIAN },
        { KEYRING(".system_keyring", "1") KEY("I------", "Old", "14234a"), true, 1, "14234a" },
        { KEYRING(".builtin_trusted_keys", "1") KEYRING(".platform", "1") KEY("I------", "A", "aa"), false,
                        1, "aa" },
        { KEYRING(".builtin_trusted_keys", "1") KEYRING(".secondary_trusted_keys", "2") KEYRING(
                          ".machine", "1") KEY("I------", "A", "aa") KEY("I------", "B", "bb"),
                        true, 2, "bb" },
        /* names that try to be something else; keys that are of no use any more */
        { KEYRING(".builtin_trusted_keys", "1") KEY("I------", "x: ff: X509.rsa ff []: y", DEBIAN), true, 1,
                        DEBIAN },
        { KEYRING(".builtin_trusted_keys", "1") KEY("I------", ".builtin_trusted_keys: 0: z", DEBIAN), true,
                        1, DEBIAN },
        { KEYRING(".builtin_trusted_keys", "1") KEY("IR-----", "Revoked", DEBIAN), true, 0, NULL },
        { KEYRING(".builtin_trusted_keys", "1") KEY("I-----i", "Invalidated", DEBIAN), true, 0, NULL },
        { KEYRING(".builtin_trusted_keys", "1") KEY("I------", "No hex", "Bed858"), true, 0, NULL },
        { KEYRING(".builtin_trusted_keys", "lots"), true, 0, NULL },
        { "one two three four five six seven", false, 0, NULL },
};

START_TEST(test_keys)
{
        _cleanup_(enforcement_facts_done) EnforcementFacts f = {};

        ck_assert_int_eq(enforcement_add_keys(&f, key_lists[_i].keys), 0);
        ck_assert_int_eq(f.all_keys, key_lists[_i].all);
        ck_assert_uint_eq(strv_length(f.keys), key_lists[_i].n);
        if (key_lists[_i].last)
                ck_assert_str_eq(f.keys[key_lists[_i].n - 1], key_lists[_i].last);
}
END_TEST

#define HAS_OURS                                                                                            \
        KEYRING(".builtin_trusted_keys", "2") KEY("I------", "CA", DEBIAN) KEY("I------", "Our Key", SKID)
#define HAS_NOT   KEYRING(".builtin_trusted_keys", "1") KEY("I------", "CA", DEBIAN)
#define BY_SERIAL KEYRING(".builtin_trusted_keys", "1") KEY("I------", "Old Key", "14234a")

static const struct {
        Known sig_enforce;
        Lockdown lockdown;
        const char *keys;
        const Signer *signer;
        EnforcementVerdict verdict;
} cases[] = {
        { KNOWN_NO, LOCKDOWN_NONE, "", NULL, ENFORCEMENT_OFF },
        { KNOWN_NO, LOCKDOWN_UNKNOWN, HAS_NOT, &ours, ENFORCEMENT_OFF },
        { KNOWN_NOT, LOCKDOWN_UNKNOWN, "", NULL, ENFORCEMENT_OFF },
        { KNOWN_YES, LOCKDOWN_NONE, HAS_OURS, NULL, ENFORCEMENT_UNSIGNED },
        { KNOWN_YES, LOCKDOWN_NONE, "", &(const Signer){}, ENFORCEMENT_UNSIGNED },
        { KNOWN_NO, LOCKDOWN_INTEGRITY, HAS_OURS, NULL, ENFORCEMENT_UNSIGNED },
        { KNOWN_NOT, LOCKDOWN_CONFIDENTIALITY, HAS_OURS, NULL, ENFORCEMENT_UNSIGNED },
        { KNOWN_YES, LOCKDOWN_NONE, HAS_OURS, &ours, ENFORCEMENT_TRUSTED },
        { KNOWN_YES, LOCKDOWN_NONE, HAS_NOT, &ours, ENFORCEMENT_UNTRUSTED },
        { KNOWN_NO, LOCKDOWN_INTEGRITY, HAS_NOT, &ours, ENFORCEMENT_UNTRUSTED },
        { KNOWN_YES, LOCKDOWN_NONE, "", &ours, ENFORCEMENT_UNSURE },
        { KNOWN_YES, LOCKDOWN_NONE, KEYRING(".builtin_trusted_keys", "3"), &ours, ENFORCEMENT_UNSURE },
        { KNOWN_YES, LOCKDOWN_NONE, BY_SERIAL, &without_id, ENFORCEMENT_TRUSTED },
        { KNOWN_YES, LOCKDOWN_NONE, BY_SERIAL, &ours, ENFORCEMENT_UNTRUSTED },
        { KNOWN_YES, LOCKDOWN_NONE, HAS_NOT, &without_id, ENFORCEMENT_UNTRUSTED },
        { KNOWN_YES, LOCKDOWN_NONE, HAS_NOT, &from_signature, ENFORCEMENT_UNSURE },
        { KNOWN_YES, LOCKDOWN_NONE, BY_SERIAL, &from_signature, ENFORCEMENT_UNSURE },
};

START_TEST(test_judge)
{
        _cleanup_(enforcement_facts_done) EnforcementFacts f = { .sig_enforce = cases[_i].sig_enforce,
                .lockdown = cases[_i].lockdown };
        EnforcementVerdict v;

        ck_assert_int_eq(enforcement_add_keys(&f, cases[_i].keys), 0);
        v = enforcement_judge(&f, cases[_i].signer);
        ck_assert_msg(v == cases[_i].verdict, "%s", enforcement_verdict_to_string(v));
        ck_assert_int_eq(enforcement_refuses(v), v == ENFORCEMENT_UNSIGNED || v == ENFORCEMENT_UNTRUSTED);
}
END_TEST

START_TEST(test_names)
{
        for (EnforcementVerdict v = 0; v < _ENFORCEMENT_VERDICT_MAX; v++)
                ck_assert_str_ne(enforcement_verdict_to_string(v), "invalid");
        ck_assert_str_eq(enforcement_verdict_to_string(_ENFORCEMENT_VERDICT_INVALID), "invalid");
        for (Lockdown l = LOCKDOWN_NONE; l < _LOCKDOWN_MAX; l++)
                ck_assert_int_eq(lockdown_from_string(lockdown_to_string(l)), l);
        ck_assert_int_eq(lockdown_from_string("unknown"), _LOCKDOWN_INVALID);
        ck_assert_str_eq(lockdown_to_string(_LOCKDOWN_INVALID), "invalid");
}
END_TEST

static const struct {
        Known sig_enforce;
        bool on_command_line;
        Lockdown lockdown;
        Known secure_boot;
        const char *text;
} descriptions[] = {
        { KNOWN_NO, false, LOCKDOWN_NONE, KNOWN_YES, "not enforced" },
        { KNOWN_NO, false, LOCKDOWN_UNKNOWN, KNOWN_NOT, "not enforced" },
        { KNOWN_NOT, false, LOCKDOWN_UNKNOWN, KNOWN_NOT, "not known to be enforced" },
        { KNOWN_NO, false, LOCKDOWN_UNKNOWN, KNOWN_YES,
                        "not known to be enforced (Secure Boot, /sys/kernel/security cannot be read)" },
        { KNOWN_YES, false, LOCKDOWN_NONE, KNOWN_NO, "enforced (module.sig_enforce)" },
        { KNOWN_YES, true, LOCKDOWN_NONE, KNOWN_NOT,
                        "enforced (module.sig_enforce on the kernel's command line)" },
        { KNOWN_NO, false, LOCKDOWN_INTEGRITY, KNOWN_YES, "enforced (lockdown integrity, Secure Boot)" },
        { KNOWN_YES, false, LOCKDOWN_CONFIDENTIALITY, KNOWN_YES,
                        "enforced (module.sig_enforce, lockdown confidentiality, Secure Boot)" },
};

START_TEST(test_describe)
{
        EnforcementFacts f = { .sig_enforce = descriptions[_i].sig_enforce,
                .on_command_line = descriptions[_i].on_command_line,
                .lockdown = descriptions[_i].lockdown,
                .secure_boot = descriptions[_i].secure_boot };
        _cleanup_free_ char *text = enforcement_describe(&f);

        ck_assert_str_eq(text, descriptions[_i].text);
}
END_TEST

START_TEST(test_explain)
{
        EnforcementFacts f = { .sig_enforce = KNOWN_YES };
        _cleanup_free_ char *no_signature = enforcement_explain(&f, NULL, "build 535"),
                            *no_key = enforcement_explain(&f, &ours, "build 535");

        ck_assert_str_eq(no_signature,
                        "Signatures are enforced (module.sig_enforce), and build 535 is not signed.");
        ck_assert_str_eq(no_key,
                        "Signatures are enforced (module.sig_enforce), and the kernel does not have the key of "
                        "'Our Key' (id " SKID ") that build 535 is signed with.");
}
END_TEST

START_TEST(test_summarize)
{
        EnforcementFacts f = { .sig_enforce = KNOWN_YES };
        _cleanup_free_ char *none = NULL, *made = NULL, *later = NULL;

        ck_assert_int_eq(enforcement_summarize(&f, NULL, true, &none), 0);
        ck_assert_str_eq(none, "enforced (module.sig_enforce), build unsigned");
        ck_assert_int_eq(enforcement_summarize(&f, &ours, true, &made), 0);
        ck_assert_str_eq(made, "enforced (module.sig_enforce), build signed by 'Our Key'");
        ck_assert_int_eq(enforcement_summarize(&f, &ours, false, &later), 0);
        ck_assert_str_eq(later, "enforced (module.sig_enforce), build to be signed by 'Our Key'");
}
END_TEST

/* Machines. NULL: there is no such file. */
static const struct {
        const char *sig_enforce, *lockdown, *cmdline,
                        *secure_boot; /* the last one: value after four bytes */
        Known expected;
        bool on_command_line;
        Lockdown expected_lockdown;
        Known expected_boot;
        size_t n_keys;
} machines[] = {
        { NULL, NULL, NULL, NULL, KNOWN_NOT, false, LOCKDOWN_UNKNOWN, KNOWN_NOT, 0 },
        { "N\n", "[none] integrity confidentiality\n", "quiet", "\1", KNOWN_NO, false, LOCKDOWN_NONE,
                        KNOWN_NOT, 0 },
        { "Y\n", "[none] integrity confidentiality\n", "a module.sig_enforce=1 b", NULL, KNOWN_YES, true,
                        LOCKDOWN_NONE, KNOWN_NOT, 1 },
        { "Y\n", NULL, "module.sig_enforce", "\0", KNOWN_YES, true, LOCKDOWN_UNKNOWN, KNOWN_NO, 1 },
        { "Y\n", NULL, "module.sig_enforcement=1", "\1", KNOWN_YES, false, LOCKDOWN_UNKNOWN, KNOWN_YES, 1 },
        { "N\n", "none [integrity] confidentiality\n", "", "\1", KNOWN_NO, false, LOCKDOWN_INTEGRITY,
                        KNOWN_YES, 1 },
        { "N\n", "none integrity [confidentiality]", "", "\1x", KNOWN_NO, false, LOCKDOWN_CONFIDENTIALITY,
                        KNOWN_NOT, 1 },
        { "maybe\n", "none integrity", "", NULL, KNOWN_NOT, false, LOCKDOWN_UNKNOWN, KNOWN_NOT, 0 },
        { "", "[everything]", "", NULL, KNOWN_NOT, false, LOCKDOWN_UNKNOWN, KNOWN_NOT, 0 },
};

START_TEST(test_read)
{
        _cleanup_(enforcement_facts_done) EnforcementFacts f = {};
        TmpRoot t = tmproot_new();
        char value[8] = "\6\0\0\0";
        size_t n = 4;

        if (machines[_i].sig_enforce)
                tmproot_write(&t, "sys/module/module/parameters/sig_enforce", machines[_i].sig_enforce);
        if (machines[_i].lockdown)
                tmproot_write(&t, "sys/kernel/security/lockdown", machines[_i].lockdown);
        if (machines[_i].cmdline)
                tmproot_write(&t, "proc/cmdline", machines[_i].cmdline);
        tmproot_write(&t, "proc/keys", HAS_NOT);
        if (machines[_i].secure_boot) {
                /* One byte at least, which may be zero. */
                value[n++] = machines[_i].secure_boot[0];
                if (machines[_i].secure_boot[0])
                        n += strlen(machines[_i].secure_boot + 1);
                tmproot_mkdir(&t, "sys/firmware/efi/efivars");
                ck_assert_int_eq(
                                root_write_file(t.root,
                                                "sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c",
                                                value, n, 0644),
                                0);
        }

        ck_assert_int_eq(lockdown_read(t.root, &f), 0);
        ck_assert_int_eq(f.sig_enforce, machines[_i].expected);
        ck_assert_int_eq(f.on_command_line, machines[_i].on_command_line);
        ck_assert_int_eq(f.lockdown, machines[_i].expected_lockdown);
        ck_assert_int_eq(f.secure_boot, machines[_i].expected_boot);
        ck_assert_uint_eq(strv_length(f.keys), machines[_i].n_keys);
        tmproot_done(&t);
}
END_TEST

/* What a container sees: no securityfs and no efivarfs in its own /sys. */
START_TEST(test_read_container)
{
        static const char secure[] = { 6, 0, 0, 0, 1 };
        EnforcementFacts f = {};
        TmpRoot t = tmproot_new();
        _cleanup_free_ char *text = NULL, *locked = NULL;

        tmproot_write(&t, "sys/module/module/parameters/sig_enforce", "N\n");
        tmproot_mkdir(&t, "proc/1/root/sys/firmware/efi/efivars");
        ck_assert_int_eq(root_write_file(t.root,
                                         "proc/1/root/sys/firmware/efi/efivars/"
                                         "SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c",
                                         secure, sizeof(secure), 0644),
                        0);
        ck_assert_int_eq(lockdown_read(t.root, &f), 0);
        text = enforcement_describe(&f);
        ck_assert_str_eq(
                        text, "not known to be enforced (Secure Boot, /sys/kernel/security cannot be read)");
        enforcement_facts_done(&f);

        tmproot_write(&t, "proc/1/root/sys/kernel/security/lockdown", "none [integrity] confidentiality\n");
        ck_assert_int_eq(lockdown_read(t.root, &f), 0);
        locked = enforcement_describe(&f);
        ck_assert_str_eq(locked, "enforced (lockdown integrity, Secure Boot)");
        enforcement_facts_done(&f);
        tmproot_done(&t);
}
END_TEST

/* A kernel without MODULE_SIG has other parameters, but not this one. */
START_TEST(test_read_no_parameter)
{
        EnforcementFacts f = {};
        TmpRoot t = tmproot_new();

        tmproot_mkdir(&t, "sys/module/nvidia");
        ck_assert_int_eq(lockdown_read(t.root, &f), 0);
        ck_assert_int_eq(f.sig_enforce, KNOWN_NO);
        tmproot_done(&t);
}
END_TEST

UNIT_MAIN("enforcement", UNIT_LOOP(test_keys, ELEMENTSOF(key_lists)),
                UNIT_LOOP(test_judge, ELEMENTSOF(cases)), UNIT_TEST(test_names),
                UNIT_LOOP(test_describe, ELEMENTSOF(descriptions)), UNIT_TEST(test_explain),
                UNIT_TEST(test_summarize), UNIT_LOOP(test_read, ELEMENTSOF(machines)),
                UNIT_TEST(test_read_container), UNIT_TEST(test_read_no_parameter))
