/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What LOAD needs beside its own inserts, at the same time: the host's modules
 * (the worker probes them one by one) and the comparison of every file of the
 * build with its manifest. Nothing of a build is inserted before all of it is
 * known to be whole; but nvidia, which takes longest by far, does not wait for
 * host modules that only nvidia-drm needs. And nvidia-uvm, which no other
 * module needs, goes into the kernel while nvidia-modeset and nvidia-drm do.
 */

#include <inttypes.h>

#include "base/result.h"
#include "base/str.h"
#include "helper.h"
#include "manager.h"
#include "paths.h"
#include "policy/modorder.h"
#include "sys/store.h"
#include "sys/sysmod.h"

/* Reading a build from a slow disk takes its time; only a disk that hangs takes this long. */
#define SIDE_TIMEOUT (5 * USEC_PER_MINUTE)

static bool is_ours(const Manager *m)
{
        return m->work.token == m->fsm.token;
}

static void changed(Manager *m)
{
        if (is_ours(m))
                m->work.changed(m);
}

static void on_line(void *userdata, const char *line)
{
        Manager *m = userdata;
        const char *value;

        if (!is_ours(m))
                return;
        if ((value = startswith(line, HELPER_KEY_MODULE "="))) {
                strv_remove(m->work.probing, value);
                if (m->work.probing && !*m->work.probing)
                        m->work.probing = strv_free(m->work.probing);
                changed(m);
        } else if ((value = startswith(line, HELPER_KEY_DETAIL "="))) {
                log_info(m->log, "%s", value);
                (void)str_replace(&m->work.detail, value);
        } else {
                log_debug(m->log, "%s", line);
        }
}

static int start(Manager *m, char **argv, void (*done)(void *, const JobResult *), Job **ret)
{
        JobHandler handler = { .on_line = on_line, .on_exit = done };
        JobSpec spec = { .argv = argv, .timeout = SIDE_TIMEOUT, .log_fd = -EBADF };

        return err_trace(job_start(m->pool, &spec, &handler, m, ret));
}

static void on_probed(void *userdata, const JobResult *result)
{
        Manager *m = userdata;

        if (!is_ours(m))
                return;
        /* What is really needed and not there shows itself as a missing symbol, with a better message. */
        m->work.probing = strv_free(m->work.probing);
        changed(m);
}

static bool is_there(Manager *m, const char *name)
{
        ModuleFact fact = {};
        bool there;

        there = sysmod_read(m->root, name, &fact) == 0 &&
                (fact.state == MOD_LIVE || fact.state == MOD_BUILTIN);
        module_fact_done(&fact);
        return there;
}

static int add_missing(Manager *m, char *const *names)
{
        int r = 0;

        STRV_FOREACH (name, names)
                if (r == 0 && !strv_contains(m->work.probing, *name) && !is_there(m, *name))
                        r = strv_push(&m->work.probing, *name);
        return err_trace(r);
}

static int start_probe(Manager *m, char *const *needed)
{
        _cleanup_strv_ char **argv = NULL;
        Job *job; /* may be in the kernel: it is never cancelled */
        int r;

        r = add_missing(m, m->config->prerequisites);
        if (r == 0)
                r = add_missing(m, needed);
        if (r || !m->work.probing)
                return err_trace(r);

        r = strv_push(&argv, path_of_worker());
        if (r == 0)
                r = strv_push(&argv, "probe");
        if (r == 0)
                r = strv_push(&argv, m->facts.kernel.release);
        STRV_FOREACH (name, m->work.probing)
                if (r == 0)
                        r = strv_push(&argv, *name);
        return r ? err_trace(r) : err_trace(start(m, argv, on_probed, &job));
}

static void end_verify(Manager *m)
{
        m->work.verifying = false;
        changed(m);
}

static void on_set_aside(void *userdata, const JobResult *result)
{
        Manager *m = userdata;

        m->work.verifier = NULL;
        if (is_ours(m))
                end_verify(m);
}

/* The worker looks itself, and takes the build out of the store. */
static int set_aside(Manager *m)
{
        _cleanup_free_ char *staging = str_format("%s/" STORE_STAGING, m->config->store_directory),
                            *build = NULL, *aside = NULL;

        build = root_path(m->root, m->build_path);
        aside = staging ? root_path(m->root, staging) : NULL;
        if (!build || !aside)
                return err_origin(-ENOMEM);
        return err_trace(start(m,
                        (char *[]){ (char *)path_of_worker(), (char *)"verify", build, aside, NULL },
                        on_set_aside, &m->work.verifier));
}

static void on_verified(void *userdata, const JobResult *result)
{
        Manager *m = userdata;

        m->work.verifier = NULL;
        if (!is_ours(m))
                return;
        m->work.verify_code = result->status < 0 ? CODE_STORE_FAILED : code_from_exit_status(result->status);
        if (m->work.verify_code < 0)
                m->work.verify_code = CODE_STORE_FAILED;
        if (m->work.verify_code == CODE_BUILD_DAMAGED && set_aside(m) == 0)
                return;
        end_verify(m);
}

