/* SPDX-License-Identifier: Apache-2.0 */

#include <endian.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/result.h"
#include "sys/journal.h"

enum { SHORT_MAX = 1024 }; /* of a field, if the entry is too large */

struct Journal {
        int fd;
        struct sockaddr_un address;
};

int journal_new(const char *path, Journal **ret)
{
        _cleanup_(journal_freep) Journal *j = calloc(1, sizeof(*j));

        if (!j)
                return err_origin(-ENOMEM);
        j->fd = -EBADF;
        j->address.sun_family = AF_UNIX;
        if (strlen(path) >= sizeof(j->address.sun_path))
                return err_origin(-ENAMETOOLONG);
        strcpy(j->address.sun_path, path);
        j->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (j->fd < 0)
                return err_origin(-errno);
        *ret = TAKE_PTR(j);
        return 0;
}

Journal *journal_free(Journal *j)
{
        if (j)
                safe_close(j->fd);
        free(j);
        return NULL;
}

/* "NAME=value\n", or with a newline in the value: "NAME\n", its size in 64 bits little endian, "value\n". */
static size_t put_field(char *to, const struct iovec *field, size_t max)
{
        const char *text = field->iov_base, *equals = memchr(text, '=', field->iov_len);
        size_t size = MIN(field->iov_len, max), name, value;
        uint64_t length;

        if (!equals || (size_t)(equals - text) >= size)
                return 0;
        name = (size_t)(equals - text);
        value = size - name - 1;
        if (!memchr(equals + 1, '\n', value)) {
                memcpy(to, text, size);
                to[size] = '\n';
                return size + 1;
        }
        length = htole64(value);
        memcpy(to, text, name);
        to[name] = '\n';
        memcpy(to + name + 1, &length, sizeof(length));
        memcpy(to + name + 1 + sizeof(length), equals + 1, value);
        to[name + 1 + sizeof(length) + value] = '\n';
        return name + 1 + sizeof(length) + value + 1;
}

/* Returns 0 or errno. */
static int send_limited(Journal *j, char *buffer, const struct iovec *fields, size_t n, size_t max)
{
        size_t size = 0;

        for (size_t i = 0; i < n; i++)
                size += put_field(buffer + size, &fields[i], max);
        return sendto(j->fd, buffer, size, MSG_DONTWAIT | MSG_NOSIGNAL, (struct sockaddr *)&j->address,
                               sizeof(j->address)) < 0
                               ? errno
                               : 0;
}

int journal_send(Journal *j, const struct iovec *fields, size_t n)
{
        _cleanup_free_ char *buffer = NULL;
        size_t size = 0;
        int error;

        for (size_t i = 0; i < n; i++)
                size += fields[i].iov_len + sizeof(uint64_t) + 2;
        buffer = malloc(size + 1);
        if (!buffer)
                return err_origin(-ENOMEM);
        error = send_limited(j, buffer, fields, n, SIZE_MAX);
        if (error == EMSGSIZE || error == ENOBUFS)
                error = send_limited(j, buffer, fields, n, SHORT_MAX);
        return error ? JOURNAL_E_LOST : 0;
}
