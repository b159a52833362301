/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A .run file becomes staging/run, by its own script: --check first, so that a
 * download that broke off is told from a disk that is full, then
 * --extract-only. What comes out is read as any other source and must be what
 * the file promised.
 *
 * The script runs as we do. Who could have written it is looked at right
 * before, again: the plan may be minutes old.
 */

#include <signal.h>
#include <syslog.h>

#include "base/result.h"
#include "base/str.h"
#include "build-internal.h"
#include "policy/runfile.h"
#include "sys/driversource.h"
#include "sys/resources.h"
#include "sys/runfile.h"

static void run_step(Build *b, RunFileStep which, BuildStepDone done)
{
        _cleanup_free_ char *file = NULL, *problem = NULL, *target = build_path(b, "run"),
                            *temporary = build_path(b, "");
        RecipeStep step = {};
        int r;

        r = target && temporary ? runfile_check(b->request.root, b->request.source->path, &file, &problem)
                                : err_origin(-ENOMEM);
        if (r > 0) {
                build_fail(b, r == RUNFILE_E_ABSENT ? CODE_SOURCE_MISSING : CODE_SOURCE_INVALID, "/%s %s.",
                                b->request.source->path, problem ? problem : "is gone");
                return;
        }
        if (r == 0)
                r = runfile_step(which, file, target, temporary, &step);
        if (r)
                build_fatal(b, r, b->request.source->path);
        else
                build_step(b, &step, NULL, done);
}

/*
 * Everything that comes in the way of the script looks the same in the end: it
 * hides what tar says, and for a full disk it sends SIGTERM to itself.
 */
static bool failed(Build *b, const JobResult *result, const char *what)
{
        if (result->status == 0)
                return false;
        (void)buildlog_finish(&b->log);
        if (resources_is_full(b->staging_lock))
                build_fail(b, CODE_NO_SPACE, "/%s could not be unpacked into %s.", b->request.source->path,
                                b->staging);
        else if (result->timed_out || result->signal == SIGKILL)
                return build_step_failed(b, result);
        else
                build_fail(b, CODE_SOURCE_INVALID, "/%s %s. Its script ended with %s %d.%s%s",
                                b->request.source->path, what, result->signal ? "signal" : "status",
                                result->signal ? result->signal : result->status,
                                b->log.line[0] ? " Last line: " : "", b->log.line);
        return true;
}

/* What is needed may not be in it, for all that its head says. */
static int judge(Build *b, SourceJudgement *ret)
{
        const DriverSource *promised = b->request.source;
        const DriverSources one = { &b->unpacked, 1 };

        return err_trace(driver_sources_choose(
                        &one, promised->version, promised->type, b->request.config->modules, ret));
}

static void on_extracted(Build *b, const JobResult *result)
{
        _cleanup_(source_judgement_done) SourceJudgement j = { .code = CODE_OK };
        _cleanup_free_ char *name = NULL, *path = NULL;
        int r;

        if (failed(b, result, "could not be unpacked"))
                return;
        name = str_format("run/%s", b->request.source->folder);
        path = name ? build_root_path(b, name) : NULL;
        r = path ? driver_source_read(b->request.root, path, &b->unpacked) : err_origin(-ENOMEM);
        if (r == DRIVER_SOURCE_E_ABSENT) {
                build_fail(b, CODE_SOURCE_INVALID, "/%s has no folder %s.", b->request.source->path,
                                b->request.source->folder);
                return;
        }
        if (r == 0)
                r = judge(b, &j);
        if (r) {
                build_fatal(b, r, b->request.source->path);
                return;
        }
        if (j.code != CODE_OK) {
                build_fail(b, j.code, "Unpacked from /%s: %s.", b->request.source->path,
                                strempty(j.evidence));
                return;
        }

        b->is_unpacked = true;
        buildlog_done(&b->log);
        buildlog_init(&b->log, BUILD_STAGE_COMPILE,
                        driver_source_objects(&b->unpacked, b->request.config->modules));
        b->unpack_done(b);
}

static void on_checked(Build *b, const JobResult *result)
{
        if (!failed(b, result, "is damaged, by its own checksum: get it again"))
                run_step(b, RUNFILE_EXTRACT, on_extracted);
}

void build_run_unpack(Build *b, void (*done)(Build *b))
{
        b->unpack_done = done;
        build_log(b, LOG_INFO, "Unpacking /%s.", b->request.source->path);
        b->handler.on_progress(b->userdata, b->stage, "(unpacking the .run file)");
        run_step(b, RUNFILE_CHECK, on_checked);
}
