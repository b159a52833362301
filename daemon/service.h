/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * One service: its keeper, its output, its timers. What happens when is decided
 * by policy/service.h; here it is done. The processes are the keeper's: when
 * the daemon ends, or is killed, they stay, and the next daemon finds them.
 */

#include <systemd/sd-event.h>

#include "base/root.h"
#include "job.h"
#include "log.h"
#include "policy/lines.h"
#include "policy/service.h"
#include "policy/serviceplan.h"
#include "policy/servicerecord.h"

typedef struct Service Service;

/* What all services share; borrowed. */
typedef struct ServiceHost {
        sd_event *event;
        JobPool *pool;
        const Root *root;
        Log *log;
        /* The state is another one. The service is not to be freed in there. */
        void (*on_change)(void *userdata, Service *s);
        void *userdata;
} ServiceHost;

/* Lines of output that are not longer; service-output.c */
enum { SERVICE_LINE_MAX = 4096 };

typedef struct ServiceOutput {
        int fd;
        sd_event_source *source;
        char line[SERVICE_LINE_MAX];
        size_t n_line;
        LineLimit limit;
        LastLines last;
} ServiceOutput;

struct Service {
        const ServiceHost *host;
        ServiceSpec spec;
        ServiceMachine machine;
        sd_event_source *timer;
        Job *launcher;  /* starts the keeper, or ends what a keeper left */
        bool end_asked; /* while the keeper is not known yet */
        bool forgotten; /* it did not end when it was killed */
        pid_t keeper;
        int pidfd;
        sd_event_source *gone;
        ServiceOutput output;
        pid_t main;       /* 0: not known, or none */
        usec_t since;     /* CLOCK_REALTIME of its start, 0 if it does not run */
        char *last_end;   /* "exit status 1"; NULL if it never ended */
        char *last_words; /* its last lines before that end; NULL or empty if it wrote none */
        char *trouble;    /* why it could not be started, or NULL */
};

int service_new(const ServiceHost *host, const ServiceSpec *spec, const ServiceLimits *limits,
                Service **ret);
Service *service_free(Service *s);
DEFINE_CLEANUP(Service, service_free);

/* A new one, for what an earlier daemon has left under this name; nobody wants it yet. */
int service_find(const ServiceHost *host, const char *name, const ServiceLimits *limits, Service **ret);

/* From now on it is this. If the command is another one, a running one is replaced. */
int service_want(Service *s, const ServiceSpec *spec, const ServiceLimits *limits);
void service_stop(Service *s);

/* After service_stop(): there is no time left. */
void service_kill(Service *s);

/* "nvidia-persistenced: exit status 1, tried 3 times. It said: ...". NULL on out of memory. */
char *service_describe_failure(const Service *s);

/* service-output.c: lines from the FIFO into the log. */
int service_output_open(Service *s, int directory);
void service_output_close(ServiceOutput *o);

/* Everything that is in the FIFO now. */
void service_output_drain(Service *s);

/* One line of the service, from wherever. */
void service_output_line(Service *s, const char *line);

/* For service-output.c: the service went into the background. */
void service_is_ready(Service *s);
