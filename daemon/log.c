/* SPDX-License-Identifier: Apache-2.0 */

/*
 * One entry, one sentence. With the journal behind stderr (systemd sets
 * JOURNAL_STREAM to its device and inode) entries carry fields and a message
 * id; otherwise, in a container or a test, they are plain lines. Never both.
 *
 * Whoever should read them may have stopped, and the loop does not wait for
 * that: what is not taken at once is dropped and counted, and the next entry that
 * is taken says how many are missing.
 */

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include "base/result.h"
#include "base/str.h"
#include "log.h"
#include "sys/journal.h"

struct Log {
        char *name;
        int max_level;
        Journal *journal; /* NULL: plain lines */
        char **fields;
        unsigned dropped; /* entries since the last one that was taken */
};

enum { TEXT_MAX = 4000 }; /* with the name it is still within PIPE_BUF: all or nothing */

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

static int open_journal(Log *log, const char *root)
{
        _cleanup_free_ char *path = str_format("%s" JOURNAL_SOCKET, streq(root, "/") ? "" : root);

        if (!path)
                return err_origin(-ENOMEM);
        return err_trace(journal_new(path, &log->journal));
}

int log_new(const char *name, int max_level, const char *root, Log **ret)
{
        _cleanup_(log_freep) Log *log = NULL;

        log = calloc(1, sizeof(*log));
        if (!log)
                return err_origin(-ENOMEM);
        log->max_level = max_level;
        log->name = strdup(name);
        if (!log->name)
                return err_origin(-ENOMEM);
        /* Without the socket it goes to stderr, which is the journal as well. */
        if (stderr_is_journal() && open_journal(log, root) < 0)
                log->journal = NULL;

        *ret = TAKE_PTR(log);
        return 0;
}

Log *log_free(Log *log)
{
        if (!log)
                return NULL;

        journal_free(log->journal);
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

static bool send_to_journal(Log *log, int level, const char *message_id, const char *text)
{
        struct iovec iov[20];
        char message[TEXT_MAX + 16], priority[16], identifier[64], id[64];
        int n = 0;

        (void)snprintf(message, sizeof(message), "MESSAGE=%s", text);
        (void)snprintf(priority, sizeof(priority), "PRIORITY=%d", level);
        iov[n++] = (struct iovec){ message, strlen(message) };
        iov[n++] = (struct iovec){ priority, strlen(priority) };
        (void)snprintf(identifier, sizeof(identifier), "SYSLOG_IDENTIFIER=%s", log->name);
        iov[n++] = (struct iovec){ identifier, strlen(identifier) };
        if (message_id) {
                (void)snprintf(id, sizeof(id), "MESSAGE_ID=%s", message_id);
                iov[n++] = (struct iovec){ id, strlen(id) };
        }
        STRV_FOREACH (field, log->fields)
                if (n < (int)ELEMENTSOF(iov))
                        iov[n++] = (struct iovec){ *field, strlen(*field) };

        return journal_send(log->journal, iov, (size_t)n) == 0;
}

/* O_NONBLOCK would be seen by everybody who has the same stderr, so it is asked first. */
static bool write_plain(const Log *log, const char *text)
{
        struct pollfd fd = { .fd = STDERR_FILENO, .events = POLLOUT };
        char line[PIPE_BUF];
        int n;

        n = snprintf(line, sizeof(line), "%.64s: %s\n", log->name, text);
        n = MIN(n, (int)sizeof(line) - 1);
        if (poll(&fd, 1, 0) != 1 || !(fd.revents & POLLOUT))
                return false;
        return write(STDERR_FILENO, line, (size_t)n) == n;
}

/* The journal keeps any text as it is, and its readers clean it. */
static bool emit(Log *log, int level, const char *message_id, char *text)
{
        return log->journal ? send_to_journal(log, level, message_id, text)
                            : write_plain(log, str_printable(text));
}

/* Returns false if nothing is taken yet. */
static bool confess(Log *log)
{
        char **fields = TAKE_PTR(log->fields);
        char text[64];
        bool taken;

        (void)snprintf(text, sizeof(text), "%u log lines were dropped.", log->dropped);
        taken = emit(log, LOG_WARNING, NULL, text);
        log->fields = fields;
        return taken;
}

void log_message(Log *log, int level, const char *message_id, const char *format, ...)
{
        char text[TEXT_MAX];
        va_list ap;

        if (level <= log->max_level) {
                va_start(ap, format);
                (void)vsnprintf(text, sizeof(text), format, ap);
                va_end(ap);
                if (log->dropped > 0 && confess(log))
                        log->dropped = 0;
                if (log->dropped > 0 || !emit(log, level, message_id, text))
                        log->dropped++;
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
