/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Packages as files: a tar, compressed with zstd. Blocks; for programs that may. */

#include "base/root.h"
#include "policy/manifest.h"

enum {
        _PACKAGE_E_SUCCESS,
        PACKAGE_E_INVALID, /* not one of ours, hostile, or damaged; *@reterr says why, the caller's */
};

typedef struct PackageWriter PackageWriter;

/* The same members give the same bytes. */
int package_writer_new(int fd, PackageWriter **ret);
PackageWriter *package_writer_free(PackageWriter *w);
DEFINE_CLEANUP(PackageWriter, package_writer_free);

int package_write_data(PackageWriter *w, const char *name, const char *data, size_t size);

/* @fd: from its current position, @size bytes; -EIO if it has fewer. */
int package_write_fd(PackageWriter *w, const char *name, int fd, uint64_t size);
int package_writer_finish(PackageWriter *w);

/*
 * Unpacks into @directory, which exists, is empty and ours. The manifest comes
 * first; @allow says of each further name how many bytes it may have (0: it
 * may not be there). Only regular files of plain names, each once. Returns 0,
 * PACKAGE_E_INVALID or a negative errno.
 */
int package_unpack(int fd, int directory_fd, uint64_t (*allow)(const BuildManifest *m, const char *name),
                BuildManifest *ret, char **reterr);
