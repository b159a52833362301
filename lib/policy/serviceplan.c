/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The choice of services. "auto" is careful: who already has a way to run
 * nvidia-persistenced (the unit of a distribution, a container, a person)
 * does not get a second one.
 */

#include "base/result.h"
#include "base/str.h"
#include "policy/serviceplan.h"

#define FABRICMANAGER_CONFIG "/usr/share/nvidia/nvswitch/fabricmanager.cfg"

static const char *const persistenced_arguments[] = { "--persistence-mode", NULL };
static const char *const fabricmanager_arguments[] = { "-c", FABRICMANAGER_CONFIG, NULL };

/* Both go into the background, and their first process ends with 0 when they are ready. In the order to
 * start. */
static const ServiceKnown known[] = {
        { SERVICE_PERSISTENCED, "nvidia-persistenced.service",
                        "run/nvidia-persistenced/nvidia-persistenced.pid", persistenced_arguments, NULL },
        { SERVICE_FABRICMANAGER, "nvidia-fabricmanager.service",
                        "run/nvidia-fabricmanager/nv-fabricmanager.pid", fabricmanager_arguments,
                        FABRICMANAGER_CONFIG },
};

const ServiceKnown *service_known(size_t i)
{
        return i < ELEMENTSOF(known) ? &known[i] : NULL;
}

const ServiceKnown *service_known_find(const char *name)
{
        for (size_t i = 0; i < ELEMENTSOF(known); i++)
                if (streq(known[i].name, name))
                        return &known[i];
        return NULL;
}

void service_fact_done(ServiceFact *f)
{
        free(f->name);
        free(f->program);
        free(f->unit);
        free(f->settings);
        *f = (ServiceFact){};
}

void service_facts_done(ServiceFacts *f)
{
        for (size_t i = 0; i < f->n; i++)
                service_fact_done(&f->items[i]);
        free(f->items);
        strv_free(f->kept);
        *f = (ServiceFacts){};
}

int service_facts_add(ServiceFacts *facts, ServiceFact *f)
{
        ServiceFact *grown = reallocarray(facts->items, facts->n + 1, sizeof(*grown));

        if (!grown)
                return err_origin(-ENOMEM);
        facts->items = grown;
        grown[facts->n++] = *f;
        *f = (ServiceFact){};
        return 0;
}

void service_spec_done(ServiceSpec *s)
{
        free(s->name);
        strv_free(s->argv);
        *s = (ServiceSpec){};
}

int service_spec_copy(const ServiceSpec *s, ServiceSpec *ret)
{
        ServiceSpec copy = { .name = strdup(s->name), .required = s->required, .daemonises = s->daemonises };

        if (!copy.name || strv_copy(s->argv, &copy.argv) < 0) {
                service_spec_done(&copy);
                return err_origin(-ENOMEM);
        }
        *ret = copy;
        return 0;
}

void service_plan_done(ServicePlan *p)
{
        for (size_t i = 0; i < p->n; i++)
                service_spec_done(&p->items[i]);
        free(p->items);
        strv_free(p->left_out);
        free(p->summary);
        *p = (ServicePlan){};
}

static const ServiceFact *fact_of(const ServiceFacts *facts, const char *name)
{
        static const ServiceFact nothing;

        for (size_t i = 0; i < facts->n; i++)
                if (streq(facts->items[i].name, name))
                        return &facts->items[i];
        return &nothing;
}

static ConfigAuto choice_of(const Config *config, const char *name)
{
        return streq(name, SERVICE_PERSISTENCED) ? config->persistenced : config->fabric_manager;
}

const char *service_program_file(const Config *config, const ServiceKnown *k)
{
        char *const *command = config_service_command(config, k->name);

        return command ? command[0] : NULL;
}

const char *service_settings_file(const Config *config, const ServiceKnown *k)
{
        char *const *command = config_service_command(config, k->name);

        if (!k->settings)
                return NULL;
        STRV_FOREACH (word, command)
                if (streq(*word, "-c") && word[1])
                        return word[1];
        return k->settings;
}

/* A line DAEMONIZE=0 in fabricmanager.cfg; blanks do not count. */
static bool settings_say_foreground(const char *text)
{
        while (text && *text) {
                const char *value;

                text += strspn(text, " \t\r\n");
                value = startswith(text, "DAEMONIZE");
                if (value) {
                        value += strspn(value, " \t");
                        if (*value == '=' && value[1 + strspn(value + 1, " \t")] == '0')
                                return true;
                }
                text += strcspn(text, "\n");
        }
        return false;
}

static bool daemonises(const ServiceKnown *k, const ServiceFact *f, char *const *argv)
{
        if (!k || settings_say_foreground(f->settings))
                return false;
        return !strv_contains(argv, "--foreground") && !(!k->settings && strv_contains(argv, "-f"));
}

