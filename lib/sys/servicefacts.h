/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the machine says of a service: its program, its unit, who runs it. */

#include "base/root.h"
#include "policy/serviceplan.h"

/*
 * @program: where it is, NULL for the usual places. @settings: NULL for none.
 * Both absolute. Returns 0 or a negative errno.
 */
int servicefacts_read(const Root *root, const ServiceKnown *known, const char *program, const char *settings,
                ServiceFact *ret);

/* Names of the services that keepers of ours keep running. Returns 0 or a negative errno. */
int servicefacts_kept(const Root *root, char ***ret);
