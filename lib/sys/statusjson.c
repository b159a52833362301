/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The status as JSON. The names of the fields are a contract with scripts:
 * they are added to, never renamed. An absent value is null, so that jq does
 * not have to tell "no such field" from "nothing".
 */

#include <jansson.h>

#include "base/result.h"
#include "base/str.h"
#include "sys/holdersjson.h"
#include "sys/statusjson.h"

/* json_string() refuses what is not UTF-8: a strange byte in a path must not lose the whole text. */
static json_t *string_to_json(const char *value)
{
        json_t *string = json_string(value);
        _cleanup_free_ char *plain = string ? NULL : strdup(value);

        for (char *c = plain; c && *c; c++)
                if ((unsigned char)*c >= 0x80)
                        *c = '?';
        return string || !plain ? string : json_string(plain);
}

static void set_string(json_t *object, const char *key, const char *value)
{
        (void)json_object_set_new(object, key, value ? string_to_json(value) : json_null());
}

static void set_list(json_t *object, const char *key, char *const *list)
{
        json_t *array = json_array();

        STRV_FOREACH (s, list)
                (void)json_array_append_new(array, string_to_json(*s));
        (void)json_object_set_new(object, key, array);
}

static json_t *module_to_json(const ModuleFact *m)
{
        json_t *o = json_object();

        set_string(o, "name", m->name);
        set_string(o, "state", mod_state_to_string(m->state));
        (void)json_object_set_new(o, "refcount", m->refcnt < 0 ? json_null() : json_integer(m->refcnt));
        set_list(o, "holders", m->holders);
        set_string(o, "version", m->version);
        set_string(o, "srcversion", m->srcversion);
        set_string(o, "taint", m->taint);
        return o;
}

static json_t *gpu_to_json(const GpuFact *g, const NodeFacts *nodes)
{
        json_t *o = json_object(), *list = json_array();
        char id[16];

        (void)snprintf(id, sizeof(id), "%04x:%04x", g->vendor, g->device);
        set_string(o, "address", g->address);
        set_string(o, "id", id);
        set_string(o, "driver", g->driver);
        set_string(o, "driverOverride", g->override);
        (void)json_object_set_new(o, "excluded", json_boolean(g->excluded));
        for (size_t i = 0; i < nodes->n; i++) {
                const NodeFact *n = &nodes->items[i];
                json_t *node;

                if (!streq(n->gpu, g->address))
                        continue;
                node = json_object();
                set_string(node, "kind", node_kind_to_string(n->kind));
                set_string(node, "node", n->node);
                (void)json_object_set_new(node, "present", json_boolean(n->present));
                (void)json_array_append_new(list, node);
        }
        (void)json_object_set_new(o, "nodes", list);
        return o;
}

/* As "nvidia-driver holders --json" has them. */
static json_t *holders_to_json(const Holders *holders)
{
        json_t *array = json_array();

        for (size_t i = 0; i < holders->n; i++) {
                _cleanup_free_ char *line = NULL;

                if (holders_line_holder(&holders->items[i], &line) == 0)
                        (void)json_array_append_new(array, json_loads(line, 0, NULL));
        }
        return array;
}

static json_t *devices_to_json(const Status *s)
{
        json_t *array = json_array();

        for (size_t i = 0; i < s->n_devices; i++) {
                const StatusDevice *d = &s->devices[i];
                json_t *o = json_object();

                set_string(o, "node", d->node);
                (void)json_object_set_new(o, "major", json_integer(d->major));
                (void)json_object_set_new(o, "minor", json_integer(d->minor));
                (void)json_object_set_new(o, "present", json_boolean(d->present));
                (void)json_array_append_new(array, o);
        }
        return array;
}

static int parse_holders(json_t *root, Status *s)
{
        json_t *value;
        size_t i;

        json_array_foreach(json_object_get(root, "holders"), i, value)
        {
                char *line = json_dumps(value, JSON_COMPACT);
                int r = line ? holders_line_parse(line, &s->holders) : 0;

                free(line);
                if (r < 0)
                        return err_trace(r);
        }
        return 0;
}

static json_t *steps_to_json(const Status *s)
{
        json_t *array = json_array();

        for (size_t i = 0; i < s->n_steps; i++) {
                json_t *o = json_object();

                set_string(o, "stage", s->steps[i].stage);
                (void)json_object_set_new(o, "run", json_boolean(s->steps[i].run));
                set_string(o, "reason", s->steps[i].reason);
                (void)json_array_append_new(array, o);
        }
        return array;
}

