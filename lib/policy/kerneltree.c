/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The judgement of kernel trees. Three kinds exist in the wild:
 *
 *   - a header package: everything that was generated, but no C files; split
 *     in two on Debian and SUSE (a small tree whose Makefile includes a common
 *     one), in one piece on Fedora, Arch and Flatcar;
 *   - a full source tree that was configured and built in place;
 *   - a full source tree as it was unpacked.
 *
 * The first two are ready if no part is missing; the last one must be prepared
 * out of tree, because inputs are never written to. A full source that somebody
 * half built is the awkward case: make O= refuses to work beside the leftovers
 * ("The source tree is not clean"), so it needs a cleaned copy.
 *
 * Whose tree is it? UTS_RELEASE decides, that is what modules will carry.
 * include/config/kernel.release is only asked if there is no utsrelease.h: in
 * Debian's 6.1 headers it says "6.1.192" where the kernel calls itself
 * "6.1.0-56-amd64". An unprepared source has only its Makefile's version, which
 * is the beginning of the release nearly everywhere; Debian puts it into the
 * version text (uname -v) instead.
 *
 * A source has no .config and no Module.symvers of its own; the distribution
 * has them elsewhere (sys/treesupply looks there). A configuration of another
 * series (6.12 for a source 6.1) is a mismatch; of another point release it is
 * a note, as the kernel's own "make olddefconfig" is meant for that.
 *
 * Another version text at the same release is a note, not a mismatch: it
 * changes with the date of the build. Whether symbols agree is checked on the
 * finished modules by their CRCs.
 */

#include "base/result.h"
#include "policy/kerneltree.h"
#include "policy/vermagic.h"

static const char *const parts[_TREE_PART_MAX] = {
        [TREE_PART_MAKEFILE] = "Makefile",
        [TREE_PART_CONFIG] = ".config",
        [TREE_PART_SYMVERS] = "Module.symvers",
        [TREE_PART_AUTOCONF] = "include/generated/autoconf.h",
        [TREE_PART_AUTO_CONF] = "include/config/auto.conf",
        [TREE_PART_UTSRELEASE] = "include/generated/utsrelease.h",
        [TREE_PART_MODPOST] = "scripts/mod/modpost",
        [TREE_PART_FIXDEP] = "scripts/basic/fixdep",
        [TREE_PART_LDS] = "scripts/module.lds",
        [TREE_PART_KBUILD] = "scripts/Makefile.build",
        [TREE_PART_HEADERS] = "include/linux/module.h",
        [TREE_PART_FULL_SOURCE] = "Kconfig",
        [TREE_PART_OBJTOOL] = "tools/objtool/objtool",
};

const char *tree_part_to_string(TreePart part)
{
        return part >= 0 && part < _TREE_PART_MAX ? parts[part] : "invalid";
}

const char *tree_verdict_to_string(TreeVerdict verdict)
{
        static const char *const names[_TREE_VERDICT_MAX] = {
                [TREE_READY] = "ready",
                [TREE_SOURCE] = "source",
                [TREE_DIRTY] = "dirty",
                [TREE_MISMATCH] = "mismatch",
                [TREE_UNUSABLE] = "unusable",
        };

        return verdict >= 0 && verdict < _TREE_VERDICT_MAX ? names[verdict] : "invalid";
}

void tree_judgement_done(TreeJudgement *j)
{
        strv_free(j->missing);
        strv_free(j->notes);
        free(j->wanted);
        free(j->found);
        free(j->evidence);
        *j = (TreeJudgement){};
}

