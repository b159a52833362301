/* SPDX-License-Identifier: Apache-2.0 */

/* Ownership of the status struct. */

#include "base/result.h"
#include "base/str.h"
#include "policy/code.h"
#include "policy/fsm.h"
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
        strv_free(s->pending);
        strv_free(s->problems);
        *s = (Status){};
}

void status_hide_holders(Status *s)
{
        /* A text of an earlier look may outlive the list. */
        if (s->n_holders > 0 || streq_ptr(s->code, code_to_string(CODE_BUSY)) ||
                        streq_ptr(s->state, fsm_state_to_string(FSM_BUSY))) {
                s->detail = (free(s->detail), NULL);
                s->progress = (free(s->progress), NULL);
        }
        holders_done(&s->holders);
}

static void lists_make_printable(Status *s)
{
        for (size_t i = 0; i < s->n_steps; i++) {
                (void)str_printable(s->steps[i].stage);
                (void)str_printable(s->steps[i].reason);
        }
        for (size_t i = 0; i < s->n_services; i++) {
                (void)str_printable(s->services[i].name);
                (void)str_printable(s->services[i].state);
                (void)str_printable(s->services[i].last_end);
        }
        for (size_t i = 0; i < s->n_devices; i++)
                (void)str_printable(s->devices[i].node);
        STRV_FOREACH (pending, s->pending)
                (void)str_printable(*pending);
        STRV_FOREACH (problem, s->problems)
                (void)str_printable(*problem);
}

static void facts_make_printable(Status *s)
{
        for (size_t i = 0; i < s->modules.n; i++) {
                ModuleFact *m = &s->modules.items[i];

                (void)str_printable(m->name);
                (void)str_printable(m->version);
                (void)str_printable(m->srcversion);
                (void)str_printable(m->taint);
                STRV_FOREACH (holder, m->holders)
                        (void)str_printable(*holder);
        }
        for (size_t i = 0; i < s->gpus.n; i++) {
                (void)str_printable(s->gpus.items[i].address);
                (void)str_printable(s->gpus.items[i].driver);
                (void)str_printable(s->gpus.items[i].override);
        }
        for (size_t i = 0; i < s->nodes.n; i++) {
                (void)str_printable(s->nodes.items[i].gpu);
                (void)str_printable(s->nodes.items[i].node);
        }
        for (size_t i = 0; i < s->holders.n; i++) {
                Holder *h = &s->holders.items[i];
                char *texts[] = { h->user, h->command, h->home.unit, h->home.container, h->home.pod,
                        h->node };

                for (size_t t = 0; t < ELEMENTSOF(texts); t++)
                        (void)str_printable(texts[t]);
        }
}

void status_make_printable(Status *s)
{
        char *texts[] = { s->state, s->code, s->detail, s->progress, s->version, s->kernel_release,
                s->kernel_version, s->driver_version, s->driver_wanted, s->build, s->fallback,
                s->signature };

        for (size_t i = 0; i < ELEMENTSOF(texts); i++)
                (void)str_printable(texts[i]);
        lists_make_printable(s);
        facts_make_printable(s);
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
