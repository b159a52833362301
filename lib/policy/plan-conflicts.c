/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The part of the plan that is about others: GPUs that another driver has, and
 * a driver of ours that was loaded when something else was wanted. Ours goes
 * and comes again, if nobody uses it. Somebody else's is left as it is, and the
 * difference is told.
 */

#include <stdarg.h>

#include "base/result.h"
#include "base/str.h"
#include "policy/claims.h"
#include "policy/drivertype.h"
#include "policy/parameters.h"
#include "policy/plan-internal.h"

static int demand_reload(Plan *plan, const char *format, ...) _printf_(2, 3);
static int demand_reload(Plan *plan, const char *format, ...)
{
        char *text = NULL;
        va_list ap;
        int n;

        va_start(ap, format);
        n = vasprintf(&text, format, ap);
        va_end(ap);
        if (n < 0)
                return err_origin(-ENOMEM);
        if (plan->foreign)
                return err_trace(strv_push_consume(&plan->warnings, text));
        if (plan->loaded == PLAN_LOADED_WANTED || plan->loaded == PLAN_LOADED_PART)
                plan->loaded = PLAN_LOADED_OTHER;
        return err_trace(strv_push_consume(&plan->obstacles, text));
}

/* What people look for first when they read that nouveau was there before us. */
static const char *hint_of(const GpuFacts *gpus)
{
        for (size_t i = 0; i < gpus->n; i++)
                if (gpus->items[i].driver && streq(gpus->items[i].driver, "nouveau"))
                        return " A line \"blacklist nouveau\" in /etc/modprobe.d keeps it away from the next boot on.";
        return "";
}

static int refuse_taken(const Config *config, const PlanFacts *facts, Plan *plan, char *const *taken)
{
        _cleanup_free_ char *text = strv_join(taken, "; ");

        return err_trace(plan_refuse(plan, CODE_GPU_CLAIMED,
                        !text ? NULL
                              : str_format("%s.%s%s", text,
                                                config->take_over
                                                                ? " It is not taken over, because the loaded "
                                                                  "NVIDIA driver is somebody else's."
                                                                : "",
                                                hint_of(facts->gpus))));
}

static int check_taken(const Config *config, const PlanFacts *facts, Plan *plan)
{
        _cleanup_strv_ char **taken = NULL;
        int r;

        r = claims_explain(facts->gpus, &taken);
        if (r || !taken)
                return err_trace(r);
        if (!config->take_over || plan->foreign)
                return err_trace(refuse_taken(config, facts, plan, taken));

        /* A loaded driver would not notice GPUs that become free, and its DRM module takes no late ones. */
        if (plan->loaded == PLAN_LOADED_WANTED || plan->loaded == PLAN_LOADED_PART)
                plan->loaded = PLAN_LOADED_OTHER;
        STRV_FOREACH (line, taken)
                if (r == 0)
                        r = strv_push(&plan->obstacles, *line);
        return err_trace(r);
}

static int check_pins(const PlanFacts *facts, Plan *plan)
{
        int r = 0;

        /* Without a driver, pins are not in the way: they are changed right before it is loaded. */
        if (plan->loaded == PLAN_LOADED_NONE)
                return 0;
        for (size_t i = 0; r == 0 && i < facts->gpus->n; i++)
                if (claims_is_pinned(&facts->gpus->items[i]))
                        r = demand_reload(plan, "GPU %s was excluded when the driver was loaded",
                                        facts->gpus->items[i].address);
        for (size_t i = 0; r == 0 && i < facts->excluded->n; i++) {
                const GpuFact *gpu = &facts->excluded->items[i];

                /* The rest is as promised: no reason to take the driver from those who use it. */
                if (gpu->driver && streq(gpu->driver, "nvidia"))
                        r = strv_pushf(&plan->warnings,
                                        "GPU %s is excluded, but the driver has it until it is loaded again",
                                        gpu->address);
        }
        return err_trace(r);
}

