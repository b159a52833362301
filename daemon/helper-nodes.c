/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The driver's device nodes, in every /dev that they belong in: our own, and,
 * in a container with the host's processes, the host's. Asking the driver for
 * its numbers can hang on a broken GPU, so it is not done in the daemon; and
 * nothing here needs a library, so it is done in the program that starts at once.
 *
 * What was done is not believed either: each /dev is read again after it was
 * changed, a few times at most, because others make the same nodes.
 */

#include <sys/stat.h>

#include "base/result.h"
#include "base/root.h"
#include "base/str.h"
#include "helper.h"
#include "sys/devnodes.h"
#include "sys/nodefacts.h"

enum { ROUNDS_MAX = 4 };

typedef struct Work {
        Root *root;
        bool host;
        NodesetWish wish;
        char **gpus;
        DriverNodes driver;
        DevNodes wanted;
        char **missing;
        bool failed;
        bool blocked; /* no failure that could end anything: the others are made */
} Work;

static void work_done(Work *w)
{
        root_free(w->root);
        strv_free(w->gpus);
        number_set_done(&w->wish.majors);
        driver_nodes_done(&w->driver);
        dev_nodes_done(&w->wanted);
        strv_free(w->missing);
}

static const char *said_as(NodeActionType type)
{
        switch (type) {
        case NODE_ACT_MAKE:
        case NODE_ACT_REPLACE:
        case NODE_ACT_LINK:
                return HELPER_KEY_MADE;
        case NODE_ACT_CORRECT:
                return HELPER_KEY_CORRECTED;
        case NODE_ACT_KEEP:
                return HELPER_KEY_WRONG;
        case NODE_ACT_REMOVE_NODE:
        case NODE_ACT_REMOVE_LINK:
                return HELPER_KEY_REMOVED;
        case NODE_ACT_OBSTRUCTED:
        case _NODE_ACT_MAX:
        case _NODE_ACT_INVALID:
                break;
        }
        return NULL;
}

static void say_failure(Work *w, const DevDir *d, const NodeAction *a, int r)
{
        if (a->type == NODE_ACT_OBSTRUCTED) {
                helper_say(HELPER_KEY_BLOCKED, "/%s/%s", d->path, a->name);
                w->blocked = true;
        } else {
                helper_say(HELPER_KEY_FAILED, "/%s/%s: %s", d->path, a->name, strerror(-r));
                w->failed = true;
        }
}

/* Returns how much was done. */
static size_t perform(Work *w, const DevDir *d, const NodeActions *actions)
{
        size_t n = 0;

        for (size_t i = 0; i < actions->n; i++) {
                const NodeAction *a = &actions->items[i];
                int r = devdir_perform(d, a);

                if (r < 0) {
                        say_failure(w, d, a, r);
                        continue;
                }
                helper_say(said_as(a->type), "/%s/%s", d->path, a->name);
                n += a->type != NODE_ACT_KEEP;
        }
        return n;
}

static int ask_driver(Work *w)
{
        int r;

        driver_nodes_done(&w->driver);
        dev_nodes_done(&w->wanted);
        w->missing = strv_free(w->missing);

        r = nodefacts_read(w->root, &w->driver);
        if (r == 0)
                r = nodeset_wanted(&w->driver, &w->wish, &w->wanted, &w->missing);
        return err_trace(r);
}

/*
 * First the directory, then the driver: a node that the kernel or another
 * program makes between the two is known to the driver and not in the list.
 * The other way round it would be a node that nobody answers to, and be removed.
 */
static int settle_once(Work *w, const DevDir *d, size_t *ret_n)
{
        _cleanup_(dev_entries_done) DevEntries present = {};
        _cleanup_(node_actions_done) NodeActions actions = {};
        int r;

        r = devdir_list(d, &present);
        if (r == 0)
                r = ask_driver(w);
        if (r == 0)
                r = nodeset_actions(&w->driver, &w->wish, &w->wanted,
                                &(NodesetDir){ .present = &present, .kernel_makes = d->kernel_makes },
                                &actions);
        *ret_n = r == 0 ? perform(w, d, &actions) : 0;
        return r;
}