static json_t *services_to_json(const Status *s)
{
        json_t *array = json_array();

        for (size_t i = 0; i < s->n_services; i++) {
                const StatusService *service = &s->services[i];
                json_t *o = json_object();

                set_string(o, "name", service->name);
                set_string(o, "state", service->state);
                (void)json_object_set_new(o, "required", json_boolean(service->required));
                (void)json_object_set_new(o, "pid", service->pid ? json_integer(service->pid) : json_null());
                (void)json_object_set_new(o, "sinceUSec", json_integer((json_int_t)service->since));
                (void)json_object_set_new(o, "restarts", json_integer(service->restarts));
                set_string(o, "lastEnd", service->last_end);
                (void)json_array_append_new(array, o);
        }
        return array;
}

int status_format(const Status *s, char **ret)
{
        json_auto_t *root = json_object();
        _cleanup_free_ char *text = NULL;
        json_t *modules = json_array(), *gpus = json_array();

        set_string(root, "state", s->state);
        (void)json_object_set_new(root, "sinceUSec", json_integer((json_int_t)s->since));
        set_string(root, "code", s->code);
        set_string(root, "detail", s->detail);
        set_string(root, "progress", s->progress);
        (void)json_object_set_new(root, "pid", s->pid ? json_integer(s->pid) : json_null());
        (void)json_object_set_new(root, "pidStart",
                        s->pid_start ? json_integer((json_int_t)s->pid_start) : json_null());
        set_string(root, "version", s->version);
        set_string(root, "kernelRelease", s->kernel_release);
        set_string(root, "kernelVersion", s->kernel_version);
        set_string(root, "driverVersion", s->driver_version);
        set_string(root, "driverWanted", s->driver_wanted);
        set_string(root, "build", s->build);
        set_string(root, "fallbackBuild", s->fallback);
        set_string(root, "signature", s->signature);
        (void)json_object_set_new(root, "foreign", json_boolean(s->foreign));
        (void)json_object_set_new(root, "slowestTurnUSec", json_integer((json_int_t)s->slowest_turn));
        (void)json_object_set_new(root, "plan", steps_to_json(s));
        for (size_t i = 0; i < s->modules.n; i++)
                (void)json_array_append_new(modules, module_to_json(&s->modules.items[i]));
        (void)json_object_set_new(root, "modules", modules);
        for (size_t i = 0; i < s->gpus.n; i++)
                (void)json_array_append_new(gpus, gpu_to_json(&s->gpus.items[i], &s->nodes));
        (void)json_object_set_new(root, "gpus", gpus);
        (void)json_object_set_new(root, "devices", devices_to_json(s));
        (void)json_object_set_new(root, "services", services_to_json(s));
        (void)json_object_set_new(root, "holders", holders_to_json(&s->holders));
        (void)json_object_set_new(root, "holdingProcesses", json_integer((json_int_t)s->n_holders));
        set_list(root, "pending", s->pending);
        set_list(root, "problems", s->problems);

        text = json_dumps(root, JSON_INDENT(2));
        *ret = text ? str_format("%s\n", text) : NULL;
        return *ret ? 0 : err_origin(-ENOMEM);
}

static char *get_string(json_t *object, const char *key)
{
        const char *value = json_string_value(json_object_get(object, key));

        return value ? strdup(value) : NULL;
}

static int get_list(json_t *object, const char *key, char ***ret)
{
        json_t *value;
        size_t i;
        int r;

        json_array_foreach(json_object_get(object, key), i, value)
        {
                r = strv_push(ret, strempty(json_string_value(value)));
                if (r)
                        return err_trace(r);
        }
        return 0;
}

static int parse_module(json_t *o, Status *s)
{
        json_t *refcount = json_object_get(o, "refcount");
        _cleanup_free_ char *state = get_string(o, "state");
        ModuleFact m = {
                .name = get_string(o, "name"),
                .state = mod_state_from_string(strempty(state)),
                .refcnt = json_is_integer(refcount) ? (int)json_integer_value(refcount) : -1,
                .version = get_string(o, "version"),
                .srcversion = get_string(o, "srcversion"),
                .taint = get_string(o, "taint"),
        };
        int r;

        r = get_list(o, "holders", &m.holders);
        if (r == 0 && m.name)
                r = module_facts_add(&s->modules, &m);
        module_fact_done(&m);
        return r;
}

static int parse_nodes(json_t *gpu, Status *s)
{
        json_t *value;
        size_t i;
        int r = 0;

        json_array_foreach(json_object_get(gpu, "nodes"), i, value)
        {
                _cleanup_free_ char *kind = get_string(value, "kind");
                NodeFact n = {
                        .gpu = get_string(gpu, "address"),
                        .kind = kind && streq(kind, "render") ? NODE_RENDER : NODE_CARD,
                        .node = get_string(value, "node"),
                        .present = json_is_true(json_object_get(value, "present")),
                };

                if (n.gpu && n.node)
                        r = node_facts_add(&s->nodes, &n);
                node_fact_done(&n);
                if (r)
                        break;
        }
        return r;
}

