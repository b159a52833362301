/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the files of a service share among themselves. */

#include "service.h"

/* service.c: something has happened to it. */
void service_feed(Service *s, ServiceEvent event);

/* service-keeper.c: starts the keeper; what comes of it is fed later. Returns 0 or a negative errno. */
int service_keeper_launch(Service *s);

/* Finds the living keeper. Returns 0, KEEP_E_ABSENT, KEEP_E_HIDDEN or a negative errno. */
int service_keeper_attach(Service *s);

/* Lets go of the keeper, whatever becomes of it. */
void service_keeper_detach(Service *s);

/* A signal; kept for it while it is still being started. */
void service_keeper_tell(Service *s, int number);

/* What the keeper has written down, and with it whether the service is ready. */
void service_keeper_read(Service *s);

/* The keeper is gone. */
void service_keeper_ended(Service *s);
