/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The reader of kernel trees: one pass over a dozen well-known files below a
 * directory and below the source tree that belongs to it (sys/treesource).
 *
 * modpost, fixdep and objtool count only if this machine can run them: they
 * are looked at as ELF files, not started, because a tree is foreign input
 * until it is used.
 */

#include <elf.h>
#include <fcntl.h>

#include "base/result.h"
#include "base/str.h"
#include "sys/treefacts.h"
#include "sys/treefile.h"
#include "sys/treesource.h"

enum {
        SMALL_MAX = 256 * 1024, /* bytes: generated headers, Makefiles (6.12's has 70 kB) */
};

/* The one architecture whose trees can serve here: kernel name and ELF name. */
#if defined(__x86_64__)
#define TREE_ARCH "x86"
#define TREE_ELF  EM_X86_64
#elif defined(__aarch64__)
#define TREE_ARCH "arm64"
#define TREE_ELF  EM_AARCH64
#else
#error "no NVIDIA driver for this architecture"
#endif

/* The text in quotes of: #define NAME "text". */
static int read_define(const Root *root, const char *base, const char *file, const char *name, char **ret)
{
        _cleanup_free_ char *text = NULL, *start = NULL;
        char *p, *q;
        int r;

        r = treefile_read(root, base, file, SMALL_MAX, &text, NULL);
        if (r || !text)
                return r;
        start = str_format("#define %s ", name);
        if (!start)
                return err_origin(-ENOMEM);

        p = strstr(text, start);
        p = p ? p + strlen(start) + strspn(p + strlen(start), " \t") : NULL;
        q = p && *p == '"' ? strpbrk(p + 1, "\"\n") : NULL;
        if (!q || *q != '"' || q == p + 1)
                return 0;

        *q = '\0';
        r = str_replace(ret, p + 1);
        return r ? err_trace(r) : 0;
}

/* "VERSION = 6" of a Makefile; *@ret stays -1 if there is no such line before the first rule. */
static void parse_makefile_number(const char *text, const char *name, int *ret)
{
        for (const char *line = text; line; line = strchr(line, '\n'), line = line ? line + 1 : NULL) {
                const char *p = startswith(line, name);

                if (!p)
                        continue;
                p += strspn(p, " ");
                if (*p != '=')
                        continue;
                p += 1 + strspn(p + 1, " ");
                if (*p >= '0' && *p <= '9') {
                        *ret = (int)strtol(p, NULL, 10);
                        return;
                }
        }
}

static int read_makefile_version(const Root *root, TreeFacts *t)
{
        int version = -1, patchlevel = -1, sublevel = -1;
        _cleanup_free_ char *text = NULL;
        int r;

        r = treefile_read(root, t->source, "Makefile", SMALL_MAX, &text, NULL);
        if (r || !text)
                return r;

        parse_makefile_number(text, "VERSION", &version);
        parse_makefile_number(text, "PATCHLEVEL", &patchlevel);
        parse_makefile_number(text, "SUBLEVEL", &sublevel);
        if (version < 0 || patchlevel < 0 || sublevel < 0)
                return 0;

        t->makefile_version = str_format("%d.%d.%d", version, patchlevel, sublevel);
        return t->makefile_version ? 0 : err_origin(-ENOMEM);
}

/* Is it an ELF program of this machine, or a script? And executable? */
static int check_tool(const Root *root, TreeFacts *t, const char *name, bool *ret)
{
        _cleanup_free_ char *path = NULL;
        _cleanup_close_ int fd = -EBADF;
        unsigned char head[20] = {};
        struct stat st;
        bool runs;
        int r;

        r = treefile_path(t->path, name, &path);
        if (r)
                return err_trace(r);
        r = root_open(root, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, &fd);
        if (r)
                return r < 0 ? err_trace(r) : 0;
        if (fstat(fd, &st) < 0)
                return err_origin(-errno);
        if (!S_ISREG(st.st_mode) || read(fd, head, sizeof(head)) < 2)
                return 0;

        /* e_machine is at offset 18, in the byte order of the file; ours are little. */
        runs = memcmp(head, ELFMAG, SELFMAG) == 0 ? (head[18] | head[19] << 8) == TREE_ELF
                                                  : head[0] == '#' && head[1] == '!';
        *ret = runs && (st.st_mode & 0111);
        if (!*ret)
                t->foreign_tools = true;
        return 0;
}

