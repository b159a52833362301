/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The ear at make's output. It does three things with each line: counts it if
 * it announces an object, keeps it if it is one of the first errors, and
 * learns from it what kind of failure this would be.
 *
 * Kbuild announces an object as "  CC [M]  PATH/nvidia-uvm/uvm.o"; since 6.13
 * the path is relative to the staging directory. NAME.mod.o belongs to module
 * NAME. .module-common.o belongs to nobody and is not counted, only kernels
 * from 6.12 on make it. Before the first object NVIDIA's conftest.sh asks the
 * kernel some 390 questions (" CONFTEST: name"), a third of the whole time.
 *
 * One failure makes many lines, so a class has a rank, and the strongest class
 * seen wins: a full disk explains a missing header, never the other way round.
 * What the compiler says of the driver's own code is the weakest: a header that
 * is not there, then a kernel function, type or member that is not what the
 * driver takes it for. That is what a driver that is too old for a kernel looks
 * like; a mistake of another kind (a syntax error) stays without a class.
 * "make: *** [...] Error 1" says only that something was said before; it is
 * kept while there is room, and classifies nothing.
 *
 * The line to show first is the first one of the class that won. If no line has
 * a class, a compiler's "error:" tells more than a program that some shell did
 * not find: NVIDIA's conftest.sh and the kernel's wrappers try tools that are
 * optional ("sh: 1: pahole: not found") long before the real error.
 */

#include "base/result.h"
#include "base/str.h"
#include "policy/buildlog.h"

/* In the order of their rank, strongest first. The first text that a line contains classifies it. */
static const struct {
        const char *text;
        Code code;
} marks[] = {
        { "No space left on device", CODE_NO_SPACE },
        { "Disk quota exceeded", CODE_NO_SPACE },
        { "fixdep: not all data was written", CODE_NO_SPACE }, /* it does not say why */
        { "elf_update: cannot write data", CODE_NO_SPACE },    /* objtool, as a warning */
        { "Killed signal terminated program", CODE_OUT_OF_MEMORY },
        { "out of memory allocating", CODE_OUT_OF_MEMORY },
        { "virtual memory exhausted", CODE_OUT_OF_MEMORY },
        { "Cannot allocate memory", CODE_OUT_OF_MEMORY },
        { "memory exhausted", CODE_OUT_OF_MEMORY },
        { "unable to execute command: Killed", CODE_OUT_OF_MEMORY },
        { "Error 137", CODE_OUT_OF_MEMORY },
        { "] Killed", CODE_OUT_OF_MEMORY },
        { "scripts/Kconfig.include:",
                        CODE_TOOLCHAIN_MISSING }, /* all its complaints are about compiler or linker */
        { "does not appear to be able to", CODE_TOOLCHAIN_MISSING }, /* conftest.sh, cc_sanity_check */
        { "libelf.h: No such file", CODE_TOOLCHAIN_MISSING },
        { "gelf.h: No such file", CODE_TOOLCHAIN_MISSING },
        { "openssl/opensslv.h: No such file", CODE_TOOLCHAIN_MISSING },
        { "openssl/bio.h: No such file", CODE_TOOLCHAIN_MISSING },
        { "source tree is not clean", CODE_TREE_DIRTY },
        { "Kernel configuration is invalid", CODE_TREE_UNUSABLE },
        { "Module.symvers file is missing", CODE_TREE_UNUSABLE }, /* conftest.sh */
        { "modpost: No such file", CODE_TREE_UNUSABLE },
        { "modpost: not found", CODE_TREE_UNUSABLE },
        { "fixdep: No such file", CODE_TREE_UNUSABLE },
        { "fixdep: not found", CODE_TREE_UNUSABLE },
        { "objtool: No such file", CODE_TREE_UNUSABLE },
        { "objtool: not found", CODE_TREE_UNUSABLE },
        { "Exec format error", CODE_TREE_UNUSABLE },
        { "fatal error: generated/", CODE_TREE_UNUSABLE },
        { "fatal error: asm/", CODE_TREE_UNUSABLE },
        { "fatal error: asm-generic/", CODE_TREE_UNUSABLE },
        { "fatal error: linux/kconfig.h", CODE_TREE_UNUSABLE },
        { "kernel/module.lds: No such file", CODE_TREE_UNUSABLE },
        { "module.lds: No such file", CODE_TREE_UNUSABLE },
        { "cannot open linker script", CODE_TREE_UNUSABLE },
};

