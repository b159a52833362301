/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A worker that reads a dead mount may not even die. So its deadline is that of
 * our patience and not of its life: it is told to end, and nobody waits for it.
 */

#include <signal.h>

#include "base/result.h"
#include "base/str.h"
#include "helper.h"
#include "jobloop.h"
#include "paths.h"
#include "sharing.h"
#include "sys/manifestjson.h"

/* A build is some thirty megabytes, a list of builds some hundred kilobytes. */
enum { COPY_FACTOR = 10 };

typedef struct Look {
        Sharing *sharing;
        char *directory; /* as configured */
        Job *job;
        bool over;
        bool overdue;
        int status;
        char *detail;
        char *path; /* of the build whose manifest comes now */
        char *text; /* and what has come of it */
        size_t n_text;
        BuildManifests builds;
        char **problems;
} Look;

struct Sharing {
        Look *looks;
        size_t n;
        BuildManifests *builds;
        char ***problems;
        void (*done)(void *userdata);
        void *userdata;
};

static void end_manifest(Look *l)
{
        _cleanup_free_ char *why = NULL;
        BuildManifest m = {};
        int r;

        if (!l->path)
                return;
        r = manifest_parse(strempty(l->text), l->n_text, &m, &why);
        if (r == 0)
                r = str_replace(&m.directory, l->path);
        if (r == 0)
                r = build_manifests_add(&l->builds, &m);
        if (r > 0)
                (void)strv_pushf(&l->problems, "%s/" MANIFEST_NAME ": %s", l->path, strna(why));
        build_manifest_done(&m);
        l->path = (free(l->path), NULL);
        l->n_text = 0;
}

static void begin_manifest(Look *l, const char *build)
{
        const char *name = strrchr(build, '/');

        end_manifest(l);
        /* As it is in the root; the worker knows of no root. */
        l->path = str_format("%s/%s", l->directory, name ? name + 1 : build);
}

static void add_text(Look *l, const char *line)
{
        size_t n = strlen(line);
        char *grown;

        if (l->n_text + n + 2 > MANIFEST_SIZE_MAX)
                return;
        grown = realloc(l->text, l->n_text + n + 2);
        if (!grown)
                return;
        l->text = grown;
        memcpy(grown + l->n_text, line, n);
        memcpy(grown + l->n_text + n, "\n", 2);
        l->n_text += n + 1;
}

static void on_line(void *userdata, const char *line)
{
        Look *l = userdata;
        const char *value;

        if ((value = startswith(line, HELPER_KEY_TEXT "=")))
                add_text(l, value);
        else if ((value = startswith(line, HELPER_KEY_BUILD "=")))
                begin_manifest(l, value);
        else if ((value = startswith(line, HELPER_KEY_DEFECT "=")))
                (void)strv_push(&l->problems, value);
        else if ((value = startswith(line, HELPER_KEY_DETAIL "=")))
                (void)str_replace(&l->detail, value);
}

static void collect(Sharing *s, Look *l)
{
        for (size_t i = 0; i < l->builds.n; i++)
                (void)build_manifests_add(s->builds, &l->builds.items[i]);
        STRV_FOREACH (problem, l->problems)
                (void)strv_push(s->problems, *problem);
        if (l->overdue)
                (void)strv_pushf(s->problems, "%s does not answer", l->directory);
        else if (l->status != 0)
                (void)strv_pushf(s->problems, "%s cannot be read: %s", l->directory,
                                l->detail ? l->detail : "the worker failed");
}

/* The last one of all tells the owner; in the stores' order, whoever was the fastest. */
static void end(Look *l)
{
        Sharing *s = l->sharing;

        /* Of a store that stopped in the middle nothing could be had. */
        if (l->overdue)
                build_manifests_done(&l->builds);
        else
                end_manifest(l);
        l->over = true;
        for (size_t i = 0; i < s->n; i++)
                if (!s->looks[i].over)
                        return;
        for (size_t i = 0; s->builds && i < s->n; i++)
                collect(s, &s->looks[i]);
        s->done(s->userdata);
}

static void on_overdue(void *userdata)
{
        Look *l = userdata;

        l->overdue = true;
        job_cancel(TAKE_PTR(l->job));
        end(l);
}

static void on_exit_of_worker(void *userdata, const JobResult *result)
{
        Look *l = userdata;

        l->job = NULL;
        l->status = result->status;
        end(l);
}

static int start(JobPool *pool, Look *l, char *const *argv, usec_t patience)
{
        static const JobHandler handler = {
                .on_line = on_line, .on_overdue = on_overdue, .on_exit = on_exit_of_worker
        };
        JobSpec spec = {
                .argv = argv,
                .overdue = patience == USEC_INFINITY ? 0 : patience,
                .death_signal = SIGKILL,
                .background = true,
                .log_fd = -EBADF,
        };

        return err_trace(job_start(pool, &spec, &handler, l, &l->job));
}

