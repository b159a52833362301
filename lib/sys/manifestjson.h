/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A build's manifest as JSON text, manifest.json in the build's directory. */

#include "policy/manifest.h"

enum {
        _MANIFEST_E_SUCCESS,
        MANIFEST_E_INVALID, /* no JSON, a field of the wrong type, a missing one, a path in a name */
        MANIFEST_E_NEWER,   /* a later version of this program wrote it, in a format of its own */
};

enum { MANIFEST_SIZE_MAX = 1024 * 1024 };

#define MANIFEST_NAME "manifest.json"

/*
 * @reterr: on MANIFEST_E_* one sentence with line or field; the caller's.
 * Return: 0, MANIFEST_E_INVALID, MANIFEST_E_NEWER or -ENOMEM.
 */
int manifest_parse(const char *text, size_t size, BuildManifest *ret, char **reterr);

/* The text with a newline at the end; the caller's. Returns 0 or -ENOMEM. */
int manifest_format(const BuildManifest *m, char **ret);
