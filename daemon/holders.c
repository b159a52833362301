/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The worker's answer, put together. Its lines come in the order of their
 * worth: descriptors, mappings, the end of the walk, names of users. So a walk
 * that was cut off has lost the least, and one that only hangs at a directory
 * service is complete.
 */

#include <signal.h>

#include "base/result.h"
#include "base/str.h"
#include "helper.h"
#include "holders.h"
#include "paths.h"
#include "sys/holdersjson.h"

struct HoldersScan {
        Job *job;
        void (*done)(void *userdata, const Holders *holders);
        void *userdata;
        Holders holders;
        bool ended, failed;
        char *word; /* the last line that was no answer */
};

HoldersScan *holders_scan_free(HoldersScan *scan)
{
        if (!scan)
                return NULL;

        job_cancel(scan->job);
        holders_done(&scan->holders);
        free(scan->word);
        free(scan);
        return NULL;
}

static void on_line(void *userdata, const char *line)
{
        HoldersScan *scan = userdata;
        int r = holders_line_parse(line, &scan->holders);

        if (r == HOLDERS_E_END) {
                scan->ended = true;
        } else if (r == HOLDERS_E_FOREIGN) {
                const char *detail = startswith(line, HELPER_KEY_DETAIL "=");

                (void)str_replace(&scan->word, detail ? detail : line);
        } else if (r) {
                scan->failed = true;
        }
}

const char *holders_scan_reason(const HoldersScan *scan)
{
        return scan->word ? scan->word : "the worker gave no complete answer";
}

static void on_scanned(void *userdata, const JobResult *result)
{
        HoldersScan *scan = userdata;

        scan->job = NULL;
        if (!scan->ended && result->timed_out)
                scan->holders.incomplete = true;
        else if (!scan->ended || (result->status != 0 && !result->timed_out))
                scan->failed = true;

        holders_arrange(&scan->holders);
        scan->done(scan->userdata, scan->failed ? NULL : &scan->holders);
}

int holders_scan(JobPool *pool, const Root *root, void (*done)(void *userdata, const Holders *holders),
                void *userdata, HoldersScan **ret)
{
        _cleanup_(holders_scan_freep) HoldersScan *scan = NULL;
        JobHandler handler = { .on_line = on_line, .on_exit = on_scanned };
        char *argv[] = { (char *)path_of_worker(), (char *)"holders",
                root_is_host(root) ? NULL : root->prefix, NULL };
        JobSpec spec = {
                .argv = argv, .timeout = HOLDERS_TIMEOUT, .death_signal = SIGKILL, .log_fd = -EBADF
        };
        int r;

        scan = calloc(1, sizeof(*scan));
        if (!scan)
                return err_origin(-ENOMEM);
        scan->done = done;
        scan->userdata = userdata;
        r = job_start(pool, &spec, &handler, scan, &scan->job);
        if (r < 0)
                return err_trace(r);

        *ret = TAKE_PTR(scan);
        return 0;
}
