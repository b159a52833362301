/* SPDX-License-Identifier: Apache-2.0 */

/*
 * nvidia-driver builds import. The modules are linked from the package's
 * parts and the core objects of a driver source that has the very same ones,
 * and the result must be, byte by byte, what was exported: linking depends on
 * nothing else. All of it happens in a staging directory.
 */

#include <fcntl.h>
#include <sys/stat.h>

#include "base/result.h"
#include "base/str.h"
#include "cli-store.h"
#include "paths.h"
#include "policy/package.h"
#include "policy/recipe.h"
#include "sys/digest.h"
#include "sys/driversource.h"
#include "sys/kernel.h"
#include "sys/manifestjson.h"
#include "sys/modsign.h"
#include "sys/package.h"
#include "sys/resources.h"
#include "sys/store.h"

typedef struct Import {
        CliStore store;
        const char *file;
        BuildManifest m;
        char *staging, *build; /* in the root */
        int lock;
        DriverSources sources;
        const DriverSource *source;
} Import;

static void import_done(Import *in)
{
        build_manifest_done(&in->m);
        free(in->staging);
        free(in->build);
        safe_close(in->lock);
        driver_sources_done(&in->sources);
        cli_store_done(&in->store);
}

/* The size a member may have, 0 if it may not be there. */
static uint64_t allow(const BuildManifest *m, const char *name)
{
        for (size_t i = 0; i < m->n_files; i++) {
                const BuildFile *f = &m->files[i];
                _cleanup_free_ char *signature = str_format("%s" MODSIG_SUFFIX, f->name);

                if (streq(f->name, name))
                        return package_ships(m, f) ? MIN(f->size, PACKAGE_FILE_MAX) : 0;
                if (signature && streq(signature, name) && package_ships_signature(m, f))
                        return MODSIG_SIZE_MAX;
        }
        return 0;
}

