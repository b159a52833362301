/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Owner and mode of the driver's nodes, which somebody may change while READY. */

#include "stage-nodes.h"

/* After a change in a directory of nodes; nearer than what follows from earlier failures. */
#define NODE_RETRY_ON_CHANGE (5 * USEC_PER_SEC)

/* Attributes of a file of this name in a directory of nodes have changed. */
void node_rights_touched(Manager *m, const char *name);

/* They were corrected several times in a row, and are left alone for a while. */
bool node_rights_are_fought_over(Manager *m);

/* A run of the helper is over. */
void node_rights_judge(Manager *m);
