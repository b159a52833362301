/* SPDX-License-Identifier: Apache-2.0 */

/* Which services run where, and what the plan says about it. */

#include "unit.h"

#include "base/str.h"
#include "policy/serviceplan.h"

typedef struct Host {
        Config *config;
        ServiceFacts facts;
        ServicePlan plan;
} Host;

static void host_init(Host *h)
{
        *h = (Host){};
        ck_assert_int_eq(config_new(&h->config), 0);
        for (size_t i = 0; service_known(i); i++) {
                ServiceFact f = { .name = strdup(service_known(i)->name) };

                ck_assert_int_eq(service_facts_add(&h->facts, &f), 0);
        }
        ck_assert_uint_eq(h->facts.n, 2);
}

static void host_done(Host *h)
{
        config_free(h->config);
        service_facts_done(&h->facts);
        service_plan_done(&h->plan);
}
#define _cleanup_host_ _cleanup_(host_done)

static void assign(Host *h, const char *section, const char *key, const char *value)
{
        char *expected = NULL;

        ck_assert_int_eq(config_assign(h->config, section, key, value, &expected), 0);
}

static void install(Host *h, size_t i)
{
        h->facts.items[i].program = str_format("/usr/bin/%s", service_known(i)->name);
        ck_assert_ptr_nonnull(h->facts.items[i].program);
}

/* @summary: what the plan says; @commands: "name! program arguments~" per service, ! for required, ~ for
 * daemonises. */
static void check_plan(Host *h, const char *summary, const char *commands)
{
        _cleanup_strv_ char **lines = NULL;
        _cleanup_free_ char *text = NULL;

        service_plan_done(&h->plan);
        ck_assert_int_eq(service_plan_make(h->config, &h->facts, &h->plan), 0);
        ck_assert_str_eq(h->plan.summary, summary);
        for (size_t i = 0; i < h->plan.n; i++) {
                const ServiceSpec *s = &h->plan.items[i];
                _cleanup_free_ char *argv = strv_join(s->argv, " ");

                ck_assert_int_eq(strv_pushf(&lines, "%s%s %s%s", s->name, s->required ? "!" : "", argv,
                                                 s->daemonises ? "~" : ""),
                                0);
        }
        text = strv_join(lines, "\n");
        ck_assert_str_eq(text, commands);
        ck_assert(service_plan_runs(&h->plan, &h->facts) == (h->plan.n > 0 || h->facts.kept));
}

#define PERSISTENCED "nvidia-persistenced /usr/bin/nvidia-persistenced --persistence-mode~"
#define FABRIC       "nv-fabricmanager /usr/bin/nv-fabricmanager -c /usr/share/nvidia/nvswitch/fabricmanager.cfg~"

START_TEST(test_nothing_there)
{
        _cleanup_host_ Host h;

        host_init(&h);
        check_plan(&h, "nvidia-persistenced: not installed, nv-fabricmanager: no NVSwitch is on the PCI bus",
                        "");
        ck_assert(!service_plan_runs(&h.plan, &h.facts));
        h.facts.nvswitch = true;
        check_plan(&h, "nvidia-persistenced: not installed, nv-fabricmanager: not installed", "");
}
END_TEST

START_TEST(test_auto)
{
        _cleanup_host_ Host h;

        host_init(&h);
        install(&h, 0);
        install(&h, 1);
        check_plan(&h, "nvidia-persistenced", PERSISTENCED);
        h.facts.nvswitch = true;
        check_plan(&h, "nvidia-persistenced, nv-fabricmanager", PERSISTENCED "\n" FABRIC);
}
END_TEST

START_TEST(test_somebody_else)
{
        _cleanup_host_ Host h;
        ServiceFact *f;

        host_init(&h);
        install(&h, 0);
        f = &h.facts.items[0];
        f->owner = 4711;
        assign(&h, "Services", "FabricManager", "no");
        check_plan(&h, "nvidia-persistenced: runs already, process 4711, nv-fabricmanager: not wanted", "");
        f->owner = SERVICE_OWNER_HIDDEN;
        check_plan(&h, "nvidia-persistenced: runs already, in another container, nv-fabricmanager: not wanted",
                        "");
        f->owner = SERVICE_OWNER_NONE;
        f->unit = strdup("nvidia-persistenced.service");
        check_plan(&h, "nvidia-persistenced: nvidia-persistenced.service does it, nv-fabricmanager: not wanted",
                        "");
        /* Required does not make two of it, but it is what yes is for. */
        assign(&h, "Services", "Required", "nvidia-persistenced");
        check_plan(&h, "nvidia-persistenced: nvidia-persistenced.service does it, nv-fabricmanager: not wanted",
                        "");
        assign(&h, "Services", "Persistenced", "yes");
        check_plan(&h, "nvidia-persistenced (required)",
                        "nvidia-persistenced! /usr/bin/nvidia-persistenced --persistence-mode~");
}
END_TEST

START_TEST(test_yes_and_no)
{
        _cleanup_host_ Host h;

        host_init(&h);
        assign(&h, "Services", "Persistenced", "yes");
        assign(&h, "Services", "FabricManager", "yes");
        check_plan(&h, "nvidia-persistenced, nv-fabricmanager", PERSISTENCED "\n" FABRIC);
        install(&h, 0);
        assign(&h, "Services", "Persistenced", "no");
        assign(&h, "Services", "FabricManager", "no");
        check_plan(&h, "nvidia-persistenced: not wanted, nv-fabricmanager: not wanted", "");
}
END_TEST

