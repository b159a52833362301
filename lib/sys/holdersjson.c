/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The names of the fields are a contract with scripts: they are added to, never
 * renamed. An absent value is null.
 *
 * A line must survive the pipe between worker and daemon, where lines have a
 * bound. What processes call themselves and their cgroups is theirs to choose,
 * so every string is cut and freed from what is not text: six bytes for a
 * control character would be the way to push a line over the bound.
 */

#include <jansson.h>

#include "base/result.h"
#include "base/str.h"
#include "sys/holdersjson.h"

static json_t *string_to_json(const char *value)
{
        char text[HOLDERS_STRING_MAX];

        (void)snprintf(text, sizeof(text), "%s", value);
        return json_string(str_printable(text));
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

static void set_number(json_t *object, const char *key, json_int_t value)
{
        (void)json_object_set_new(object, key, json_integer(value));
}

static json_t *holder_to_json(const Holder *h)
{
        json_t *o = json_object();

        set_number(o, "pid", h->pid);
        set_number(o, "start", (json_int_t)h->start);
        set_number(o, "uid", h->uid);
        set_string(o, "user", h->user);
        set_string(o, "command", h->command);
        set_string(o, "unit", h->home.unit);
        set_string(o, "container", h->home.container);
        set_string(o, "pod", h->home.pod);
        set_string(o, "node", h->node);
        set_string(o, "kind", holder_kind_to_string(h->kind));
        (void)json_object_set_new(o, "fd", h->kind == HOLDER_FD ? json_integer(h->fd) : json_null());
        return o;
}

static int dump(json_t *o, size_t flags, char **ret)
{
        char *text = json_dumps(o, flags);

        json_decref(o);
        if (!text)
                return err_origin(-ENOMEM);
        *ret = text;
        return 0;
}

int holders_line_holder(const Holder *h, char **ret)
{
        return err_trace(dump(holder_to_json(h), JSON_COMPACT, ret));
}

int holders_line_user(uid_t uid, const char *user, char **ret)
{
        json_t *o = json_object();

        set_number(o, "uid", uid);
        set_string(o, "user", user);
        return err_trace(dump(o, JSON_COMPACT, ret));
}

int holders_line_end(unsigned n_processes, unsigned n_unreadable, char **ret)
{
        json_t *o = json_object();

        set_number(o, "processes", n_processes);
        set_number(o, "unreadable", n_unreadable);
        return err_trace(dump(o, JSON_COMPACT, ret));
}

static bool get_number(json_t *o, const char *key, json_int_t min, json_int_t max, json_int_t *ret)
{
        json_t *value = json_object_get(o, key);

        if (!json_is_integer(value) || json_integer_value(value) < min || json_integer_value(value) > max)
                return false;
        *ret = json_integer_value(value);
        return true;
}

/* Returns 0, HOLDERS_E_INVALID or -ENOMEM. */
static int get_string(json_t *o, const char *key, bool needed, char **ret)
{
        json_t *value = json_object_get(o, key);

        if (json_is_null(value) && !needed)
                return 0;
        if (!json_is_string(value))
                return HOLDERS_E_INVALID;
        if (str_replace(ret, json_string_value(value)) < 0)
                return err_origin(-ENOMEM);
        (void)str_printable(*ret);
        return 0;
}

static int parse_strings(json_t *o, Holder *h)
{
        int r;

        r = get_string(o, "user", false, &h->user);
        if (r == 0)
                r = get_string(o, "command", false, &h->command);
        if (r == 0)
                r = get_string(o, "unit", false, &h->home.unit);
        if (r == 0)
                r = get_string(o, "container", false, &h->home.container);
        if (r == 0)
                r = get_string(o, "pod", false, &h->home.pod);
        if (r == 0)
                r = get_string(o, "node", true, &h->node);
        return r;
}

static int parse_holder(json_t *o, Holders *holders)
{
        _cleanup_(holder_done) Holder h = {};
        const char *kind = json_string_value(json_object_get(o, "kind"));
        json_int_t pid, start, uid, fd = -1;
        int r;

        if (!get_number(o, "pid", 1, INT32_MAX, &pid) || !get_number(o, "start", 0, INT64_MAX, &start) ||
                        !get_number(o, "uid", 0, UINT32_MAX, &uid) || !kind)
                return HOLDERS_E_INVALID;
        h.kind = holder_kind_from_string(kind);
        if (h.kind < 0 || (h.kind == HOLDER_FD && !get_number(o, "fd", 0, INT32_MAX, &fd)))
                return HOLDERS_E_INVALID;
        h.pid = (pid_t)pid;
        h.start = (uint64_t)start;
        h.uid = (uid_t)uid;
        h.fd = (int)fd;
        r = parse_strings(o, &h);
        if (r)
                return r < 0 ? err_trace(r) : r;
        return err_trace(holders_add(holders, &h));
}

static int parse_user(json_t *o, Holders *holders)
{
        const char *user = json_string_value(json_object_get(o, "user"));
        json_int_t uid;

        if (!user || !get_number(o, "uid", 0, UINT32_MAX, &uid))
                return HOLDERS_E_INVALID;
        return err_trace(holders_add_user(holders, (uid_t)uid, user));
}

static int parse_end(json_t *o, Holders *holders)
{
        json_int_t processes, unreadable;

        if (!get_number(o, "processes", 0, INT32_MAX, &processes) ||
                        !get_number(o, "unreadable", 0, INT32_MAX, &unreadable))
                return HOLDERS_E_INVALID;
        holders->n_processes = (unsigned)processes;
        holders->n_unreadable = (unsigned)unreadable;
        return HOLDERS_E_END;
}

int holders_line_parse(const char *line, Holders *holders)
{
        json_t *o;
        int r;

        if (*line != '{')
                return HOLDERS_E_FOREIGN;
        o = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
        if (!o)
                return HOLDERS_E_INVALID;

        if (json_object_get(o, "pid"))
                r = parse_holder(o, holders);
        else if (json_object_get(o, "processes"))
                r = parse_end(o, holders);
        else
                r = parse_user(o, holders);
        json_decref(o);
        return r;
}

static json_t *module_to_json(const ModuleFact *m)
{
        json_t *o = json_object();

        set_string(o, "name", m->name);
        (void)json_object_set_new(o, "refcount", m->refcnt < 0 ? json_null() : json_integer(m->refcnt));
        set_list(o, "holders", m->holders);
        return o;
}

int holders_format(const Holders *holders, const ModuleFacts *modules, char *const *remarks, bool busy,
                char **ret)
{
        json_t *o = json_object(), *processes = json_array(), *list = json_array();
        _cleanup_free_ char *text = NULL;
        int r;

        for (size_t i = 0; i < holders->n; i++)
                (void)json_array_append_new(processes, holder_to_json(&holders->items[i]));
        for (size_t i = 0; i < modules->n; i++)
                (void)json_array_append_new(list, module_to_json(&modules->items[i]));
        (void)json_object_set_new(o, "busy", json_boolean(busy));
        (void)json_object_set_new(o, "holders", processes);
        (void)json_object_set_new(o, "modules", list);
        set_list(o, "remarks", remarks);
        set_number(o, "processes", holders->n_processes);
        set_number(o, "unreadable", holders->n_unreadable);
        (void)json_object_set_new(o, "incomplete", json_boolean(holders->incomplete));
        r = dump(o, JSON_INDENT(2), &text);
        if (r)
                return err_trace(r);
        *ret = str_format("%s\n", text);
        return *ret ? 0 : err_origin(-ENOMEM);
}
