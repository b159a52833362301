/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * One configuration file in the style of systemd: [Section], Key=value,
 * comments on lines of their own.
 */

#include "base/root.h"

enum {
        _INI_E_SUCCESS,
        INI_E_ABSENT,     /* no such file */
        INI_E_TOO_BIG,    /* more than INI_SIZE_MAX bytes */
        INI_E_UNREADABLE, /* a directory, no permission, an I/O error: see errno */
};

enum { INI_SIZE_MAX = 64 * 1024 };

/* Both return 0 to go on, or a negative errno, which ends the reading and is what ini_read() returns. */
typedef int (*IniHandler)(
                const char *section, const char *key, const char *value, unsigned line, void *userdata);
typedef int (*IniProblem)(unsigned line, const char *message, void *userdata);

/**
 * ini_read() - Read a file, assignment by assignment
 * @root:               where @path is looked up
 * @path:               without a leading slash
 * @on_assignment:      called for each complete and unambiguous assignment
 * @on_problem:         called for each line that is not one, with its number
 *                      (from 1) and half a sentence that says what was expected
 *                      and what happens instead
 * @userdata:           handed to both
 *
 * An assignment is reported with its whole value or not at all.
 *
 * Return: 0 also if there were problems, INI_E_ABSENT, INI_E_TOO_BIG,
 *         INI_E_UNREADABLE with errno set, or a negative errno.
 */
int ini_read(const Root *root, const char *path, IniHandler on_assignment, IniProblem on_problem,
                void *userdata);