/* Tools whose absence is the toolchain's fault, not the tree's. */
static const char *const tools[] = { "gcc", "cc", "clang", "ld", "ld.lld", "ld.bfd", "make", "as", "ar",
        "nm", "objcopy", "objdump", "strip", "awk", "bison", "flex", "bc", "perl", "sed", "sh", "python3",
        "cp" };

/* gcc's words, then those of clang where they differ. */
static const char *const misfits[] = { "too few arguments to function", "too many arguments to function",
        "implicit declaration of function", "has no member named", "incompatible pointer type",
        "incompatible type for argument", "unknown type name", "undeclared", "conflicting types for",
        "invalid use of undefined type", "has incomplete type", "no member named",
        "incompatible function pointer types", "incomplete definition of type",
        " arguments, but takes just ", " arguments, but only ",
        "arguments provided to function-like macro" };

/* What makes a line an error line at all: words of compilers, linkers and make, ... */
static const char *const signs[] = { ": error:", ": fatal error:", ": error ",
        "ERROR: ", "undefined reference to", "multiple definition of", "cannot find ",
        "No rule to make target", "Bailing out", "internal compiler error" };

/* ... and those of anybody, which may be about something optional. */
static const char *const weak_signs[] = { ": not found", "No such file or directory", "Permission denied",
        "Read-only file system", "Input/output error" };

/* How much an error line without a class tells, after all that have one. */
enum { STRENGTH_ERROR = 1000, STRENGTH_COMPLAINT, STRENGTH_FOLLOWS, STRENGTH_NONE };

void buildlog_init(BuildLog *log, BuildStage stage, unsigned n_expected)
{
        *log = (BuildLog){
                .stage = stage, .n_expected = n_expected, .code = CODE_OK, .strength = STRENGTH_NONE
        };
}

void buildlog_forget_errors(BuildLog *log)
{
        for (unsigned i = 0; i < log->n_errors; i++)
                log->errors[i] = (free(log->errors[i]), NULL);
        log->telling = (free(log->telling), NULL);
        log->n_errors = log->n_error_lines = 0;
        log->strength = STRENGTH_NONE;
        log->code = CODE_OK;
        log->line[0] = '\0';
        log->n_line = 0;
}

void buildlog_done(BuildLog *log)
{
        buildlog_forget_errors(log);
        *log = (BuildLog){};
}

/* The place of a code in the table; smaller is stronger. */
static size_t rank(Code code)
{
        for (size_t i = 0; i < ELEMENTSOF(marks); i++)
                if (marks[i].code == code)
                        return i;
        return ELEMENTSOF(marks) + (code == CODE_DRIVER_TOO_OLD);
}

/* "gcc-12" and "x86_64-linux-gnu-gcc-12" are gcc. */
static bool is_tool(const char *word, size_t n)
{
        while (n > 0 && ((word[n - 1] >= '0' && word[n - 1] <= '9') || word[n - 1] == '.'))
                n--;
        if (n > 0 && word[n - 1] == '-')
                n--;
        for (size_t i = 0; i < ELEMENTSOF(tools); i++) {
                size_t m = strlen(tools[i]);

                if (n >= m && memcmp(word + n - m, tools[i], m) == 0 &&
                                (n == m || word[n - m - 1] == '-' || word[n - m - 1] == '/'))
                        return true;
        }
        return false;
}

/* "make: gcc: No such file or directory", "/bin/sh: 1: bison: not found", "sh: line 1: bc: command not
 * found". */
