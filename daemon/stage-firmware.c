/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Beside LOAD: the driver's firmware, shown where the kernel looks for it. A
 * few calls of stat(2) tell whether there is anything to do, which on most
 * hosts there is not; copying is the worker's, beside the verification of the
 * build. Nothing here fails a start: a GPU that cannot do without its firmware
 * says so itself, and then the warning stands in the log.
 *
 * What we do is recorded before it is done, with the boot, so that whoever
 * unloads the driver can take it back: this daemon or one after it. A path that
 * somebody else has set is never touched.
 */

#include <signal.h>

#include "base/result.h"
#include "base/str.h"
#include "helper.h"
#include "manager.h"
#include "paths.h"
#include "policy/firmware.h"
#include "sys/firmware.h"
#include "sys/kernel.h"

/* 60 MB from a slow disk take some seconds. */
#define COPY_TIMEOUT USEC_PER_MINUTE

enum { RECORD_SIZE_MAX = 4096 };

static const char copied_word[] = "copied", pointed_word[] = "pointed";

/* Boot id, version, and what was done: [copied] [pointed]. */
typedef struct Record {
        char *version;
        bool copied, pointed;
} Record;

static int read_record(const Root *root, Record *ret)
{
        _cleanup_free_ char *text = NULL, *boot = NULL;
        _cleanup_strv_ char **words = NULL;
        int r;

        *ret = (Record){};
        r = root_read_file(root, RUNTIME_FIRMWARE, RECORD_SIZE_MAX, &text, NULL);
        if (r)
                return r < 0 ? err_trace(r) : 0;
        r = strv_split(text, " \n", &words);
        if (r)
                return err_trace(r);
        if (strv_length(words) < 2)
                return 0;
        r = kernel_boot_id(root, &boot);
        if (r < 0)
                return err_trace(r);
        ret->copied = strv_contains(words + 2, copied_word);
        /* The parameter does not survive a boot, a copy in a container's own /run does. */
        ret->pointed = strv_contains(words + 2, pointed_word) && streq(words[0], strempty(boot));
        return err_trace(str_replace(&ret->version, words[1]));
}

static int write_record(const Root *root, const Record *record)
{
        _cleanup_free_ char *text = NULL, *boot = NULL;
        int r;

        r = kernel_boot_id(root, &boot);
        if (r < 0)
                return err_trace(r);
        text = str_format("%s\n%s\n%s\n%s\n", boot ? boot : "unknown", record->version,
                        record->copied ? copied_word : "", record->pointed ? pointed_word : "");
        if (!text)
                return err_origin(-ENOMEM);
        r = root_mkdirs(root, "run/nvidia", 0755);
        if (r == 0)
                r = root_write_file(root, RUNTIME_FIRMWARE, text, strlen(text), 0644);
        return err_trace(r);
}

/* Adds to what an earlier daemon of this boot has noted for the same driver. */
static int record(Manager *m, const char *version, bool copied, bool pointed)
{
        Record new = {};
        int r;

        r = read_record(m->root, &new);
        if (r == 0 && !streq_ptr(new.version, version)) {
                new.copied = false;
                r = str_replace(&new.version, version);
        }
        new.copied |= copied;
        new.pointed |= pointed;
        if (r == 0)
                r = write_record(m->root, &new);
        free(new.version);
        return err_trace(r);
}

static void warn(Manager *m, const char *why)
{
        _cleanup_free_ char *detail = str_format(
                        "%c%s.", why[0] >= 'a' && why[0] <= 'z' ? why[0] - 32 : why[0], why + 1);

        log_code(m->log, LOG_WARNING, CODE_FIRMWARE_HIDDEN, detail);
        (void)strv_pushf(&m->facts.problems, "%s %s", code_sentence(CODE_FIRMWARE_HIDDEN), strempty(detail));
}

/* The files lie in our public place. */
static void point(Manager *m, const char *version)
{
        int r;

        if (!firmware_is_shown(m->root, version)) {
                warn(m, "/" FIRMWARE_PUBLIC
                        " is not seen in init's mount namespace; /run/nvidia must be mounted "
                        "from the host, with propagation \"shared\"");
                return;
        }
        r = record(m, version, /* copied= */ false, /* pointed= */ true);
        if (r == 0)
                r = firmware_point(m->root, "", "/" FIRMWARE_PUBLIC);
        if (r == FIRMWARE_E_READ_ONLY)
                warn(m, "/sys is mounted read-only here, so that firmware_class.path cannot be set; it needs mount "
                        "flag \"rw\" (docker run --privileged, or -v /sys:/sys:rw)");
        else if (r == FIRMWARE_E_TAKEN)
                warn(m, "meanwhile somebody has set firmware_class.path");
        else if (r)
                warn(m, r < 0 ? strerror(-r) : "firmware_class.path is gone");
        else
                log_info(m->log, "The kernel finds the driver's firmware in /" FIRMWARE_PUBLIC ".");
}

static void on_line(void *userdata, const char *line)
{
        Manager *m = userdata;
        const char *value = startswith(line, HELPER_KEY_DETAIL "=");

        log_message(m->log, value ? LOG_WARNING : LOG_DEBUG, NULL, "%s", value ? value : line);
}

static void on_copied(void *userdata, const JobResult *result)
{
        Manager *m = userdata;
        const char *version = m->loading_manifest.driver_version;

        m->work.publisher = NULL;
        /* The stage it belongs to was given up, but not what was copied: the unload removes that. */
        if (m->work.token != m->fsm.token || m->fsm.state != FSM_LOAD)
                return;
        m->work.publishing = false;
        if (result->status != 0)
                warn(m, "copying it failed, see above");
        else if (m->work.point_firmware)
                point(m, version);
        else if (!firmware_is_shown(m->root, version))
                warn(m, "/" FIRMWARE_PUBLIC " is not seen in init's mount namespace");
        m->work.changed(m);
}

