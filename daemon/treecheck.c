/* SPDX-License-Identifier: Apache-2.0 */

#include <signal.h>

#include "base/result.h"
#include "base/str.h"
#include "helper.h"
#include "jobloop.h"
#include "paths.h"
#include "policy/kepttree.h"
#include "treecheck.h"

struct TreeCheck {
        Job *job;
        char *detail;
        void (*done)(void *userdata, Code code, const char *detail);
        void *userdata;
};

static void on_line(void *userdata, const char *line)
{
        TreeCheck *c = userdata;
        const char *value = startswith(line, HELPER_KEY_DETAIL "=");

        if (value)
                (void)str_replace(&c->detail, value);
}

static void on_exit_of_worker(void *userdata, const JobResult *result)
{
        TreeCheck *c = userdata;
        Code code = result->status < 0 ? CODE_INTERNAL : code_from_exit_status(result->status);

        c->job = NULL;
        c->done(c->userdata, code < 0 ? CODE_INTERNAL : code,
                        c->detail ? c->detail : "the worker ended without a reason");
}

/* Of "STORE/trees/NAME/tree", without the last part. */
static char *kept_of(const Root *root, const char *tree)
{
        size_t n = strlen(tree), end = strlen("/" KEPTTREE_TREE);
        _cleanup_free_ char *kept = n > end ? strndup(tree, n - end) : NULL;

        return kept ? root_path(root, kept) : NULL;
}

int treecheck(JobPool *pool, const Root *root, const Config *config, const char *tree, bool running,
                void (*done)(void *userdata, Code code, const char *detail), void *userdata, TreeCheck **ret)
{
        static const JobHandler handler = { .on_line = on_line, .on_exit = on_exit_of_worker };
        _cleanup_(treecheck_freep) TreeCheck *c = calloc(1, sizeof(*c));
        _cleanup_free_ char *kept = kept_of(root, tree), *store = root_path(root, config->store_directory);
        JobSpec spec = { .timeout = config->build_timeout, .death_signal = SIGTERM, .log_fd = -EBADF };
        int r;

        if (!c || !kept || !store)
                return err_origin(-ENOMEM);
        c->done = done;
        c->userdata = userdata;
        spec.argv = (char *[]){ (char *)path_of_worker(), (char *)"checktree",
                root_is_host(root) ? (char *)"/" : root->prefix, store, kept,
                running ? (char *)HELPER_RUNNING : (char *)HELPER_OTHER, NULL };
        r = job_start(pool, &spec, &handler, c, &c->job);
        if (r)
                return err_trace(r);
        *ret = TAKE_PTR(c);
        return 0;
}

TreeCheck *treecheck_free(TreeCheck *c)
{
        if (!c)
                return NULL;
        job_cancel(c->job);
        free(c->detail);
        free(c);
        return NULL;
}

typedef struct Waiting {
        JobLoop loop;
        Code code;
        char *detail;
} Waiting;

static void on_done(void *userdata, Code code, const char *detail)
{
        Waiting *w = userdata;

        w->code = code;
        w->detail = strdup(detail);
        job_loop_end(&w->loop);
}

int treecheck_now(const Root *root, const Config *config, const char *tree, bool running, Code *ret_code,
                char **ret_detail)
{
        TreeCheck *check = NULL;
        Waiting w = {};
        int r;

        r = job_loop_new(&w.loop);
        if (r == 0)
                r = treecheck(w.loop.pool, root, config, tree, running, on_done, &w, &check);
        if (r == 0)
                r = job_loop_run(&w.loop);
        treecheck_free(check);
        job_loop_done(&w.loop);
        *ret_code = w.code;
        *ret_detail = w.detail;
        return err_trace(r);
}
