/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The command lines, proven on Debian's 6.1.0-56 and 6.12.95 with NVIDIA
 * 535.309.01. Why they are as they are:
 *
 *   - one make with the interface files as targets: NVIDIA's rule "%-linux.o:
 *     modules" builds all .ko files first, so nvidia-uvm.ko and nvidia-drm.ko
 *     come out of the same run and "modules" need not be named. NV_KERNEL_MODULES
 *     on the command line limits the set (no nvidia-peermem unless wanted);
 *   - KCFLAGS=-g0 comes after the kernel's own -g and wins: interface files of
 *     1.2 MB instead of 12.3, nvidia-uvm.ko 3.0 instead of 51.9. Without DWARF
 *     there is nothing that pahole could make BTF from, so that step is switched
 *     off together: a variable on make's command line beats include/config/auto.conf;
 *   - IGNORE_CC_MISMATCH goes through the environment, because conftest.sh
 *     reads it there;
 *   - the link is the kernel's own from scripts/Makefile.modfinal. nv-linux.o
 *     holds nvidia.mod.o already (T2). From 6.12 on vermagic and retpoline tag
 *     are in .module-common.o, which NVIDIA's rule leaves out (T1);
 *   - nothing is inherited from our own environment: a MAKEFLAGS, CFLAGS or
 *     LANG of the person who starts the daemon must not change a build.
 */

#include "base/result.h"
#include "base/str.h"
#include "policy/recipe.h"

void recipe_step_done(RecipeStep *s)
{
        strv_free(s->argv);
        strv_free(s->environment);
        free(s->directory);
        *s = (RecipeStep){};
}

static bool is_plain_char(char c)
{
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               strchr("_-./=:,+@%", c);
}

/* A word as a shell reads it: unchanged, or in single quotes. */
static char *quote(const char *word)
{
        _cleanup_free_ char *quoted = NULL;
        size_t n = 0;

        while (word[n] && is_plain_char(word[n]))
                n++;
        if (n > 0 && !word[n])
                return strdup(word);

        quoted = malloc(4 * strlen(word) + 3);
        if (!quoted)
                return NULL;
        n = 0;
        quoted[n++] = '\'';
        for (; *word; word++) {
                if (*word == '\'') {
                        memcpy(quoted + n, "'\\''", 4);
                        n += 4;
                } else {
                        quoted[n++] = *word;
                }
        }
        quoted[n++] = '\'';
        quoted[n] = '\0';
        return TAKE_PTR(quoted);
}

char *recipe_step_to_string(const RecipeStep *s)
{
        _cleanup_strv_ char **l = NULL;

        STRV_FOREACH (word, s->argv) {
                char *quoted = quote(*word);

                if (!quoted || strv_push_consume(&l, quoted) < 0)
                        return NULL;
        }
        return strv_join(l, " ");
}

