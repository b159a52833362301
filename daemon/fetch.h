/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Shared by the fetch*.c files only. */

#include "base/root.h"
#include "helper.h"
#include "policy/devcontainer.h"

/* So much and no more, whatever a server or a compressed file says. */
#define FETCH_FILE_MAX    (16ULL * 1024 * 1024 * 1024)
#define FETCH_IMAGE_MAX   (64ULL * 1024 * 1024 * 1024)
#define FETCH_DIGESTS_MAX (64ULL * 1024)

typedef struct Fetch {
        Root *root;
        char *directory; /* of the cache, in the root */
        int directory_fd, lock_fd;
        DevContainer container;
        bool pinned; /* by the configuration: @checksum is all that counts */
        Checksum checksum;
        usec_t stall;
        char **reasons; /* why one mirror after the other was not it */
        char *image;    /* in the root, once there is one */

        const char *doing; /* for the line of progress, and when it was last shown */
        uint64_t total;
        usec_t shown;
        unsigned percent;
} Fetch;

/* What became of one mirror. */
typedef enum FetchOutcome {
        FETCH_GOT,
        FETCH_ABSENT,    /* there is no such file, and nobody has been told */
        FETCH_NOT_HERE,  /* see the reasons */
        FETCH_UNREACHED, /* the same, but it may be there later */
        FETCH_FATAL,     /* nothing that another mirror could do better; the code says */
} FetchOutcome;

/* fetch.c */
/* What is being done from now on, to so many bytes (0: not known). */
void fetch_begin(Fetch *f, const char *doing, uint64_t total);
void fetch_progress(void *userdata, uint64_t done, uint64_t total);
void fetch_reason(Fetch *f, const char *format, ...) _printf_(2, 3);
FetchOutcome fetch_fatal(Fetch *f, const char *what, int r, Code *ret_code);

/* fetch-server.c: a directory or a file of a server. */
FetchOutcome fetch_from_server(Fetch *f, const char *mirror, Code *ret_code);

/* fetch-image.c: the cache. */

/* The image that is there already, if it is good; a bad one is removed. Returns 0 or a negative errno. */
int fetch_find_image(Fetch *f);

/*
 * Whether the file is what @checksum says; its position is then its beginning
 * again. Returns 0, 1 if it is not, or a negative errno.
 */
int fetch_check_file(int fd, const Checksum *checksum);

/* Decompresses the file, whose checksum has been verified, into the cache. */
FetchOutcome fetch_install(Fetch *f, int fd, const Checksum *checksum, const char *source, Code *ret_code);

/* Removes what is not of the image that was found or made. */
void fetch_collect(const Fetch *f);