/* Parts that are below the build tree itself, by presence alone. */
static int read_presence(const Root *root, TreeFacts *t)
{
        static const struct {
                TreePart part;
                const char *name;
        } files[] = {
                { TREE_PART_MAKEFILE, "Makefile" },
                { TREE_PART_CONFIG, ".config" },
                { TREE_PART_SYMVERS, "Module.symvers" },
                { TREE_PART_AUTOCONF, "include/generated/autoconf.h" },
                { TREE_PART_AUTO_CONF, "include/config/auto.conf" },
                { TREE_PART_UTSRELEASE, "include/generated/utsrelease.h" },
        };

        for (size_t i = 0; i < ELEMENTSOF(files); i++) {
                int r = treefile_exists(root, t->path, files[i].name, &t->parts[files[i].part]);

                if (r)
                        return err_trace(r);
        }
        return 0;
}

static int read_tools(const Root *root, TreeFacts *t)
{
        int r;

        r = check_tool(root, t, "scripts/mod/modpost", &t->parts[TREE_PART_MODPOST]);
        if (r == 0)
                r = check_tool(root, t, "scripts/basic/fixdep", &t->parts[TREE_PART_FIXDEP]);
        if (r == 0)
                r = check_tool(root, t, "tools/objtool/objtool", &t->parts[TREE_PART_OBJTOOL]);
        return r;
}

/* scripts/module.lds since 5.10; Debian has it under arch/; before 5.10 it was module-common.lds. */
static int read_linker_script(const Root *root, TreeFacts *t)
{
        static const char *const names[] = { "scripts/module.lds", "arch/" TREE_ARCH "/module.lds",
                "scripts/module-common.lds" };

        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                bool there = false;
                int r;

                r = treefile_exists(root, t->path, names[i], &there);
                if (r)
                        return err_trace(r);
                if (!there)
                        continue;
                t->parts[TREE_PART_LDS] = true;
                r = str_replace(&t->lds, names[i]);
                return r ? err_trace(r) : 0;
        }
        return 0;
}

/* A part that may be in the tree or in its source. */
static int check_either(const Root *root, const TreeFacts *t, const char *name, bool *ret)
{
        int r;

        r = treefile_exists(root, t->path, name, ret);
        if (r == 0 && !*ret && t->source)
                r = treefile_exists(root, t->source, name, ret);
        return r;
}

static int read_source_parts(const Root *root, TreeFacts *t)
{
        bool kconfig = false, init = false;
        int r;

        r = check_either(root, t, "scripts/Makefile.build", &t->parts[TREE_PART_KBUILD]);
        if (r == 0)
                r = check_either(root, t, "include/linux/module.h", &t->parts[TREE_PART_HEADERS]);
        if (r == 0)
                r = check_either(root, t, "Kconfig", &kconfig);
        if (r == 0)
                r = check_either(root, t, "init/main.c", &init);
        t->parts[TREE_PART_FULL_SOURCE] = kconfig && init;
        return r;
}

static int read_identity(const Root *root, TreeFacts *t)
{
        _cleanup_free_ char *path = NULL;
        int r;

        r = treefile_path(t->path, "include/config/kernel.release", &path);
        if (r)
                return err_trace(r);
        r = root_read_line(root, path, 256, &t->config_release);
        if (r < 0)
                return err_trace(r);

        r = read_define(root, t->path, "include/generated/utsrelease.h", "UTS_RELEASE", &t->release);
        if (r == 0 && !t->release && t->config_release)
                r = str_replace(&t->release, t->config_release);
        /* utsversion.h since 6.1, compile.h before. */
        if (r == 0)
                r = read_define(root, t->path, "include/generated/utsversion.h", "UTS_VERSION", &t->version);
        if (r == 0 && !t->version)
                r = read_define(root, t->path, "include/generated/compile.h", "UTS_VERSION", &t->version);
        if (r == 0)
                r = read_define(root, t->path, "include/generated/randstruct_hash.h",
                                "RANDSTRUCT_HASHED_SEED", &t->randstruct);
        if (r == 0)
                r = treefile_read(root, t->path, ".config", KCONFIG_SIZE_MAX, &t->config, &t->config_size);
        return r;
}

