/* SPDX-License-Identifier: Apache-2.0 */

/*
 * sd-bus without a broker: each client that connects to the socket gets a bus
 * connection of its own on which the daemon is the server, as systemd's own
 * private socket does it. A client that misbehaves loses its connection.
 *
 * Only root may open the socket. The bounds below hold all the same: a client
 * of root's may have a fault, and none of them may cost the daemon its
 * descriptors, its memory or its end.
 */

#include <fcntl.h>
#include <sys/socket.h>
#include <systemd/sd-bus.h>

#include "base/result.h"
#include "base/str.h"
#include "bus.h"
#include "paths.h"

enum {
        CLIENTS_MAX = 64,
        EAGER_MAX = 16,            /* messages that came with the authentication: its buffer holds no more */
        QUEUE_MAX = 16,            /* messages that a client has not read, */
        SOCKET_BUFFER = 256 << 10, /* beside those that the kernel keeps */
};

/* How long a client has for its authentication and its first message. */
#define PATIENCE (30 * USEC_PER_SEC)

/* Without memory or descriptors no connection can be accepted; it is tried again after this. */
#define ACCEPT_PAUSE (1 * USEC_PER_SEC)

typedef struct Client {
        sd_bus *bus;
        bool is_new;               /* has not been seen ready */
        sd_event_source *deadline; /* of the first message */
} Client;

struct Bus {
        sd_event *event;
        const Root *root;
        BusHandler handler;
        void *userdata;
        int fd;
        sd_event_source *source, *post, *pause, *end;
        Client clients[CLIENTS_MAX];
        size_t victim; /* who has to make room next */
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

static void drop(Client *c)
{
        c->deadline = sd_event_source_disable_unref(c->deadline);
        c->bus = sd_bus_close_unref(c->bus); /* no flush: it waits for a client that does not read */
}

static void drop_all(Bus *bus)
{
        for (size_t i = 0; i < CLIENTS_MAX; i++)
                drop(&bus->clients[i]);
}

static Client *find(Bus *bus, sd_bus *client)
{
        for (size_t i = 0; i < CLIENTS_MAX; i++)
                if (bus->clients[i].bus == client)
                        return &bus->clients[i];
        return NULL;
}

static int on_disconnected(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
        Client *c = find(userdata, sd_bus_message_get_bus(message));

        if (c)
                drop(c);
        return 0;
}

/* Sees every message that is complete, before anybody handles it. */
static int on_message(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
        Client *c = find(userdata, sd_bus_message_get_bus(message));

        if (c)
                c->deadline = sd_event_source_disable_unref(c->deadline);
        return 0;
}

static int on_deadline(sd_event_source *source, uint64_t usec, void *userdata)
{
        drop(userdata);
        return 0;
}

/* Answers and signals that a client does not read are kept in our memory. */
static void drop_deaf(Client *c)
{
        uint64_t queued = 0;

        if (c->bus && (sd_bus_get_n_queued_write(c->bus, &queued) < 0 || queued > QUEUE_MAX))
                drop(c);
}

/*
 * sd-bus reads the authentication in large pieces and keeps what follows it,
 * but then looks at that only when the socket has more: the call of a client
 * that does not wait between BEGIN and its first message (GDBus and libdbus do
 * not have to) would lie there. So one that has just become ready is asked once
 * whether there is something already.
 */
static void ask_eagerly(Client *c)
{
        sd_bus *client = c->bus;

        if (!client || !c->is_new || sd_bus_is_ready(client) <= 0)
                return;
        c->is_new = false;
        for (size_t n = 0; n < EAGER_MAX && c->bus == client; n++)
                if (sd_bus_process(client, NULL) <= 0)
                        break;
}

static int on_post(sd_event_source *source, void *userdata)
{
        Bus *bus = userdata;

        for (size_t i = 0; i < CLIENTS_MAX; i++) {
                ask_eagerly(&bus->clients[i]);
                drop_deaf(&bus->clients[i]);
        }
        return 0;
}

/*
 * sd-bus flushes its connections when the loop ends, and waits for each client.
 * This exit handler runs before those of sd-bus and takes the connections away.
 */
static int on_end(sd_event_source *source, void *userdata)
{
        drop_all(userdata);
        return 0;
}

static int serve(Client *c, Bus *bus, int fd)
{
        sd_id128_t id;
        int r;

        r = sd_bus_set_fd(c->bus, fd, fd);
        if (r < 0) {
                safe_close(fd);
                return r;
        }
        r = sd_id128_randomize(&id);
        if (r >= 0)
                r = sd_bus_set_server(c->bus, 1, id);
        if (r >= 0)
                r = sd_bus_set_anonymous(c->bus, 1);
        /* A message may carry a thousand descriptors, and nothing here takes one. */
        if (r >= 0)
                r = sd_bus_negotiate_fds(c->bus, 0);
        if (r >= 0)
                r = sd_bus_start(c->bus);
        /* sd-bus has asked for eight megabytes of the kernel's memory. */
        if (r >= 0)
                r = setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &(int){ SOCKET_BUFFER }, sizeof(int)) < 0 ? -errno
                                                                                                    : 0;
        if (r >= 0)
                r = sd_bus_add_filter(c->bus, NULL, on_message, bus);
        if (r >= 0)
                r = sd_bus_add_object_vtable(c->bus, NULL, BUS_PATH, BUS_INTERFACE, vtable, bus);
        if (r >= 0)
                r = sd_bus_match_signal_async(c->bus, NULL, "org.freedesktop.DBus.Local",
                                "/org/freedesktop/DBus/Local", "org.freedesktop.DBus.Local", "Disconnected",
                                on_disconnected, NULL, bus);
        if (r >= 0)
                r = sd_event_add_time_relative(bus->event, &c->deadline, CLOCK_MONOTONIC,
                                bus->handler.patience ? bus->handler.patience : PATIENCE, 0, on_deadline, c);
        if (r >= 0)
                r = sd_bus_attach_event(c->bus, bus->event, SD_EVENT_PRIORITY_NORMAL);
        return r;
}

