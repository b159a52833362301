/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The daemon's centre: owns the event loop, feeds the state machine and
 * performs its actions. The stages are in stage-*.c, each of which does the
 * work of a few states and answers with manager_post().
 */

#include <systemd/sd-event.h>

#include "build.h"
#include "treecheck.h"
#include "facts.h"
#include "holding.h"
#include "job.h"
#include "log.h"
#include "loop.h"
#include "policy/claims.h"
#include "policy/fsm.h"
#include "policy/health.h"
#include "policy/plan.h"
#include "policy/stopping.h"
#include "policy/verdict.h"
#include "signing.h"
#include "stage-nodes.h"
#include "stage-reload.h"
#include "stage-repair.h"
#include "sys/pidlock.h"
#include "sys/udevmon.h"

typedef struct Manager Manager;
typedef struct Bus Bus;
typedef struct KernelWatch KernelWatch;
typedef struct Services Services;
typedef struct Sharing Sharing;
typedef struct StatusFile StatusFile;

enum { EVENT_QUEUE_MAX = 32 };

/* Inserting and deleting modules, one helper run each. */
typedef struct ModuleWork {
        Job *job;
        char **order;    /* LOAD: what to insert, in order */
        char *current;   /* the module that the helper works on */
        int error;       /* errno the helper reported, VERDICT_NO_WORD if it did not */
        char **evidence; /* kernel log lines of the last operation */
        unsigned retries;
        usec_t began;
        void (*next)(Manager *m);
        void (*started)(Manager *m); /* what .next is once the operation could be started */
        bool counted;                /* the state machine counts .job as being in the kernel */
        char **argv;                 /* of an operation that could not be started yet */
        unsigned n_passed;           /* errors that passed, since something succeeded */
        Job *verifier, *publisher;
        unsigned token; /* of the stage that the side jobs belong to */
        char **probing; /* LOAD: modules of the host that are not there yet */
        bool verifying; /* LOAD: the build is being compared with its manifest */
        Code verify_code;
        bool publishing;             /* LOAD: firmware is being copied to where the kernel finds it */
        bool point_firmware;         /* and then the kernel has to be told */
        void (*changed)(Manager *m); /* one of them went on */
        char *aside;                 /* LOAD: a module that is being inserted beside .current */
        bool aside_tried;            /* once, then like all the others */
        bool aside_overdue;
        bool begun;    /* LOAD: the build is whole, inserting may start */
        bool waiting;  /* LOAD: for one of them, nothing is being inserted */
        bool reported; /* that the operation does not return */
        usec_t moving; /* since when the module is on its way without a helper of ours */
        char *detail;
        ClaimsMove move;             /* CLEAR: what the helper is doing to work.current */
        bool told_udevd;             /* CLEAR: to read its configuration again */
        bool took_nouveau;           /* CLEAR: a GPU was taken from it */
        void (*guarded)(Manager *m); /* LOAD: goes on once excluded GPUs are out of reach */
} ModuleWork;

struct Manager {
        Root *root;
        Config *config;
        const char *config_file;  /* --config, borrowed; NULL: the usual places */
        char *const *assignments; /* --set, borrowed */
        char **problems;          /* of the configuration */
        char **pending;           /* what of it waits for the next start, see manager-wishes.c */
        Log *log;
        sd_event *event;
        JobPool *pool;
        PidLock *lock;
        sd_event_source *lock_watch;
        Bus *bus;
        StatusFile *status_file;
        uint64_t pid_start; /* of this process, 0 if not known */

        Fsm fsm;
        FsmEvent queue[EVENT_QUEUE_MAX];
        unsigned n_queue;
        sd_event_source *defer, *state_timer,
                        *again;        /* made once: a stop must not fail for lack of memory */
        sd_event_source *status_timer; /* a progress text that waits for its turn */
        usec_t status_sent;            /* the last STATUS= */
        sd_event_source *notify_timer; /* what the service manager did not take is said again */
        usec_t since_realtime;         /* when the state was entered, for people */
        char *detail;                  /* particulars of the last failure */
        char *progress;

        Facts facts;
        Plan plan;
        SigningCheck *signing_check;
        Sharing *sharing; /* CHECK: the shared stores are being read */
        char **shared_problems;
        TreeCheck *tree_check;
        char *tree_checked; /* the kept tree that was found to be good */
        char **trees_bad;   /* those that were not, in this attempt */
        bool shared_looked;
        Build *build;
        Toolchain *toolchain; /* for that build; NULL: the host's tools */
        char *build_path;     /* the build to load from, in the root */
        BuildManifest loading_manifest;

        usec_t attempt_began;
        bool adopting;         /* this attempt, and nothing is loaded */
        char *fallback_wanted; /* with m->fsm.fallback: the version that failed, NULL if not known */
        char *fallback_reason; /* and how */
        LoopWatch watch;

        UdevMon *udev;
        sd_event_source *udev_source, *device_timer, *device_poll;
        NodeFacts nodes;
        NodeWork node_work;
        RepairWork repair;
        ReloadWork reload;
        Health health;
        char *dead;                /* GPUs that READY does not promise: the driver does not drive them */
        char **lacking;            /* wanted modules that READY does not promise, see manager-wishes.c */
        KernelWatch *kernel_watch; /* NULL: the kernel log is not watched */

