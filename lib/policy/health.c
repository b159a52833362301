/* SPDX-License-Identifier: Apache-2.0 */

#include "base/result.h"
#include "base/str.h"
#include "policy/health.h"

void health_done(Health *h)
{
        for (HealthSource s = 0; s < _HEALTH_SOURCE_MAX; s++)
                free(h->complaints[s].detail);
        *h = (Health){};
}

int health_set(Health *h, HealthSource source, Code code, const char *detail)
{
        Complaint *c = &h->complaints[source];
        int r;

        if (code == CODE_OK)
                detail = NULL;
        if (c->code == code && streq(strempty(c->detail), strempty(detail)))
                return 0;
        r = str_replace(&c->detail, detail);
        if (r)
                return err_trace(r);
        c->code = code;
        return 1;
}

const Complaint *health_worst(const Health *h)
{
        for (HealthSource s = 0; s < _HEALTH_SOURCE_MAX; s++)
                if (h->complaints[s].code != CODE_OK)
                        return &h->complaints[s];
        return NULL;
}
