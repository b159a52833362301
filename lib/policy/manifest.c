/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Builds are matched by what their manifest says, never by the name of the
 * directory they lie in (trap T7). A kernel's release alone does not make it
 * the same kernel: distributions rebuild one release with another
 * configuration, so the version text (uname -v) and the vermagic count too,
 * as far as both sides know them.
 */

#include "base/result.h"
#include "base/str.h"
#include "policy/manifest.h"
#include "policy/vermagic.h"

void build_file_done(BuildFile *f)
{
        free(f->name);
        free(f->sha256);
        free(f->xxh64);
        free(f->module);
        free(f->srcversion);
        strv_free(f->depends);
        strv_free(f->parameters);
        free(f->interface);
        free(f->core);
        free(f->unsigned_sha256);
        *f = (BuildFile){};
}

void build_manifest_done(BuildManifest *m)
{
        for (size_t i = 0; i < m->n_inputs; i++) {
                free(m->inputs[i].name);
                free(m->inputs[i].sha256);
        }
        for (size_t i = 0; i < m->n_files; i++)
                build_file_done(&m->files[i]);
        free(m->inputs);
        free(m->files);
        free(m->directory);
        free(m->id);
        free(m->driver_version);
        free(m->kernel_release);
        free(m->kernel_version);
        free(m->kernel_vermagic);
        free(m->compiler);
        free(m->linker);
        free(m->created);
        signer_done(&m->signer);
        *m = (BuildManifest){};
}

void build_manifests_done(BuildManifests *l)
{
        for (size_t i = 0; i < l->n; i++)
                build_manifest_done(&l->items[i]);
        free(l->items);
        *l = (BuildManifests){};
}

int build_manifest_add_file(BuildManifest *m, BuildFile *f)
{
        BuildFile *grown = reallocarray(m->files, m->n_files + 1, sizeof(*grown));

        if (!grown)
                return err_origin(-ENOMEM);
        m->files = grown;
        m->files[m->n_files++] = *f;
        *f = (BuildFile){};
        return 0;
}

int build_manifest_add_input(BuildManifest *m, const char *name, const char *sha256)
{
        BuildInput *grown = reallocarray(m->inputs, m->n_inputs + 1, sizeof(*grown));

        if (!grown)
                return err_origin(-ENOMEM);
        m->inputs = grown;
        grown[m->n_inputs++] = (BuildInput){ strdup(name), strdup(sha256) };
        if (!grown[m->n_inputs - 1].name || !grown[m->n_inputs - 1].sha256)
                return err_origin(-ENOMEM);
        return 0;
}

int build_manifests_add(BuildManifests *l, BuildManifest *m)
{
        BuildManifest *grown = reallocarray(l->items, l->n + 1, sizeof(*grown));

        if (!grown)
                return err_origin(-ENOMEM);
        l->items = grown;
        l->items[l->n++] = *m;
        *m = (BuildManifest){};
        return 0;
}

void build_manifests_remove(BuildManifests *l, const BuildManifest *m)
{
        size_t at = (size_t)(m - l->items);

        build_manifest_done(&l->items[at]);
        l->n--;
        memmove(&l->items[at], &l->items[at + 1], (l->n - at) * sizeof(*l->items));
}

const BuildFile *build_manifest_module(const BuildManifest *m, const char *module)
{
        for (size_t i = 0; i < m->n_files; i++)
                if (m->files[i].module && modname_eq(m->files[i].module, module))
                        return &m->files[i];
        return NULL;
}

static bool is_called(const BuildManifest *m, const char *text)
{
        const char *digest = m->id ? strrchr(m->id, '-') : NULL;

        return digest && (startswith(m->id, text) || startswith(digest + 1, text));
}

size_t build_manifests_find(const BuildManifests *l, const char *text, const BuildManifest **ret)
{
        size_t n = 0;

        for (size_t i = 0; *text && i < l->n; i++) {
                const BuildManifest *m = &l->items[i];

                if (!is_called(m, text))
                        continue;
                *ret = m;
                if (streq(m->id, text))
                        return 1;
                n++;
        }
        return n;
}

bool build_manifest_may_be_loaded(const BuildManifest *m, const char *release, const ModuleFacts *modules)
{
        const ModuleFact *nvidia = module_facts_find(modules, "nvidia");
        const BuildFile *file = build_manifest_module(m, "nvidia");

        return nvidia && file && streq(m->kernel_release, release) &&
               (!nvidia->srcversion || !file->srcversion || streq(nvidia->srcversion, file->srcversion));
}

