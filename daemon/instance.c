/* SPDX-License-Identifier: Apache-2.0 */

#include <sys/inotify.h>

#include "base/result.h"
#include "instance.h"
#include "paths.h"

/* In a row: more than somebody who removes the file, too few for a loop against somebody who never ends. */
enum { RESTORES_MAX = 3 };

int instance_begin(Manager *m)
{
        pid_t other = 0;
        int r;

        r = pidlock_acquire(m->root, getpid(), &m->lock, &other);
        if (r == PIDLOCK_E_HELD) {
                log_error(m->log, "%s (process %d).", code_sentence(CODE_ALREADY_RUNNING), (int)other);
                return MANAGER_E_RUNNING;
        }
        /* Temporary files of a daemon that was killed. Nobody else writes here: we hold the lock. */
        if (r == 0) {
                root_sweep(m->root, RUNTIME_DIRECTORY);
                root_sweep(m->root, PIDLOCK_DIRECTORY);
        }
        return err_trace(r);
}

/* Returns what pidlock_restore() does. */
static int restore(Manager *m)
{
        pid_t other = 0;
        int r = pidlock_restore(m->root, m->lock, &other);

        if (r == PIDLOCK_E_HELD)
                log_error(m->log, "/%s was removed, and process %d has made another one.", PIDLOCK_PATH,
                                (int)other);
        else if (r < 0)
                log_warning(m->log, "/%s was removed and cannot be made again: %s, ignoring.", PIDLOCK_PATH,
                                strerror(-r));
        else if (r > 0)
                log_notice(m->log, "/%s was removed by somebody, it is there again.", PIDLOCK_PATH);
        return r;
}

static int on_change(sd_event_source *source, const struct inotify_event *event, void *userdata)
{
        Manager *m = userdata;

        /* The directory may be another one, and between the restoring and the new watch nobody looks. */
        for (unsigned i = 0; i < RESTORES_MAX; i++) {
                int r = restore(m);

                if (r == 0)
                        break;
                instance_watch(m);
                if (r != PIDLOCK_E_RESTORED)
                        break;
        }
        return 0;
}

void instance_watch(Manager *m)
{
        char path[64];
        int r;

        m->lock_watch = sd_event_source_disable_unref(m->lock_watch);
        (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", pidlock_directory_fd(m->lock));
        r = sd_event_add_inotify(m->event, &m->lock_watch, path,
                        IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_ONLYDIR, on_change, m);
        if (r < 0)
                log_warning(m->log,
                                "/%s cannot be watched: %s, ignoring. Whoever removes the pid file removes it for good.",
                                PIDLOCK_DIRECTORY, strerror(-r));
}

void instance_end(Manager *m)
{
        m->lock_watch = sd_event_source_disable_unref(m->lock_watch);
        m->lock = pidlock_release(m->lock);
}
