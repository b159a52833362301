/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Would the running kernel load a module with this signature? Asked before
 * anything is compiled or loaded: a refusal that is certain costs a second
 * then, not minutes. Whatever is not certain is left to the kernel.
 */

#include "base/macro.h"
#include "base/str.h"
#include "policy/signer.h"

typedef enum Known {
        KNOWN_NOT, /* it cannot be told */
        KNOWN_NO,
        KNOWN_YES,
} Known;

typedef enum Lockdown {
        LOCKDOWN_UNKNOWN, /* no such kernel feature, or securityfs is not mounted */
        LOCKDOWN_NONE,
        LOCKDOWN_INTEGRITY,
        LOCKDOWN_CONFIDENTIALITY,
        _LOCKDOWN_MAX,
        _LOCKDOWN_INVALID = -EINVAL,
} Lockdown;

const char *lockdown_to_string(Lockdown lockdown);

/* As /sys/kernel/security/lockdown has them; _LOCKDOWN_INVALID for any other name. */
Lockdown lockdown_from_string(const char *name);

typedef struct EnforcementFacts {
        Known sig_enforce; /* what the kernel does now, whether from its configuration, command line or later
                            */
        bool on_command_line;
        Lockdown lockdown;
        Known secure_boot;
        char **keys;   /* hex ids of the X.509 keys that the kernel has, wherever they are */
        bool all_keys; /* the list holds all keys that modules may be verified with */
} EnforcementFacts;

void enforcement_facts_done(EnforcementFacts *f);

/* The text of /proc/keys. Returns 0 or -ENOMEM. */
int enforcement_add_keys(EnforcementFacts *f, const char *text);

typedef enum EnforcementVerdict {
        ENFORCEMENT_OFF,       /* the kernel takes unsigned modules */
        ENFORCEMENT_TRUSTED,   /* it has the signer's key */
        ENFORCEMENT_UNSURE,    /* whether it has the key cannot be told: it has to be tried */
        ENFORCEMENT_UNSIGNED,  /* it will refuse: no signature */
        ENFORCEMENT_UNTRUSTED, /* it will refuse: it does not have the key */
        _ENFORCEMENT_VERDICT_MAX,
        _ENFORCEMENT_VERDICT_INVALID = -EINVAL,
} EnforcementVerdict;

const char *enforcement_verdict_to_string(EnforcementVerdict verdict);

/* @signer: of the modules; NULL or empty: they are not signed. */
EnforcementVerdict enforcement_judge(const EnforcementFacts *f, const Signer *signer);
bool enforcement_refuses(EnforcementVerdict verdict);

/* "enforced (module.sig_enforce, Secure Boot)" or "not enforced". NULL on out of memory; the caller's. */
char *enforcement_describe(const EnforcementFacts *f);

/*
 * "not enforced, build unsigned", "enforced (...), build signed by 'Our Key'"; if it is not @made yet: "...
 * to be signed by ...". The caller's. Returns 0 or -ENOMEM.
 */
int enforcement_summarize(const EnforcementFacts *f, const Signer *signer, bool made, char **ret);

/*
 * One sentence for a refusal: what is enforced and what @what ("build X",
 * "the build to be made") lacks. NULL on out of memory; the caller's.
 */
char *enforcement_explain(const EnforcementFacts *f, const Signer *signer, const char *what);
