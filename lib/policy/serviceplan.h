/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Which services are wanted on this machine, how each is started, and why the
 * others are not: from the configuration and a few facts.
 */

#include "base/macro.h"
#include "policy/config.h"

/* A service that needs no configuration. Paths are in the root, without a leading slash. */
typedef struct ServiceKnown {
        const char *name;
        const char *unit;             /* of NVIDIA's packages */
        const char *pid_file;         /* it writes its number there by itself */
        const char *const *arguments; /* NULL-terminated */
        const char *settings;         /* a file of its own that says whether it daemonises; NULL: always */
} ServiceKnown;

/* NULL past the last one. */
const ServiceKnown *service_known(size_t i);
const ServiceKnown *service_known_find(const char *name);

/* A process that runs a service and is not ours. */
enum {
        SERVICE_OWNER_NONE = 0,
        SERVICE_OWNER_HIDDEN = -1, /* there is one, in another pid namespace */
};

/* What the machine says of a known service. */
typedef struct ServiceFact {
        char *name;
        char *program;  /* "/usr/bin/nvidia-persistenced"; NULL: not installed */
        char *unit;     /* the unit file of it, if a systemd runs here; or NULL */
        int64_t owner;  /* pid, or one of the above */
        char *settings; /* the text of service_settings_file(), NULL if there is none */
} ServiceFact;

typedef struct ServiceFacts {
        ServiceFact *items; /* one for each known service */
        size_t n;
        bool nvswitch; /* there is one on the PCI bus */
        char **kept;   /* names of services that an earlier daemon of ours started and that still run */
} ServiceFacts;

/* Where to look for the program and for its settings, given the configuration; absolute, borrowed, or NULL.
 */
const char *service_program_file(const Config *config, const ServiceKnown *known);
const char *service_settings_file(const Config *config, const ServiceKnown *known);

void service_fact_done(ServiceFact *f);
void service_facts_done(ServiceFacts *f);

/* Takes over the content of *@f. Returns 0 or -ENOMEM. */
int service_facts_add(ServiceFacts *facts, ServiceFact *f);

typedef struct ServiceSpec {
        char *name;
        char **argv; /* argv[0] is absolute, in the root */
        bool required;
        bool daemonises; /* goes into the background when it is ready */
} ServiceSpec;

void service_spec_done(ServiceSpec *s);
int service_spec_copy(const ServiceSpec *s, ServiceSpec *ret);

/* In the order to start them. */
typedef struct ServicePlan {
        ServiceSpec *items;
        size_t n;
        char **left_out; /* "nv-fabricmanager: no NVSwitch is on the PCI bus" */
        char *summary;   /* half a sentence for the plan */
} ServicePlan;

void service_plan_done(ServicePlan *p);

/* Returns 0 or -ENOMEM. */
int service_plan_make(const Config *config, const ServiceFacts *facts, ServicePlan *ret);

/* True if anything has to be done about services at all. */
bool service_plan_runs(const ServicePlan *p, const ServiceFacts *facts);
