/* SPDX-License-Identifier: Apache-2.0 */

/*
 * sd-bus without a broker: each client that connects to the socket gets a bus
 * connection of its own on which the daemon is the server, as systemd's own
 * private socket does it. A client that misbehaves loses its connection.
 */

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <systemd/sd-bus.h>

#include "base/result.h"
#include "base/str.h"
#include "bus.h"
#include "paths.h"

enum {
        CLIENTS_MAX = 64,
        EAGER_MAX = 16, /* messages that came with the authentication: its buffer holds no more */
};

struct Bus {
        sd_event *event;
        const Root *root;
        BusHandler handler;
        void *userdata;
        int fd;
        sd_event_source *source, *post;
        sd_bus *clients[CLIENTS_MAX];
        bool is_new[CLIENTS_MAX]; /* has not been seen ready */
        size_t victim;            /* who has to make room next */
};

static int on_describe(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
        Bus *bus = userdata;
        _cleanup_free_ char *text = NULL;
        int r;

        r = bus->handler.describe(bus->userdata, &text);
        if (r < 0)
                return r;
        return sd_bus_reply_method_return(message, "s", text);
}

static int get_state(sd_bus *client, const char *path, const char *interface, const char *property,
                sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        Bus *bus = userdata;

        return sd_bus_message_append(reply, "s", bus->handler.state(bus->userdata));
}

static const sd_bus_vtable vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD("Describe", "", "s", on_describe, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_PROPERTY("State", "s", get_state, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_VTABLE_END,
};

static void drop(Bus *bus, size_t i)
{
        bus->clients[i] = sd_bus_close_unref(bus->clients[i]);
}

static int on_disconnected(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
        Bus *bus = userdata;
        sd_bus *client = sd_bus_message_get_bus(message);

        for (size_t i = 0; i < CLIENTS_MAX; i++)
                if (bus->clients[i] == client)
                        drop(bus, i);
        return 0;
}

/*
 * sd-bus reads the authentication in large pieces and keeps what follows it,
 * but then looks at that only when the socket has more: the call of a client
 * that does not wait between BEGIN and its first message (GDBus and libdbus do
 * not have to) would lie there. So one that has just become ready is asked once
 * whether there is something already.
 */
static int on_post(sd_event_source *source, void *userdata)
{
        Bus *bus = userdata;

        for (size_t i = 0; i < CLIENTS_MAX; i++) {
                sd_bus *client = bus->clients[i];

                if (!client || !bus->is_new[i] || sd_bus_is_ready(client) <= 0)
                        continue;
                bus->is_new[i] = false;
                for (size_t n = 0; n < EAGER_MAX && bus->clients[i] == client; n++)
                        if (sd_bus_process(client, NULL) <= 0)
                                break;
        }
        return 0;
}

static int serve(Bus *bus, sd_bus *client, int fd)
{
        sd_id128_t id;
        int r;

        r = sd_bus_set_fd(client, fd, fd);
        if (r < 0) {
                safe_close(fd);
                return r;
        }
        r = sd_id128_randomize(&id);
        if (r >= 0)
                r = sd_bus_set_server(client, 1, id);
        if (r >= 0)
                r = sd_bus_set_anonymous(client, 1);
        if (r >= 0)
                r = sd_bus_start(client);
        if (r >= 0)
                r = sd_bus_add_object_vtable(client, NULL, BUS_PATH, BUS_INTERFACE, vtable, bus);
        if (r >= 0)
                r = sd_bus_match_signal_async(client, NULL, "org.freedesktop.DBus.Local",
                                "/org/freedesktop/DBus/Local", "org.freedesktop.DBus.Local", "Disconnected",
                                on_disconnected, NULL, bus);
        if (r >= 0)
                r = sd_bus_attach_event(client, bus->event, SD_EVENT_PRIORITY_NORMAL);
        return r;
}

static int on_connection(sd_event_source *source, int listener, uint32_t revents, void *userdata)
{
        Bus *bus = userdata;
        sd_bus *client = NULL;
        size_t i = 0;
        int fd;

        while (i < CLIENTS_MAX && bus->clients[i])
                i++;
        /* Whoever asks next is more urgent than clients that sit there: one of these makes room, in turn. */
        if (i == CLIENTS_MAX) {
                i = bus->victim++ % CLIENTS_MAX;
                drop(bus, i);
        }

        fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0)
                return 0;
        if (sd_bus_new(&client) < 0) {
                safe_close(fd);
                return 0;
        }

        bus->clients[i] = client;
        bus->is_new[i] = true;
        if (serve(bus, client, fd) < 0)
                drop(bus, i);
        return 0;
}

