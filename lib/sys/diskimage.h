/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What is in a disk image: a file system, or a partition table with some. It
 * is only read; what nobody knows is no error but an empty list.
 */

#include "base/macro.h"

typedef struct DiskVolume {
        uint64_t offset; /* bytes from the beginning of the image */
        uint64_t size;   /* bytes */
        char *type;      /* "ext4", as mount(2) wants it */
        unsigned number; /* of the partition; 0: there is no partition table */
} DiskVolume;

typedef struct DiskVolumes {
        DiskVolume *items; /* in the order of the partitions */
        size_t n;
        char **passed_over; /* "partition 1: vfat": nothing that a system is on; for people */
} DiskVolumes;

void disk_volumes_done(DiskVolumes *v);

/*
 * @fd: the image, open for reading; its position is lost. Volumes are those
 * with a file system that a system may be on. Returns 0 or a negative errno.
 */
int diskimage_probe(int fd, DiskVolumes *ret);
