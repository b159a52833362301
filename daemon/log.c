/* SPDX-License-Identifier: Apache-2.0 */

/*
 * One entry, one sentence. With the journal behind stderr (systemd sets
 * JOURNAL_STREAM to its device and inode) entries carry fields and a message
 * id; otherwise, in a container or a test, they are plain lines. Never both.
 */

#include <stdarg.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <systemd/sd-journal.h>

#include "base/result.h"
#include "base/str.h"
#include "log.h"

struct Log {
        char *name;
        int max_level;
        bool to_journal;
        char **fields;
};

static bool stderr_is_journal(void)
{
        _cleanup_strv_ char **words = NULL;
        const char *stream = getenv("JOURNAL_STREAM");
        uint64_t dev, ino;
        struct stat st;

        if (!stream || strv_split(stream, ":", &words) < 0 || strv_length(words) != 2)
                return false;
        if (str_to_u64(words[0], 10, 0, UINT64_MAX, &dev) < 0 ||
                        str_to_u64(words[1], 10, 0, UINT64_MAX, &ino) < 0)
                return false;
        return fstat(STDERR_FILENO, &st) == 0 && st.st_dev == dev && st.st_ino == ino;
}

int log_new(const char *name, int max_level, Log **ret)
{
        _cleanup_(log_freep) Log *log = NULL;

        log = calloc(1, sizeof(*log));
        if (!log)
                return err_origin(-ENOMEM);
        log->max_level = max_level;
        log->to_journal = stderr_is_journal();
        log->name = strdup(name);
        if (!log->name)
                return err_origin(-ENOMEM);

        *ret = TAKE_PTR(log);
        return 0;
}

Log *log_free(Log *log)
{
        if (!log)
                return NULL;

        free(log->name);
        strv_free(log->fields);
        free(log);
        return NULL;
}

void log_field(Log *log, const char *name, const char *value)
{
        /* Out of memory costs a field, not the message. */
        if (value)
                (void)strv_pushf(&log->fields, "NVIDIA_DRIVERD_%s=%s", name, value);
}

static void send_to_journal(Log *log, int level, const char *message_id, const char *text)
{
        struct iovec iov[20];
        char message[4096], priority[16], id[64];
        int n = 0;

        (void)snprintf(message, sizeof(message), "MESSAGE=%s", text);
        (void)snprintf(priority, sizeof(priority), "PRIORITY=%d", level);
        iov[n++] = (struct iovec){ message, strlen(message) };
        iov[n++] = (struct iovec){ priority, strlen(priority) };
        if (message_id) {
                (void)snprintf(id, sizeof(id), "MESSAGE_ID=%s", message_id);
                iov[n++] = (struct iovec){ id, strlen(id) };
        }
        STRV_FOREACH (field, log->fields)
                if (n < (int)ELEMENTSOF(iov))
                        iov[n++] = (struct iovec){ *field, strlen(*field) };

        (void)sd_journal_sendv(iov, n);
}

void log_message(Log *log, int level, const char *message_id, const char *format, ...)
{
        char text[4000];
        va_list ap;

        if (level <= log->max_level) {
                va_start(ap, format);
                (void)vsnprintf(text, sizeof(text), format, ap);
                va_end(ap);
                if (log->to_journal)
                        send_to_journal(log, level, message_id, text);
                else
                        (void)fprintf(stderr, "%s: %s\n", log->name, text);
        }

        log->fields = strv_free(log->fields);
}

void log_code(Log *log, int level, Code code, const char *detail)
{
        log_field(log, "CODE", code_to_string(code));
        log_field(log, "DETAIL", detail);
        log_message(log, level, LOG_ID_FAILURE, "%s%s%s [%s] Next step: %s", code_sentence(code),
                        isempty(detail) ? "" : " ", strempty(detail), code_to_string(code),
                        code_remedy(code));
}

void log_fatal(Log *log, int error, const char *what)
{
        const ErrFrame *frames;
        unsigned n;

        log_error(log, "%s: %s", what, strerror(-error));
        frames = err_frames(&n);
        for (unsigned i = 0; i < n; i++)
                log_error(log, "  at %s (%s:%d): %d", frames[i].function, frames[i].file, frames[i].line,
                                frames[i].error);
}