static int sharing_new(size_t n, void (*done)(void *userdata), void *userdata, Sharing **ret)
{
        _cleanup_(sharing_freep) Sharing *s = calloc(1, sizeof(*s));

        if (!s)
                return err_origin(-ENOMEM);
        s->looks = calloc(n + 1, sizeof(*s->looks));
        if (!s->looks)
                return err_origin(-ENOMEM);
        s->n = n;
        s->done = done;
        s->userdata = userdata;
        for (size_t i = 0; i < n; i++)
                s->looks[i].sharing = s;
        *ret = TAKE_PTR(s);
        return 0;
}

Sharing *sharing_free(Sharing *s)
{
        if (!s)
                return NULL;
        for (size_t i = 0; s->looks && i < s->n; i++) {
                Look *l = &s->looks[i];

                job_cancel(l->job);
                free(l->directory);
                free(l->detail);
                free(l->path);
                free(l->text);
                build_manifests_done(&l->builds);
                strv_free(l->problems);
        }
        free(s->looks);
        free(s);
        return NULL;
}

int sharing_look(JobPool *pool, const Root *root, const Config *config, const char *release,
                BuildManifests *builds, char ***problems, void (*done)(void *userdata), void *userdata,
                Sharing **ret)
{
        _cleanup_(sharing_freep) Sharing *s = NULL;
        int r;

        r = sharing_new(strv_length(config->store_shared), done, userdata, &s);
        if (r)
                return err_trace(r);
        s->builds = builds;
        s->problems = problems;
        for (size_t i = 0; i < s->n; i++) {
                Look *l = &s->looks[i];
                _cleanup_free_ char *path = root_path(root, config->store_shared[i]);
                char *argv[] = { (char *)path_of_worker(), (char *)"shared", path, (char *)strempty(release),
                        NULL };

                r = path ? str_replace(&l->directory, config->store_shared[i]) : err_origin(-ENOMEM);
                if (r == 0)
                        r = start(pool, l, argv, config->store_shared_timeout);
                if (r)
                        return err_trace(r);
        }
        *ret = TAKE_PTR(s);
        return 0;
}

static usec_t copy_patience(const Config *config)
{
        usec_t one = config->store_shared_timeout;

        if (one > USEC_INFINITY / COPY_FACTOR)
                return USEC_INFINITY;
        return usec_add(one * COPY_FACTOR, config->store_lock_timeout);
}

int sharing_take(JobPool *pool, const Root *root, const Config *config, const BuildManifest *m,
                void (*done)(void *userdata), void *userdata, Sharing **ret)
{
        _cleanup_(sharing_freep) Sharing *s = NULL;
        _cleanup_free_ char *store = root_path(root, config->store_directory), *from = NULL, *wait = NULL;
        char *id;
        int r;

        r = sharing_new(1, done, userdata, &s);
        if (r)
                return err_trace(r);
        from = root_path(root, m->directory);
        wait = str_format("%llu", (unsigned long long)config->store_lock_timeout);
        if (!store || !from || !wait)
                return err_origin(-ENOMEM);
        id = strrchr(from, '/');
        *id++ = '\0';
        r = str_replace(&s->looks->directory, m->directory);
        if (r == 0)
                r = start(pool, s->looks,
                                (char *[]){ (char *)path_of_worker(), (char *)"take", store, wait, from, id,
                                                NULL },
                                copy_patience(config));
        if (r)
                return err_trace(r);
        *ret = TAKE_PTR(s);
        return 0;
}

char *sharing_failure(const Sharing *s)
{
        const Look *l = s->looks;

        if (l->overdue)
                return str_format("%s: copying it takes too long", l->directory);
        if (l->status == 0)
                return NULL;
        return l->detail ? strdup(l->detail)
                         : str_format("%s: the worker ended with status %d", l->directory, l->status);
}

static void quit(void *userdata)
{
        job_loop_end(userdata);
}

int sharing_look_now(const Root *root, const Config *config, const char *release, BuildManifests *builds,
                char ***problems)
{
        Sharing *s = NULL;
        JobLoop loop = {};
        int r;

        if (!config->store_shared)
                return 0;
        r = job_loop_new(&loop);
        if (r == 0)
                r = sharing_look(loop.pool, root, config, release, builds, problems, quit, &loop, &s);
        if (r == 0)
                r = job_loop_run(&loop);
        sharing_free(s);
        job_loop_done(&loop);
        return err_trace(r);
}