char *build_manifest_identity(const BuildManifest *m)
{
        _cleanup_strv_ char **lines = NULL;
        int r;

        r = strv_pushf(&lines, "format=%d", MANIFEST_FORMAT_IDENTITY);
        if (r == 0)
                r = strv_pushf(&lines, "driver=%s %s", m->driver_version,
                                driver_type_to_string(m->driver_type));
        if (r == 0)
                r = strv_pushf(&lines, "kernel=%s %s", m->kernel_release, strempty(m->kernel_version));
        if (r == 0)
                r = strv_pushf(&lines, "vermagic=%s", strempty(m->kernel_vermagic));
        if (r == 0)
                r = strv_pushf(&lines, "compiler=%s", strempty(m->compiler));
        if (r == 0)
                r = strv_pushf(&lines, "linker=%s", strempty(m->linker));
        if (r == 0)
                r = strv_pushf(&lines, "debug-info=%s", m->debug_info ? "yes" : "no");
        if (r == 0 && !signer_is_empty(&m->signer))
                r = strv_push_consume(&lines, signer_identity(&m->signer));
        for (size_t i = 0; r == 0 && i < m->n_inputs; i++)
                r = strv_pushf(&lines, "input=%s %s", m->inputs[i].name, m->inputs[i].sha256);
        for (size_t i = 0; r == 0 && i < m->n_files; i++)
                if (m->files[i].module)
                        r = strv_pushf(&lines, "module=%s", m->files[i].module);
        if (r < 0)
                return NULL;

        strv_sort(lines);
        return strv_join(lines, "\n");
}

static int refuse(char **ret_reason, char *reason)
{
        if (!ret_reason) {
                free(reason);
                return 0;
        }
        if (!reason)
                return err_origin(-ENOMEM);
        *ret_reason = reason;
        return 0;
}

static int serves_kernel(const BuildManifest *m, const KernelFact *k, char **ret_reason)
{
        if (!streq(m->kernel_release, k->release))
                return refuse(ret_reason,
                                str_format("it is for kernel %s, not %s", m->kernel_release, k->release));
        if (m->kernel_version && k->version && !streq(m->kernel_version, k->version))
                return refuse(ret_reason, str_format("it is for kernel %s %s, not %s", k->release,
                                                          m->kernel_version, k->version));
        if (m->kernel_vermagic && k->vermagic &&
                        vermagic_compare(k->vermagic, m->kernel_vermagic) != VERMAGIC_SAME)
                return refuse(ret_reason, str_format("its vermagic is '%s', the kernel's '%s'",
                                                          m->kernel_vermagic, k->vermagic));
        return 1;
}

int build_manifest_serves(const BuildManifest *m, const BuildWish *wish, char **ret_reason)
{
        int r;

        r = serves_kernel(m, wish->kernel, ret_reason);
        if (r <= 0)
                return r;
        if (!driver_version_matches(m->driver_version, wish->driver_version))
                return refuse(ret_reason, str_format("it is driver %s, not %s", m->driver_version,
                                                          wish->driver_version));
        if (wish->driver_type != _DRIVER_TYPE_INVALID && wish->driver_type != m->driver_type)
                return refuse(ret_reason, str_format("it is the %s driver, not the %s one",
                                                          driver_type_to_string(m->driver_type),
                                                          driver_type_to_string(wish->driver_type)));
        STRV_FOREACH (module, wish->modules)
                if (!build_manifest_module(m, *module))
                        return refuse(ret_reason, str_format("it does not have module %s", *module));
        if (wish->signer && !signer_same(&m->signer, wish->signer))
                return refuse(ret_reason, signer_is_empty(&m->signer)
                                                          ? strdup("it is not signed")
                                                          : str_format("it is signed by '%s', not by '%s'",
                                                                            signer_name(&m->signer),
                                                                            signer_name(wish->signer)));
        return 1;
}

/* Whether @m is to be taken rather than @than. */
static bool is_better(const BuildManifest *m, const BuildManifest *than, const BuildWish *wish)
{
        int order;

        if (m->driver_type != than->driver_type && wish->needed_type != _DRIVER_TYPE_INVALID)
                return m->driver_type == wish->needed_type;
        order = driver_version_compare(m->driver_version, than->driver_version);
        return order > 0 || (order == 0 && strcmp(strempty(m->created), strempty(than->created)) > 0);
}

const BuildManifest *build_manifests_choose(const BuildManifests *l, const BuildWish *wish)
{
        const BuildManifest *best = NULL;

        for (size_t i = 0; i < l->n; i++) {
                const BuildManifest *m = &l->items[i];

                if (build_manifest_serves(m, wish, NULL) > 0 && (!best || is_better(m, best, wish)))
                        best = m;
        }
        return best;
}
