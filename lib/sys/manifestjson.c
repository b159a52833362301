/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The manifest's JSON, by jansson. Reading is strict about what a wrong value
 * could do harm with: file names must be plain names, digests 64 hex digits.
 * Unknown fields are ignored, so a newer program's manifest can be read as
 * long as its format number is ours.
 *
 * The last field is a digest of the text before it, so a manifest that has
 * become another valid one by a flipped bit is found, too.
 */

#include <jansson.h>

#include "base/result.h"
#include "base/str.h"
#include "sys/digest.h"
#include "sys/manifestjson.h"

/* What the text of an object ends with, and what stands there instead if a digest follows. */
#define END        "\n}\n"
#define DIGEST_KEY "xxh64"
#define DIGEST_END ",\n  \"" DIGEST_KEY "\": \"%s\"" END

static int invalid(char **reterr, char *text)
{
        if (!text)
                return err_origin(-ENOMEM);
        *reterr = text;
        return MANIFEST_E_INVALID;
}

static bool is_plain_name(const char *s)
{
        return *s && *s != '.' && !strchr(s, '/') && strlen(s) < 200;
}

/* Below a driver source. */
static bool is_inner_path(const char *s)
{
        return *s && *s != '/' && !strstr(s, "..") && strlen(s) < 200;
}

static bool is_hex(const char *s, size_t n)
{
        return strlen(s) == n && strspn(s, "0123456789abcdef") == n;
}

/* Copies a string field. @needed: its absence is an error; null counts as absent. */
static int get_string(json_t *object, const char *key, bool needed, char **ret, char **reterr)
{
        json_t *value = json_object_get(object, key);

        if (!value || json_is_null(value))
                return needed ? invalid(reterr, str_format("field \"%s\" is missing", key)) : 0;
        if (!json_is_string(value))
                return invalid(reterr, str_format("field \"%s\" is not a string", key));
        if (!str_is_printable(json_string_value(value)))
                return invalid(reterr, str_format("field \"%s\" has control characters in it", key));
        *ret = strdup(json_string_value(value));
        return *ret ? 0 : err_origin(-ENOMEM);
}

static int get_names(json_t *object, const char *key, char ***ret, char **reterr)
{
        json_t *array = json_object_get(object, key), *value;
        size_t i;
        int r;

        if (!array)
                return 0;
        if (!json_is_array(array))
                return invalid(reterr, str_format("field \"%s\" is not a list", key));
        json_array_foreach(array, i, value)
        {
                if (!json_is_string(value))
                        return invalid(reterr,
                                        str_format("field \"%s\" holds something else than names", key));
                if (!str_is_printable(json_string_value(value)))
                        return invalid(reterr, str_format("field \"%s\" has control characters in it", key));
                r = strv_push(ret, json_string_value(value));
                if (r)
                        return err_trace(r);
        }
        return 0;
}

static int parse_file(json_t *object, BuildFile *f, char **reterr)
{
        json_t *size = json_object_get(object, "size");
        int r;

        r = get_string(object, "name", true, &f->name, reterr);
        if (r == 0)
                r = get_string(object, "sha256", false, &f->sha256, reterr);
        if (r == 0)
                r = get_string(object, "xxh64", false, &f->xxh64, reterr);
        if (r == 0)
                r = get_string(object, "module", false, &f->module, reterr);
        if (r == 0)
                r = get_string(object, "srcversion", false, &f->srcversion, reterr);
        if (r == 0)
                r = get_names(object, "depends", &f->depends, reterr);
        if (r == 0)
                r = get_names(object, "parameters", &f->parameters, reterr);
        if (r == 0)
                r = get_string(object, "interface", false, &f->interface, reterr);
        if (r == 0)
                r = get_string(object, "core", false, &f->core, reterr);
        if (r == 0)
                r = get_string(object, "unsignedSha256", false, &f->unsigned_sha256, reterr);
        if (r)
                return r;
        if (!is_plain_name(f->name))
                return invalid(reterr, str_format("\"%s\" is not a plain file name", f->name));
        if (f->interface && !is_plain_name(f->interface))
                return invalid(reterr, str_format("\"%s\" is not a plain file name", f->interface));
        if (f->core && !is_inner_path(f->core))
                return invalid(reterr, str_format("\"%s\" is not a path in a driver source", f->core));
        if (f->sha256 && !is_hex(f->sha256, 64))
                return invalid(reterr, str_format("the sha256 of \"%s\" is not 64 hex digits", f->name));
        if (f->unsigned_sha256 && !is_hex(f->unsigned_sha256, 64))
                return invalid(reterr,
                                str_format("the unsignedSha256 of \"%s\" is not 64 hex digits", f->name));
        if (f->xxh64 && !is_hex(f->xxh64, 16))
                return invalid(reterr, str_format("the xxh64 of \"%s\" is not 16 hex digits", f->name));
        if (size && (!json_is_integer(size) || json_integer_value(size) < 0))
                return invalid(reterr, str_format("the size of \"%s\" is not a number", f->name));
        f->size = size ? (uint64_t)json_integer_value(size) : 0;
        return 0;
}

