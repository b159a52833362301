/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The partitions are found by libblkid in the file itself, and given to the
 * loop device as offset and size: nodes of partitions (loop0p1) are made by
 * udev or devtmpfs, and in a container there is neither.
 */

#include <blkid/blkid.h>
#include <sys/stat.h>

#include "base/result.h"
#include "base/str.h"
#include "sys/diskimage.h"

enum { SECTOR = 512 /* bytes: of libblkid's numbers, whatever the disk has */, PARTITIONS_MAX = 128 };

void disk_volumes_done(DiskVolumes *v)
{
        for (size_t i = 0; i < v->n; i++)
                free(v->items[i].type);
        free(v->items);
        strv_free(v->passed_over);
        *v = (DiskVolumes){};
}

static void probe_freep(blkid_probe *p)
{
        blkid_free_probe(*p);
}

/* libblkid's errors are negative, and errno is not always set. */
static int probe_error(void)
{
        return err_origin(errno > 0 ? -errno : -EIO);
}

static int new_probe(int fd, uint64_t offset, uint64_t size, blkid_probe *ret)
{
        blkid_probe p = blkid_new_probe();

        if (!p)
                return err_origin(-ENOMEM);
        errno = 0;
        if (blkid_probe_set_device(p, fd, (blkid_loff_t)offset, (blkid_loff_t)size) < 0) {
                int r = probe_error();

                blkid_free_probe(p);
                return r;
        }
        *ret = p;
        return 0;
}

static bool holds_systems(const char *type)
{
        static const char *const types[] = { "ext2", "ext3", "ext4", "btrfs", "xfs", "squashfs", "erofs" };

        for (size_t i = 0; i < ELEMENTSOF(types); i++)
                if (streq(type, types[i]))
                        return true;
        return false;
}

static int add_volume(DiskVolumes *v, uint64_t offset, uint64_t size, unsigned number, const char *type)
{
        DiskVolume *items = reallocarray(v->items, v->n + 1, sizeof(*items));

        if (!items)
                return err_origin(-ENOMEM);
        v->items = items;
        items[v->n] = (DiskVolume){ .offset = offset, .size = size, .number = number, .type = strdup(type) };
        if (!items[v->n].type)
                return err_origin(-ENOMEM);
        v->n++;
        return 0;
}

/* The file system from @offset on. Several answers ("ambivalent") are none. */
static int probe_volume(DiskVolumes *v, int fd, uint64_t offset, uint64_t size, unsigned number)
{
        _cleanup_(probe_freep) blkid_probe p = NULL;
        const char *type = NULL;
        int r;

        r = new_probe(fd, offset, size, &p);
        if (r)
                return err_trace(r);
        if (blkid_probe_enable_superblocks(p, 1) < 0 ||
                        blkid_probe_set_superblocks_flags(p, BLKID_SUBLKS_TYPE) < 0)
                return err_origin(-EIO);
        errno = 0;
        r = blkid_do_safeprobe(p);
        if (r == -1)
                return probe_error();
        if (r == 0)
                (void)blkid_probe_lookup_value(p, "TYPE", &type, NULL);

        if (type && holds_systems(type))
                return err_trace(add_volume(v, offset, size, number, type));
        if (number)
                return err_trace(strv_pushf(&v->passed_over, "partition %u: %s", number,
                                type      ? type
                                : r == -2 ? "more than one file system"
                                          : "no file system"));
        return type ? err_trace(strv_pushf(&v->passed_over, "%s", type)) : 0;
}

static int probe_partitions(DiskVolumes *v, int fd, uint64_t total, blkid_partlist list)
{
        int n = blkid_partlist_numof_partitions(list);

        for (int i = 0; i < MIN(n, (int)PARTITIONS_MAX); i++) {
                blkid_partition p = blkid_partlist_get_partition(list, i);
                uint64_t offset = (uint64_t)blkid_partition_get_start(p) * SECTOR,
                         size = (uint64_t)blkid_partition_get_size(p) * SECTOR;
                unsigned number = (unsigned)blkid_partition_get_partno(p);
                int r;

                if (size == 0 || offset > total || size > total - offset)
                        r = strv_pushf(&v->passed_over, "partition %u: not all of it is in the image",
                                        number);
                else if (blkid_partition_is_extended(p))
                        continue;
                else
                        r = probe_volume(v, fd, offset, size, number);
                if (r)
                        return err_trace(r);
        }
        return 0;
}

/* Positive: there is no partition table. */
static int probe_table(DiskVolumes *v, int fd, uint64_t total)
{
        _cleanup_(probe_freep) blkid_probe p = NULL;
        int r;

        r = new_probe(fd, 0, 0, &p);
        if (r)
                return err_trace(r);
        if (blkid_probe_enable_superblocks(p, 0) < 0 || blkid_probe_enable_partitions(p, 1) < 0)
                return err_origin(-EIO);
        errno = 0;
        r = blkid_do_safeprobe(p);
        if (r == -1)
                return probe_error();
        if (r != 0)
                return 1;
        errno = 0;
        /* A file system's boot sector may look like a table; one without partitions is not one. */
        blkid_partlist list = blkid_probe_get_partitions(p);
        if (!list || blkid_partlist_numof_partitions(list) == 0)
                return 1;
        return err_trace(probe_partitions(v, fd, total, list));
}

int diskimage_probe(int fd, DiskVolumes *ret)
{
        DiskVolumes v = {};
        struct stat st;
        int r;

        if (fstat(fd, &st) < 0)
                return err_origin(-errno);
        /* A file system first: some leave the beginning free, where the rest of a table may stand. */
        r = probe_volume(&v, fd, 0, 0, 0);
        if (r == 0 && v.n == 0) {
                r = probe_table(&v, fd, (uint64_t)st.st_size);
                r = MIN(r, 0);
        }
        if (r) {
                disk_volumes_done(&v);
                return err_trace(r);
        }
        if (v.n == 1 && v.items[0].number == 0)
                v.items[0].size = (uint64_t)st.st_size;
        *ret = v;
        return 0;
}
