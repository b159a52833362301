/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Macros and cleanup helpers that every floor uses. Nothing here knows a
 * noun of the project.
 */

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define _cleanup_(x)   __attribute__((__cleanup__(x)))
#define _printf_(a, b) __attribute__((__format__(__printf__, a, b)))
#define _unused_       __attribute__((__unused__))
#define _must_check_   __attribute__((__warn_unused_result__))
#define _sentinel_     __attribute__((__sentinel__))
#define ELEMENTSOF(x)  (sizeof(x) / sizeof((x)[0]))
#define MAX(a, b)      ((a) > (b) ? (a) : (b))
#define MIN(a, b)      ((a) < (b) ? (a) : (b))
#define STRINGIFY_(x)  #x
#define STRINGIFY(x)   STRINGIFY_(x)

/* Time is counted in microseconds everywhere; USEC_INFINITY means "never". */
typedef uint64_t usec_t;
#define USEC_INFINITY   UINT64_MAX
#define USEC_PER_MSEC   ((usec_t)1000)
#define USEC_PER_SEC    ((usec_t)1000000)
#define USEC_PER_MINUTE (60 * USEC_PER_SEC)
#define USEC_PER_HOUR   (60 * USEC_PER_MINUTE)
#define NSEC_PER_USEC   ((usec_t)1000)

/* "infinity" is a valid span of the configuration: a sum must not wrap around into the past. */
static inline usec_t usec_add(usec_t a, usec_t b)
{
        return b > USEC_INFINITY - a ? USEC_INFINITY : a + b;
}

#define TAKE_PTR(p)                                                                                         \
        ({                                                                                                  \
                typeof(p) _taken = (p);                                                                     \
                (p) = NULL;                                                                                 \
                _taken;                                                                                     \
        })

#define TAKE_FD(fd)                                                                                         \
        ({                                                                                                  \
                int _taken_fd = (fd);                                                                       \
                (fd) = -EBADF;                                                                              \
                _taken_fd;                                                                                  \
        })

/* free() keeps errno, so a cleanup on an error path never hides the reason. */
static inline void freep(void *p)
{
        int saved = errno;

        free(*(void **)p);
        *(void **)p = NULL;
        errno = saved;
}

static inline void closep(int *fd)
{
        int saved = errno;

        if (*fd >= 0)
                (void)close(*fd);
        *fd = -EBADF;
        errno = saved;
}

static inline int safe_close(int fd)
{
        closep(&fd);
        return -EBADF;
}

static inline void fclosep(FILE **f)
{
        int saved = errno;

        if (*f)
                (void)fclose(*f);
        *f = NULL;
        errno = saved;
}

#define DEFINE_CLEANUP(type, func)                                                                          \
        static inline void func##p(type **p)                                                                \
        {                                                                                                   \
                if (*p)                                                                                     \
                        *p = func(*p);                                                                      \
        }                                                                                                   \
        struct _cleanup_semicolon_##func

#define _cleanup_free_   _cleanup_(freep)
#define _cleanup_close_  _cleanup_(closep)
#define _cleanup_fclose_ _cleanup_(fclosep)

static inline bool streq(const char *a, const char *b)
{
        return strcmp(a, b) == 0;
}

static inline bool streq_ptr(const char *a, const char *b)
{
        return a && b ? streq(a, b) : a == b;
}

static inline const char *strna(const char *s)
{
        return s ? s : "n/a";
}

static inline const char *strempty(const char *s)
{
        return s ? s : "";
}

static inline bool isempty(const char *s)
{
        return !s || !*s;
}

static inline const char *startswith(const char *s, const char *prefix)
{
        size_t n = strlen(prefix);

        return strncmp(s, prefix, n) == 0 ? s + n : NULL;
}
