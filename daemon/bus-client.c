/* SPDX-License-Identifier: Apache-2.0 */

/* The commands' side of the bus. They may wait: they have no loop that somebody depends on. */

#include <fcntl.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <systemd/sd-bus.h>

#include "base/result.h"
#include "base/str.h"
#include "bus.h"
#include "paths.h"

void bus_address(int directory_fd, struct sockaddr_un *ret)
{
        *ret = (struct sockaddr_un){ .sun_family = AF_UNIX };
        (void)snprintf(ret->sun_path, sizeof(ret->sun_path), "/proc/self/fd/%d/bus", directory_fd);
}

static int connect_to(const Root *root, int *ret)
{
        _cleanup_close_ int directory = -EBADF, fd = -EBADF;
        struct sockaddr_un address;
        int r;

        r = root_open(root, RUNTIME_DIRECTORY, O_PATH | O_DIRECTORY, &directory);
        if (r)
                return r < 0 ? err_trace(r) : BUS_E_NOT_RUNNING;
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0)
                return err_origin(-errno);
        bus_address(directory, &address);
        if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
                return errno == ENOENT || errno == ECONNREFUSED ? BUS_E_NOT_RUNNING
                       : errno == EACCES || errno == EPERM      ? BUS_E_NOT_ALLOWED
                                                                : err_origin(-errno);
        *ret = TAKE_FD(fd);
        return 0;
}

static int ask(sd_bus *bus, const char *method, char **ret, const char *types, va_list arguments)
{
        sd_bus_message *reply = NULL;
        const char *text;
        int r;

        r = sd_bus_call_methodv(bus, NULL, BUS_PATH, BUS_INTERFACE, method, NULL, &reply, types, arguments);
        if (r >= 0)
                r = sd_bus_message_read(reply, "s", &text);
        if (r >= 0) {
                *ret = strdup(text);
                r = *ret ? 0 : -ENOMEM;
        }
        sd_bus_message_unref(reply);
        return r < 0 ? r : 0;
}

static int ask_once(const Root *root, const char *method, char **ret, const char *types, va_list arguments)
{
        sd_bus *bus = NULL;
        int fd = -EBADF, r;

        r = connect_to(root, &fd);
        if (r)
                return r < 0 ? err_trace(r) : r;
        r = sd_bus_new(&bus);
        if (r < 0) {
                safe_close(fd);
                return err_origin(r);
        }
        r = sd_bus_set_fd(bus, fd, fd);
        if (r < 0)
                safe_close(fd);
        else
                r = sd_bus_start(bus);
        if (r >= 0)
                r = ask(bus, method, ret, types, arguments);
        sd_bus_close_unref(bus);
        if (r == -ECONNRESET || r == -EPIPE || r == -ENOTCONN)
                return BUS_E_NOT_RUNNING;
        return r < 0 ? err_origin(r) : 0;
}

int bus_call(const Root *root, const char *method, char **ret, const char *types, ...)
{
        va_list arguments;
        int r;

        va_start(arguments, types);
        r = ask_once(root, method, ret, types, arguments);
        va_end(arguments);
        return r < 0 ? err_trace(r) : r;
}

int bus_ask_describe(const Root *root, char **ret)
{
        int r = bus_call(root, "Describe", ret, "");

        /* One that ends hangs up in the middle of the answer; another one may be there by now. */
        return r == BUS_E_NOT_RUNNING ? bus_call(root, "Describe", ret, "") : r;
}
