/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Who else than root could change a file that root is about to run or to compile. */

#include "base/root.h"

/*
 * Judges an open file or directory itself (O_PATH will do): its owner, who has to be root or
 * who runs this, its mode, where the group of root may write, and its POSIX ACL.
 *
 * @ret_who:    what lets somebody else change it, as the predicate of a sentence about the
 *              file: "is owned by user 1000"; NULL if nobody can. The caller's.
 * @ret_remedy: the command that ends it without the file's name: "chown root:root".
 *
 * An ACL that cannot be read counts as one that lets somebody write. Returns 0 or a negative errno.
 */
int writers_of_file(int fd, char **ret_who, const char **ret_remedy);

/*
 * Judges the directories above @path, an absolute path free of symbolic links: who can rename
 * in one of them can put another file in the place of @path. Sticky directories (/tmp) are
 * fine, because there nobody can rename what is root's.
 *
 * @ret_directory: the nearest one that somebody else can change, the caller's; NULL if none.
 */
int writers_above(const char *path, char **ret_directory, char **ret_who, const char **ret_remedy);

/*
 * For a directory of sources or headers whose content root compiles: both of the above for
 * the directory itself. Its files are not looked at one by one.
 *
 * @ret_warning: a sentence without the full stop, the caller's; NULL if nobody else can change it
 *               or if it is not there.
 */
int writers_of_tree(const Root *root, const char *path, char **ret_warning);