/* What make O= refuses: outputmakefile in the kernel's Makefile tests these three. */
static int read_dirt(const Root *root, TreeFacts *t)
{
        static const char *const names[] = { ".config", "include/config",
                "arch/" TREE_ARCH "/include/generated" };

        for (size_t i = 0; i < ELEMENTSOF(names) && !t->dirty; i++) {
                int r = treefile_exists(root, t->source, names[i], &t->dirty);

                if (r == 0 && t->dirty)
                        r = str_replace(&t->dirty_by, names[i]);
                if (r)
                        return err_trace(r);
        }
        return 0;
}

int treefacts_read(const Root *root, const char *path, TreeFacts *ret)
{
        _cleanup_(tree_facts_done) TreeFacts t = {};
        struct stat st;
        int r;

        path += strspn(path, "/");
        r = root_stat(root, path, &st);
        if (r < 0)
                return err_trace(r);
        if (r > 0 || !S_ISDIR(st.st_mode))
                return TREEFACTS_E_ABSENT;

        r = str_replace(&t.path, path);
        if (r == 0)
                r = treesource_find(root, t.path, &t.source);
        if (r == 0)
                r = read_presence(root, &t);
        if (r == 0)
                r = read_tools(root, &t);
        if (r == 0)
                r = read_linker_script(root, &t);
        if (r == 0)
                r = read_source_parts(root, &t);
        if (r == 0)
                r = read_identity(root, &t);
        if (r == 0 && t.source)
                r = read_makefile_version(root, &t);
        if (r == 0 && t.source)
                r = read_dirt(root, &t);
        if (r)
                return err_trace(r);

        *ret = t;
        t = (TreeFacts){};
        return 0;
}

/* Reads one candidate, unless it is absent or the same directory as an earlier one. */
static int add_candidate(const Root *root, TreeFactsList *l, struct stat *seen, const char *path)
{
        struct stat st;
        int r;

        r = root_stat(root, path, &st);
        if (r)
                return r < 0 ? err_trace(r) : 0;
        for (size_t i = 0; i < l->n; i++)
                if (seen[i].st_dev == st.st_dev && seen[i].st_ino == st.st_ino)
                        return 0;

        r = treefacts_read(root, path, &l->items[l->n]);
        if (r < 0)
                return err_trace(r);
        if (r == 0)
                seen[l->n++] = st;
        return 0;
}

/*
 * Not below /proc/1/root, where a container sees the host's files: make
 * resolves the link to "/" and would build in the container's own directory of
 * that name.
 */
int treefacts_search(const Root *root, const char *configured, const char *release, TreeFactsList *ret)
{
        static const char *const formats[] = { "lib/modules/%s/build", "usr/src/linux-%s",
                "usr/src/linux-headers-%s", "usr/src/linux", "usr/lib64/modules/%s/build",
                "lib/modules/%s/source", "usr/lib/modules/%s/build" };
        _cleanup_(tree_facts_list_done) TreeFactsList l = {};
        struct stat seen[ELEMENTSOF(formats)];
        int r;

        *ret = (TreeFactsList){};
        if (!configured && strchr(release, '/'))
                return 0; /* no kernel is called so, and it would lead the paths astray */
        l.items = calloc(ELEMENTSOF(formats), sizeof(*l.items));
        if (!l.items)
                return err_origin(-ENOMEM);

        for (size_t i = 0; i < (configured ? 1 : ELEMENTSOF(formats)); i++) {
                _cleanup_free_ char *path = configured ? strdup(configured)
                                                       : str_format(formats[i], release);

                if (!path)
                        return err_origin(-ENOMEM);
                r = add_candidate(root, &l, seen, path);
                if (r)
                        return err_trace(r);
        }

        *ret = l;
        l = (TreeFactsList){};
        return 0;
}
