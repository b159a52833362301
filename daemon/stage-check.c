/* SPDX-License-Identifier: Apache-2.0 */

/*
 * CHECK: everything that is known before anything is done. Facts are read and
 * a plan is made of them at once. Four things may then be asked of other programs,
 * each followed by another plan: what the shared stores have, if the own one
 * does not help; a copy of a build that is there; whether the key signs, if
 * the plan signs modules; and the toolchain root, if something is compiled in
 * it: there may be a kernel tree in there, too.
 *
 * A shared store never makes a start fail: it is told what is wrong with it,
 * and the start goes on without.
 */

#include "base/result.h"
#include "base/str.h"
#include "manager.h"
#include "sharing.h"

static void log_plan(Manager *m)
{
        for (size_t i = 0; i < m->plan.n_steps; i++) {
                const PlanStep *s = &m->plan.steps[i];

                log_debug(m->log, "Plan: %s %s: %s.", s->run ? "run" : "skip", fsm_state_to_string(s->state),
                                s->reason);
        }
        if (m->plan.signature)
                log_debug(m->log, "Module signatures: %s.", m->plan.signature);
}

static void report_lack(Manager *m)
{
        log_code(m->log, LOG_WARNING, m->plan.lack, m->plan.lack_detail);
        if (m->plan.loaded == PLAN_LOADED_WANTED)
                manager_make_do(m, m->plan.lack, m->plan.lack_detail);
        else
                manager_wish_failed(m, m->plan.lack, m->plan.lack_detail);
}

static void report(Manager *m)
{
        const SigningFact *signing = &m->facts.signing;

        STRV_FOREACH (problem, m->facts.problems)
                log_warning(m->log, "%s, ignoring this build.", *problem);
        STRV_FOREACH (warning, m->plan.warnings)
                log_warning(m->log, "%s, ignoring.", *warning);
        STRV_FOREACH (note, signing->notes)
                log_warning(m->log, "%s, ignoring.", *note);
        /* How it was told that the tree is this kernel's: for who wonders about a module that does not fit.
         */
        if (m->plan.tree && m->plan.code == CODE_OK)
                STRV_FOREACH (note, m->facts.tree.notes)
                        log_notice(m->log, "Kernel tree: %s.", *note);
        /* Nothing has to be signed now, but it will not do when it has to. */
        if (signing->code != CODE_OK && m->plan.code == CODE_OK)
                log_warning(m->log, "%s %s, ignoring: nothing has to be signed.",
                                code_sentence(signing->code), strempty(signing->detail));
        log_plan(m);
        if (m->plan.lack != CODE_OK && m->plan.code == CODE_OK)
                report_lack(m);
        if (m->plan.code != CODE_OK) {
                (void)str_replace(&m->detail, m->plan.detail);
                /* Falling back, the first failure is what is told, see manager-fallback.c. */
                if (!m->fsm.fallback)
                        log_code(m->log, LOG_ERR, m->plan.code, m->plan.detail);
        } else if (!m->plan.foreign) {
                stage_clear_block(m);
        }
}

static void finish(Manager *m)
{
        report(m);
        manager_post(m, &(FsmEvent){
                                        .type = FSM_EV_PLANNED,
                                        .token = m->fsm.token,
                                        .steps = plan_mask(&m->plan),
                                        .spare = m->plan.spare,
                                        .live = m->plan.live,
                                        .code = m->plan.code,
                        });
}

static void fail(Manager *m, int r, const char *what)
{
        log_fatal(m->log, r, what);
        manager_stage_failed(m, code_of_error(r), "Facts about this machine: %s.", strerror(-r));
}

static void go_on(Manager *m);

static void plan_again(Manager *m)
{
        int r;

        plan_done(&m->plan);
        r = facts_plan(&m->facts, m->config, &m->plan);
        if (r < 0)
                fail(m, r, "planning");
        else
                go_on(m);
}

static void gather(Manager *m)
{
        const FactsTarget target = {
                .inside = m->toolchain ? toolchain_root(m->toolchain) : NULL,
                .bad = m->trees_bad,
        };
        int r;

        facts_done(&m->facts);
        r = facts_gather(m->root, m->config, &target, &m->facts);
        m->facts.fall_back = m->fsm.fallback;
        if (r < 0)
                fail(m, r, "gathering facts");
        else
                plan_again(m);
}

static void on_looked(void *userdata)
{
        Manager *m = userdata;

        m->sharing = sharing_free(m->sharing);
        STRV_FOREACH (problem, m->shared_problems)
                log_warning(m->log, "Shared store: %s, ignoring.", *problem);
        plan_again(m);
}

static int look(Manager *m)
{
        m->shared_looked = true;
        m->shared_problems = strv_free(m->shared_problems);
        manager_progress(m, "Looking into the shared stores");
        return err_trace(sharing_look(m->pool, m->root, m->config, m->facts.kernel.release, &m->facts.shared,
                        &m->shared_problems, on_looked, m, &m->sharing));
}

