/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The daemon's object on a private socket, RUNTIME_SOCKET: works in containers
 * and at early boot, where there is no system bus. Readable by everybody who
 * may open the socket.
 */

#include <systemd/sd-event.h>

#include "base/root.h"

#define BUS_PATH      "/org/nvidia_driverd"
#define BUS_INTERFACE "org.nvidia_driverd.Manager1"

typedef struct Bus Bus;

typedef struct BusHandler {
        /* The status as JSON; the caller frees it. Returns 0 or a negative errno. */
        int (*describe)(void *userdata, char **ret);
        const char *(*state)(void *userdata);
} BusHandler;

/* Listens. Returns 0 or a negative errno. */
int bus_new(sd_event *event, const Root *root, const BusHandler *handler, void *userdata, Bus **ret);
Bus *bus_free(Bus *bus);

/* Tells all clients that the state changed. */
void bus_state_changed(Bus *bus);

enum {
        _BUS_E_SUCCESS,
        BUS_E_NOT_RUNNING, /* nobody listens on the socket */
};

/* Client: asks the daemon. Returns 0, BUS_E_NOT_RUNNING or a negative errno. The text is the caller's. */
int bus_ask_describe(const Root *root, char **ret);