static int push_file(char ***argv, const BuildFile *f)
{
        int r;

        r = strv_push(argv, f->name);
        if (r == 0)
                r = strv_push_consume(argv, str_format("%" PRIu64, f->size));
        return r ? err_trace(r) : err_trace(strv_push(argv, strempty(f->xxh64)));
}

static int start_verify(Manager *m)
{
        _cleanup_strv_ char **argv = NULL;
        int r;

        r = strv_push(&argv, path_of_helper());
        if (r == 0)
                r = strv_push(&argv, "verify");
        if (r == 0)
                r = strv_push_consume(&argv, root_path(m->root, m->build_path));
        for (size_t i = 0; r == 0 && i < m->loading_manifest.n_files; i++)
                r = push_file(&argv, &m->loading_manifest.files[i]);
        if (r == 0)
                r = start(m, argv, on_verified, &m->work.verifier);
        m->work.verifying = r == 0;
        return err_trace(r);
}

static void report_late(Manager *m)
{
        _cleanup_free_ char *detail = str_format("Module %s.", m->work.aside);

        (void)str_replace(&m->detail, detail);
        log_code(m->log, LOG_ERR, CODE_STUCK, detail);
        manager_post(m, &(FsmEvent){ .type = FSM_EV_OVERDUE, .token = m->fsm.token });
}

static void on_aside_overdue(void *userdata)
{
        Manager *m = userdata;

        if (!is_ours(m))
                return;
        m->work.aside_overdue = true;
        if (m->work.waiting)
                report_late(m);
}

static void on_aside(void *userdata, const JobResult *result)
{
        Manager *m = userdata;

        if (!is_ours(m))
                return;
        m->work.aside = (free(m->work.aside), NULL);
        fsm_kernel_left(&m->fsm, m->work.token);
        changed(m);
}

int load_side_insert(Manager *m, const char *name)
{
        static const JobHandler handler = { .on_overdue = on_aside_overdue, .on_exit = on_aside };
        const BuildFile *f = build_manifest_module(&m->loading_manifest, name);
        _cleanup_free_ char *in_root = NULL, *path = NULL;
        const char *parameters = config_module_parameters(m->config, name);
        JobSpec spec = { .overdue = m->config->load_timeout, .untouchable = true, .log_fd = -EBADF };
        Job *job;
        int r;

        in_root = f ? str_format("%s/%s", m->build_path, f->name) : NULL;
        path = in_root ? root_path(m->root, in_root) : NULL;
        if (!path)
                return err_origin(-ENOMEM);
        m->work.aside_tried = true;
        r = str_replace(&m->work.aside, name);
        if (r)
                return err_trace(r);
        spec.argv = (char *[]){ (char *)path_of_helper(), (char *)"insert", path, (char *)parameters, NULL };
        r = job_start(m->pool, &spec, &handler, m, &job);
        if (r)
                m->work.aside = (free(m->work.aside), NULL);
        else
                fsm_kernel_entered(&m->fsm, manager_now(m));
        return err_trace(r);
}

void load_side_await(Manager *m)
{
        m->work.waiting = true;
        if (m->work.aside_overdue)
                report_late(m);
}

int load_side_verify(Manager *m, void (*when_changed)(Manager *m))
{
        m->work.token = m->fsm.token;
        m->work.changed = when_changed;
        return err_trace(start_verify(m));
}

int load_side_start(Manager *m, char *const *needed, void (*when_changed)(Manager *m))
{
        int r;

        r = load_side_verify(m, when_changed);
        if (r == 0)
                r = start_probe(m, needed);
        if (r == 0)
                stage_firmware_publish(m);
        return err_trace(r);
}

bool load_side_is_over(const Manager *m)
{
        return !m->work.verifying && !m->work.probing && !m->work.publishing && !m->work.aside;
}

static bool contains_module(char *const *names, const char *name)
{
        STRV_FOREACH (item, names)
                if (modname_eq(*item, name))
                        return true;
        return false;
}

/* A configured prerequisite goes before the module that needs it; before all of them if none does. */
static bool is_needed_by(const Manager *m, const char *prerequisite, const char *name)
{
        bool needed = false, by_this = false;

        STRV_FOREACH (other, m->work.order) {
                const BuildFile *f = build_manifest_module(&m->loading_manifest, *other);
                bool found = f && contains_module(f->depends, prerequisite);

                needed = needed || found;
                by_this = by_this || (found && modname_eq(*other, name));
        }
        return by_this || !needed;
}

bool load_side_allows(const Manager *m, const char *name)
{
        if (m->work.verifying || m->work.publishing)
                return false;
        STRV_FOREACH (prerequisite, m->work.probing)
                if (is_needed_by(m, *prerequisite, name))
                        return false;
        return true;
}
