/* SPDX-License-Identifier: Apache-2.0 */

/* nvidia-driver plan and explain: what would be done, and what a code means. Nothing is changed. */

#include "base/result.h"
#include "base/str.h"
#include "build-config.h"
#include "cli.h"
#include "facts.h"
#include "sharing.h"
#include "signing.h"
#include "sys/statusjson.h"

/* How a start would end: not at all, or degraded. */
static Code code_of(const Plan *plan)
{
        return plan->code != CODE_OK ? plan->code : plan->lack;
}

static int fill(const Cli *cli, const Facts *f, const Plan *plan, const Config *config, Status *s)
{
        int r;

        s->foreign = plan->foreign;
        r = str_replace(&s->state, "plan");
        if (r == 0)
                r = str_replace(&s->code, code_to_string(code_of(plan)));
        if (r == 0)
                r = str_replace(&s->detail, plan->code != CODE_OK ? plan->detail : plan->lack_detail);
        if (r == 0)
                r = str_replace(&s->version, PROJECT_VERSION);
        if (r == 0)
                r = str_replace(&s->driver_wanted, config->driver_version);
        if (r == 0 && (plan->build || plan->shared))
                r = str_replace(&s->build, plan->build ? plan->build->id : plan->shared->id);
        if (r == 0 && plan->spare)
                r = str_replace(&s->fallback, plan->spare->id);
        if (r == 0)
                r = str_replace(&s->signature, plan->signature);
        if (r == 0)
                r = facts_plan_status(f, plan, s);
        return r ? err_trace(r) : err_trace(facts_fill_status(cli->root, config, s));
}

static int print(const Cli *cli, const Facts *f, const Plan *plan, const Config *config)
{
        _cleanup_free_ char *text = NULL;
        Status s = {};
        int r;

        r = fill(cli, f, plan, config, &s);
        if (r == 0 && cli->json)
                r = status_format(&s, &text);
        if (r == 0 && cli->json)
                (void)fputs(text, stdout);
        else if (r == 0)
                cli_print_status(cli, &s);
        status_done(&s);
        return err_trace(r);
}

/* What the daemon does: shared stores are looked into if the own one does not help, the key is tried if the
 * plan signs modules, and the plan made again. */
static int make_plan(const Cli *cli, Facts *f, const Config *config, Plan *plan)
{
        int r;

        r = facts_plan(f, config, plan);
        if (r == 0 && plan->lacking && config->store_shared) {
                r = sharing_look_now(cli->root, config, f->kernel.release, &f->shared, &f->problems);
                plan_done(plan);
                if (r == 0)
                        r = facts_plan(f, config, plan);
        }
        if (r || plan->code != CODE_OK || !plan->sign)
                return err_trace(r);
        r = signing_check_now(cli->root, config, &f->signing);
        STRV_FOREACH (note, f->signing.notes)
                cli_line(stderr, "nvidia-driver: %s", *note);
        plan_done(plan);
        return r ? err_trace(r) : err_trace(facts_plan(f, config, plan));
}

static void tell_tree(const Facts *f, const Plan *plan)
{
        if (plan->tree && plan->code == CODE_OK)
                STRV_FOREACH (note, f->tree.notes)
                        cli_line(stderr, "nvidia-driver: kernel tree: %s", *note);
}

Code cli_plan(Cli *cli)
{
        _cleanup_(config_freep) Config *config = NULL;
        Facts facts = {};
        Plan plan = {};
        Code code;
        int r;

        code = cli_config(cli, &config);
        if (code)
                return code;

        r = facts_gather(cli->root, config, NULL, &facts);
        if (r == 0)
                r = make_plan(cli, &facts, config, &plan);
        if (r == 0)
                tell_tree(&facts, &plan);
        if (r == 0)
                r = print(cli, &facts, &plan, config);
        code = r < 0 ? cli_fatal(r, "plan") : code_of(&plan);
        plan_done(&plan);
        facts_done(&facts);
        return code;
}

Code cli_explain(Cli *cli)
{
        const char *name = cli->arguments[0];
        Code code;

        if (!name) {
                for (Code c = 0; c < _CODE_MAX; c++)
                        (void)printf("%-22s %3d  %s\n", code_to_string(c), code_exit_status(c),
                                        code_sentence(c));
                return CODE_OK;
        }

        code = code_from_string(name);
        if (code < 0) {
                (void)fprintf(stderr,
                                "nvidia-driver: there is no code \"%s\"; nvidia-driver explain lists them\n",
                                name);
                return CODE_USAGE;
        }
        (void)printf("%s (exit status %d)\n%s\nNext step: %s\n%s\n", code_to_string(code),
                        code_exit_status(code), code_sentence(code), code_remedy(code), code_course(code));
        return CODE_OK;
}
