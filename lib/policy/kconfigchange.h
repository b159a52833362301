/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What "make olddefconfig" made of a kernel's own configuration. It changes
 * options without a word where the tools differ from those that the kernel was
 * built with, and then structures can have another layout although release and
 * vermagic are equal.
 */

#include "policy/kconfig.h"

typedef enum KconfigChangeKind {
        KCONFIG_CHANGE_ABI,       /* can change structures, calls or generated code */
        KCONFIG_CHANGE_TOOLCHAIN, /* only describes compiler, linker and the like */
        KCONFIG_CHANGE_HARMLESS,  /* no C code of a module depends on it */
        KCONFIG_CHANGE_NEW,       /* the kernel's own configuration does not name it */
        _KCONFIG_CHANGE_MAX,
        _KCONFIG_CHANGE_INVALID = -EINVAL,
} KconfigChangeKind;

typedef struct KconfigChange {
        const char *name;           /* all three point into one of the two Kconfigs */
        const char *before, *after; /* NULL: n, or not named */
        KconfigChangeKind kind;
} KconfigChange;

typedef struct KconfigChanges {
        KconfigChange *items; /* sorted by name */
        size_t n;
        size_t count[_KCONFIG_CHANGE_MAX];
} KconfigChanges;

/* Borrows from both, which must live as long as the result. Returns 0 or -ENOMEM. */
int kconfig_compare(const Kconfig *before, const Kconfig *after, KconfigChanges *ret);
void kconfig_changes_done(KconfigChanges *changes);

/* "DEBUG_INFO_BTF: y, now n". NULL on out of memory; the caller's. */
char *kconfig_change_to_string(const KconfigChange *change);

/* The names of one kind, at most @max of them: "A, B and 3 more". NULL on out of memory; the caller's. */
char *kconfig_changes_names(const KconfigChanges *changes, KconfigChangeKind kind, size_t max);

/*
 * What the changes of the kind KCONFIG_CHANGE_ABI hang on, as far as that is
 * known: "pahole is not installed (package dwarves)". Returns 0 with NULL if
 * nothing is known, or -ENOMEM. The text is the caller's.
 */
int kconfig_changes_cause(
                const KconfigChanges *changes, const Kconfig *before, const Kconfig *after, char **ret);