/* kconfig begins what it writes with "# Linux/x86 6.1.192 Kernel Configuration". */
static int read_config_version(TreeFacts *t)
{
        static const char mark[] = "# Linux/", end[] = " Kernel Configuration";
        const char *line = t->config, *stop = t->config + t->config_size;

        for (unsigned i = 0; i < 8 && line && line < stop; i++) {
                size_t size = strcspn(line, "\n");
                _cleanup_free_ char *text = strndup(line, size);
                char *version, *rest;

                if (!text)
                        return err_origin(-ENOMEM);
                rest = strstr(text, end);
                version = startswith(text, mark) ? strchr(text, ' ') : NULL;
                version = version ? strchr(version + 1, ' ') : NULL;
                if (version && rest && version < rest) {
                        *rest = '\0';
                        return err_trace(str_replace(&t->config_version, version + 1));
                }
                line += size + (line[size] == '\n');
        }
        return 0;
}

int tree_facts_derive(TreeFacts *t)
{
        _cleanup_(kconfig_freep) Kconfig *config = NULL;
        int r;

        if (!t->config)
                return 0;

        r = kconfig_parse(t->config, t->config_size, &config);
        if (r < 0)
                return err_trace(r);
        if (r > 0) {
                /* Something is there under that name, but it configures nothing. */
                t->parts[TREE_PART_CONFIG] = false;
                return 0;
        }

        r = str_replace(&t->compiler, kconfig_get(config, "CC_VERSION_TEXT"));
        if (r == 0)
                r = read_config_version(t);
        if (r)
                return err_trace(r);
        t->modversions = kconfig_enabled(config, "MODVERSIONS");
        t->needs_objtool = kconfig_enabled(config, "OBJTOOL") || kconfig_enabled(config, "STACK_VALIDATION");

        if (t->release) {
                free(TAKE_PTR(t->vermagic));
                r = vermagic_from_config(t->release, config, t->randstruct, &t->vermagic);
                if (r)
                        return err_trace(r);
        }
        return 0;
}

/* What a ready tree needs and this one lacks. */
static int list_missing(const TreeFacts *t, char ***ret)
{
        _cleanup_strv_ char **l = NULL;

        for (TreePart p = 0; p < _TREE_PART_MAX; p++) {
                int r;

                if (t->parts[p] || p == TREE_PART_FULL_SOURCE)
                        continue;
                if (p == TREE_PART_OBJTOOL && !t->needs_objtool)
                        continue;
                r = strv_push(&l, parts[p]);
                if (r)
                        return err_trace(r);
        }

        *ret = TAKE_PTR(l);
        return 0;
}

/* "6.1.192" begins "6.1.192-flatcar" and "6.1.192", but not "6.1.1920". */
static bool begins_release(const char *release, const char *version)
{
        const char *rest = startswith(release, version);

        return rest && (*rest < '0' || *rest > '9') && *rest != '.';
}

static bool contains_version(const char *text, const char *version)
{
        for (const char *p = strstr(text, version); p; p = strstr(p + 1, version)) {
                char before = p > text ? p[-1] : ' ';

                if (begins_release(p, version) && (before < '0' || before > '9') && before != '.')
                        return true;
        }
        return false;
}

/* Both begin with the same "X.Y." */
static bool same_series(const char *a, const char *b)
{
        size_t n = strcspn(a, ".");

        if (!a[n])
                return false;
        n += 1 + strcspn(a + n + 1, ".-");
        return strncmp(a, b, n) == 0 && (b[n] == '.' || b[n] == '-' || !b[n]);
}

/* ".0-56-amd64" of "6.1.0-56-amd64". */
static const char *after_series(const char *release)
{
        const char *dot = strchr(release, '.');

        return dot ? strchr(dot + 1, '.') : NULL;
}

/*
 * Can the source with this Makefile version be the one of @kernel? Releases
 * that count from zero ("6.1.0-56-amd64") tell only the series; then the
 * version text must name it, and without that text it stays open (@ret_open).
 */
static bool source_fits(const char *version, const KernelFact *kernel, bool *ret_open)
{
        const char *sublevel;

        *ret_open = false;
        if (!version) {
                *ret_open = true;
                return true;
        }
        if (begins_release(kernel->release, version))
                return true;
        if (kernel->version && contains_version(kernel->version, version))
                return true;
        if (kernel->version || !same_series(version, kernel->release))
                return false;

        sublevel = after_series(kernel->release);
        *ret_open = sublevel && begins_release(sublevel, ".0");
        return *ret_open;
}

