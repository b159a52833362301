/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Files of shell assignments that are read without a shell: os-release(5),
 * update.conf, and small files of our own. One NAME=VALUE a line, '#' begins a
 * comment line, values may be in quotes.
 */

#include "base/macro.h"

/*
 * The value of @name; the last assignment counts. *@ret is NULL if there is
 * none, and the caller's. Nothing is expanded: a '$' is a '$'. Returns 0 or -ENOMEM.
 */
int envfile_get(const char *text, const char *name, char **ret);