/* Value as the kernel shows it now, by the name in @word ("name=value"); NULL if it does not. */
static const char *shown_value(const ModuleFact *m, const char *name)
{
        STRV_FOREACH (line, m->parameters) {
                size_t n = strcspn(*line, "=");
                _cleanup_free_ char *shown = strndup(*line, n);

                if (shown && (*line)[n] == '=' && modname_eq(shown, name))
                        return *line + n + 1;
        }
        return NULL;
}

/* What somebody else loaded is judged by what the kernel shows; most parameters of nvidia it does not show.
 */
static int warn_of_foreign(Plan *plan, const ModuleFact *m, const char *wanted)
{
        _cleanup_strv_ char **words = NULL;
        int r;

        r = strv_split(wanted, " \t", &words);
        STRV_FOREACH (word, words) {
                size_t n = strcspn(*word, "=");
                _cleanup_free_ char *name = strndup(*word, n);
                const char *shown;

                if (r || !name)
                        return r ? err_trace(r) : err_origin(-ENOMEM);
                shown = (*word)[n] ? shown_value(m, name) : NULL;
                if (shown && !parameters_value_equal(shown, *word + n + 1))
                        r = strv_pushf(&plan->warnings, "Module %s, not loaded by us, has %s=%s, not %s",
                                        m->name, name, shown, *word + n + 1);
        }
        return err_trace(r);
}

static int check_loaded_parameters(const Config *config, const PlanFacts *facts, Plan *plan)
{
        int r = 0;

        for (size_t i = 0; r == 0 && i < facts->modules->n; i++) {
                const ModuleFact *m = &facts->modules->items[i];
                const char *wanted = config_module_parameters(config, m->name);
                bool ours = strv_contains(facts->owned, m->name);

                if (ours && m->loaded_with && !parameters_equal(m->loaded_with, wanted))
                        r = demand_reload(plan, "module %s was loaded with other parameters", m->name);
                else if (!ours && wanted)
                        r = warn_of_foreign(plan, m, wanted);
        }
        return err_trace(r);
}

/*
 * The kernel goes on without a parameter that a module does not have, and so
 * does the plan. A driver that is loaded already is not taken away for the
 * sake of a configuration that is wrong.
 */
int plan_check_parameters(const Config *config, const PlanFacts *facts, Plan *plan)
{
        char *detail = NULL;
        int r = 1;

        if (plan->build)
                r = parameters_check(config, plan->build, &detail);
        if (r == 0)
                return err_trace(plan_lack(plan, CODE_PARAMETER_UNKNOWN, detail));
        if (r < 0 || plan->loaded == PLAN_LOADED_NONE)
                return r < 0 ? err_trace(r) : 0;
        return err_trace(check_loaded_parameters(config, facts, plan));
}

/* It is what there is, or what the administrator wants; that a GPU will stay undriven has to be told. */
static int check_type(const PlanFacts *facts, Plan *plan)
{
        const BuildManifest *m = plan->build ? plan->build : plan->base;
        _cleanup_free_ char *text = NULL;
        int r;

        if (!m)
                return 0;
        r = driver_type_explain(facts->gpus, &(GpuSupport){}, m->driver_type, &text);
        if (r || !text)
                return err_trace(r);
        return err_trace(strv_pushf(&plan->warnings, "%s, but build %s has the %s ones", text, strna(m->id),
                        driver_type_to_string(m->driver_type)));
}

/* A driver that is loaded already works without that node, and is not refused. */
int plan_check_nodes(const PlanFacts *facts, Plan *plan)
{
        _cleanup_free_ char *commands = NULL;

        if (!facts->blocked || plan->loaded != PLAN_LOADED_NONE)
                return 0;
        commands = strv_join(facts->blocked, "; ");
        return err_trace(plan_refuse(plan, CODE_NODE_BLOCKED,
                        commands ? str_format("To remove it: %s", commands) : NULL));
}

int plan_check_gpus(const Config *config, const PlanFacts *facts, Plan *plan)
{
        int r;

        r = check_taken(config, facts, plan);
        if (r == 0 && plan->code == CODE_OK)
                r = check_pins(facts, plan);
        if (r == 0 && plan->code == CODE_OK)
                r = check_type(facts, plan);
        return err_trace(r);
}
