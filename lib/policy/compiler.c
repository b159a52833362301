/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The compiler rule. A kernel and its modules share structures whose layout
 * and features depend on the compiler's major version (plugins, retpoline
 * thunks, static calls), not on the minor one: distributions update the
 * compiler within a release without rebuilding old kernels, so a different
 * minor number is normal and only worth a line.
 *
 * The texts come in many shapes:
 *
 *   gcc-12 (Debian 12.2.0-14+deb12u1) 12.2.0
 *   x86_64-cros-linux-gnu-gcc (Gentoo Hardened 13.3.1_p20240614 p17) 13.3.1 20240614
 *   gcc (GCC) 14.2.1 20240912 (Red Hat 14.2.1-3)
 *   Debian clang version 14.0.6
 *
 * so for gcc the number is the first dotted one outside of parentheses and
 * after the program's name, and for clang what follows "clang version ".
 */

#include "base/result.h"
#include "base/str.h"
#include "policy/compiler.h"

#define CLANG_MARK "clang version "

const char *compiler_kind_to_string(CompilerKind kind)
{
        switch (kind) {
        case COMPILER_UNKNOWN:
                return "unknown";
        case COMPILER_GCC:
                return "gcc";
        case COMPILER_CLANG:
                return "clang";
        case _COMPILER_KIND_MAX:
        case _COMPILER_KIND_INVALID:
                break;
        }
        return "invalid";
}

const char *compiler_verdict_to_string(CompilerVerdict verdict)
{
        static const char *const names[_COMPILER_VERDICT_MAX] = {
                [COMPILER_SAME] = "same",
                [COMPILER_MINOR] = "minor",
                [COMPILER_MAJOR] = "major",
                [COMPILER_OTHER] = "other",
                [COMPILER_NOT_KNOWN] = "not-known",
        };

        return verdict >= 0 && verdict < _COMPILER_VERDICT_MAX ? names[verdict] : "invalid";
}

/* At most five digits; no compiler counts further. */
static bool parse_number(const char **s, unsigned *ret)
{
        size_t n = strspn(*s, "0123456789");
        unsigned u = 0;

        if (n == 0 || n > 5)
                return false;
        for (size_t i = 0; i < n; i++)
                u = 10 * u + (unsigned)((*s)[i] - '0');
        *s += n;
        *ret = u;
        return true;
}

/* "12.2.0", "12.2" */
static bool parse_dotted(const char *s, CompilerVersion *v)
{
        if (!parse_number(&s, &v->major) || *s++ != '.' || !parse_number(&s, &v->minor))
                return false;
        v->patch = 0;
        if (*s != '.')
                return true;
        s++;
        (void)parse_number(&s, &v->patch);
        return true;
}

/* The program's own name says what it is; it may have a target before it and a version after it. */
static bool is_gcc_name(const char *s, size_t n)
{
        for (size_t i = 0; i + 2 <= n; i++) {
                if (i + 3 <= n && memcmp(s + i, "gcc", 3) == 0)
                        return true;
                if (i + 2 == n && memcmp(s + i, "cc", 2) == 0 &&
                                (i == 0 || s[i - 1] == '-' || s[i - 1] == '/'))
                        return true;
        }
        return false;
}

int compiler_version_parse(const char *text, CompilerVersion *ret)
{
        CompilerVersion v = {};
        unsigned depth = 0;
        size_t end, name;
        const char *clang;

        end = strcspn(strempty(text), "\n");
        clang = end > 0 ? strstr(text, CLANG_MARK) : NULL;
        if (clang && (size_t)(clang - text) < end) {
                v.kind = COMPILER_CLANG;
                if (!parse_dotted(clang + strlen(CLANG_MARK), &v))
                        return COMPILER_E_UNKNOWN;
                *ret = v;
                return 0;
        }

        name = end > 0 ? strcspn(text, " \n") : 0;
        if (!is_gcc_name(text, name))
                return COMPILER_E_UNKNOWN;

        v.kind = COMPILER_GCC;
        for (size_t i = name; i < end; i++) {
                if (text[i] == '(')
                        depth++;
                else if (text[i] == ')' && depth > 0)
                        depth--;
                else if (depth == 0 && text[i] == ' ' && parse_dotted(text + i + 1, &v)) {
                        *ret = v;
                        return 0;
                }
        }
        return COMPILER_E_UNKNOWN;
}

static bool is_program_name(const char *s, size_t n)
{
        for (size_t i = 0; i < n; i++)
                if (!((s[i] >= 'a' && s[i] <= 'z') || (s[i] >= 'A' && s[i] <= 'Z') ||
                                    (s[i] >= '0' && s[i] <= '9') || strchr("_-.+", s[i])))
                        return false;
        return n > 0 && s[0] != '-' && s[0] != '.';
}