/* The socket's mode says so too; this holds even if somebody changed that. */
static bool may_ask(int fd)
{
        struct ucred peer;
        socklen_t size = sizeof(peer);

        return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 &&
               (peer.uid == 0 || peer.uid == geteuid());
}

static Client *make_room(Bus *bus)
{
        Client *c = find(bus, NULL);

        /* Whoever asks next is more urgent than clients that sit there: one of these makes room, in turn. */
        if (!c) {
                c = &bus->clients[bus->victim++ % CLIENTS_MAX];
                drop(c);
        }
        return c;
}

static int on_pause_over(sd_event_source *source, uint64_t usec, void *userdata)
{
        Bus *bus = userdata;

        return sd_event_source_set_enabled(bus->source, SD_EVENT_ON);
}

/* The listener stays readable, and the loop would turn as fast as it can. */
static void pause_listener(Bus *bus)
{
        if (sd_event_source_set_time_relative(bus->pause, ACCEPT_PAUSE) >= 0 &&
                        sd_event_source_set_enabled(bus->pause, SD_EVENT_ONESHOT) >= 0)
                (void)sd_event_source_set_enabled(bus->source, SD_EVENT_OFF);
}

static int on_connection(sd_event_source *source, int listener, uint32_t revents, void *userdata)
{
        Bus *bus = userdata;
        Client *c;
        int fd;

        fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
                if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS)
                        pause_listener(bus);
                return 0;
        }
        if (!may_ask(fd)) {
                safe_close(fd);
                return 0;
        }
        c = make_room(bus);
        if (sd_bus_new(&c->bus) < 0) {
                safe_close(fd);
                return 0;
        }
        c->is_new = true;
        if (serve(c, bus, fd) < 0)
                drop(c);
        return 0;
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
        bus_address(directory, &address);
        /* The file gets the mode of the socket that is bound to it: it is never there with another one. */
        if (fchmod(fd, 0600) < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
                        listen(fd, 16) < 0)
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
        if (r >= 0)
                r = sd_event_add_exit(event, &bus->end, on_end, bus);
        if (r >= 0)
                r = sd_event_source_set_priority(bus->end, SD_EVENT_PRIORITY_IMPORTANT);
        /* Made now: when there are no descriptors left it could not be made. */
        if (r >= 0)
                r = sd_event_add_time(event, &bus->pause, CLOCK_MONOTONIC, 0, 0, on_pause_over, bus);
        if (r >= 0)
                r = sd_event_source_set_enabled(bus->pause, SD_EVENT_OFF);
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

        drop_all(bus);
        sd_event_source_disable_unref(bus->source);
        sd_event_source_disable_unref(bus->post);
        sd_event_source_disable_unref(bus->pause);
        sd_event_source_disable_unref(bus->end);
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
                if (bus->clients[i].bus) {
                        (void)sd_bus_emit_properties_changed(
                                        bus->clients[i].bus, BUS_PATH, BUS_INTERFACE, "State", NULL);
                        drop_deaf(&bus->clients[i]);
                }
}
