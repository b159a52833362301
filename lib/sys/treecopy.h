/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Copying some files of a tree, with their digests. */

#include "base/root.h"
#include "policy/kepttree.h"

enum {
        _TREECOPY_E_SUCCESS,
        TREECOPY_E_TOO_BIG, /* more than any kernel has: not what it seems to be */
        TREECOPY_E_NAME,    /* a file's name cannot be written down, see *@reterr */
};

/* Which files; all paths are relative to the directory that is copied. */
typedef struct TreecopyRules {
        KeptPart part;
        bool (*wants)(KeptPart part, const char *path);
        bool (*enters)(KeptPart part, const char *path);
        bool (*is_plain)(const char *path);
} TreecopyRules;

/* What one tree may have, over all parts. */
typedef struct Treecopy {
        KeptFiles *files;
        uint64_t bytes;
        char **left_out; /* links that lead out of the source, for people */
} Treecopy;

/*
 * Copies the files that are wanted from @directory of the root to the directory
 * @target. What is there already stays. Directories that are links are not
 * entered; a link to a file becomes a file if that is below @allowed, a physical
 * path of this machine, and is left out if not.
 * Returns 0, TREECOPY_E_* or a negative errno; *@reterr (the caller's) may say which file.
 */
int treecopy(const Root *root, const char *directory, const TreecopyRules *rules, const char *allowed,
                int target, Treecopy *copy, char **reterr);
