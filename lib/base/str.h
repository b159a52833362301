/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Strings and string vectors. A vector ("strv") is a NULL-terminated array of
 * owned strings; NULL is the empty vector.
 */

#include <stdarg.h>

#include "base/macro.h"

char **strv_free(char **l);
DEFINE_CLEANUP(char *, strv_free);
#define _cleanup_strv_ _cleanup_(strv_freep)

#define STRV_FOREACH(s, l) for (char *const *s = (l); s && *s; s++)

size_t strv_length(char *const *l);
bool strv_contains(char *const *l, const char *s);

/* The following return 0 or -ENOMEM. Strings are copied unless "consume" is in the name. */
int strv_push(char ***l, const char *s);
int strv_push_consume(char ***l, char *s);
int strv_pushf(char ***l, const char *format, ...) _printf_(2, 3);

/* Takes every @s out of @l. */
void strv_remove(char **l, const char *s);
int strv_copy(char *const *l, char ***ret);

/* Splits at any of @separators; empty words are left out. Returns 0 or -ENOMEM. */
int strv_split(const char *s, const char *separators, char ***ret);

/* Splits in place into lines without their newline. Returns 0 or -ENOMEM. */
int strv_split_lines(const char *s, char ***ret);

/* Joins with @separator; an empty vector gives "". NULL on out of memory. */
char *strv_join(char *const *l, const char *separator);
void strv_sort(char **l);

/* Formats into a fresh string, NULL on out of memory. */
char *str_format(const char *format, ...) _printf_(1, 2);

/* Replaces *@s by a copy of @value (NULL allowed). Returns 0 or -ENOMEM. */
int str_replace(char **s, const char *value);

/* Cuts white space at both ends, in place; returns the new beginning. */
char *str_strip(char *s);

/*
 * Makes text of others fit for a line on a terminal or in a log, in place: control
 * characters (C0, DEL, C1), bidirectional marks, embeddings and isolates, and what is no
 * UTF-8 become '?', line breaks and tabs a blank. Returns @s; NULL stays NULL.
 */
char *str_printable(char *s);

/* Whether str_printable() would leave @s as it is. */
bool str_is_printable(const char *s);

/* Module names in the kernel use '_' where files use '-'. Converts in place, returns @s. */
char *str_underscore(char *s);

/* Compares two module names, '-' and '_' being the same. */
bool modname_eq(const char *a, const char *b);

/*
 * Parses a whole decimal (base 10) or prefixed number. Returns 0, -EINVAL if @s
 * is no number, -ERANGE if it is outside [@min, @max].
 */
int str_to_u64(const char *s, int base, uint64_t min, uint64_t max, uint64_t *ret);

/* "yes/true/on/1" and "no/false/off/0" as systemd reads them. Returns 0 or -EINVAL. */
int str_to_bool(const char *s, bool *ret);

/*
 * A time span as systemd reads it: "90", "20min", "1min 30s", "250ms"; a bare
 * number is seconds; "infinity" is USEC_INFINITY. Returns 0 or -EINVAL.
 */
int str_to_usec(const char *s, usec_t *ret);

/* "1h 2min", "8.4s", "250ms": at most two units, for people. NULL on out of memory. */
char *str_from_usec(usec_t usec);
