/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Which driver source to build. Several may lie about (a package's, one that
 * somebody unpacked, one that we downloaded), so the choice is by what was
 * asked for, then by version number, then by the order of the search; and when
 * none will do, the answer names the one that came closest and what it lacks.
 *
 * Versions are compared field by field as numbers: NVIDIA counts 535.54.03 <
 * 535.183.01 < 550.54.14.
 */

#include "base/result.h"
#include "policy/driversource.h"

static const char *const types[_DRIVER_TYPE_MAX] = {
        [DRIVER_PROPRIETARY] = "proprietary",
        [DRIVER_OPEN] = "open",
};

const char *driver_type_to_string(DriverType type)
{
        return type >= 0 && type < _DRIVER_TYPE_MAX ? types[type] : "invalid";
}

DriverType driver_type_from_string(const char *name)
{
        for (DriverType t = 0; t < _DRIVER_TYPE_MAX; t++)
                if (streq(types[t], name))
                        return t;
        return _DRIVER_TYPE_INVALID;
}

const SourceModule *driver_source_module(const DriverSource *s, const char *name)
{
        for (size_t i = 0; i < s->n_modules; i++)
                if (modname_eq(s->modules[i].name, name))
                        return &s->modules[i];
        return NULL;
}

unsigned driver_source_objects(const DriverSource *s, char *const *modules)
{
        unsigned n = 0;

        if (!modules)
                for (size_t i = 0; i < s->n_modules; i++)
                        n += s->modules[i].n_objects;

        STRV_FOREACH (name, modules) {
                const SourceModule *m = driver_source_module(s, *name);

                n += m ? m->n_objects : 0;
        }
        return n;
}

/* Compares two runs of digits as numbers of any length. */
static int compare_digits(const char *a, size_t n, const char *b, size_t m)
{
        int c;

        while (n > 0 && *a == '0')
                a++, n--;
        while (m > 0 && *b == '0')
                b++, m--;
        if (n != m)
                return n < m ? -1 : 1;
        c = memcmp(a, b, n);
        return c < 0 ? -1 : c > 0;
}

int driver_version_compare(const char *a, const char *b)
{
        while (*a || *b) {
                size_t n = strspn(a, "0123456789"), m = strspn(b, "0123456789");

                if (n > 0 && m > 0) {
                        int c = compare_digits(a, n, b, m);

                        if (c)
                                return c;
                        a += n;
                        b += m;
                        continue;
                }
                if (*a != *b)
                        return (unsigned char)*a < (unsigned char)*b ? -1 : 1;
                a++;
                b++;
        }
        return 0;
}

bool driver_version_matches(const char *version, const char *wanted)
{
        const char *rest;

        if (isempty(wanted))
                return true;

        rest = version ? startswith(version, wanted) : NULL;
        return rest && (!*rest || *rest == '.');
}

void source_judgement_done(SourceJudgement *j)
{
        free(j->evidence);
        free(j->reason);
        free(j->warning);
        *j = (SourceJudgement){};
}

/* The first wanted module that the source cannot make; NULL if it makes all. */
static const char *lacks_module(const DriverSource *s, char *const *modules)
{
        /* A .run file tells when it is unpacked. */
        if (s->folder)
                return NULL;
        STRV_FOREACH (name, modules)
                if (!driver_source_module(s, *name))
                        return *name;
        return NULL;
}

/* What is wrong with one source, as a sentence; *@ret_evidence is NULL and the code CODE_OK if nothing is.
 */
static int judge_one(const DriverSource *s, const char *version, DriverType type, char *const *modules,
                SourceJudgement *j)
{
        const char *module;

        j->code = CODE_OK;
        if (!s->exists) {
                j->code = CODE_SOURCE_MISSING;
                j->evidence = str_format("there is no directory /%s", s->path);
        } else if (s->problem) {
                j->code = CODE_SOURCE_INVALID;
                j->evidence = str_format("/%s %s", s->path, s->problem);
        } else if (s->missing) {
                _cleanup_free_ char *list = strv_join(s->missing, ", ");

                j->code = CODE_SOURCE_INVALID;
                j->evidence = str_format("/%s lacks %s", s->path, strna(list));
        } else if (!driver_version_matches(s->version, version)) {
                j->code = CODE_SOURCE_VERSION;
                j->evidence = str_format(
                                "/%s holds version %s, wanted is %s", s->path, strna(s->version), version);
        } else if (type != _DRIVER_TYPE_INVALID && s->type != type) {
                j->code = CODE_SOURCE_VERSION;
                j->evidence = str_format("/%s holds the %s modules, wanted are the %s ones", s->path,
                                driver_type_to_string(s->type), driver_type_to_string(type));
        } else if ((module = lacks_module(s, modules))) {
                j->code = CODE_SOURCE_INVALID;
                j->evidence = str_format("/%s has no source of module %s", s->path, module);
        } else {
                return 0;
        }
        return j->evidence ? 0 : err_origin(-ENOMEM);
}

/*
 * The one that came closest tells the reason: an existing one before an absent
 * one, and of those a whole one of another version before a broken one.
 */
static int closeness(Code code)
{
        return code == CODE_OK ? 3 : code == CODE_SOURCE_VERSION ? 2 : code == CODE_SOURCE_INVALID ? 1 : 0;
}

static bool is_better(const DriverSource *s, const SourceJudgement *j, const DriverSource *best,
                const SourceJudgement *best_j)
{
        if (!best)
                return true;
        if (closeness(j->code) != closeness(best_j->code))
                return closeness(j->code) > closeness(best_j->code);
        return j->code == CODE_OK && driver_version_compare(s->version, best->version) > 0;
}

int driver_sources_choose(const DriverSources *l, const char *version, DriverType type, char *const *modules,
                SourceJudgement *ret)
{
        _cleanup_(source_judgement_done) SourceJudgement best = { .code = CODE_SOURCE_MISSING };
        const DriverSource *best_source = NULL;

        for (size_t i = 0; i < l->n; i++) {
                _cleanup_(source_judgement_done) SourceJudgement j = { .index = i };
                int r;

                r = judge_one(&l->items[i], version, type, modules, &j);
                if (r)
                        return err_trace(r);
                if (!is_better(&l->items[i], &j, best_source, &best))
                        continue;

                source_judgement_done(&best);
                best = j;
                best_source = &l->items[i];
                j = (SourceJudgement){};
        }

        if (!best_source) {
                best.evidence = str_format(
                                "no driver source%s%s in /usr/src, /opt/nvidia or /run/nvidia-driverd/source",
                                isempty(version) ? "" : " of version ", strempty(version));
                if (!best.evidence)
                        return err_origin(-ENOMEM);
        }
        *ret = best;
        best = (SourceJudgement){};
        return 0;
}