        Services *services; /* stage-services.h */
        ModuleWork work;
        char **owned; /* modules we loaded, for the unload */
        Stopping stopping;
        Holding holding;
        sd_event_source *busy_timer;
        int busy_users; /* references to the driver at the last look in BUSY */
        bool kept;      /* this kernel does not let the driver go */
        bool discarded; /* STOPPING has tried to remove what was left in staging, once */
        bool unloading; /* nothing else is done by this process, see manager_run_unload() */
        Code exit_code;
        bool exiting; /* and only tidies up before it */

        char *boot;           /* of the history */
        usec_t state_entered; /* for how long a state lasted */
        bool history_failed;  /* said already */
};

enum {
        _MANAGER_E_SUCCESS,
        MANAGER_E_RUNNING, /* another instance holds the lock; logged already */
};

/*
 * Takes the instance lock and opens the bus. @config and @problems are taken
 * over on success; @root and @log are borrowed.
 * Returns 0, MANAGER_E_RUNNING or a negative errno.
 */
int manager_new(Root *root, Config *config, char **problems, Log *log, Manager **ret);
Manager *manager_free(Manager *m);
DEFINE_CLEANUP(Manager, manager_free);

/* Runs until the machine ends. Returns 0 with the code in m->exit_code, or a negative errno. */
int manager_run(Manager *m);

/*
 * The same for a driver that an earlier daemon had to leave: only the end of
 * the machine runs, under the lock. A second signal ends the waiting. Returns
 * as manager_run(); m->exit_code reports modules that stay loaded.
 */
int manager_run_unload(Manager *m);

/* Queues an event; it is handled from the loop. Safe from anywhere. */
void manager_post(Manager *m, const FsmEvent *event);

/* The stage that runs now is over. @detail may be NULL. */
void manager_stage_done(Manager *m);
void manager_stage_failed(Manager *m, Code code, const char *format, ...) _printf_(3, 4);

/* "Compiling 112/184, nvidia-uvm": shown in STATUS=, extends the start timeout. NULL clears. */
void manager_progress(Manager *m, const char *text);

/* Something that the status shows is different, and the state is the same. */
void manager_status_changed(Manager *m);

/*
 * manager-health.c: what READY promised and does not hold any more. A watcher
 * complains under its own source and withdraws with CODE_OK; what it says
 * before READY is kept until then. @detail may be NULL.
 */
void manager_complain(Manager *m, HealthSource source, Code code, const char *detail);
void manager_health_show(Manager *m);

/*
 * manager-wishes.c: what is configured and cannot be had, while the driver
 * works without it: READY, and degraded for that reason. _make_do() notes the
 * modules that are not there; READY does not promise them. _review() drops
 * those that have come.
 */
void manager_wish_failed(Manager *m, Code code, const char *detail);
void manager_make_do(Manager *m, Code code, const char *detail);
void manager_wishes_review(Manager *m);
/* After a reload: what a start with the configuration as it is now would do differently. */
void manager_wishes_foresee(Manager *m);
bool manager_lacks(const Manager *m, const char *module);

/*
 * manager-fallback.c: the wanted driver failed, and the last good one is
 * loaded. _begin() is called at the begin of every CHECK, before the last
 * attempt is forgotten; _explain() ends it with the first failure.
 */
void manager_fallback_begin(Manager *m);
void manager_fallback_ready(Manager *m);
void manager_fallback_explain(Manager *m);

/* manager-history.c: what is kept in the store for people who come later. */
void manager_history_started(Manager *m);
void manager_history_state(Manager *m, FsmState before);
void manager_history_gpu(Manager *m, const char *text, unsigned count);
void manager_history_ended(Manager *m);

/* Fills a status with everything the daemon knows. Returns 0 or a negative errno. */
int manager_fill_status(Manager *m, Status *s);

usec_t manager_now(Manager *m);

/* Ends what the state that is left had running, whichever it is: nothing of it answers any more. */
void manager_leave(Manager *m);

/*
 * manager-stop.c: STOPPING, which _when_idle() ends if nothing runs any more.
 * _left() logs what still runs when it was ended without. _discard_staging()
 * begins to remove what our builds left that nobody works in any more.
 */
void manager_stop_enter(Manager *m);
void manager_stop_when_idle(Manager *m);
void manager_stop_left(Manager *m);
void manager_discard_staging(Manager *m);

/* What the state machine takes from the configuration; again after each reload. */
void manager_configure(Manager *m);

/* stage-check.c: CHECK */
void stage_check_enter(Manager *m);
void stage_check_leave(Manager *m);

/* stage-adopt.c: ADOPT and CLEAR, whose work is stage-unload.c's; and how long an adoption took */
void stage_adopt_enter(Manager *m);
void stage_adopt_ready(Manager *m);
void stage_clear_enter(Manager *m);

