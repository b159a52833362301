/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What a run of the helper said about the driver's own device nodes: which ones
 * there have to be, and in which directories. Whether they are there is looked
 * up each time.
 */

#include "base/root.h"
#include "policy/devnode.h"
#include "policy/status.h"

typedef struct NodeReport {
        DevNodes promised;
        char **directories;
        char **missing, **made, **removed;
        char **corrected, **wrong; /* with another owner or mode than they should have */
        char **blocked;            /* files that are no nodes: "/dev/nvidia0" */
        NumberSet majors;          /* of the driver */
        char *failure;             /* the first one */
        char *detail;
        bool hands_off;
} NodeReport;

void node_report_done(NodeReport *report);

/* One line of the helper. */
void node_report_line(NodeReport *report, const char *line);

/* The nodes and links that are not there, for people; NULL if all are. What is blocked is not among them. */
char *node_report_absent(const NodeReport *said, Root *root);

/*
 * Adds the nodes to a status, those of nvidia-uvm only if that module is loaded:
 * otherwise they lead nowhere. Returns 0 or -ENOMEM.
 */
int node_report_fill(const NodeReport *said, Root *root, bool has_uvm, Status *s);