static bool has_file(const BuildManifest *m, const char *name)
{
        for (size_t i = 0; i < m->n_files; i++)
                if (streq(m->files[i].name, name))
                        return true;
        return false;
}

static int parse_files(json_t *object, BuildManifest *m, char **reterr)
{
        json_t *array = json_object_get(object, "files"), *value;
        size_t i;
        int r;

        if (!json_is_array(array))
                return invalid(reterr, str_format("field \"files\" is missing or not a list"));
        json_array_foreach(array, i, value)
        {
                BuildFile f = {};

                r = parse_file(value, &f, reterr);
                if (r == 0 && has_file(m, f.name))
                        r = invalid(reterr, str_format("\"%s\" is there twice", f.name));
                if (r == 0)
                        r = build_manifest_add_file(m, &f);
                build_file_done(&f);
                if (r)
                        return r;
        }
        return 0;
}

static int parse_inputs(json_t *object, BuildManifest *m, char **reterr)
{
        json_t *map = json_object_get(object, "inputs"), *value;
        const char *name;
        int r;

        if (!map)
                return 0;
        if (!json_is_object(map))
                return invalid(reterr, str_format("field \"inputs\" is not an object"));
        json_object_foreach(map, name, value)
        {
                if (!json_is_string(value) || !is_hex(json_string_value(value), 64))
                        return invalid(reterr,
                                        str_format("the digest of input \"%s\" is not 64 hex digits", name));
                if (!str_is_printable(name))
                        return invalid(reterr, strdup("the name of an input has control characters in it"));
                r = build_manifest_add_input(m, name, json_string_value(value));
                if (r)
                        return err_trace(r);
        }
        return 0;
}

static const struct {
        const char *key;
        size_t offset;
} signer_fields[] = {
        { "name", offsetof(Signer, name) },
        { "issuer", offsetof(Signer, issuer) },
        { "serial", offsetof(Signer, serial) },
        { "keyId", offsetof(Signer, key_id) },
        { "fingerprint", offsetof(Signer, fingerprint) },
        { "hash", offsetof(Signer, hash) },
};

static int parse_signer(json_t *root, Signer *s, char **reterr)
{
        json_t *object = json_object_get(root, "signer");
        int r;

        if (!object || json_is_null(object))
                return 0;
        if (!json_is_object(object))
                return invalid(reterr, str_format("field \"signer\" is not an object"));
        for (size_t i = 0; i < ELEMENTSOF(signer_fields); i++) {
                r = get_string(object, signer_fields[i].key, false,
                                (char **)((char *)s + signer_fields[i].offset), reterr);
                if (r)
                        return r;
        }
        return 0;
}

static int parse_head(json_t *root, BuildManifest *m, char **reterr)
{
        _cleanup_free_ char *type = NULL;
        json_t *format = json_object_get(root, "format");
        int r;

        if (!json_is_integer(format) || json_integer_value(format) < MANIFEST_FORMAT_OLDEST)
                return invalid(reterr, str_format("field \"format\" is not %d", MANIFEST_FORMAT));
        if (json_integer_value(format) > MANIFEST_FORMAT) {
                r = invalid(reterr, str_format("field \"format\" is %lld, a newer program's, not %d",
                                                    (long long)json_integer_value(format), MANIFEST_FORMAT));
                return r < 0 ? err_trace(r) : MANIFEST_E_NEWER;
        }

        m->debug_info = json_is_true(json_object_get(root, "debugInfo"));
        r = get_string(root, "id", false, &m->id, reterr);
        if (r == 0)
                r = get_string(root, "driverVersion", true, &m->driver_version, reterr);
        if (r == 0)
                r = get_string(root, "driverType", true, &type, reterr);
        if (r == 0)
                r = get_string(root, "kernelRelease", true, &m->kernel_release, reterr);
        if (r == 0)
                r = get_string(root, "kernelVersion", false, &m->kernel_version, reterr);
        if (r == 0)
                r = get_string(root, "kernelVermagic", false, &m->kernel_vermagic, reterr);
        if (r == 0)
                r = get_string(root, "compiler", false, &m->compiler, reterr);
        if (r == 0)
                r = get_string(root, "linker", false, &m->linker, reterr);
        if (r == 0)
                r = get_string(root, "created", false, &m->created, reterr);
        if (r)
                return r;

        m->driver_type = driver_type_from_string(type);
        if (m->driver_type < 0)
                return invalid(reterr, str_format("driver type \"%s\" is not known", type));
        return 0;
}

