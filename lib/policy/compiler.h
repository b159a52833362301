/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Which compiler a kernel wants, which one to take, and whether that is good
 * enough. Compilers are told apart by the first line of "CC --version", which
 * is also what the kernel keeps as CONFIG_CC_VERSION_TEXT.
 */

#include "base/macro.h"

typedef enum CompilerKind {
        COMPILER_UNKNOWN,
        COMPILER_GCC,
        COMPILER_CLANG,
        _COMPILER_KIND_MAX,
        _COMPILER_KIND_INVALID = -EINVAL,
} CompilerKind;

typedef struct CompilerVersion {
        CompilerKind kind;
        unsigned major, minor, patch;
} CompilerVersion;

const char *compiler_kind_to_string(CompilerKind kind);

enum {
        _COMPILER_E_SUCCESS,
        COMPILER_E_UNKNOWN, /* the text names no gcc or clang with a version */
};

/* Only the first line of @text counts. Returns 0 or COMPILER_E_UNKNOWN. */
int compiler_version_parse(const char *text, CompilerVersion *ret);

/*
 * Programs to try, in this order, for a kernel that was built with @text (NULL
 * or unknown: plain "gcc", "cc"). With @configured set only that one. The
 * vector is the caller's. Returns 0 or -ENOMEM.
 */
int compiler_candidates(const char *text, const char *configured, char ***ret);

typedef enum CompilerVerdict {
        COMPILER_SAME,      /* same kind and version number */
        COMPILER_MINOR,     /* same major, other minor or patch level: a line in the log */
        COMPILER_MAJOR,     /* other major: stop, unless told to ignore it */
        COMPILER_OTHER,     /* clang for a gcc kernel or the reverse: stop */
        COMPILER_NOT_KNOWN, /* one of the two texts is not understood: a line in the log */
        _COMPILER_VERDICT_MAX,
        _COMPILER_VERDICT_INVALID = -EINVAL,
} CompilerVerdict;

const char *compiler_verdict_to_string(CompilerVerdict verdict);

CompilerVerdict compiler_judge(const char *kernel_text, const char *compiler_text);

/* True if a build may go on with it; @ignore: the administrator said so. */
bool compiler_verdict_usable(CompilerVerdict verdict, bool ignore);

/* One available candidate. */
typedef struct CompilerFact {
        const char *program;
        const char *text; /* first line of --version; NULL: it is not there */
} CompilerFact;

typedef struct CompilerChoice {
        size_t index; /* into the facts; meaningless if !found */
        bool found;   /* some candidate is there: else CODE_TOOLCHAIN_MISSING */
        bool usable;
        CompilerVerdict verdict;
} CompilerChoice;

/* The best of the candidates: the first with the best verdict. */
CompilerChoice compiler_choose(const char *kernel_text, const CompilerFact *facts, size_t n, bool ignore);

/* One sentence with both texts, for the log or the failure. NULL on out of memory; the caller's. */
char *compiler_explain(CompilerVerdict verdict, const char *kernel_text, const char *compiler_text);
