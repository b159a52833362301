/* SPDX-License-Identifier: Apache-2.0 */

#include <jansson.h>

#include "base/result.h"
#include "base/str.h"
#include "sys/buildsjson.h"

static json_t *text(const char *s)
{
        return s ? json_string(s) : json_null();
}

static json_t *row_to_json(const BuildRow *row)
{
        const BuildManifest *m = row->manifest;
        json_t *object = json_object();

        (void)json_object_set_new(object, "id", text(m->id));
        (void)json_object_set_new(object, "driverVersion", text(m->driver_version));
        (void)json_object_set_new(object, "driverType", text(driver_type_to_string(m->driver_type)));
        (void)json_object_set_new(object, "kernelRelease", text(m->kernel_release));
        (void)json_object_set_new(object, "created", text(m->created));
        (void)json_object_set_new(object, "size", json_integer((json_int_t)row->size));
        (void)json_object_set_new(object, "inUse", json_boolean(row->in_use));
        (void)json_object_set_new(object, "lastGood", json_boolean(row->good));
        (void)json_object_set_new(object, "otherKernel", json_boolean(row->foreign));
        (void)json_object_set_new(object, "shared", text(row->shared));
        return object;
}

int builds_format(const BuildRow *rows, size_t n, char **ret)
{
        json_auto_t *array = json_array();
        _cleanup_free_ char *dump = NULL;

        for (size_t i = 0; i < n; i++)
                (void)json_array_append_new(array, row_to_json(&rows[i]));
        dump = json_dumps(array, JSON_INDENT(2));
        if (!dump)
                return err_origin(-ENOMEM);
        *ret = str_format("%s\n", dump);
        return *ret ? 0 : err_origin(-ENOMEM);
}