static bool names_missing_tool(const char *line)
{
        static const char *const ends[] = { ": No such file or directory", ": not found",
                ": command not found" };

        for (size_t i = 0; i < ELEMENTSOF(ends); i++) {
                const char *end = strstr(line, ends[i]), *word;

                if (!end || end[strlen(ends[i])])
                        continue;
                for (word = end; word > line && word[-1] != ' '; word--)
                        ;
                if (is_tool(word, (size_t)(end - word)))
                        return true;
        }
        return false;
}

static bool has_one(const char *line, const char *const *texts, size_t n)
{
        for (size_t i = 0; i < n; i++)
                if (strstr(line, texts[i]))
                        return true;
        return false;
}

/* "make[2]: *** [x.o] Error 1" */
static bool only_follows(const char *line)
{
        return startswith(line, "make") && strstr(line, ": *** ");
}

static bool is_warning(const char *line)
{
        return strstr(line, "warning:") || startswith(line, "Warning:") || startswith(line, "WARNING:");
}

/* What is wrong between the driver's code and the kernel; _CODE_INVALID: that cannot be told. */
static Code classify_code(const char *line)
{
        if (strstr(line, ": fatal error: ") &&
                        (strstr(line, ": No such file or directory") || strstr(line, "' file not found")))
                return CODE_HEADER_MISSING;
        if (strstr(line, "GPL-incompatible module")) /* modpost: the kernel has closed a function to the
                                                        driver */
                return CODE_DRIVER_TOO_OLD;
        if (strstr(line, ": error: "))
                return has_one(line, misfits, ELEMENTSOF(misfits)) ? CODE_DRIVER_TOO_OLD : _CODE_INVALID;
        return _CODE_INVALID;
}

/* CODE_OK: the line is no error; _CODE_INVALID: one that says nothing of its kind. */
static Code classify(BuildStage stage, const char *line)
{
        for (size_t i = 0; i < ELEMENTSOF(marks); i++)
                if (strstr(line, marks[i].text))
                        return marks[i].code;
        if (is_warning(line))
                return CODE_OK;
        if (names_missing_tool(line))
                return CODE_TOOLCHAIN_MISSING;
        if (has_one(line, signs, ELEMENTSOF(signs)) || has_one(line, weak_signs, ELEMENTSOF(weak_signs)))
                return stage == BUILD_STAGE_COMPILE ? classify_code(line) : _CODE_INVALID;
        return startswith(line, "error: ") || only_follows(line) ? _CODE_INVALID : CODE_OK;
}

/* Less is stronger. A line of the class that wins is always stronger than those of the others. */
static unsigned strength(Code code, const char *line)
{
        if (code != _CODE_INVALID)
                return (unsigned)rank(code);
        if (only_follows(line) && !strstr(line, "No rule to make target"))
                return STRENGTH_FOLLOWS;
        if (startswith(line, "error: ") || has_one(line, signs, ELEMENTSOF(signs)))
                return STRENGTH_ERROR;
        return STRENGTH_COMPLAINT;
}

static int keep_telling(BuildLog *log, Code code, const char *line)
{
        unsigned found = strength(code, line);
        int r;

        if (found >= log->strength)
                return 0;
        r = str_replace(&log->telling, line);
        if (r)
                return err_trace(r);
        log->strength = found;
        if (code != _CODE_INVALID)
                log->code = code;
        return 0;
}

static int keep_error(BuildLog *log, const char *line)
{
        char *copy;

        log->n_error_lines++;
        if (log->n_errors >= BUILDLOG_ERRORS_MAX)
                return 0;

        copy = strdup(line);
        if (!copy)
                return err_origin(-ENOMEM);
        log->errors[log->n_errors++] = copy;
        return 0;
}

