/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The reader of NVIDIA's kernel source, as far as a build must know it before
 * it starts: version, kind, modules, and how many objects will come.
 *
 * What is known about the layout (seen in 535.261.03 and 535.309.01):
 *
 *   - each module NAME is a directory with NAME.Kbuild; the C files are in
 *     lines "NVIDIA_..._SOURCES += dir/file.c", of the same file or of
 *     NAME-sources.Kbuild. One file that a line "..._DEBUG_OPTIMIZED_SOURCE :="
 *     names is compiled in debug builds only;
 *   - nvidia and nvidia-modeset link a precompiled core, nv-kernel.o_binary and
 *     nv-modeset-kernel.o_binary. Both the proprietary and the packaged open
 *     source have these files, so they do not tell which one it is. The
 *     MODULE_LICENSE of nvidia-modeset does: "NVIDIA" or "Dual MIT/GPL";
 *   - the version is in Kbuild: ccflags-y += -DNV_VERSION_STRING=\"535.309.01\".
 *
 * The open sources as published (with src/ beside kernel-open/) have no core
 * file until src/ is built; such a source is reported with the core missing.
 */

#include <fcntl.h>

#include "base/result.h"
#include "base/str.h"
#include "sys/driversource.h"
#include "sys/treefile.h"

enum {
        TEXT_MAX = 1024 * 1024, /* bytes: Kbuild files have up to 15 kB, the largest C file we read 150 kB */
        MODULES_MAX = 64,       /* in a source */
};

/* Notes a file that a source cannot do without. */
static int require(const Root *root, DriverSource *s, const char *name)
{
        bool there = false;
        int r;

        r = treefile_exists(root, s->path, name, &there);
        if (r == 0 && !there)
                r = strv_push(&s->missing, name);
        return r ? err_trace(r) : 0;
}

static int read_version(const Root *root, DriverSource *s)
{
        static const char mark[] = "-DNV_VERSION_STRING=\\\"";
        _cleanup_free_ char *text = NULL;
        char *p;
        int r;

        r = treefile_read(root, s->path, "Kbuild", TEXT_MAX, &text, NULL);
        if (r || !text)
                return r;

        p = strstr(text, mark);
        if (!p)
                return 0;
        p += strlen(mark);
        p[strspn(p, "0123456789.")] = '\0';
        if (!*p)
                return 0;
        r = str_replace(&s->version, p);
        return r ? err_trace(r) : 0;
}

static int read_type(const Root *root, DriverSource *s)
{
        static const char *const files[] = { "nvidia-modeset/nvidia-modeset-linux.c", "nvidia/nv-frontend.c",
                "nvidia/nv.c" };

        s->type = DRIVER_PROPRIETARY;
        for (size_t i = 0; i < ELEMENTSOF(files); i++) {
                _cleanup_free_ char *text = NULL;
                const char *p;
                int r;

                r = treefile_read(root, s->path, files[i], TEXT_MAX, &text, NULL);
                if (r)
                        return err_trace(r);
                p = text ? strstr(text, "MODULE_LICENSE(\"") : NULL;
                if (!p)
                        continue;
                if (!startswith(p, "MODULE_LICENSE(\"NVIDIA\""))
                        s->type = DRIVER_OPEN;
                break;
        }
        return 0;
}

static bool is_file_char(char c)
{
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               strchr("_-./+", c);
}

/* Words of a line that end in ".c". Patterns ("%.c") are none. */
static unsigned count_c_files(const char *line, size_t size)
{
        unsigned n = 0;

        for (size_t i = 0; i < size;) {
                size_t k = 0;

                while (i + k < size && line[i + k] && is_file_char(line[i + k]))
                        k++;
                if (k > 2 && memcmp(line + i + k - 2, ".c", 2) == 0 && (i == 0 || line[i - 1] != '%'))
                        n++;
                i += k + 1;
        }
        return n;
}

/* C files that the assignments of this Kbuild text add, less those of debug builds. */
static int count_sources(const char *text)
{
        int n = 0;

        for (const char *line = text; line && *line;) {
                size_t size = strcspn(line, "\n"), name = strcspn(line, " \t:?+=#\n");

                if (name >= 8 && memcmp(line + name - 8, "_SOURCES", 8) == 0)
                        n += (int)count_c_files(line + name, size - name);
                else if (name >= 23 && memcmp(line + name - 23, "_DEBUG_OPTIMIZED_SOURCE", 23) == 0)
                        n -= (int)count_c_files(line + name, size - name);
                line += size + (line[size] == '\n');
        }
        return n;
}

static int count_objects(const Root *root, const DriverSource *s, const char *name, unsigned *ret)
{
        static const char *const formats[] = { "%s/%s.Kbuild", "%s/%s-sources.Kbuild" };
        int n = 0;

        for (size_t i = 0; i < ELEMENTSOF(formats); i++) {
                _cleanup_free_ char *file = str_format(formats[i], name, name), *text = NULL;
                int r;

                if (!file)
                        return err_origin(-ENOMEM);
                r = treefile_read(root, s->path, file, TEXT_MAX, &text, NULL);
                if (r)
                        return err_trace(r);
                if (text)
                        n += count_sources(text);
        }
        *ret = (unsigned)MAX(n, 0) + 1; /* NAME.mod.o */
        return 0;
}

