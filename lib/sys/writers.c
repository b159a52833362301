/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The value of system.posix_acl_access is a version (le32, 2) and entries of tag (le16),
 * permissions (le16) and id (le32): include/uapi/linux/posix_acl_xattr.h. With an ACL the
 * group bits of the mode are its mask, the upper bound of what its entries grant.
 */

#include <endian.h>
#include <fcntl.h>
#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/result.h"
#include "base/str.h"
#include "sys/writers.h"

enum { ACL_ENTRIES_MAX = 128 };

typedef struct Acl {
        struct posix_acl_xattr_header header;
        struct posix_acl_xattr_entry entries[ACL_ENTRIES_MAX];
} Acl;

/* @ret_who names the first entry that lets somebody other than root write; NULL if there is none. */
static int find_in_acl(const Acl *acl, size_t size, char **ret_who)
{
        size_t n = (size - sizeof(acl->header)) / sizeof(acl->entries[0]);

        for (size_t i = 0; i < n; i++) {
                unsigned tag = le16toh(acl->entries[i].e_tag), id = le32toh(acl->entries[i].e_id);

                if ((tag != ACL_USER && tag != ACL_GROUP) || id == 0 ||
                                !(le16toh(acl->entries[i].e_perm) & ACL_WRITE))
                        continue;
                *ret_who = str_format("can be written by %s %u according to its ACL",
                                tag == ACL_USER ? "user" : "group", id);
                return *ret_who ? 0 : err_origin(-ENOMEM);
        }
        return 0;
}

static int judge_acl(int fd, const struct stat *st, char **ret_who)
{
        char link[64];
        Acl acl;
        ssize_t n;

        if (!(st->st_mode & S_IWGRP))
                return 0;
        /* fgetxattr(2) takes no O_PATH. */
        (void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
        n = getxattr(link, "system.posix_acl_access", &acl, sizeof(acl));
        if (n < 0 && (errno == ENODATA || errno == EOPNOTSUPP))
                return 0;
        if (n >= (ssize_t)sizeof(acl.header) && le32toh(acl.header.a_version) == POSIX_ACL_XATTR_VERSION)
                return err_trace(find_in_acl(&acl, (size_t)n, ret_who));
        *ret_who = strdup("has an ACL that cannot be read");
        return *ret_who ? 0 : err_origin(-ENOMEM);
}

static int judge(int fd, const struct stat *st, char **ret_who, const char **ret_remedy)
{
        *ret_who = NULL;
        if (st->st_uid != 0 && st->st_uid != geteuid()) {
                *ret_who = str_format("is owned by user %u", st->st_uid);
                *ret_remedy = "chown root:root";
        } else if (st->st_mode & S_IWOTH) {
                *ret_who = str_format("can be written by others (mode %04o)", st->st_mode & 07777);
                *ret_remedy = "chmod go-w";
        } else if ((st->st_mode & S_IWGRP) && st->st_gid != 0) {
                *ret_who = str_format(
                                "can be written by group %u (mode %04o)", st->st_gid, st->st_mode & 07777);
                *ret_remedy = "chmod g-w";
        } else {
                *ret_remedy = "setfacl -b";
                return err_trace(judge_acl(fd, st, ret_who));
        }
        return *ret_who ? 0 : err_origin(-ENOMEM);
}

int writers_of_file(int fd, char **ret_who, const char **ret_remedy)
{
        struct stat st;

        if (fstat(fd, &st) < 0)
                return err_origin(-errno);
        return err_trace(judge(fd, &st, ret_who, ret_remedy));
}

static int judge_directory(const char *path, char **ret_who, const char **ret_remedy)
{
        _cleanup_close_ int fd = -EBADF;
        struct stat st;

        fd = open(path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0 || fstat(fd, &st) < 0)
                return err_origin(-errno);
        /* Its owner can rename in a sticky directory, the others cannot. */
        if (st.st_mode & S_ISVTX)
                st.st_mode &= ~(mode_t)(S_IWGRP | S_IWOTH);
        return err_trace(judge(fd, &st, ret_who, ret_remedy));
}

int writers_above(const char *path, char **ret_directory, char **ret_who, const char **ret_remedy)
{
        _cleanup_free_ char *above = strdup(path);
        char *slash;
        int r;

        if (!above)
                return err_origin(-ENOMEM);
        *ret_directory = NULL;
        while ((slash = strrchr(above, '/'))) {
                *slash = '\0';
                r = judge_directory(*above ? above : "/", ret_who, ret_remedy);
                if (r || *ret_who) {
                        *ret_directory = r ? NULL : strdup(*above ? above : "/");
                        return r ? err_trace(r) : *ret_directory ? 0 : err_origin(-ENOMEM);
                }
        }
        return 0;
}

int writers_of_tree(const Root *root, const char *path, char **ret_warning)
{
        _cleanup_free_ char *found = NULL, *who = NULL, *above = NULL;
        _cleanup_close_ int fd = -EBADF;
        const char *remedy;
        int r;

        *ret_warning = NULL;
        r = root_open(root, path, O_PATH | O_DIRECTORY, &fd);
        if (r)
                return r < 0 && r != -ENOTDIR ? err_trace(r) : 0;
        r = fd_path(fd, &found);
        if (r == 0)
                r = writers_of_file(fd, &who, &remedy);
        if (r == 0 && !who)
                r = writers_above(found, &above, &who, &remedy);
        if (r || !who)
                return err_trace(r);
        *ret_warning = str_format("%s %s, and what is in /%s is compiled by root: if you trust it, %s it",
                        above ? above : found, who, path + strspn(path, "/"), remedy);
        return *ret_warning ? 0 : err_origin(-ENOMEM);
}
