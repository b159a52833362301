/* SPDX-License-Identifier: Apache-2.0 */

#include "base/result.h"
#include "jobloop.h"

int job_loop_new(JobLoop *ret)
{
        int r;

        r = sd_event_new(&ret->event);
        if (r < 0)
                return err_origin(r);
        return err_trace(job_pool_new(ret->event, NULL, NULL, &ret->pool));
}

int job_loop_run(JobLoop *loop)
{
        int r = sd_event_loop(loop->event);

        return r < 0 ? err_origin(r) : 0;
}

void job_loop_end(JobLoop *loop)
{
        (void)sd_event_exit(loop->event, 0);
}

void job_loop_done(JobLoop *loop)
{
        loop->pool = job_pool_free(loop->pool);
        loop->event = sd_event_unref(loop->event);
}
