/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Getting the developer container of this host: one run of nvidia-driverd-fetch, on the
 * event loop. Also where the image is in the cache already it is verified, and
 * that reads all of it: only for those who are about to build.
 */

#include "base/root.h"
#include "job.h"
#include "policy/code.h"
#include "policy/config.h"

typedef struct DevFetch DevFetch;

typedef struct DevFetchHandler {
        /* "downloading the developer container, 45% of 512 MB"; only while something moves. */
        void (*on_progress)(void *userdata, const char *text);
        /* Worth a line in the log, and no failure. */
        void (*on_note)(void *userdata, const char *text);
        /*
         * Once, from the loop. @image is the path of a plain disk image in the
         * root if @code is CODE_OK; @detail says what happened if it is not.
         * Both are gone with devfetch_free(), which may be called from here.
         */
        void (*on_done)(void *userdata, Code code, const char *detail, const char *image);
} DevFetchHandler;

/* There is no limit of time: it ends what stands still. Returns 0 or a negative errno. */
int devfetch_start(JobPool *pool, const Root *root, const Config *config, const DevFetchHandler *handler,
                void *userdata, DevFetch **ret);

/* Before it is done this cancels it; what has been downloaded stays for the next time. */
DevFetch *devfetch_free(DevFetch *f);
DEFINE_CLEANUP(DevFetch, devfetch_free);