/* stage-build.c: PREPARE, COMPILE, LINK, PUBLISH */
void stage_build_enter(Manager *m, FsmState state);

/* Gives up what is being built, and the toolchain that it is built with. */
void stage_build_drop(Manager *m);

/* stage-load.c: LOAD */
void stage_load_enter(Manager *m);

/* Sets m->build_path and m->loading_manifest to what the modules come from. Returns 0 or a negative errno.
 */
int stage_load_choose_build(Manager *m);

/*
 * load-side.c: what LOAD needs beside its inserts: the host's modules, and
 * the proof that the build is whole. @changed is called with every step of it.
 */
int load_side_start(Manager *m, char *const *needed, void (*changed)(Manager *m));

/* The proof alone, for what is loaded already. */
int load_side_verify(Manager *m, void (*changed)(Manager *m));

bool load_side_is_over(const Manager *m);

/*
 * Inserts @name in m->work.aside's place, beside what the stage itself does.
 * How it went is seen in /sys/module; if it is not there afterwards, the stage
 * does it again in its turn, with all that belongs to a failure.
 */
int load_side_insert(Manager *m, const char *name);

/* Nothing is left to do but to wait for it: from here on it may be late. */
void load_side_await(Manager *m);

/* True if module @name of the build need not wait for either of them. What verifying found is in
 * m->work.verify_code. */
bool load_side_allows(const Manager *m, const char *name);

/*
 * stage-firmware.c, beside LOAD and before its first insert: shows the driver's
 * firmware to the kernel. Ends at once, or with m->work.changed() when it has copied.
 */
void stage_firmware_publish(Manager *m);

/* After the last module is gone: as it was before. */
void stage_firmware_withdraw(Manager *m);

/*
 * stage-clear.c: GPUs that others have, in CLEAR, and excluded ones elsewhere. _guard() keeps
 * excluded GPUs from the driver before it is loaded: true if it does so now and
 * calls @next when it has. _release() undoes that and ends the stage. _explain()
 * names GPUs that another driver has now, NULL if there is none.
 */
void stage_take_enter(Manager *m);
void clear_ask_enter(Manager *m); /* clear-ask.c */
bool stage_clear_guard(Manager *m, void (*next)(Manager *m));
void stage_clear_release(Manager *m);
char *stage_clear_explain(Manager *m);
void stage_clear_block(Manager *m);
void stage_clear_unblock(Manager *m);

/* stage-unload.c: the second half of CLEAR, and UNLOAD */
void stage_unload_enter(Manager *m);
void stage_unload_report_busy(Manager *m, const ModuleFacts *facts, char *const *removable);

/* stage-busy.c: BUSY */
void stage_busy_enter(Manager *m);
void stage_busy_leave(Manager *m);

/* module-work.c: helper runs, shared by the two */
int module_work_prepare(Manager *m);
int module_work_run(Manager *m, char **argv, void (*next)(Manager *m));
int module_work_start(Manager *m, const char *operation, const char *argument, const char *parameters,
                void (*next)(Manager *m));
void module_work_again(Manager *m, usec_t delay, void (*next)(Manager *m));

/*
 * True if @error is one that passes (no memory, no process, ...): @next is then
 * called in a moment. Not for ever: at a stop until that has to end, else for
 * some seconds.
 */
bool module_work_passes(Manager *m, int error, void (*next)(Manager *m));

/*
 * The same while m->work.current is on its way in or out, and it is not our
 * helper who does that: it has as long as an operation of our own, and is
 * STUCK then.
 */
void module_work_wait(Manager *m, usec_t delay, void (*next)(Manager *m));
void module_work_report_stuck(Manager *m);
void module_work_reset(Manager *m);
char *module_work_evidence(const Manager *m);

/* What became of m->work.current, by /sys/module. False if that cannot be read: the stage has failed then.
 */
bool module_work_judge(Manager *m, Verdict (*judge)(int error, ModState after, Code *ret_code), Verdict *ret,
                Code *ret_code);

/* stage-devices.c: AWAIT_DEVICES, and the watch in READY and DEGRADED */
int stage_devices_monitor(Manager *m);
void stage_devices_enter(Manager *m);
void stage_devices_leave(Manager *m); /* the waiting is over */
void stage_devices_end(Manager *m);   /* and so is the watch */

/* Something may be other than before: look now, or in a moment when all of it has happened. */
void stage_devices_look(Manager *m);
void stage_devices_soon(Manager *m);

/* stage-ready.c: builds that are not needed any more */
void stage_ready_retire(Manager *m);

/*
 * watch-kernel.c: errors of GPUs, from the kernel log. It is read from its
 * oldest record on, in the background, so that what happened before this
 * daemon counts too.
 */
void watch_kernel_start(Manager *m);
void watch_kernel_stop(Manager *m);

/* On entering READY: what is known is complained of (again). */
void watch_kernel_show(Manager *m);

/*
 * True if an unload must not go on. It would hang, and the stage that runs has failed then, with
 * CODE_GPU_LOST; or it is not known yet whether it would, and @again is called soon.
 */
bool watch_kernel_vetoes_unload(Manager *m, void (*again)(Manager *m));