/*
 * The core object of a module, by the name NVIDIA's Kbuild gives it: nvidia ->
 * nvidia/nv-kernel.o_binary, nvidia-modeset -> .../nv-modeset-kernel.o_binary.
 */
static int read_core(const Root *root, DriverSource *s, SourceModule *m)
{
        _cleanup_free_ char *kbuild = str_format("%s/%s.Kbuild", m->name, m->name), *text = NULL;
        const char *rest = startswith(m->name, "nvidia");
        int r;

        if (!kbuild)
                return err_origin(-ENOMEM);
        r = treefile_read(root, s->path, kbuild, TEXT_MAX, &text, NULL);
        if (r || !text || !strstr(text, ".o_binary"))
                return r;

        m->core = str_format("%s/nv%s-kernel.o_binary", m->name, strempty(rest));
        m->interface = str_format("nv%s-linux.o", strempty(rest));
        if (!m->core || !m->interface)
                return err_origin(-ENOMEM);
        r = require(root, s, m->core);
        return r ? err_trace(r) : 0;
}

static int add_module(const Root *root, DriverSource *s, const char *name)
{
        SourceModule *m = &s->modules[s->n_modules];
        int r;

        m->name = strdup(name);
        if (!m->name)
                return err_origin(-ENOMEM);
        s->n_modules++;

        r = count_objects(root, s, name, &m->n_objects);
        if (r == 0)
                r = read_core(root, s, m);
        return r ? err_trace(r) : 0;
}

/* Every directory NAME with a NAME.Kbuild in it is a module. */
static int read_modules(const Root *root, DriverSource *s)
{
        _cleanup_strv_ char **names = NULL;
        int r;

        r = root_list(root, s->path, &names);
        if (r)
                return r < 0 ? err_trace(r) : 0;

        s->modules = calloc(MIN(strv_length(names), (size_t)MODULES_MAX) + 1, sizeof(*s->modules));
        if (!s->modules)
                return err_origin(-ENOMEM);

        STRV_FOREACH (name, names) {
                _cleanup_free_ char *kbuild = str_format("%s/%s.Kbuild", *name, *name);
                bool there = false;

                if (!kbuild)
                        return err_origin(-ENOMEM);
                r = treefile_exists(root, s->path, kbuild, &there);
                if (r == 0 && there && s->n_modules < MODULES_MAX)
                        r = add_module(root, s, *name);
                if (r)
                        return err_trace(r);
        }
        return 0;
}

static bool has_module(const DriverSource *s, const char *name)
{
        for (size_t i = 0; i < s->n_modules; i++)
                if (streq(s->modules[i].name, name))
                        return true;
        return false;
}

static int require_basics(const Root *root, DriverSource *s)
{
        static const char *const names[] = { "Makefile", "Kbuild", "conftest.sh", "common/inc" };
        int r;

        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                r = require(root, s, names[i]);
                if (r)
                        return err_trace(r);
        }
        if (!s->version && !strv_contains(s->missing, "Kbuild")) {
                r = strv_push(&s->missing, "NV_VERSION_STRING in Kbuild");
                if (r)
                        return err_trace(r);
        }
        if (!has_module(s, "nvidia")) {
                r = strv_push(&s->missing, "nvidia/nvidia.Kbuild");
                if (r)
                        return err_trace(r);
        }
        return 0;
}

/* The folder that holds Kbuild: @path itself, or the one of a .run file that was unpacked there. */
static int find_folder(const Root *root, const char *path, char **ret)
{
        static const char *const names[] = { ".", "kernel", "kernel-open" };

        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                _cleanup_free_ char *folder = i == 0 ? strdup(path) : str_format("%s/%s", path, names[i]);
                bool there = false;
                int r;

                if (!folder)
                        return err_origin(-ENOMEM);
                r = treefile_exists(root, folder, "Kbuild", &there);
                if (r)
                        return err_trace(r);
                if (there) {
                        *ret = TAKE_PTR(folder);
                        return 0;
                }
        }
        *ret = strdup(path);
        return *ret ? 0 : err_origin(-ENOMEM);
}

int driver_source_read(const Root *root, const char *path, DriverSource *ret)
{
        _cleanup_(driver_source_done) DriverSource s = { .exists = true };
        struct stat st;
        int r;

        path += strspn(path, "/");
        r = root_stat(root, path, &st);
        if (r < 0)
                return err_trace(r);
        if (r > 0 || !S_ISDIR(st.st_mode))
                return DRIVER_SOURCE_E_ABSENT;

        r = find_folder(root, path, &s.path);
        if (r == 0)
                r = read_version(root, &s);
        if (r == 0)
                r = read_modules(root, &s);
        if (r == 0)
                r = read_type(root, &s);
        if (r == 0)
                r = require_basics(root, &s);
        if (r)
                return err_trace(r);

        *ret = s;
        s = (DriverSource){};
        return 0;
}
