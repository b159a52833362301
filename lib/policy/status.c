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
        module_facts_done(&s->modules);
        gpu_facts_done(&s->gpus);
        node_facts_done(&s->nodes);
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
