/* SPDX-License-Identifier: Apache-2.0 */

#include <ctype.h>

#include "base/result.h"
#include "base/str.h"
#include "policy/envfile.h"
#include "policy/kepttree.h"

#if defined(__x86_64__)
#define ARCH "arch/x86"
#elif defined(__aarch64__)
#define ARCH "arch/arm64"
#else
#error "no NVIDIA driver for this architecture"
#endif

enum { DIGITS = 12 /* of the digest, in a name */, XXH64_DIGITS = 16, SHA256_DIGITS = 64 };

static const char *base_of(const char *path)
{
        const char *slash = strrchr(path, '/');

        return slash ? slash + 1 : path;
}

static bool ends_with(const char *s, const char *end)
{
        size_t n = strlen(s), m = strlen(end);

        return n >= m && streq(s + n - m, end);
}

/* Below @directory, or that itself. */
static bool is_below(const char *path, const char *directory)
{
        const char *rest = startswith(path, directory);

        return rest && (!*rest || *rest == '/');
}

static bool is_makefile(const char *name)
{
        return startswith(name, "Makefile") || startswith(name, "Kbuild") || startswith(name, "Kconfig");
}

/* Objects and make's notes: nobody who builds a module looks at them. */
static bool is_intermediate(const char *name)
{
        return ends_with(name, ".o") || ends_with(name, ".a") || ends_with(name, ".d") ||
               ends_with(name, ".cmd") || ends_with(name, ".old");
}

/* What make puts there, which is the output's to give: a source that is not clean has another kernel's. */
static bool is_generated(const char *path)
{
        return is_below(path, "include/generated") || is_below(path, "include/config") ||
               is_below(path, ARCH "/include/generated");
}

static bool source_wants(const char *path)
{
        const char *name = base_of(path);

        if (is_intermediate(name) || is_generated(path))
                return false;
        if (!strchr(path, '/'))
                return is_makefile(name);
        if (is_below(path, "scripts"))
                /* Links to the device trees of all architectures. */
                return !is_below(path, "scripts/dtc/include-prefixes");
        if (is_below(path, "include") || is_below(path, ARCH "/include"))
                return true;
        return is_below(path, ARCH) && (is_makefile(name) || ends_with(name, ".lds"));
}

/* The Makefile of an output directory only says where the source is. */
static bool output_wants(const char *path)
{
        const char *name = base_of(path);

        if (streq(path, ".config") || streq(path, "Module.symvers"))
                return true;
        if (is_intermediate(name) || !strchr(path, '/'))
                return false;
        if (is_below(path, "tools"))
                return streq(path, "tools/objtool/objtool");
        return is_below(path, "scripts") || is_below(path, "include") || is_below(path, ARCH "/include") ||
               (is_below(path, ARCH) && ends_with(name, ".lds"));
}

bool kepttree_wants(KeptPart part, const char *path)
{
        return part == KEPT_OF_SOURCE ? source_wants(path) : output_wants(path);
}

bool kepttree_enters(KeptPart part, const char *path)
{
        static const char *const tops[] = { "scripts", "include", "arch", "tools" };

        if (part == KEPT_OF_SOURCE &&
                        (is_generated(path) || is_below(path, "scripts/dtc/include-prefixes") ||
                                        is_below(path, "tools")))
                return false;
        if (is_below(path, "arch"))
                return streq(path, "arch") || is_below(path, ARCH);
        if (is_below(path, "tools"))
                return streq(path, "tools") || streq(path, "tools/objtool");
        for (size_t i = 0; i < ELEMENTSOF(tops); i++)
                if (is_below(path, tops[i]))
                        return true;
        return false;
}

bool kepttree_path_is_plain(const char *path)
{
        size_t n;

        if (!*path || strlen(path) >= 4096)
                return false;
        for (const char *p = path; *p; p++)
                if (!isgraph((unsigned char)*p) || strchr("\"'\\", *p))
                        return false;
        for (const char *p = path;; p += n + 1) {
                n = strcspn(p, "/");
                if (n == 0 || (n == 1 && p[0] == '.') || (n == 2 && p[0] == '.' && p[1] == '.'))
                        return false;
                if (!p[n])
                        return true;
        }
}

void kept_files_done(KeptFiles *f)
{
        for (size_t i = 0; i < f->n; i++) {
                free(f->items[i].name);
                free(f->items[i].xxh64);
        }
        free(f->items);
        *f = (KeptFiles){};
}

int kept_files_add(KeptFiles *f, const char *name, uint64_t size, bool executable, const char *xxh64)
{
        KeptFile *items = f->items, file = { .size = size, .executable = executable };

        /* Ten thousand of them: the room doubles. */
        if ((f->n & (f->n - 1)) == 0) {
                items = reallocarray(f->items, f->n ? 2 * f->n : 1, sizeof(*items));
                if (!items)
                        return err_origin(-ENOMEM);
                f->items = items;
        }
        file.name = strdup(name);
        file.xxh64 = strdup(xxh64);
        if (!file.name || !file.xxh64) {
                free(file.name);
                free(file.xxh64);
                return err_origin(-ENOMEM);
        }
        items[f->n++] = file;
        return 0;
}