static int push_once(char ***l, char *name)
{
        if (name && !strv_contains(*l, name))
                return strv_push_consume(l, name);
        free(name);
        return name ? 0 : -ENOMEM;
}

int compiler_candidates(const char *text, const char *configured, char ***ret)
{
        _cleanup_strv_ char **l = NULL;
        CompilerVersion v = {};
        int r = 0;

        if (!isempty(configured)) {
                r = strv_push(&l, configured);
        } else if (compiler_version_parse(text, &v) != 0) {
                r = strv_push(&l, "gcc");
                if (r == 0)
                        r = strv_push(&l, "cc");
        } else if (v.kind == COMPILER_CLANG) {
                r = push_once(&l, str_format("clang-%u", v.major));
                if (r == 0)
                        r = strv_push(&l, "clang");
        } else {
                /* The very name first: a cross compiler's, or the versioned one. A bare "gcc" waits for its
                 * turn. */
                size_t n = strcspn(text, " \n");

                if (is_program_name(text, n) && !(n == 3 && startswith(text, "gcc")) && !(n == 2))
                        r = push_once(&l, strndup(text, n));
                if (r == 0)
                        r = push_once(&l, str_format("gcc-%u", v.major));
                if (r == 0)
                        r = push_once(&l, strdup("gcc"));
        }
        if (r)
                return err_origin(r);

        *ret = TAKE_PTR(l);
        return 0;
}

CompilerVerdict compiler_judge(const char *kernel_text, const char *compiler_text)
{
        CompilerVersion k, c;

        if (compiler_version_parse(kernel_text, &k) != 0 || compiler_version_parse(compiler_text, &c) != 0)
                return COMPILER_NOT_KNOWN;
        if (k.kind != c.kind)
                return COMPILER_OTHER;
        if (k.major != c.major)
                return COMPILER_MAJOR;
        return k.minor == c.minor && k.patch == c.patch ? COMPILER_SAME : COMPILER_MINOR;
}

bool compiler_verdict_usable(CompilerVerdict verdict, bool ignore)
{
        switch (verdict) {
        case COMPILER_SAME:
        case COMPILER_MINOR:
        case COMPILER_NOT_KNOWN:
                return true;
        case COMPILER_MAJOR:
        case COMPILER_OTHER:
                return ignore;
        case _COMPILER_VERDICT_MAX:
        case _COMPILER_VERDICT_INVALID:
                break;
        }
        return false;
}

/* Lower is better. What is not understood is worse than a known match and better than a known mismatch. */
static int badness(CompilerVerdict verdict)
{
        switch (verdict) {
        case COMPILER_SAME:
                return 0;
        case COMPILER_MINOR:
                return 1;
        case COMPILER_NOT_KNOWN:
                return 2;
        case COMPILER_MAJOR:
                return 3;
        case COMPILER_OTHER:
                return 4;
        case _COMPILER_VERDICT_MAX:
        case _COMPILER_VERDICT_INVALID:
                break;
        }
        return 5;
}

CompilerChoice compiler_choose(const char *kernel_text, const CompilerFact *facts, size_t n, bool ignore)
{
        CompilerChoice choice = { .verdict = _COMPILER_VERDICT_INVALID };

        for (size_t i = 0; i < n; i++) {
                CompilerVerdict verdict;

                if (!facts[i].text)
                        continue;
                verdict = compiler_judge(kernel_text, facts[i].text);
                if (choice.found && badness(verdict) >= badness(choice.verdict))
                        continue;
                choice = (CompilerChoice){
                        .index = i,
                        .found = true,
                        .verdict = verdict,
                        .usable = compiler_verdict_usable(verdict, ignore),
                };
        }
        return choice;
}

char *compiler_explain(CompilerVerdict verdict, const char *kernel_text, const char *compiler_text)
{
        const char *k = strna(kernel_text), *c = strna(compiler_text);
        int nk = (int)strcspn(k, "\n"), nc = (int)strcspn(c, "\n");

        switch (verdict) {
        case COMPILER_SAME:
                return str_format("compiler is the kernel's: \"%.*s\"", nc, c);
        case COMPILER_MINOR:
                return str_format(
                                "compiler is \"%.*s\", the kernel was built with \"%.*s\": same major version",
                                nc, c, nk, k);
        case COMPILER_MAJOR:
                return str_format(
                                "compiler is \"%.*s\", the kernel was built with \"%.*s\": another major version",
                                nc, c, nk, k);
        case COMPILER_OTHER:
                return str_format(
                                "compiler is \"%.*s\", the kernel was built with \"%.*s\": another compiler",
                                nc, c, nk, k);
        case COMPILER_NOT_KNOWN:
                return str_format(
                                "compiler is \"%.*s\", the kernel was built with \"%.*s\": cannot be compared",
                                nc, c, nk, k);
        case _COMPILER_VERDICT_MAX:
        case _COMPILER_VERDICT_INVALID:
                break;
        }
        return strdup("no compiler");
}