static void settle(Work *w, const DevDir *d)
{
        size_t n = 1;
        int r = 0;

        helper_say(HELPER_KEY_DIRECTORY, "%s", d->path);
        for (unsigned i = 0; r == 0 && n > 0 && !w->failed && i < ROUNDS_MAX; i++)
                r = settle_once(w, d, &n);
        if (r < 0) {
                helper_say(HELPER_KEY_FAILED, "/%s: %s", d->path, strerror(-r));
                w->failed = true;
        }
}

/* A devtmpfs is the host's own, whoever mounted it where. */
static void settle_host(Work *w, const DevDir *own)
{
        _cleanup_(devdir_freep) DevDir *host = NULL;
        int r;

        if (!w->host || own->kernel_makes)
                return;
        r = devdir_open(w->root, "proc/1/root/dev", "proc/1/mountinfo", &host);
        if (r != 0)
                helper_say(HELPER_KEY_DETAIL, "The host's /dev cannot be reached: %s",
                                r > 0 ? "not visible" : strerror(-r));
        else if (devdir_same(own, host))
                helper_say(HELPER_KEY_DETAIL,
                                "The host's /dev is not visible; in a container, --pid=host shows it");
        else
                settle(w, host);
}

static void say_wanted(const Work *w)
{
        if (w->driver.nvidia && !w->driver.rights.modify)
                helper_say(HELPER_KEY_HANDS_OFF, "yes");
        for (size_t i = 0; i < w->driver.majors.n; i++)
                helper_say(HELPER_KEY_MAJOR, "%u", w->driver.majors.items[i]);
        STRV_FOREACH (text, w->missing)
                helper_say(HELPER_KEY_MISSING, "%s", *text);
        for (size_t i = 0; i < w->wanted.n; i++)
                if (!w->wanted.items[i].by_kernel)
                        helper_say(HELPER_KEY_NODE, "%u:%u %s", w->wanted.items[i].major,
                                        w->wanted.items[i].minor, w->wanted.items[i].name);
}

static bool read_major(Work *w, const char *word)
{
        uint64_t major;

        return str_to_u64(word, 10, 0, 4095, &major) == 0 &&
               number_set_add(&w->wish.majors, (unsigned)major) == 0;
}

static bool read_words(Work *w, char **words)
{
        for (; *words; words++) {
                const char *address = startswith(*words, "gpu="), *major = startswith(*words, "major=");

                if (major && !read_major(w, major))
                        return false;
                if (address ? strv_push(&w->gpus, address) < 0 : false)
                        return false;
                if (streq(*words, "uvm"))
                        w->wish.uvm = true;
                else if (streq(*words, "modeset"))
                        w->wish.modeset = true;
                else if (streq(*words, "host"))
                        w->host = true;
                else if (streq(*words, "remove"))
                        w->wish.remove_only = true;
                else if (streq(*words, "keep-rights"))
                        w->wish.keep_rights = true;
                else if (streq(*words, "hands-off"))
                        w->wish.hands_off = true;
                else if (!address && !major)
                        return false;
        }
        w->wish.gpus = w->gpus;
        return true;
}

Code helper_nodes(char **arguments)
{
        _cleanup_(work_done) Work w = {};
        _cleanup_(devdir_freep) DevDir *own = NULL;
        int r;

        if (!read_words(&w, arguments + 1))
                return CODE_USAGE;
        (void)umask(0022);
        r = root_new(arguments[0], &w.root);
        if (r == 0)
                r = devdir_open(w.root, "dev", "proc/self/mountinfo", &own);
        if (r != 0) {
                helper_say(HELPER_KEY_FAILED, "/dev: %s", strerror(r < 0 ? -r : ENOENT));
                return CODE_NODES_FAILED;
        }

        settle(&w, own);
        settle_host(&w, own);
        say_wanted(&w);
        return w.failed ? CODE_NODES_FAILED : w.blocked ? CODE_NODE_BLOCKED : CODE_OK;
}