static int set_mismatch(TreeJudgement *j, const char *wanted, const char *found, const char *path)
{
        j->verdict = TREE_MISMATCH;
        j->code = CODE_TREE_MISMATCH;
        j->wanted = strdup(wanted);
        j->found = strdup(found);
        j->evidence = str_format("/%s is for kernel %s, not %s", path, found, wanted);
        return j->wanted && j->found && j->evidence ? 0 : err_origin(-ENOMEM);
}

/* A tree whose parts cannot serve: why, with the names of what is missing. */
static int set_unusable(TreeJudgement *j, const TreeFacts *t)
{
        _cleanup_free_ char *list = strv_join(j->missing, ", ");

        j->verdict = TREE_UNUSABLE;
        j->code = CODE_TREE_UNUSABLE;
        if (!list)
                return err_origin(-ENOMEM);
        j->evidence = str_format("/%s lacks %s%s", t->path, list,
                        t->foreign_tools ? "; its build tools do not run on this machine" : "");
        return j->evidence ? 0 : err_origin(-ENOMEM);
}

static bool has_config(const TreeFacts *t)
{
        return t->parts[TREE_PART_CONFIG] || t->config_from;
}

static bool has_symvers(const TreeFacts *t)
{
        return t->parts[TREE_PART_SYMVERS] || t->symvers_from;
}

/*
 * A source without what only the kernel's own build can tell: with an invented
 * configuration it would be prepared for a kernel that nobody runs.
 */
static int set_incomplete(TreeJudgement *j, const TreeFacts *t, const KernelFact *kernel)
{
        j->verdict = TREE_UNUSABLE;
        j->code = CODE_TREE_UNUSABLE;
        j->evidence = str_format(
                        "/%s is a kernel source without %s%s%s, and there is none of kernel %s in the "
                        "usual places: it must come from the kernel itself",
                        t->path, has_config(t) ? "" : ".config",
                        has_config(t) || has_symvers(t) ? "" : " and ",
                        has_symvers(t) ? "" : "Module.symvers", kernel->release);
        return j->evidence ? 0 : err_origin(-ENOMEM);
}

/* olddefconfig would make some configuration of it, but not the kernel's. */
static int set_other_config(TreeJudgement *j, const TreeFacts *t)
{
        j->verdict = TREE_MISMATCH;
        j->code = CODE_TREE_MISMATCH;
        j->wanted = strdup(t->makefile_version);
        j->found = strdup(t->config_version);
        j->evidence = t->config_from ? str_format("/%s is the configuration of Linux %s, the source /%s is Linux %s",
                                                       t->config_from, t->config_version, t->path,
                                                       t->makefile_version)
                                     : str_format("/%s/.config is the configuration of Linux %s, the source is "
                                                  "Linux %s",
                                                       t->path, t->config_version, t->makefile_version);
        return j->wanted && j->found && j->evidence ? 0 : err_origin(-ENOMEM);
}

/* What was not the tree's own, and what is near enough to go on with. */
static int note_origins(TreeJudgement *j, const TreeFacts *t)
{
        int r = 0;

        if (t->config_from)
                r = strv_pushf(&j->notes, "/%s has no .config, /%s is used", t->path, t->config_from);
        if (r == 0 && t->symvers_from)
                r = strv_pushf(&j->notes, "/%s has no Module.symvers, /%s is used", t->path,
                                t->symvers_from);
        if (r == 0 && t->config_version && t->makefile_version &&
                        !streq(t->config_version, t->makefile_version))
                r = strv_pushf(&j->notes,
                                "the configuration is of Linux %s, the source /%s is Linux %s: options in which "
                                "they differ take their defaults",
                                t->config_version, t->path, t->makefile_version);
        return err_trace(r);
}

