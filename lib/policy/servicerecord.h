/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What a keeper writes down about its service, so that the next daemon can
 * take it over: a few "key=value" lines.
 */

#include "base/macro.h"

enum { SERVICE_RECORD_MAX = 65536 };

typedef struct ServiceRecord {
        int64_t main; /* the process that the service is, 0 before there is one */
        usec_t since; /* CLOCK_REALTIME of its start */
        bool ready;   /* it went into the background */
        bool ended;   /* and this is how: */
        int status;   /* exit status, -1 if it was killed */
        int signal;   /* by this, else 0 */
        char **argv;  /* as it was started */
} ServiceRecord;

void service_record_done(ServiceRecord *r);

enum {
        _SERVICE_RECORD_E_SUCCESS,
        SERVICE_RECORD_E_INVALID,
};

/* The text is the caller's. Returns 0 or -ENOMEM. */
int service_record_to_text(const ServiceRecord *record, char **ret);

/* Unknown keys are left out. Returns 0, SERVICE_RECORD_E_INVALID or -ENOMEM. */
int service_record_parse(const char *text, ServiceRecord *ret);

/* "exit status 3", "signal 9 (Killed)". NULL on out of memory. */
char *service_record_describe_end(const ServiceRecord *record);