char *kept_files_format(const KeptFiles *f)
{
        size_t size = 1, at = 0;
        char *text;

        for (size_t i = 0; i < f->n; i++)
                size += strlen(f->items[i].name) + strlen(f->items[i].xxh64) + 32;
        text = malloc(size);
        if (!text)
                return NULL;
        *text = '\0';
        for (size_t i = 0; i < f->n; i++)
                at += (size_t)snprintf(text + at, size - at, "%s %llu %c %s\n", f->items[i].xxh64,
                                (unsigned long long)f->items[i].size, f->items[i].executable ? 'x' : '-',
                                f->items[i].name);
        return text;
}

static bool is_hex(const char *s, size_t n)
{
        return strlen(s) == n && strspn(s, "0123456789abcdef") == n;
}

static int parse_line(char *line, KeptFiles *f)
{
        char *rest = line, *digest = strsep(&rest, " "), *size = strsep(&rest, " "),
             *mode = strsep(&rest, " ");
        uint64_t bytes;

        if (!rest || !is_hex(digest, XXH64_DIGITS) || str_to_u64(size, 10, 0, INT64_MAX, &bytes) < 0 ||
                        (!streq(mode, "x") && !streq(mode, "-")) || !kepttree_path_is_plain(rest))
                return 1;
        return err_trace(kept_files_add(f, rest, bytes, *mode == 'x', digest));
}

int kept_files_parse(const char *text, KeptFiles *ret)
{
        _cleanup_strv_ char **lines = NULL;
        KeptFiles f = {};
        int r;

        r = strv_split_lines(text, &lines);
        STRV_FOREACH (line, lines)
                if (r == 0)
                        r = parse_line(*line, &f);
        if (r == 0 && f.n == 0)
                r = 1;
        if (r) {
                kept_files_done(&f);
                return r < 0 ? err_trace(r) : r;
        }
        *ret = f;
        return 0;
}

static const struct {
        const char *path, *sha256;
} input_names[] = {
        [KEPT_CONFIG] = { "CONFIG", "CONFIG_SHA256" },
        [KEPT_SYMVERS] = { "SYMVERS", "SYMVERS_SHA256" },
        [KEPT_MAKEFILE] = { "MAKEFILE", "MAKEFILE_SHA256" },
};

void kept_origin_done(KeptOrigin *o)
{
        free(o->release);
        free(o->source);
        free(o->files_xxh64);
        for (size_t i = 0; i < _KEPT_INPUT_MAX; i++) {
                free(o->inputs[i].path);
                free(o->inputs[i].sha256);
        }
        *o = (KeptOrigin){};
}

char *kept_origin_format(const KeptOrigin *o)
{
        _cleanup_strv_ char **lines = NULL;
        int r;

        r = strv_pushf(&lines, "RELEASE=%s\nSOURCE=%s\nFILES_XXH64=%s\n", o->release, o->source,
                        o->files_xxh64);
        for (size_t i = 0; r == 0 && i < _KEPT_INPUT_MAX; i++)
                if (o->inputs[i].path)
                        r = strv_pushf(&lines, "%s=%s\n%s=%s\n", input_names[i].path, o->inputs[i].path,
                                        input_names[i].sha256, o->inputs[i].sha256);
        return r ? NULL : strv_join(lines, "");
}

static int parse_origin(const char *text, KeptOrigin *o)
{
        int r;

        r = envfile_get(text, "RELEASE", &o->release);
        if (r == 0)
                r = envfile_get(text, "SOURCE", &o->source);
        if (r == 0)
                r = envfile_get(text, "FILES_XXH64", &o->files_xxh64);
        for (size_t i = 0; r == 0 && i < _KEPT_INPUT_MAX; i++) {
                r = envfile_get(text, input_names[i].path, &o->inputs[i].path);
                if (r == 0)
                        r = envfile_get(text, input_names[i].sha256, &o->inputs[i].sha256);
                if (r == 0 && (o->inputs[i].path || o->inputs[i].sha256) &&
                                (!kepttree_path_is_plain(strempty(o->inputs[i].path)) ||
                                                !is_hex(strempty(o->inputs[i].sha256), SHA256_DIGITS)))
                        return 1;
        }
        if (r)
                return err_trace(r);
        return !o->release || !o->source || !kepttree_path_is_plain(o->source) ||
               !is_hex(strempty(o->files_xxh64), XXH64_DIGITS);
}

int kept_origin_parse(const char *text, KeptOrigin *ret)
{
        KeptOrigin o = {};
        int r = parse_origin(text, &o);

        if (r) {
                kept_origin_done(&o);
                return r < 0 ? err_trace(r) : r;
        }
        *ret = o;
        return 0;
}

bool kepttree_is_for(const char *name, const char *release)
{
        const char *rest = release ? startswith(name, release) : strrchr(name, '-');

        return rest && *rest == '-' && is_hex(rest + 1, DIGITS);
}

bool kepttree_is_needed(const char *name, const BuildManifests *builds)
{
        for (size_t i = 0; i < builds->n; i++)
                if (kepttree_is_for(name, builds->items[i].kernel_release))
                        return true;
        return false;
}

char *kepttree_name(const char *release, const char *sha256)
{
        if (!kepttree_path_is_plain(release) || strchr(release, '/'))
                return NULL;
        return str_format("%s-%.*s", release, (int)DIGITS, sha256);
}