/* The module that an object belongs to: NAME.mod.o, else the last directory that is called nvidia*. */
static void set_module(BuildLog *log, const char *object)
{
        const char *base = strrchr(object, '/'), *name = NULL;
        size_t n = 0;

        base = base ? base + 1 : object;
        if (strstr(base, ".mod.o")) {
                name = base;
                n = strcspn(base, ".");
        } else {
                for (const char *p = object; p < base;) {
                        size_t m = strcspn(p, "/");

                        if (startswith(p, "nvidia")) {
                                name = p;
                                n = m;
                        }
                        p += m + 1;
                }
        }
        if (!name)
                return;
        n = MIN(n, sizeof(log->module) - 1);
        memcpy(log->module, name, n);
        log->module[n] = '\0';
}

/* "  CC [M]  PATH.o" counts; "  LD [M]", "  CC" of host programs and .module-common.o do not. */
static bool count_object(BuildLog *log, const char *line)
{
        const char *p = line + strspn(line, " ");
        const char *object = startswith(p, "CC [M]");

        if (!object)
                object = startswith(p, "CXX [M]");
        if (!object)
                return false;

        object += strspn(object, " ");
        if (strstr(object, ".module-common.o"))
                return false;
        log->n_objects++;
        set_module(log, object);
        return true;
}

static int take_line(BuildLog *log, bool *changed)
{
        Code code;
        int r;

        log->line[log->n_line] = '\0';
        log->n_line = 0;
        log->in_long_line = false;

        if (count_object(log, log->line)) {
                *changed = true;
                return 0;
        }
        if (startswith(log->line, " CONFTEST: ")) {
                log->n_tests++;
                *changed = *changed || log->n_objects == 0;
                return 0;
        }

        code = classify(log->stage, log->line);
        if (code == CODE_OK)
                return 0;
        r = keep_telling(log, code, log->line);
        return r ? err_trace(r) : keep_error(log, log->line);
}

int buildlog_feed(BuildLog *log, const char *data, size_t size, bool *ret_changed)
{
        bool changed = false;

        for (size_t i = 0; i < size; i++) {
                char c = data[i];

                if (c == '\n') {
                        int r = take_line(log, &changed);

                        if (r)
                                return err_trace(r);
                        continue;
                }
                if (c == '\r')
                        continue;
                if (log->n_line >= BUILDLOG_LINE_MAX) {
                        log->in_long_line = true;
                        continue;
                }
                if (c == '\t')
                        c = ' ';
                log->line[log->n_line++] = c >= ' ' && c <= '~' ? c : '?';
        }

        if (ret_changed)
                *ret_changed = changed;
        return 0;
}

int buildlog_finish(BuildLog *log)
{
        bool changed = false;
        int r;

        if (log->n_line == 0)
                return 0;
        r = take_line(log, &changed);
        return r ? err_trace(r) : 0;
}

char *buildlog_progress(const BuildLog *log)
{
        const char *separator = log->module[0] ? ", " : "";

        if (log->n_objects == 0 && log->n_tests > 0)
                return str_format("kernel test %u", log->n_tests);
        if (log->n_expected == 0)
                return str_format("%u%s%s", log->n_objects, separator, log->module);
        return str_format("%u/%u%s%s", log->n_objects, MAX(log->n_expected, log->n_objects), separator,
                        log->module);
}

bool buildlog_is_memory(const BuildLog *log, bool killed)
{
        return buildlog_code(log, killed) == CODE_OUT_OF_MEMORY;
}

Code buildlog_code(const BuildLog *log, bool killed)
{
        if (log->code == CODE_NO_SPACE)
                return CODE_NO_SPACE;
        if (killed)
                return CODE_OUT_OF_MEMORY;
        if (log->code != CODE_OK)
                return log->code;

        switch (log->stage) {
        case BUILD_STAGE_PREPARE:
                return CODE_PREPARE_FAILED;
        case BUILD_STAGE_COMPILE:
                return CODE_COMPILE_FAILED;
        case BUILD_STAGE_LINK:
                return CODE_LINK_FAILED;
        case _BUILD_STAGE_MAX:
        case _BUILD_STAGE_INVALID:
                break;
        }
        return CODE_INTERNAL;
}