static int check_digest(json_t *root, const char *text, size_t size, char **reterr)
{
        json_t *value = json_object_get(root, DIGEST_KEY);
        _cleanup_free_ char *end = NULL, *before = NULL;
        char hex[DIGEST_FAST_HEX_SIZE];
        size_t n;

        if (!value && json_integer_value(json_object_get(root, "format")) < 2)
                return 0;
        if (!json_is_string(value))
                return invalid(reterr, str_format("field \"" DIGEST_KEY "\" is missing"));
        end = str_format(DIGEST_END, json_string_value(value));
        if (!end)
                return err_origin(-ENOMEM);
        n = strlen(end);
        if (size >= n && memcmp(text + size - n, end, n) == 0) {
                before = str_format("%.*s" END, (int)(size - n), text);
                if (!before)
                        return err_origin(-ENOMEM);
                digest_fast_text(before, strlen(before), hex);
                if (streq(hex, json_string_value(value)))
                        return 0;
        }
        return invalid(reterr, str_format("it is not as it was written"));
}

int manifest_parse(const char *text, size_t size, BuildManifest *ret, char **reterr)
{
        json_auto_t *root = NULL;
        BuildManifest m = {};
        json_error_t error;
        int r;

        root = json_loadb(text, size, JSON_REJECT_DUPLICATES, &error);
        if (!root)
                return invalid(reterr, str_format("line %d: %s", error.line, error.text));
        if (!json_is_object(root))
                return invalid(reterr, str_format("line 1: not a JSON object"));

        r = parse_head(root, &m, reterr);
        if (r == 0)
                r = check_digest(root, text, size, reterr);
        if (r == 0)
                r = parse_inputs(root, &m, reterr);
        if (r == 0)
                r = parse_files(root, &m, reterr);
        if (r == 0)
                r = parse_signer(root, &m.signer, reterr);
        if (r) {
                build_manifest_done(&m);
                return r;
        }
        *ret = m;
        return 0;
}

/* Absent values are left out of the text. */
static void set_string(json_t *object, const char *key, const char *value)
{
        if (value)
                (void)json_object_set_new(object, key, json_string(value));
}

static void set_names(json_t *object, const char *key, char *const *names)
{
        json_t *array = names ? json_array() : NULL;

        STRV_FOREACH (name, names)
                (void)json_array_append_new(array, json_string(*name));
        if (array)
                (void)json_object_set_new(object, key, array);
}

static json_t *file_to_json(const BuildFile *f)
{
        json_t *object = json_object();

        set_string(object, "name", f->name);
        (void)json_object_set_new(object, "size", json_integer((json_int_t)f->size));
        set_string(object, "sha256", f->sha256);
        set_string(object, "xxh64", f->xxh64);
        set_string(object, "module", f->module);
        set_string(object, "srcversion", f->srcversion);
        set_string(object, "interface", f->interface);
        set_string(object, "core", f->core);
        set_string(object, "unsignedSha256", f->unsigned_sha256);
        set_names(object, "depends", f->depends);
        set_names(object, "parameters", f->parameters);
        return object;
}

static json_t *signer_to_json(const Signer *s)
{
        json_t *object = json_object();

        for (size_t i = 0; i < ELEMENTSOF(signer_fields); i++)
                set_string(object, signer_fields[i].key,
                                *(char *const *)((const char *)s + signer_fields[i].offset));
        return object;
}

static int add_digest(const char *object, char **ret)
{
        _cleanup_free_ char *text = str_format("%s\n", object);
        char hex[DIGEST_FAST_HEX_SIZE];

        if (!text)
                return err_origin(-ENOMEM);
        digest_fast_text(text, strlen(text), hex);
        *ret = str_format("%.*s" DIGEST_END, (int)(strlen(text) - strlen(END)), text, hex);
        return *ret ? 0 : err_origin(-ENOMEM);
}

int manifest_format(const BuildManifest *m, char **ret)
{
        json_auto_t *root = json_object();
        _cleanup_free_ char *text = NULL;
        json_t *inputs = json_object(), *files = json_array();

        (void)json_object_set_new(root, "format", json_integer(MANIFEST_FORMAT));
        set_string(root, "id", m->id);
        set_string(root, "driverVersion", m->driver_version);
        set_string(root, "driverType", driver_type_to_string(m->driver_type));
        set_string(root, "kernelRelease", m->kernel_release);
        set_string(root, "kernelVersion", m->kernel_version);
        set_string(root, "kernelVermagic", m->kernel_vermagic);
        set_string(root, "compiler", m->compiler);
        set_string(root, "linker", m->linker);
        (void)json_object_set_new(root, "debugInfo", json_boolean(m->debug_info));
        set_string(root, "created", m->created);
        if (m->signer.serial || m->signer.issuer)
                (void)json_object_set_new(root, "signer", signer_to_json(&m->signer));
        for (size_t i = 0; i < m->n_inputs; i++)
                set_string(inputs, m->inputs[i].name, m->inputs[i].sha256);
        (void)json_object_set_new(root, "inputs", inputs);
        for (size_t i = 0; i < m->n_files; i++)
                (void)json_array_append_new(files, file_to_json(&m->files[i]));
        (void)json_object_set_new(root, "files", files);

        text = json_dumps(root, JSON_INDENT(2));
        if (!text)
                return err_origin(-ENOMEM);
        return err_trace(add_digest(text, ret));
}