/* Why it is not run, half a sentence and the caller's; NULL if it is. */
static int reason_against(const Config *config, const ServiceFacts *facts, const char *name, char **ret)
{
        const ServiceFact *f = fact_of(facts, name);
        ConfigAuto choice = choice_of(config, name);
        char *reason;

        *ret = NULL;
        if (choice == CONFIG_AUTO_NO)
                reason = strdup("not wanted");
        else if (choice == CONFIG_AUTO_YES)
                return 0;
        else if (streq(name, SERVICE_FABRICMANAGER) && !facts->nvswitch)
                reason = strdup("no NVSwitch is on the PCI bus");
        else if (!f->program && !strv_contains(config->required_services, name))
                reason = strdup("not installed");
        else if (f->unit)
                reason = str_format("%s does it", f->unit);
        else if (f->owner == SERVICE_OWNER_HIDDEN)
                reason = strdup("runs already, in another container");
        else if (f->owner != SERVICE_OWNER_NONE)
                reason = str_format("runs already, process %lld", (long long)f->owner);
        else
                return 0;

        *ret = reason;
        return reason ? 0 : err_origin(-ENOMEM);
}

static int add(ServicePlan *p, ServiceSpec *spec)
{
        ServiceSpec *grown = reallocarray(p->items, p->n + 1, sizeof(*grown));

        if (!grown)
                return err_origin(-ENOMEM);
        p->items = grown;
        grown[p->n++] = *spec;
        *spec = (ServiceSpec){};
        return 0;
}

static int command_of_known(const ServiceKnown *k, const ServiceFact *f, char ***argv)
{
        _cleanup_free_ char *usual = str_format("/usr/bin/%s", k->name);
        int r;

        if (!usual)
                return err_origin(-ENOMEM);
        /* Not installed and wanted all the same: that it cannot be executed is for the service to say. */
        r = strv_push(argv, f->program ? f->program : usual);
        for (size_t i = 0; r == 0 && k->arguments[i]; i++)
                r = strv_push(argv, k->arguments[i]);
        return err_trace(r);
}

static int add_service(const Config *config, const ServiceFacts *facts, const char *name, ServicePlan *p)
{
        const ServiceKnown *k = service_known_find(name);
        char *const *command = config_service_command(config, name);
        ServiceSpec spec = {
                .name = strdup(name),
                .required = strv_contains(config->required_services, name),
        };
        int r;

        if (!spec.name)
                r = err_origin(-ENOMEM);
        else if (command)
                r = strv_copy(command, &spec.argv);
        else
                r = command_of_known(k, fact_of(facts, name), &spec.argv);
        spec.daemonises = daemonises(k, fact_of(facts, name), spec.argv);
        if (r == 0)
                r = add(p, &spec);
        service_spec_done(&spec);
        return err_trace(r);
}

static int choose_known(const Config *config, const ServiceFacts *facts, ServicePlan *p)
{
        for (size_t i = 0; i < ELEMENTSOF(known); i++) {
                _cleanup_free_ char *reason = NULL;
                int r;

                r = reason_against(config, facts, known[i].name, &reason);
                if (r == 0)
                        r = reason ? strv_pushf(&p->left_out, "%s: %s", known[i].name, reason)
                                   : add_service(config, facts, known[i].name, p);
                if (r)
                        return err_trace(r);
        }
        return 0;
}

static int choose_others(const Config *config, const ServiceFacts *facts, ServicePlan *p)
{
        for (size_t i = 0; i < config->n_commands; i++) {
                const ConfigCommand *c = &config->commands[i];
                int r;

                if (!c->argv || service_known_find(c->service))
                        continue;
                r = add_service(config, facts, c->service, p);
                if (r)
                        return err_trace(r);
        }
        return 0;
}

static bool is_planned(const ServicePlan *p, const char *name)
{
        for (size_t i = 0; i < p->n; i++)
                if (streq(p->items[i].name, name))
                        return true;
        return false;
}

static int summarize(const ServiceFacts *facts, ServicePlan *p)
{
        _cleanup_strv_ char **parts = NULL;
        bool none;
        int r = 0;

        for (size_t i = 0; r == 0 && i < p->n; i++)
                r = strv_pushf(&parts, "%s%s", p->items[i].name, p->items[i].required ? " (required)" : "");
        STRV_FOREACH (name, facts->kept)
                if (r == 0 && !is_planned(p, *name))
                        r = strv_pushf(&parts, "ending %s", *name);
        none = !parts;
        STRV_FOREACH (text, p->left_out)
                if (r == 0 && none)
                        r = strv_push(&parts, *text);
        if (r)
                return err_trace(r);
        p->summary = strv_join(parts, ", ");
        return p->summary ? 0 : err_origin(-ENOMEM);
}

int service_plan_make(const Config *config, const ServiceFacts *facts, ServicePlan *ret)
{
        ServicePlan p = {};
        int r;

        r = choose_known(config, facts, &p);
        if (r == 0)
                r = choose_others(config, facts, &p);
        if (r == 0)
                r = summarize(facts, &p);
        if (r) {
                service_plan_done(&p);
                return err_trace(r);
        }
        *ret = p;
        return 0;
}

bool service_plan_runs(const ServicePlan *p, const ServiceFacts *facts)
{
        return p->n > 0 || facts->kept;
}
