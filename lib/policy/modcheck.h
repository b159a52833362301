/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Whether finished modules would be accepted by the kernel they are for:
 * vermagic, retpoline tag, every symbol with its CRC. What the kernel would
 * refuse is found before it is tried.
 */

#include "base/macro.h"
#include "policy/code.h"
#include "policy/symvers.h"

/* A symbol that a module needs from the kernel or another module. */
typedef struct ModuleNeed {
        char *name;
        uint32_t crc; /* 0: the module does not say */
        bool weak;    /* it may be missing */
} ModuleNeed;

/* What lib/sys reads from a module file. */
typedef struct ModuleSymbols {
        ModuleNeed *needs;
        size_t n_needs;
        SymversEntry *exports; /* owner is NULL, names are the struct's */
        size_t n_exports;
        bool has_versions; /* it has CRCs at all */
} ModuleSymbols;

void module_symbols_done(ModuleSymbols *s);

/* Copy the name. Return 0 or -ENOMEM. */
int module_symbols_add_need(ModuleSymbols *s, const char *name, uint32_t crc, bool weak);
int module_symbols_add_export(ModuleSymbols *s, const char *name, uint32_t crc);

/* The kernel that modules are checked against; borrowed. */
typedef struct ModcheckKernel {
        const char *vermagic; /* NULL: not known, not compared */
        bool retpoline;       /* modules carry the tag */
        bool modversions;     /* modules carry CRCs in the form that is read here */
        Symvers *symvers;     /* NULL: not known, symbols are not checked */
} ModcheckKernel;

/* A module with what it says about itself; borrowed. Strings may be NULL. */
typedef struct ModcheckModule {
        const char *file; /* "nvidia.ko" */
        const char *vermagic;
        const char *retpoline;
        const char *license;
        bool debug_info; /* it has sections of debugging information */
        ModuleSymbols symbols;
} ModcheckModule;

typedef struct ModcheckResult {
        Code code;        /* of the worst defect, CODE_OK if there is none */
        char *detail;     /* the first few defects, for people; NULL if there is none */
        char **defects;   /* all of them, one line each */
        size_t n_checked; /* symbols that were looked up */
} ModcheckResult;

void modcheck_result_done(ModcheckResult *r);

/*
 * Checks all modules of a build together: what one needs, another may export.
 * Returns 0 or -ENOMEM; the result tells what was found.
 */
int modcheck_judge(
                const ModcheckKernel *kernel, const ModcheckModule *modules, size_t n, ModcheckResult *ret);
