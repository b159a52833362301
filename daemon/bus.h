/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The daemon's object on a private socket, RUNTIME_SOCKET: works in containers
 * and at early boot, where there is no system bus. The socket is root's alone;
 * everybody else reads the status file (statusfile.h).
 */

#include <sys/un.h>
#include <systemd/sd-event.h>

#include "base/root.h"

#define BUS_PATH      "/org/nvidia_driverd"
#define BUS_INTERFACE "org.nvidia_driverd.Manager1"

typedef struct Bus Bus;

typedef struct BusHandler {
        /* The status as JSON; the caller frees it. Returns 0 or a negative errno. */
        int (*describe)(void *userdata, char **ret);
        const char *(*state)(void *userdata);
        usec_t patience; /* with a client that has not said a whole message; 0: half a minute */
} BusHandler;

/* Listens. Returns 0 or a negative errno. */
int bus_new(sd_event *event, const Root *root, const BusHandler *handler, void *userdata, Bus **ret);
Bus *bus_free(Bus *bus);

/* The socket's address, through the directory's descriptor: the path of a fixture root may be too long. */
void bus_address(int directory_fd, struct sockaddr_un *ret);

/* Tells all clients that the state changed. */
void bus_state_changed(Bus *bus);

enum {
        _BUS_E_SUCCESS,
        BUS_E_NOT_RUNNING, /* nobody listens on the socket, or the daemon hung up */
        BUS_E_NOT_ALLOWED, /* only root may open the socket */
};

/*
 * Client: calls a method that answers with one string, which is the caller's.
 * @types and the arguments behind it as sd_bus_message_append(3). Waits for the answer.
 * Returns 0, BUS_E_NOT_RUNNING, BUS_E_NOT_ALLOWED or a negative errno.
 */
int bus_call(const Root *root, const char *method, char **ret, const char *types, ...);

/* The same for Describe, which is asked a second time if the daemon hangs up. */
int bus_ask_describe(const Root *root, char **ret);