static Code unpack(Import *in)
{
        _cleanup_close_ int fd = -EBADF, directory = -EBADF;
        _cleanup_free_ char *why = NULL;
        int r;

        fd = open(in->file, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
        if (fd < 0)
                return cli_fail(CODE_PACKAGE_INVALID, "%s: %s.", in->file, strerror(errno));
        r = root_open(in->store.cli->root, in->build, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, &directory);
        if (r == 0)
                r = package_unpack(fd, directory, allow, &in->m, &why);
        if (r > 0)
                return cli_fail(CODE_PACKAGE_INVALID, "%s: %s.", in->file, strna(why));
        if (r < 0)
                return cli_fail(code_of_write(r, CODE_STORE_FAILED), "%s: %s.", in->build, strerror(-r));
        r = package_is_possible(&in->m, &why);
        return r > 0 ? CODE_OK : cli_fail(CODE_PACKAGE_INVALID, "%s: %s.", in->file, strna(why));
}

static const char *input_of(const BuildManifest *m, const char *name)
{
        for (size_t i = 0; i < m->n_inputs; i++)
                if (streq(m->inputs[i].name, name))
                        return m->inputs[i].sha256;
        return "";
}

/* A .run file would have to be unpacked for its core objects. Returns the last one, or NULL; the caller's.
 */
static char *drop_run_files(DriverSources *l)
{
        char *path = NULL;
        size_t n = 0;

        for (size_t i = 0; i < l->n; i++) {
                if (l->items[i].folder) {
                        (void)str_replace(&path, l->items[i].path);
                        driver_source_done(&l->items[i]);
                } else {
                        l->items[n++] = l->items[i];
                }
        }
        l->n = n;
        return path;
}

static Code find_source(Import *in)
{
        _cleanup_free_ char *run_file = NULL;
        const Config *config = in->store.config;
        SourceJudgement judgement = {};
        Code code = CODE_OK;
        int r;

        r = driver_source_search(
                        in->store.cli->root, config->driver_source, in->m.driver_version, &in->sources);
        if (r == 0)
                run_file = drop_run_files(&in->sources);
        if (r == 0)
                r = driver_sources_choose(
                                &in->sources, in->m.driver_version, in->m.driver_type, NULL, &judgement);
        if (r < 0)
                return cli_fatal(r, "driver source");
        if (judgement.code == CODE_OK)
                in->source = &in->sources.items[judgement.index];
        else
                code = cli_fail(judgement.code,
                                "The package is of driver %s; NVIDIA's core objects of that version are needed to link it. %s%s%s%s",
                                in->m.driver_version, strempty(judgement.evidence),
                                run_file ? " Unpack them: sh /" : "", strempty(run_file),
                                run_file ? " --extract-only --target DIR, and name DIR with Source=." : "");
        source_judgement_done(&judgement);
        return code;
}

static Code check_core(const Import *in, const BuildFile *f)
{
        char hex[DIGEST_HEX_SIZE] = "";
        _cleanup_close_ int fd = -EBADF;
        int r;

        r = cli_store_open_file(&in->store, in->source->path, f->core, O_RDONLY, &fd);
        if (r == 0)
                r = digest_fd(fd, hex, NULL);
        if (r < 0)
                return cli_fail(CODE_SOURCE_INVALID, "/%s/%s: %s.", in->source->path, f->core, strerror(-r));
        if (streq(hex, input_of(&in->m, f->core)))
                return CODE_OK;
        return cli_fail(CODE_SOURCE_VERSION, "/%s/%s has SHA-256 %s, the package was linked with %s.",
                        in->source->path, f->core, hex, input_of(&in->m, f->core));
}

static char *part(const Import *in, const char *name)
{
        return cli_store_path(&in->store, in->build, name);
}

static bool has_file(const BuildManifest *m, const char *name)
{
        for (size_t i = 0; i < m->n_files; i++)
                if (streq(m->files[i].name, name))
                        return true;
        return false;
}

static Code link_one(const Import *in, const BuildFile *f)
{
        bool has_common = has_file(&in->m, MANIFEST_COMMON_OBJECT);
        _cleanup_free_ char *script = part(in, MANIFEST_LINKER_SCRIPT), *interface = part(in, f->interface),
                            *output = part(in, f->name), *core = NULL, *common = NULL;
        _cleanup_(recipe_step_done) RecipeStep step = {};
        _cleanup_(buildlog_done) BuildLog log;
        LinkInput input;
        Code code;
        int r;

        buildlog_init(&log, BUILD_STAGE_LINK, 0);
        core = cli_store_path(&in->store, in->source->path, f->core);
        common = has_common ? part(in, MANIFEST_COMMON_OBJECT) : NULL;
        if (!script || !interface || !output || !core || (has_common && !common))
                return cli_fatal(-ENOMEM, "link");
        input = (LinkInput){
                .script = script,
                .interface = interface,
                .core = core,
                .module_common = common,
                .output = output,
        };
        r = recipe_link(&input, &step);
        if (r == 0)
                r = cli_store_run(step.argv, step.environment, &log, NULL);
        if (r == 127)
                return cli_fail(CODE_TOOLCHAIN_MISSING,
                                "Importing a package of the proprietary driver takes ld (binutils).");
        if (r == 0)
                return CODE_OK;
        code = buildlog_code(&log, false);
        if (code == CODE_LINK_FAILED && resources_is_full(in->lock))
                code = CODE_NO_SPACE;
        return cli_fail(code, "%s.", f->name);
}

static Code attach_signature(const Import *in, const BuildFile *f)
{
        _cleanup_free_ char *name = str_format("%s" MODSIG_SUFFIX, f->name), *path = NULL, *der = NULL,
                            *why = NULL;
        _cleanup_close_ int fd = -EBADF;
        size_t size = 0;
        int r;

        path = name ? str_format("%s/%s", in->build, name) : NULL;
        if (!path)
                return cli_fatal(-ENOMEM, "signature");
        r = root_read_file(in->store.cli->root, path, MODSIG_SIZE_MAX, &der, &size);
        if (r == 0)
                r = cli_store_open_file(&in->store, in->build, f->name, O_RDWR, &fd);
        if (r == 0)
                r = modsign_attach(fd, der, size, &why);
        if (r == 0)
                r = root_unlink(in->store.cli->root, path);
        if (r < 0)
                return cli_fail(code_of_write(r, CODE_STORE_FAILED), "%s: %s.", path, strerror(-r));
        return r ? cli_fail(CODE_PACKAGE_INVALID, "%s: %s.", name,
                                   why ? why : "it is not there or no signature")
                 : CODE_OK;
}

static Code link_all(Import *in)
{
        Code code = CODE_OK;

        for (size_t i = 0; code == CODE_OK && i < in->m.n_files; i++) {
                const BuildFile *f = &in->m.files[i];

                if (package_ships(&in->m, f))
                        continue;
                if (!in->source)
                        code = find_source(in);
                if (code == CODE_OK)
                        code = check_core(in, f);
                if (code == CODE_OK)
                        code = link_one(in, f);
                if (code == CODE_OK && package_ships_signature(&in->m, f))
                        code = attach_signature(in, f);
        }
        return code;
}

/* The digests are right, so the worker's seal only adds the checks that every build gets, and publishes. */
static Code publish(Import *in)
{
        _cleanup_free_ char *text = NULL, *path = str_format("%s/" MANIFEST_NAME, in->build),
                            *builds = str_format("%s/" STORE_BUILDS, in->store.config->store_directory),
                            *staged = NULL, *target = NULL, *result = NULL;
        int r;

        if (!path || !builds)
                return cli_fatal(-ENOMEM, "import");
        r = manifest_format(&in->m, &text);
        if (r == 0)
                r = root_write_file(in->store.cli->root, path, text, strlen(text), 0644);
        if (r == 0)
                r = root_mkdirs(in->store.cli->root, builds, 0755);
        staged = root_path(in->store.cli->root, in->build);
        target = root_path(in->store.cli->root, builds);
        if (r < 0 || !staged || !target)
                return cli_fail(code_of_write(r, CODE_STORE_FAILED), "%s: %s.", path,
                                strerror(r < 0 ? -r : ENOMEM));

        r = cli_store_run((char *[]){ (char *)path_of_worker(), (char *)"seal", staged, target, NULL }, NULL,
                        NULL, &result);
        if (r)
                return cli_fail(r > 0 && code_from_exit_status(r) > 0 ? code_from_exit_status(r)
                                                                      : CODE_STORE_FAILED,
                                "The build could not be published.");
        (void)printf("%s\n", strna(result));
        return CODE_OK;
}

/* A build's id is made of what it was made of; one that is not is a build under a false name. */
static Code check_id(const Import *in)
{
        _cleanup_free_ char *identity = build_manifest_identity(&in->m), *id = NULL;
        int r;

        r = identity ? store_build_id(&in->m, identity, &id) : -ENOMEM;
        if (r < 0 && r != -EINVAL)
                return cli_fatal(r, "id");
        if (id && streq(id, strempty(in->m.id)))
                return CODE_OK;
        return cli_fail(CODE_PACKAGE_INVALID, "Its manifest calls the build %s; what it describes is %s.",
                        in->m.id, strna(id));
}

/* Which kernel is it for? Another one than runs here is meant only where it is named. */
static Code check_kernel(const Import *in)
{
        const Cli *cli = in->store.cli;
        KernelFact kernel = {};
        BuildWish wish = {
                .kernel = &kernel, .driver_type = _DRIVER_TYPE_INVALID, .needed_type = _DRIVER_TYPE_INVALID
        };
        _cleanup_free_ char *why = NULL;
        Code code = CODE_OK;
        int r;

        if (cli->kernel) {
                if (streq(cli->kernel, in->m.kernel_release))
                        return CODE_OK;
                return cli_fail(CODE_BUILD_MISMATCH, "%s: it is for kernel %s, not %s.", in->file,
                                in->m.kernel_release, cli->kernel);
        }
        r = kernel_read(cli->root, &kernel);
        if (r == 0)
                r = build_manifest_serves(&in->m, &wish, &why);
        if (r == 0)
                code = cli_fail(CODE_BUILD_MISMATCH,
                                "%s: %s. If that kernel is to come, import it with --kernel=%s.", in->file,
                                strna(why), in->m.kernel_release);
        else if (r < 0)
                code = cli_fatal(r, "kernel");
        kernel_fact_done(&kernel);
        return code;
}

static Code check_shipped(const Import *in)
{
        if (cli_store_verify(&in->store, &in->m, in->build, package_ships) == CODE_OK)
                return CODE_OK;
        return cli_fail(CODE_PACKAGE_INVALID, "%s: the files named above are not what its manifest says.",
                        in->file);
}

/* What was linked here has to be what was linked there: its signatures and digests were made of that. */
static Code check_linked(const Import *in)
{
        if (cli_store_verify(&in->store, &in->m, in->build, NULL) == CODE_OK)
                return CODE_OK;
        return cli_fail(CODE_PACKAGE_INVALID,
                        "%s: linked by this machine's ld, the files named above are not what its manifest says. "
                        "They were exported by a machine with %s: the same one makes the same files.",
                        in->file, strna(in->m.linker));
}

static Code import(Import *in)
{
        CliStore *s = &in->store;
        Code code;
        int r;

        code = cli_store_lock(s);
        if (code)
                return code;
        r = store_stage(s->cli->root, s->config->store_directory, &in->staging, &in->lock);
        if (r == 0) {
                in->build = str_format("%s/build", in->staging);
                r = in->build ? root_mkdirs(s->cli->root, in->build, 0755) : -ENOMEM;
        }
        if (r < 0)
                return cli_fail(code_of_write(r, CODE_STORE_FAILED), "%s: %s.", s->config->store_directory,
                                strerror(-r));
        code = unpack(in);
        if (code == CODE_OK)
                code = check_id(in);
        if (code == CODE_OK)
                code = check_kernel(in);
        if (code == CODE_OK)
                code = check_shipped(in);
        if (code == CODE_OK)
                code = link_all(in);
        if (code == CODE_OK)
                code = check_linked(in);
        return code ? code : publish(in);
}

Code cli_builds_import(Cli *cli)
{
        Import in = { .file = cli->arguments[1], .lock = -EBADF };
        Code code;

        code = cli_store_open(cli, &in.store);
        if (code)
                return code;
        code = import(&in);
        in.lock = safe_close(in.lock);
        if (cli_store_discard_stale(&in.store) < 0)
                (void)fprintf(stderr,
                                "nvidia-driver: what is left in staging is removed by the next start\n");
        import_done(&in);
        return code;
}