int recipe_environment(char ***ret)
{
        static const char *const variables[] = {
                "LC_ALL=C",
                "HOME=/",
                "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        };
        _cleanup_strv_ char **l = NULL;

        for (size_t i = 0; i < ELEMENTSOF(variables); i++)
                if (strv_push(&l, variables[i]) < 0)
                        return err_origin(-ENOMEM);

        *ret = TAKE_PTR(l);
        return 0;
}

/* Begins a step with its first words. The list ends with NULL. */
static int _sentinel_ step_begin(RecipeStep *s, const char *word, ...)
{
        va_list ap;
        int r;

        r = recipe_environment(&s->environment);
        va_start(ap, word);
        for (; r == 0 && word; word = va_arg(ap, const char *))
                r = strv_push(&s->argv, word);
        va_end(ap);
        return r ? err_trace(r) : 0;
}

/* Adds "NAME=value"; nothing for a value that is NULL. */
static int add_variable(RecipeStep *s, const char *name, const char *value)
{
        int r = value ? strv_pushf(&s->argv, "%s=%s", name, value) : 0;

        return r ? err_trace(r) : 0;
}

static int add_jobs(RecipeStep *s, unsigned jobs)
{
        int r = strv_pushf(&s->argv, "-j%u", MAX(jobs, 1U));

        return r ? err_trace(r) : 0;
}

static int publish(int r, RecipeStep *s, RecipeStep *ret)
{
        if (r)
                return err_trace(r);
        *ret = *s;
        *s = (RecipeStep){};
        return 0;
}

int recipe_copy(const char *from, const char *to, RecipeStep *ret)
{
        _cleanup_(recipe_step_done) RecipeStep s = {};
        int r;

        /* "/." copies the content, dot files too, whether or not @to has something in it. */
        r = step_begin(&s, "cp", "-a", "--reflink=auto", "--", NULL);
        if (r == 0)
                r = strv_pushf(&s.argv, "%s/.", from);
        if (r == 0)
                r = strv_push(&s.argv, to);
        return publish(r, &s, ret);
}

const char *prepare_step_to_string(PrepareStep step)
{
        switch (step) {
        case PREPARE_MRPROPER:
                return "mrproper";
        case PREPARE_LISTNEWCONFIG:
                return "listnewconfig";
        case PREPARE_OLDDEFCONFIG:
                return "olddefconfig";
        case PREPARE_MODULES:
                return "modules_prepare";
        case _PREPARE_STEP_MAX:
        case _PREPARE_STEP_INVALID:
                break;
        }
        return "invalid";
}

int recipe_prepare(PrepareStep step, const PrepareInput *in, RecipeStep *ret)
{
        _cleanup_(recipe_step_done) RecipeStep s = {};
        int r;

        r = step_begin(&s, "make", "-C", in->source, NULL);
        if (r == 0 && step != PREPARE_MRPROPER)
                r = add_variable(&s, "O", in->output);
        if (r == 0 && step == PREPARE_MODULES)
                r = add_jobs(&s, in->jobs);
        if (r == 0)
                r = add_variable(&s, "CC", in->compiler);
        if (r == 0)
                r = add_variable(&s, "LD", in->linker);
        /* What Debian's own build does: the release is given, not computed from the Makefile. */
        if (r == 0 && step == PREPARE_MODULES)
                r = add_variable(&s, "KERNELRELEASE", in->release);
        if (r == 0)
                r = strv_push(&s.argv, prepare_step_to_string(step));
        return publish(r, &s, ret);
}

static bool is_wanted(char *const *modules, const char *name)
{
        if (!modules)
                return true;
        STRV_FOREACH (m, modules)
                if (modname_eq(*m, name))
                        return true;
        return false;
}

/* File names, not kernel names: "nvidia-uvm". */
static int add_modules(RecipeStep *s, char *const *modules)
{
        _cleanup_free_ char *list = NULL;

        if (!modules)
                return 0;
        list = strv_join(modules, " ");
        if (!list)
                return err_origin(-ENOMEM);
        for (char *p = list; *p; p++)
                if (*p == '_')
                        *p = '-';
        return add_variable(s, "NV_KERNEL_MODULES", list);
}

static int add_targets(RecipeStep *s, char *const *modules)
{
        bool nvidia = is_wanted(modules, "nvidia"), modeset = is_wanted(modules, "nvidia-modeset");
        int r = 0;

        if (nvidia)
                r = strv_push(&s->argv, "nv-linux.o");
        if (r == 0 && modeset)
                r = strv_push(&s->argv, "nv-modeset-linux.o");
        if (r == 0 && !nvidia && !modeset)
                r = strv_push(&s->argv, "modules");
        return r ? err_trace(r) : 0;
}

int recipe_compile(const CompileInput *in, RecipeStep *ret)
{
        _cleanup_(recipe_step_done) RecipeStep s = {};
        int r;

        r = step_begin(&s, "make", "-C", in->staging, NULL);
        if (r == 0)
                r = add_jobs(&s, in->jobs);
        if (r == 0)
                r = add_variable(&s, "SYSSRC", in->tree_source);
        if (r == 0)
                r = add_variable(&s, "SYSOUT", in->tree_build);
        if (r == 0)
                r = add_variable(&s, "CC", in->compiler);
        if (r == 0)
                r = add_variable(&s, "LD", in->linker);
        if (r == 0 && !in->debug_info)
                r = add_variable(&s, "KCFLAGS", "-g0");
        if (r == 0 && !in->debug_info)
                r = add_variable(&s, "CONFIG_DEBUG_INFO_BTF_MODULES", "");
        if (r == 0)
                r = add_modules(&s, in->modules);
        if (r == 0)
                r = add_targets(&s, in->modules);
        if (r == 0 && in->ignore_compiler_mismatch)
                r = strv_push(&s.environment, "IGNORE_CC_MISMATCH=1");
        return publish(r, &s, ret);
}

int recipe_link(const LinkInput *in, RecipeStep *ret)
{
        _cleanup_(recipe_step_done) RecipeStep s = {};
        int r;

        r = step_begin(&s, in->linker ? in->linker : "ld", "-r",
#if defined(__x86_64__)
                        "-m", "elf_x86_64",
#endif
                        "-z", "noexecstack", "--build-id=sha1", "-T", in->script, "-o", in->output,
                        in->interface, in->core, NULL);
        if (r == 0 && in->module_common)
                r = strv_push(&s.argv, in->module_common);
        if (r == 0 && in->strip_debug)
                r = strv_push(&s.argv, "--strip-debug");
        return publish(r, &s, ret);
}

static void recipe_module_done(RecipeModule *m)
{
        free(m->name);
        free(m->file);
        free(m->interface);
        free(m->core);
        *m = (RecipeModule){};
}

void recipe_modules_done(RecipeModules *m)
{
        for (size_t i = 0; i < m->n; i++)
                recipe_module_done(&m->items[i]);
        free(m->items);
        *m = (RecipeModules){};
}

static int add_module(RecipeModules *l, const SourceModule *m)
{
        RecipeModule *to = &l->items[l->n++];
        int r;

        r = str_replace(&to->name, m->name);
        if (r == 0)
                r = str_replace(&to->interface, m->interface);
        if (r == 0)
                r = str_replace(&to->core, m->core);
        if (r)
                return err_trace(r);
        to->file = str_format("%s.ko", m->name);
        return to->file ? 0 : err_origin(-ENOMEM);
}

int recipe_modules(const DriverSource *source, char *const *modules, RecipeModules *ret, char **reterr_name)
{
        _cleanup_(recipe_modules_done) RecipeModules l = {};
        size_t n = modules ? strv_length(modules) : source->n_modules;

        l.items = calloc(n + 1, sizeof(*l.items));
        if (!l.items)
                return err_origin(-ENOMEM);

        for (size_t i = 0; i < n; i++) {
                const SourceModule *m = modules ? driver_source_module(source, modules[i])
                                                : &source->modules[i];
                int r;

                if (!m) {
                        if (!reterr_name)
                                return RECIPE_E_NO_MODULE;
                        *reterr_name = strdup(modules[i]);
                        return *reterr_name ? RECIPE_E_NO_MODULE : err_origin(-ENOMEM);
                }
                r = add_module(&l, m);
                if (r)
                        return err_trace(r);
        }

        *ret = l;
        l = (RecipeModules){};
        return 0;
}
