/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A directory that may serve to build modules for a kernel: what was found in
 * it (lib/sys/treefacts fills that in) and what it is good for. A tree is
 * judged by its content, never by its name.
 */

#include "base/macro.h"
#include "base/str.h"
#include "policy/code.h"
#include "policy/facts.h"
#include "policy/kconfig.h"

/* The parts that a tree is made of; the table in kerneltree.c has their names. */
typedef enum TreePart {
        TREE_PART_MAKEFILE,    /* Makefile */
        TREE_PART_CONFIG,      /* .config */
        TREE_PART_SYMVERS,     /* Module.symvers */
        TREE_PART_AUTOCONF,    /* include/generated/autoconf.h */
        TREE_PART_AUTO_CONF,   /* include/config/auto.conf */
        TREE_PART_UTSRELEASE,  /* include/generated/utsrelease.h */
        TREE_PART_MODPOST,     /* scripts/mod/modpost, executable and for this machine */
        TREE_PART_FIXDEP,      /* scripts/basic/fixdep, the same */
        TREE_PART_LDS,         /* scripts/module.lds, or arch/ARCH/module.lds on Debian */
        TREE_PART_KBUILD,      /* scripts/Makefile.build, in the tree or its source */
        TREE_PART_HEADERS,     /* include/linux/module.h, in the tree or its source */
        TREE_PART_FULL_SOURCE, /* Kconfig and init/main.c: can be prepared; in the tree or its source */
        TREE_PART_OBJTOOL,     /* tools/objtool/objtool, the same as modpost; needed if .config says so */
        _TREE_PART_MAX,
        _TREE_PART_INVALID = -EINVAL,
} TreePart;

/* Paths are relative to the Root, without a leading slash. */
typedef struct TreeFacts {
        char *path;   /* the build tree, as asked for */
        char *source; /* its source tree; equal to path if not split, NULL if it points nowhere */
        bool parts[_TREE_PART_MAX];
        char *lds;            /* the linker script below path */
        char *release;        /* UTS_RELEASE; else include/config/kernel.release; NULL if never built */
        char *config_release; /* include/config/kernel.release: on Debian 6.1 another text, never compared */
        char *version;        /* UTS_VERSION, as uname -v; NULL if the tree does not tell */
        char *makefile_version; /* "6.1.192" from the source's Makefile; NULL if unreadable */
        char *config;           /* text of .config, at most KCONFIG_SIZE_MAX; NULL if none */
        size_t config_size;
        char *config_from;    /* the tree has none, the text is from here; else NULL */
        char *symvers_from;   /* the same of Module.symvers */
        char *randstruct;     /* RANDSTRUCT_HASHED_SEED or NULL */
        bool dirty;           /* the source holds results of a build: make O= refuses it */
        char *dirty_by;       /* the file or directory that shows it, below source */
        bool inside;          /* path is in the toolchain root, and not in the machine's */
        bool kept;            /* in the store, see policy/kepttree.h */
        bool source_inside;   /* the same of source */
        bool symvers_outside; /* inside, but symvers_from is of the machine */
        bool foreign_tools;   /* modpost or fixdep is a program for another machine or not runnable */

        /* derived by tree_facts_derive(): */
        char *compiler;       /* CONFIG_CC_VERSION_TEXT or NULL */
        char *config_version; /* "6.1.192": the kernel that .config was made for; NULL if it does not tell */
        char *vermagic;       /* what modules built in it carry; NULL if release or .config is missing */
        bool modversions;
        bool needs_objtool; /* CONFIG_OBJTOOL, before 5.19 CONFIG_STACK_VALIDATION */
} TreeFacts;

static inline void tree_facts_done(TreeFacts *t)
{
        free(t->path);
        free(t->source);
        free(t->lds);
        free(t->release);
        free(t->config_release);
        free(t->version);
        free(t->makefile_version);
        free(t->config);
        free(t->config_from);
        free(t->symvers_from);
        free(t->config_version);
        free(t->randstruct);
        free(t->dirty_by);
        free(t->compiler);
        free(t->vermagic);
        *t = (TreeFacts){};
}

typedef struct TreeFactsList {
        TreeFacts *items; /* in the order of the search */
        size_t n;
} TreeFactsList;

static inline void tree_facts_list_done(TreeFactsList *l)
{
        for (size_t i = 0; i < l->n; i++)
                tree_facts_done(&l->items[i]);
        free(l->items);
        *l = (TreeFactsList){};
}

/* Fills in what follows from the texts that were read. Returns 0 or a negative errno. */
int tree_facts_derive(TreeFacts *t);

typedef enum TreeVerdict {
        TREE_READY,    /* modules can be built in it as it is */
        TREE_SOURCE,   /* must be prepared out of tree first */
        TREE_DIRTY,    /* as TREE_SOURCE, but make O= will refuse it: prepare a cleaned copy */
        TREE_MISMATCH, /* of another kernel */
        TREE_UNUSABLE, /* parts are missing and cannot be made */
        _TREE_VERDICT_MAX,
        _TREE_VERDICT_INVALID = -EINVAL,
} TreeVerdict;

const char *tree_verdict_to_string(TreeVerdict verdict);
const char *tree_part_to_string(TreePart part);

typedef struct TreeJudgement {
        TreeVerdict verdict;
        Code code;      /* CODE_OK for TREE_READY and TREE_SOURCE */
        char **missing; /* the parts that TREE_READY would need, by path; empty for TREE_READY */
        char *wanted;   /* TREE_MISMATCH: the identity asked for */
        char *found;    /* TREE_MISMATCH: the tree's */
        char *evidence; /* one sentence for the log; NULL for TREE_READY */
        char **notes;   /* worth a line in the log, no reason to stop */
} TreeJudgement;

void tree_judgement_done(TreeJudgement *j);

/*
 * Judges a tree for the kernel given (release is needed; version and vermagic
 * are compared if known). @kernel need not be the running one.
 * Returns 0 or a negative errno.
 */
int tree_judge(const TreeFacts *t, const KernelFact *kernel, TreeJudgement *ret);

/*
 * The tree to use: the first ready one, else the first that can be prepared
 * (clean before dirty), else the first one with its reason. The judgement is
 * the caller's.
 *
 * Return: 0 with the index; TREE_E_NONE if the list is empty
 * (CODE_TREE_MISSING); or a negative errno.
 */
enum { _TREE_E_SUCCESS, TREE_E_NONE };
int tree_choose(const TreeFactsList *l, const KernelFact *kernel, size_t *ret_index, TreeJudgement *ret);
