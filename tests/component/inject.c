/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Linked into a daemon of its own (--wrap): allocation number $INJECT_ALLOCATION
 * of our own code fails, once. How many there were is written to the file
 * $INJECT_COUNT at the end.
 */

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static unsigned long count, failing;
static const char *count_file;

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t size);
char *__real_strdup(const char *s);
char *__real_strndup(const char *s, size_t n);
int __real_vasprintf(char **ret, const char *format, va_list ap);

void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t size);
char *__wrap_strdup(const char *s);
char *__wrap_strndup(const char *s, size_t n);
int __wrap_vasprintf(char **ret, const char *format, va_list ap);

__attribute__((constructor)) static void begin(void)
{
        const char *number = getenv("INJECT_ALLOCATION");

        failing = number ? strtoul(number, NULL, 10) : 0;
        count_file = getenv("INJECT_COUNT");
}

__attribute__((destructor)) static void end(void)
{
        FILE *f = count_file ? fopen(count_file, "we") : NULL;

        if (!f)
                return;
        (void)fprintf(f, "%lu\n", count);
        (void)fclose(f);
}

static int fails(void)
{
        if (++count != failing)
                return 0;
        errno = ENOMEM;
        return 1;
}

void *__wrap_malloc(size_t size)
{
        return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
        return fails() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t size)
{
        return fails() ? NULL : __real_realloc(p, size);
}

char *__wrap_strdup(const char *s)
{
        return fails() ? NULL : __real_strdup(s);
}

char *__wrap_strndup(const char *s, size_t n)
{
        return fails() ? NULL : __real_strndup(s, n);
}

int __wrap_vasprintf(char **ret, const char *format, va_list ap)
{
        return fails() ? -1 : __real_vasprintf(ret, format, ap);
}