static int parse_gpu(json_t *o, Status *s)
{
        _cleanup_free_ char *id = get_string(o, "id");
        GpuFact g = { .address = get_string(o, "address"),
                .driver = get_string(o, "driver"),
                .override = get_string(o, "driverOverride"),
                .excluded = json_is_true(json_object_get(o, "excluded")) };
        unsigned vendor, device;
        int r = 0;

        if (id && sscanf(id, "%4x:%4x", &vendor, &device) == 2) {
                g.vendor = (uint16_t)vendor;
                g.device = (uint16_t)device;
        }
        if (g.address)
                r = gpu_facts_add(&s->gpus, &g);
        gpu_fact_done(&g);
        return r ? r : parse_nodes(o, s);
}

static int parse_service(json_t *o, Status *s)
{
        StatusService service = {
                .name = get_string(o, "name"),
                .state = get_string(o, "state"),
                .required = json_is_true(json_object_get(o, "required")),
                .pid = json_integer_value(json_object_get(o, "pid")),
                .since = (usec_t)json_integer_value(json_object_get(o, "sinceUSec")),
                .restarts = json_integer_value(json_object_get(o, "restarts")),
                .last_end = get_string(o, "lastEnd"),
        };
        int r = 0;

        if (service.name && service.state)
                r = status_add_service(s, &service);
        free(service.name);
        free(service.state);
        free(service.last_end);
        return r;
}

static int parse_device(json_t *o, Status *s)
{
        const char *node = json_string_value(json_object_get(o, "node"));

        return status_add_device(s, strempty(node),
                        (unsigned)json_integer_value(json_object_get(o, "major")),
                        (unsigned)json_integer_value(json_object_get(o, "minor")),
                        json_is_true(json_object_get(o, "present")));
}

static int parse_lists(json_t *root, Status *s)
{
        json_t *value;
        size_t i;
        int r = 0;

        json_array_foreach(json_object_get(root, "plan"), i, value)
        {
                const char *stage = json_string_value(json_object_get(value, "stage"));
                const char *reason = json_string_value(json_object_get(value, "reason"));

                if (r == 0)
                        r = status_add_step(s, strempty(stage), json_is_true(json_object_get(value, "run")),
                                        reason);
        }
        json_array_foreach(json_object_get(root, "modules"), i, value) if (r == 0)
                        r = parse_module(value, s);
        json_array_foreach(json_object_get(root, "gpus"), i, value) if (r == 0) r = parse_gpu(value, s);
        json_array_foreach(json_object_get(root, "devices"), i, value) if (r == 0)
                        r = parse_device(value, s);
        json_array_foreach(json_object_get(root, "services"), i, value) if (r == 0)
                        r = parse_service(value, s);
        s->n_holders = (uint64_t)json_integer_value(json_object_get(root, "holdingProcesses"));
        if (r == 0)
                r = parse_holders(root, s);
        return r ? r : get_list(root, "problems", &s->problems);
}

int status_parse(const char *text, Status *ret)
{
        json_auto_t *root = json_loads(text, 0, NULL);
        Status s = {};
        int r;

        if (!json_is_object(root))
                return STATUS_E_INVALID;

        s.state = get_string(root, "state");
        s.since = (usec_t)json_integer_value(json_object_get(root, "sinceUSec"));
        s.code = get_string(root, "code");
        s.detail = get_string(root, "detail");
        s.progress = get_string(root, "progress");
        s.pid = json_integer_value(json_object_get(root, "pid"));
        s.pid_start = (uint64_t)json_integer_value(json_object_get(root, "pidStart"));
        s.version = get_string(root, "version");
        s.kernel_release = get_string(root, "kernelRelease");
        s.kernel_version = get_string(root, "kernelVersion");
        s.driver_version = get_string(root, "driverVersion");
        s.driver_wanted = get_string(root, "driverWanted");
        s.build = get_string(root, "build");
        s.fallback = get_string(root, "fallbackBuild");
        s.signature = get_string(root, "signature");
        s.foreign = json_is_true(json_object_get(root, "foreign"));
        s.slowest_turn = (usec_t)json_integer_value(json_object_get(root, "slowestTurnUSec"));
        r = parse_lists(root, &s);
        if (r == 0)
                r = get_list(root, "pending", &s.pending);
        if (r == 0 && (!s.state || !s.code))
                r = STATUS_E_INVALID;
        if (r) {
                status_done(&s);
                return r < 0 ? err_trace(r) : r;
        }
        *ret = s;
        return 0;
}
