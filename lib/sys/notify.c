/* SPDX-License-Identifier: Apache-2.0 */

/*
 * sd_notify(3) creates a socket for each message and blocks until the service
 * manager has room for it. This file creates one socket with the first message,
 * while descriptors are available, and waits only as long as a slow reader needs.
 */

#include <poll.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>

#include "base/str.h"
#include "sys/notify.h"

enum { TRIES = 10, TRY_MSEC = 10 };

/* As the service manager, this belongs to the process and to nothing in it. */
static struct {
        int fd; /* + 1, so that 0 is none */
        bool is_slow;
        char *owed; /* "READY=1\n", what has to be sent some time */
} notify;

/* Returns false if there is no service manager. */
static bool find_manager(struct sockaddr_un *ret, socklen_t *ret_size)
{
        const char *path = getenv("NOTIFY_SOCKET");
        size_t n = path ? strlen(path) : 0;

        if (n < 2 || n >= sizeof(ret->sun_path) || (*path != '/' && *path != '@'))
                return false;
        *ret = (struct sockaddr_un){ .sun_family = AF_UNIX };
        memcpy(ret->sun_path, path, n);
        *ret_size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n + (*path == '/'));
        if (*path == '@')
                ret->sun_path[0] = '\0';
        return true;
}

static bool send_once(const char *text, const struct sockaddr_un *address, socklen_t size)
{
        if (notify.fd == 0)
                notify.fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0) + 1;
        return notify.fd > 0 && sendto(notify.fd - 1, text, strlen(text), MSG_DONTWAIT | MSG_NOSIGNAL,
                                                (const struct sockaddr *)address, size) >= 0;
}

/* A manager that did not read in that time is not given it again, until it reads. */
static bool send_patiently(const char *text, const struct sockaddr_un *address, socklen_t size)
{
        bool sent = send_once(text, address, size);

        for (unsigned i = 0; i < TRIES && !sent && errno == EAGAIN && !notify.is_slow; i++) {
                (void)poll(NULL, 0, TRY_MSEC);
                sent = send_once(text, address, size);
        }
        notify.is_slow = !sent;
        return sent;
}

static void send_text(const char *text)
{
        _cleanup_free_ char *whole = str_format("%s%s", strempty(notify.owed), text);
        struct sockaddr_un address;
        socklen_t size;

        if (!find_manager(&address, &size) || !whole || isempty(whole))
                return;
        if (send_patiently(whole, &address, size)) {
                notify.owed = (free(notify.owed), NULL);
                return;
        }
        if (startswith(text, "READY=1") || startswith(text, "STOPPING=1")) {
                char *owed = str_format("%s%.*s\n", strempty(notify.owed), (int)strcspn(text, "\n"), text);

                if (owed) {
                        free(notify.owed);
                        notify.owed = owed;
                }
        }
}

void notify_sendf(const char *format, ...)
{
        _cleanup_free_ char *message = NULL;
        va_list ap;
        int n;

        va_start(ap, format);
        n = vasprintf(&message, format, ap);
        va_end(ap);
        if (n >= 0)
                send_text(message);
}

bool notify_repeat(void)
{
        if (notify.owed)
                send_text("");
        return !notify.owed;
}

bool notify_is_owed(void)
{
        return notify.owed;
}

usec_t notify_watchdog_usec(void)
{
        uint64_t usec = 0;

        return sd_watchdog_enabled(/* unset_environment= */ 0, &usec) > 0 ? usec : 0;
}