/* Required and not installed is a failure to be told of, not a reason to leave it out. */
START_TEST(test_required)
{
        _cleanup_host_ Host h;

        host_init(&h);
        assign(&h, "Services", "Required", "nvidia-persistenced nv-fabricmanager");
        check_plan(&h, "nvidia-persistenced (required)",
                        "nvidia-persistenced! /usr/bin/nvidia-persistenced --persistence-mode~");
}
END_TEST

START_TEST(test_further_ones)
{
        _cleanup_host_ Host h;

        host_init(&h);
        assign(&h, "ServiceCommands", "exporter", "/opt/exporter --port 9400");
        assign(&h, "ServiceCommands", "gone", "/bin/gone");
        assign(&h, "ServiceCommands", "gone", "");
        assign(&h, "Services", "Required", "exporter");
        check_plan(&h, "exporter (required)", "exporter! /opt/exporter --port 9400");
}
END_TEST

START_TEST(test_own_command)
{
        _cleanup_host_ Host h;

        host_init(&h);
        install(&h, 0);
        assign(&h, "ServiceCommands", "nvidia-persistenced", "/usr/bin/nvidia-persistenced --user nvpd");
        check_plan(&h, "nvidia-persistenced",
                        "nvidia-persistenced /usr/bin/nvidia-persistenced --user nvpd~");
        ck_assert_str_eq(service_program_file(h.config, service_known(0)), "/usr/bin/nvidia-persistenced");
        ck_assert_ptr_null(service_program_file(h.config, service_known(1)));
        assign(&h, "ServiceCommands", "nvidia-persistenced", "/usr/bin/nvidia-persistenced --foreground");
        check_plan(&h, "nvidia-persistenced",
                        "nvidia-persistenced /usr/bin/nvidia-persistenced --foreground");
        assign(&h, "ServiceCommands", "nvidia-persistenced", "/usr/bin/nvidia-persistenced -f");
        check_plan(&h, "nvidia-persistenced", "nvidia-persistenced /usr/bin/nvidia-persistenced -f");
}
END_TEST

static const struct {
        const char *text;
        bool foreground;
} settings[] = {
        { NULL, false },
        { "", false },
        { "DAEMONIZE=1\n", false },
        { "LOG_LEVEL=4\n# a comment\nDAEMONIZE=0\nX=1\n", true },
        { "  DAEMONIZE = 0", true },
        { "#DAEMONIZE=0\n", false },
        { "DAEMONIZE", false },
        { "DAEMONIZE=", false },
        { "DAEMONIZED=0\n", false },
        { "NO_DAEMONIZE=0\n", false },
        { "DAEMONIZE=1\r\nDAEMONIZE=0\r\n", true },
};

START_TEST(test_settings)
{
        _cleanup_host_ Host h;

        host_init(&h);
        h.facts.nvswitch = true;
        install(&h, 1);
        h.facts.items[1].settings = settings[_i].text ? strdup(settings[_i].text) : NULL;
        check_plan(&h, "nv-fabricmanager",
                        settings[_i].foreground ? "nv-fabricmanager /usr/bin/nv-fabricmanager -c "
                                                  "/usr/share/nvidia/nvswitch/fabricmanager.cfg"
                                                : FABRIC);
}
END_TEST

START_TEST(test_settings_file)
{
        _cleanup_host_ Host h;

        host_init(&h);
        ck_assert_ptr_null(service_settings_file(h.config, service_known(0)));
        ck_assert_str_eq(service_settings_file(h.config, service_known(1)),
                        "/usr/share/nvidia/nvswitch/fabricmanager.cfg");
        assign(&h, "ServiceCommands", "nv-fabricmanager", "/opt/fm -c /etc/fm.cfg");
        ck_assert_str_eq(service_settings_file(h.config, service_known(1)), "/etc/fm.cfg");
        assign(&h, "ServiceCommands", "nv-fabricmanager", "/opt/fm -c");
        ck_assert_str_eq(service_settings_file(h.config, service_known(1)),
                        "/usr/share/nvidia/nvswitch/fabricmanager.cfg");
}
END_TEST

/* What an earlier daemon started and is not wanted any more has to be ended. */
START_TEST(test_kept)
{
        _cleanup_host_ Host h;

        host_init(&h);
        install(&h, 0);
        ck_assert_int_eq(strv_push(&h.facts.kept, "exporter"), 0);
        ck_assert_int_eq(strv_push(&h.facts.kept, "nvidia-persistenced"), 0);
        check_plan(&h, "nvidia-persistenced, ending exporter", PERSISTENCED);
        assign(&h, "Services", "Persistenced", "no");
        check_plan(&h, "ending exporter, ending nvidia-persistenced", "");
        ck_assert(service_plan_runs(&h.plan, &h.facts));
}
END_TEST

START_TEST(test_copy)
{
        _cleanup_host_ Host h;
        ServiceSpec copy = {};

        host_init(&h);
        install(&h, 0);
        check_plan(&h, "nvidia-persistenced", PERSISTENCED);
        ck_assert_int_eq(service_spec_copy(&h.plan.items[0], &copy), 0);
        ck_assert_str_eq(copy.argv[1], "--persistence-mode");
        ck_assert(copy.daemonises && !copy.required);
        service_spec_done(&copy);
        ck_assert_ptr_null(service_known_find("exporter"));
}
END_TEST

UNIT_MAIN("serviceplan", UNIT_TEST(test_nothing_there), UNIT_TEST(test_auto), UNIT_TEST(test_somebody_else),
                UNIT_TEST(test_yes_and_no), UNIT_TEST(test_required), UNIT_TEST(test_further_ones),
                UNIT_TEST(test_own_command), UNIT_LOOP(test_settings, ELEMENTSOF(settings)),
                UNIT_TEST(test_settings_file), UNIT_TEST(test_kept), UNIT_TEST(test_copy))
