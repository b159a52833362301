/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Names that are a slip of the finger away from others. */

#include "base/macro.h"

/* Levenshtein distance without regard to case; UINT32_MAX for names that are too long to be ours. */
unsigned nearest_distance(const char *a, const char *b);

/* Near means: at most a third of the letters of @name are wrong. */
bool nearest_is_near(unsigned distance, const char *name);