/* This build of theirs is no good; perhaps there is another one. */
static void give_up_shared(Manager *m)
{
        const BuildManifest *shared = m->plan.shared;

        plan_done(&m->plan);
        build_manifests_remove(&m->facts.shared, shared);
        plan_again(m);
}

static void on_taken(void *userdata)
{
        Manager *m = userdata;
        _cleanup_free_ char *failure = sharing_failure(m->sharing);

        m->sharing = sharing_free(m->sharing);
        if (!failure) {
                log_info(m->log, "Build %s is copied into the store.", m->plan.shared->directory);
                plan_done(&m->plan);
                gather(m);
        } else {
                log_warning(m->log, "Shared build %s, ignoring it.", failure);
                give_up_shared(m);
        }
}

static int take(Manager *m)
{
        _cleanup_free_ char *text = str_format("Copying build %s", m->plan.shared->directory);

        manager_progress(m, text);
        return err_trace(
                        sharing_take(m->pool, m->root, m->config, m->plan.shared, on_taken, m, &m->sharing));
}

static void on_key_checked(void *userdata)
{
        Manager *m = userdata;

        m->signing_check = signing_check_free(m->signing_check);
        plan_again(m);
}

static void on_opening(void *userdata, const char *text)
{
        Manager *m = userdata;

        manager_progress(m, text);
}

static void on_note(void *userdata, const char *text)
{
        Manager *m = userdata;

        log_info(m->log, "%s.", text);
}

static void on_opened(void *userdata, Code code, const char *detail)
{
        Manager *m = userdata;

        manager_progress(m, NULL);
        if (code) {
                manager_stage_failed(m, code, "%s", strempty(detail));
                return;
        }
        log_info(m->log, "Building in %s.", toolchain_name(m->toolchain));
        plan_done(&m->plan);
        gather(m);
}

static int open_toolchain(Manager *m)
{
        static const ToolchainHandler handler = {
                .on_progress = on_opening, .on_note = on_note, .on_done = on_opened
        };

        manager_progress(m, "Opening the toolchain root");
        return err_trace(toolchain_open(m->pool, m->root, m->config, &handler, m, &m->toolchain));
}

static void on_tree_checked(void *userdata, Code code, const char *detail)
{
        Manager *m = userdata;
        const char *tree = facts_kept_tree(&m->facts)->path;
        int r;

        manager_progress(m, NULL);
        r = code == CODE_OK ? str_replace(&m->tree_checked, tree) : strv_push(&m->trees_bad, tree);
        if (r < 0) {
                fail(m, r, "the kept kernel tree");
                return;
        }
        if (code != CODE_OK)
                log_warning(m->log, "Kept kernel tree: %s, not building in it.", detail);
        /* The detail goes with it. */
        m->tree_check = treecheck_free(m->tree_check);
        plan_done(&m->plan);
        gather(m);
}

/* Before anything is compiled in it. */
static bool has_unchecked_tree(const Manager *m)
{
        const TreeFacts *tree = m->plan.source ? facts_kept_tree(&m->facts) : NULL;

        return tree && !streq_ptr(m->tree_checked, tree->path);
}

static void go_on(Manager *m)
{
        int r;

        if (m->plan.lacking && m->config->store_shared && !m->shared_looked)
                r = look(m);
        else if (m->plan.shared)
                r = take(m);
        else if (m->plan.code == CODE_OK && m->plan.sign && !m->facts.signing.checked)
                r = signing_check(m->pool, m->root, m->config, &m->facts.signing, on_key_checked, m,
                                &m->signing_check);
        else if (m->plan.code == CODE_OK && m->plan.toolchain && !m->toolchain)
                r = open_toolchain(m);
        else if (has_unchecked_tree(m)) {
                manager_progress(m, "Verifying the kept kernel tree");
                r = treecheck(m->pool, m->root, m->config, facts_kept_tree(&m->facts)->path,
                                /* running= */ true, on_tree_checked, m, &m->tree_check);
        } else {
                if (m->shared_looked)
                        manager_progress(m, NULL);
                finish(m);
                return;
        }
        if (r < 0)
                fail(m, r, "starting the worker");
}

void stage_check_enter(Manager *m)
{
        m->shared_looked = false;
        gather(m);
}

void stage_check_leave(Manager *m)
{
        m->tree_check = treecheck_free(m->tree_check);
        m->tree_checked = (free(m->tree_checked), NULL);
        m->trees_bad = strv_free(m->trees_bad);
        m->sharing = sharing_free(m->sharing);
        m->shared_problems = strv_free(m->shared_problems);
        m->signing_check = signing_check_free(m->signing_check);
}