static int set_source(TreeJudgement *j, const TreeFacts *t, const KernelFact *kernel)
{
        bool open;
        int r = 0;

        if (!source_fits(t->makefile_version, kernel, &open))
                return set_mismatch(j, kernel->version ? kernel->version : kernel->release,
                                t->makefile_version, t->path);
        if (!has_config(t) || !has_symvers(t))
                return set_incomplete(j, t, kernel);
        if (t->config_version && t->makefile_version && !same_series(t->config_version, t->makefile_version))
                return set_other_config(j, t);

        if (open)
                r = strv_pushf(&j->notes, "nothing in /%s tells whether it is the source of %s", t->path,
                                kernel->release);
        if (r == 0)
                r = note_origins(j, t);
        if (r)
                return err_trace(r);

        j->verdict = t->dirty ? TREE_DIRTY : TREE_SOURCE;
        j->code = t->dirty ? CODE_TREE_DIRTY : CODE_OK;
        j->evidence = t->dirty ? str_format("/%s holds %s of an earlier build",
                                                 t->source ? t->source : t->path,
                                                 t->dirty_by ? t->dirty_by : "results")
                               : str_format("/%s is a source tree that must be prepared", t->path);
        return j->evidence ? 0 : err_origin(-ENOMEM);
}

static int add_notes(TreeJudgement *j, const TreeFacts *t, const KernelFact *kernel)
{
        int r = 0;

        if (kernel->version && t->version && !streq(kernel->version, t->version))
                r = strv_pushf(&j->notes, "version text is \"%s\", the kernel's is \"%s\"", t->version,
                                kernel->version);
        return r ? err_trace(r) : 0;
}

int tree_judge(const TreeFacts *t, const KernelFact *kernel, TreeJudgement *ret)
{
        _cleanup_(tree_judgement_done) TreeJudgement j = { .code = CODE_OK, .verdict = TREE_READY };
        bool ours = streq_ptr(t->release, kernel->release);
        int r;

        r = list_missing(t, &j.missing);
        if (r == 0) {
                if (j.missing || !ours) {
                        if (t->parts[TREE_PART_FULL_SOURCE])
                                r = set_source(&j, t, kernel);
                        else if (t->release && !ours)
                                r = set_mismatch(&j, kernel->release, t->release, t->path);
                        else
                                r = set_unusable(&j, t);
                } else if (kernel->vermagic && t->vermagic &&
                                vermagic_compare(kernel->vermagic, t->vermagic) != VERMAGIC_SAME) {
                        r = set_mismatch(&j, kernel->vermagic, t->vermagic, t->path);
                } else {
                        r = add_notes(&j, t, kernel);
                }
        }
        if (r)
                return err_trace(r);

        *ret = j;
        j = (TreeJudgement){};
        return 0;
}

int tree_choose(const TreeFactsList *l, const KernelFact *kernel, size_t *ret_index, TreeJudgement *ret)
{
        _cleanup_(tree_judgement_done) TreeJudgement best = { .verdict = _TREE_VERDICT_MAX };

        for (size_t i = 0; i < l->n; i++) {
                _cleanup_(tree_judgement_done) TreeJudgement j = {};
                bool better;
                int r;

                r = tree_judge(&l->items[i], kernel, &j);
                if (r)
                        return err_trace(r);

                /* The enum goes from good to bad; of the bad ones the first tells the reason. */
                better = j.verdict <= TREE_DIRTY ? j.verdict < best.verdict
                                                 : best.verdict == _TREE_VERDICT_MAX;
                if (!better)
                        continue;
                tree_judgement_done(&best);
                best = j;
                j = (TreeJudgement){};
                *ret_index = i;
        }
        if (best.verdict == _TREE_VERDICT_MAX)
                return TREE_E_NONE;

        *ret = best;
        best = (TreeJudgement){};
        return 0;
}