static int start_copy(Manager *m, const char *source, const char *version)
{
        static const JobHandler handler = { .on_line = on_line, .on_exit = on_copied };
        _cleanup_free_ char *place = str_format(FIRMWARE_PUBLIC "/nvidia/%s", version), *from = NULL,
                            *to = NULL;
        char *argv[] = { (char *)path_of_worker(), (char *)"firmware", NULL, NULL, NULL };
        JobSpec spec = { .argv = argv, .timeout = COPY_TIMEOUT, .death_signal = SIGKILL, .log_fd = -EBADF };
        int r;

        from = root_path(m->root, source);
        to = place ? root_path(m->root, place) : NULL;
        if (!from || !to)
                return err_origin(-ENOMEM);
        r = record(m, version, /* copied= */ true, /* pointed= */ false);
        if (r)
                return err_trace(r);
        argv[2] = from;
        argv[3] = to;
        return err_trace(job_start(m->pool, &spec, &handler, m, &m->work.publisher));
}

/* "usr/src/nvidia-535" and its firmware folder; a .run file has it beside the folder of the modules. */
static int add_source(char ***list, const char *source)
{
        const char *slash;
        int r;

        if (!source)
                return 0;
        r = strv_pushf(list, "%s/firmware", source);
        slash = strrchr(source, '/');
        if (r == 0 && slash && (streq(slash, "/kernel") || streq(slash, "/kernel-open")))
                r = strv_pushf(list, "%.*s/firmware", (int)(slash - source), source);
        return err_trace(r);
}

static int list_sources(Manager *m, const char *version, char ***ret)
{
        static const char *const usual[] = { "usr/src/nvidia-%s", "usr/src/nvidia-kernel-%s",
                "opt/nvidia/%s" };
        const char *configured = m->config->driver_firmware;
        _cleanup_strv_ char **list = NULL;
        int r = 0;

        if (configured)
                r = strv_push(&list, configured);
        if (r == 0 && configured)
                r = strv_pushf(&list, "%s/nvidia/%s", configured, version);
        if (r == 0)
                r = add_source(&list, m->config->driver_source);
        if (r == 0)
                r = add_source(&list, "run/nvidia-driverd/source");
        for (size_t i = 0; r == 0 && i < ELEMENTSOF(usual); i++) {
                _cleanup_free_ char *source = str_format(usual[i], version);

                r = source ? add_source(&list, source) : err_origin(-ENOMEM);
        }
        for (size_t i = 0; r == 0 && i < m->facts.sources.n; i++)
                if (streq_ptr(m->facts.sources.items[i].version, version))
                        r = add_source(&list, m->facts.sources.items[i].path);
        if (r)
                return err_trace(r);
        *ret = TAKE_PTR(list);
        return 0;
}

static int publish(Manager *m, const char *version)
{
        _cleanup_(firmware_facts_done) FirmwareFacts facts = {};
        _cleanup_strv_ char **sources = NULL;
        _cleanup_free_ char *why = NULL;
        int action, r;

        r = list_sources(m, version, &sources);
        if (r == 0)
                r = firmware_read(m->root, m->facts.kernel.release, version, sources, &facts);
        if (r)
                return err_trace(r);
        action = firmware_decide(&facts, version,
                        firmware_is_disabled(config_module_parameters(m->config, "nvidia")), &why);
        if (action < 0)
                return err_trace(action);

        switch ((FirmwareAction)action) {
        case FIRMWARE_NONE:
                log_debug(m->log, "Firmware: %s.", why);
                return 0;
        case FIRMWARE_MISSING:
                /* The open modules cannot drive any GPU without it. */
                log_message(m->log, m->loading_manifest.driver_type == DRIVER_OPEN ? LOG_WARNING : LOG_DEBUG,
                                NULL, "Firmware: %s. A GPU that needs it will not start.", why);
                return 0;
        case FIRMWARE_HIDDEN:
                warn(m, why);
                return 0;
        case FIRMWARE_POINT:
                point(m, version);
                return 0;
        case FIRMWARE_COPY:
                m->work.point_firmware = isempty(facts.parameter);
                r = start_copy(m, facts.source, version);
                m->work.publishing = r == 0;
                return err_trace(r);
        case _FIRMWARE_ACTION_MAX:
        case _FIRMWARE_ACTION_INVALID:
                break;
        }
        return 0;
}

void stage_firmware_publish(Manager *m)
{
        const char *version = m->loading_manifest.driver_version;
        int r;

        if (!version)
                return;
        r = publish(m, version);
        if (r < 0)
                warn(m, strerror(-r));
}

void stage_firmware_withdraw(Manager *m)
{
        Record done = {};
        int r;

        r = read_record(m->root, &done);
        if (r == 0 && done.pointed)
                r = firmware_point(m->root, "/" FIRMWARE_PUBLIC, "");
        if (r > 0)
                r = 0; /* it is not ours any more */
        if (r == 0 && done.copied)
                r = firmware_remove(m->root, done.version);
        if (r == 0 && done.version)
                r = root_unlink(m->root, RUNTIME_FIRMWARE);
        if (r < 0)
                log_warning(m->log, "The firmware could not be withdrawn: %s, ignoring.", strerror(-r));
        free(done.version);
}
