/* SPDX-License-Identifier: Apache-2.0 */

/* The names of the fields are a contract with scripts: they are added to, never renamed. What is not told is
 * left out. */

#include <jansson.h>

#include "base/result.h"
#include "base/str.h"
#include "sys/historyjson.h"

/* json_string() refuses what is not UTF-8: a strange byte must not lose the entry. */
static void set_string(json_t *object, const char *key, const char *value)
{
        _cleanup_free_ char *plain = value ? strdup(value) : NULL;
        json_t *string = value ? json_string(value) : NULL;

        for (char *c = plain; c && *c && !string; c++)
                if ((unsigned char)*c >= 0x80)
                        *c = '?';
        if (!string && plain)
                string = json_string(plain);
        if (string)
                (void)json_object_set_new(object, key, string);
}

int historyjson_format(const HistoryEntry *e, char **ret)
{
        json_auto_t *o = json_object();
        _cleanup_free_ char *text = NULL;

        (void)json_object_set_new(o, "timeUSec", json_integer((json_int_t)e->time));
        set_string(o, "boot", e->boot);
        (void)json_object_set_new(o, "pid", json_integer(e->pid));
        set_string(o, "event", history_kind_to_string(e->kind));
        set_string(o, "from", e->from);
        set_string(o, "state", e->state);
        if (e->kind == HISTORY_STATE)
                (void)json_object_set_new(o, "tookUSec", json_integer((json_int_t)e->took));
        if (e->kind == HISTORY_GPU)
                (void)json_object_set_new(o, "count", json_integer(e->count));
        set_string(o, "code", e->code);
        set_string(o, "detail", e->detail);

        text = json_dumps(o, JSON_COMPACT);
        *ret = text ? str_format("%s\n", text) : NULL;
        return *ret ? 0 : err_origin(-ENOMEM);
}

static char *get_string(json_t *object, const char *key)
{
        const char *value = json_string_value(json_object_get(object, key));

        return value ? strdup(value) : NULL;
}

static uint64_t get_number(json_t *object, const char *key)
{
        json_int_t value = json_integer_value(json_object_get(object, key));

        return value > 0 ? (uint64_t)value : 0;
}

int historyjson_parse(const char *line, HistoryEntry *ret)
{
        json_auto_t *o = json_loads(line, 0, NULL);
        const char *event = json_string_value(json_object_get(o, "event"));
        HistoryKind kind = event ? history_kind_from_string(event) : _HISTORY_KIND_INVALID;

        if (!json_is_object(o) || kind < 0)
                return HISTORYJSON_E_INVALID;
        *ret = (HistoryEntry){
                .kind = kind,
                .time = get_number(o, "timeUSec"),
                .boot = get_string(o, "boot"),
                .pid = (int64_t)get_number(o, "pid"),
                .from = get_string(o, "from"),
                .state = get_string(o, "state"),
                .took = get_number(o, "tookUSec"),
                .count = (unsigned)MIN(get_number(o, "count"), UINT32_MAX),
                .code = get_string(o, "code"),
                .detail = get_string(o, "detail"),
        };
        return 0;
}