/* The socket's address: in a fixture root the path may be long, so it is named through the directory's fd.
 */
static void address_of(int directory, struct sockaddr_un *ret)
{
        *ret = (struct sockaddr_un){ .sun_family = AF_UNIX };
        (void)snprintf(ret->sun_path, sizeof(ret->sun_path), "/proc/self/fd/%d/bus", directory);
}

static int listen_on(const Root *root)
{
        _cleanup_close_ int directory = -EBADF, fd = -EBADF;
        struct sockaddr_un address;
        int r;

        r = root_mkdirs(root, RUNTIME_DIRECTORY, 0755);
        if (r == 0)
                r = root_open(root, RUNTIME_DIRECTORY, O_PATH | O_DIRECTORY, &directory);
        if (r)
                return r < 0 ? err_trace(r) : err_fold(r);

        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (fd < 0)
                return err_origin(-errno);
        /* We hold the instance lock, so a socket that is there is of a killed process. */
        (void)unlinkat(directory, "bus", 0);
        address_of(directory, &address);
        if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
                return err_origin(-errno);
        if (fchmodat(directory, "bus", 0666, 0) < 0 || listen(fd, 16) < 0)
                return err_origin(-errno);
        return TAKE_FD(fd);
}

int bus_new(sd_event *event, const Root *root, const BusHandler *handler, void *userdata, Bus **ret)
{
        Bus *bus;
        int r;

        bus = calloc(1, sizeof(*bus));
        if (!bus)
                return err_origin(-ENOMEM);
        bus->event = sd_event_ref(event);
        bus->root = root;
        bus->handler = *handler;
        bus->userdata = userdata;

        r = bus->fd = listen_on(root);
        if (r >= 0)
                r = sd_event_add_io(event, &bus->source, bus->fd, EPOLLIN, on_connection, bus);
        if (r >= 0)
                r = sd_event_add_post(event, &bus->post, on_post, bus);
        if (r < 0) {
                bus_free(bus);
                return err_origin(r);
        }
        *ret = bus;
        return 0;
}

Bus *bus_free(Bus *bus)
{
        if (!bus)
                return NULL;

        for (size_t i = 0; i < CLIENTS_MAX; i++)
                if (bus->clients[i])
                        drop(bus, i); /* no flush: it waits for a client that does not read */
        sd_event_source_disable_unref(bus->source);
        sd_event_source_disable_unref(bus->post);
        if (bus->fd >= 0) {
                safe_close(bus->fd);
                (void)root_unlink(bus->root, RUNTIME_SOCKET);
        }
        sd_event_unref(bus->event);
        free(bus);
        return NULL;
}

void bus_state_changed(Bus *bus)
{
        for (size_t i = 0; bus && i < CLIENTS_MAX; i++)
                if (bus->clients[i])
                        (void)sd_bus_emit_properties_changed(
                                        bus->clients[i], BUS_PATH, BUS_INTERFACE, "State", NULL);
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
        address_of(directory, &address);
        if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
                return errno == ENOENT || errno == ECONNREFUSED ? BUS_E_NOT_RUNNING : err_origin(-errno);
        *ret = TAKE_FD(fd);
        return 0;
}

static int ask(sd_bus *bus, char **ret)
{
        sd_bus_message *reply = NULL;
        const char *text;
        int r;

        /* The command may wait: it has no loop that somebody depends on. */
        r = sd_bus_call_method(bus, NULL, BUS_PATH, BUS_INTERFACE, "Describe", NULL, &reply, "");
        if (r >= 0)
                r = sd_bus_message_read(reply, "s", &text);
        if (r >= 0) {
                *ret = strdup(text);
                r = *ret ? 0 : -ENOMEM;
        }
        sd_bus_message_unref(reply);
        if (r == -ECONNRESET || r == -EPIPE || r == -ENOTCONN)
                return BUS_E_NOT_RUNNING;
        return r < 0 ? err_origin(r) : 0;
}

static int ask_once(const Root *root, char **ret)
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
                r = ask(bus, ret);
        sd_bus_close_unref(bus);
        return r < 0 ? err_origin(r) : r;
}

int bus_ask_describe(const Root *root, char **ret)
{
        int r = ask_once(root, ret);

        /* One that ends hangs up in the middle of the answer; another one may be there by now. */
        return r == BUS_E_NOT_RUNNING ? ask_once(root, ret) : r;
}
