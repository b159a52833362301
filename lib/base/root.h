/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A rooted path context: every file of the machine is named relative to a
 * Root, so that the whole program can be replayed on a fixture tree
 * (--root=DIR). The production root is "/".
 *
 * Paths are given without a leading slash ("sys/module/nvidia/refcnt").
 * Resolution stays below the root when it is not "/" (absolute symlinks in a
 * fixture point into the fixture), by openat2(2) with RESOLVE_IN_ROOT.
 */

#include <dirent.h>
#include <sys/stat.h>

#include "base/macro.h"

typedef struct Root {
        int fd;       /* O_PATH|O_DIRECTORY */
        char *prefix; /* without trailing slash; "" for "/" */
} Root;

enum {
        _ROOT_E_SUCCESS,
        ROOT_E_ABSENT,  /* no such file or directory */
        ROOT_E_TOO_BIG, /* the file is larger than the bound given */
};

int root_new(const char *path, Root **ret);
Root *root_free(Root *root);
DEFINE_CLEANUP(Root, root_free);
bool root_is_host(const Root *root);

/* The path as a person outside the root would write it. NULL on out of memory. */
char *root_path(const Root *root, const char *path);

/* Opens @path; O_CLOEXEC is added. Returns 0, ROOT_E_ABSENT or a negative errno. */
int root_open(const Root *root, const char *path, int flags, int *ret_fd);
int root_opendir(const Root *root, const char *path, DIR **ret);
int root_stat(const Root *root, const char *path, struct stat *ret);
bool root_exists(const Root *root, const char *path);

/*
 * Reads a whole file of at most @max bytes; a NUL is added. sysfs and procfs
 * report no size, so the file is read until its end. Returns 0, ROOT_E_ABSENT,
 * ROOT_E_TOO_BIG or a negative errno.
 */
int root_read_file(const Root *root, const char *path, size_t max, char **ret, size_t *ret_size);

/* The same for an open file descriptor. */
int fd_read_file(int fd, size_t max, char **ret, size_t *ret_size);

/* The path of an open file as the kernel knows it, free of symbolic links; the caller's. Returns 0 or a
 * negative errno. */
int fd_path(int fd, char **ret);

/* All of @data, whatever write(2) takes at a time; at the file's offset, or at @offset bytes. Returns 0 or a
 * negative errno. */
int fd_write(int fd, const void *data, size_t size);
int fd_write_at(int fd, const void *data, size_t size, uint64_t offset);

/* The first line of a file, stripped. Returns as root_read_file(). */
int root_read_line(const Root *root, const char *path, size_t max, char **ret);

/* The text of a symlink. Returns 0, ROOT_E_ABSENT or a negative errno. */
int root_readlink(const Root *root, const char *path, char **ret);

/* The entries of a directory without dot files, sorted. Returns 0, ROOT_E_ABSENT or a negative errno. */
int root_list(const Root *root, const char *path, char ***ret);

/* mkdir -p below the root. Existing directories are fine. */
int root_mkdirs(const Root *root, const char *path, mode_t mode);

/*
 * Writes @data to a file of the given name in one step: a randomly named
 * temporary file in the same directory, fsync, rename. A reader sees the old
 * file or the new one. Who is killed in between leaves the temporary file,
 * which root_list() does not list and root_sweep() removes.
 */
int root_write_file(const Root *root, const char *path, const char *data, size_t size, mode_t mode);

/* The same for what does not outlive the boot: without fsync, which may take a disk's time. */
int root_write_volatile(const Root *root, const char *path, const char *data, size_t size, mode_t mode);

/*
 * Removes what killed writers left in a directory, for who knows that nobody
 * writes there now. What cannot be removed stays.
 */
void root_sweep(const Root *root, const char *directory);

/* Removes a file; absence is success. */
int root_unlink(const Root *root, const char *path);

void closedirp(DIR **d);
#define _cleanup_closedir_ _cleanup_(closedirp)
