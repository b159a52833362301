/* SPDX-License-Identifier: Apache-2.0 */

/* Ownership of the status struct. */

#include "base/result.h"
#include "base/str.h"
#include "policy/status.h"

void status_done(Status *s)
{
        for (size_t i = 0; i < s->n_steps; i++) {
                free(s->steps[i].stage);
                free(s->steps[i].reason);
        }
        free(s->steps);
        for (size_t i = 0; i < s->n_services; i++) {
                free(s->services[i].name);
                free(s->services[i].state);
                free(s->services[i].last_end);
        }
        free(s->services);
        free(s->state);
        free(s->code);
        free(s->detail);
        free(s->progress);
        free(s->version);
        free(s->kernel_release);
        free(s->kernel_version);
        free(s->driver_version);
        free(s->driver_wanted);
        free(s->build);
        free(s->fallback);
        free(s->signature);
        module_facts_done(&s->modules);
        gpu_facts_done(&s->gpus);
        node_facts_done(&s->nodes);
        holders_done(&s->holders);
        for (size_t i = 0; i < s->n_devices; i++)
                free(s->devices[i].node);
        free(s->devices);
        strv_free(s->problems);
        *s = (Status){};
}

int status_add_step(Status *s, const char *stage, bool run, const char *reason)
{
        StatusStep *grown = reallocarray(s->steps, s->n_steps + 1, sizeof(*grown));

        if (!grown)
                return err_origin(-ENOMEM);
        s->steps = grown;
        grown[s->n_steps++] = (StatusStep){ strdup(stage), run, strdup(strempty(reason)) };
        if (!grown[s->n_steps - 1].stage || !grown[s->n_steps - 1].reason)
                return err_origin(-ENOMEM);
        return 0;
}

int status_add_service(Status *s, const StatusService *service)
{
        StatusService *grown = reallocarray(s->services, s->n_services + 1, sizeof(*grown)), *copy;

        if (!grown)
                return err_origin(-ENOMEM);
        s->services = grown;
        copy = &grown[s->n_services++];
        *copy = *service;
        copy->name = strdup(service->name);
        copy->state = strdup(service->state);
        copy->last_end = service->last_end ? strdup(service->last_end) : NULL;
        if (!copy->name || !copy->state || (service->last_end && !copy->last_end))
                return err_origin(-ENOMEM);
        return 0;
}

int status_add_device(Status *s, const char *node, unsigned major, unsigned minor, bool present)
{
        StatusDevice *grown = reallocarray(s->devices, s->n_devices + 1, sizeof(*grown));

        if (!grown)
                return err_origin(-ENOMEM);
        s->devices = grown;
        grown[s->n_devices++] = (StatusDevice){ strdup(node), major, minor, present };
        return grown[s->n_devices - 1].node ? 0 : err_origin(-ENOMEM);
}
