/* SPDX-License-Identifier: Apache-2.0 */

/*
 * nvidia-driver builds: what is in the store. Listing, showing and verifying
 * only read; gc and import hold the store's lock.
 */

#include <inttypes.h>

#include "base/result.h"
#include "base/str.h"
#include "cli-store.h"
#include "kept.h"
#include "policy/retention.h"
#include "sharing.h"
#include "sys/buildsjson.h"
#include "sys/digest.h"
#include "sys/manifestjson.h"
#include "sys/store.h"

static uint64_t size_of(const BuildManifest *m)
{
        uint64_t size = 0;

        for (size_t i = 0; i < m->n_files; i++)
                size += m->files[i].size;
        return size;
}

static BuildRow row_of(const CliStore *s, const BuildManifest *m)
{
        return (BuildRow){
                .manifest = m,
                .size = size_of(m),
                .in_use = strv_contains(s->in_use, m->id),
                .good = strv_contains(s->good, m->id),
                .foreign = s->release && !streq(s->release, m->kernel_release),
        };
}

static void print_row(const BuildRow *row)
{
        const BuildManifest *m = row->manifest;

        (void)printf("%s  %s %s  kernel %s  %s  %" PRIu64 " MB%s%s%s%s%s\n", m->id, m->driver_version,
                        driver_type_to_string(m->driver_type), m->kernel_release, strempty(m->created),
                        row->size / 1000000, row->in_use ? "  in use" : "", row->good ? "  last good" : "",
                        row->foreign ? "  other kernel" : "", row->shared ? "  shared, in " : "",
                        strempty(row->shared));
}

/* Of the shared stores: where it is, which is not who uses it. */
static BuildRow row_of_shared(const CliStore *s, const BuildManifest *m)
{
        BuildRow row = row_of(s, m);
        char *end = strrchr(m->directory, '/');

        row.in_use = row.good = false;
        *end = '\0';
        row.shared = m->directory;
        return row;
}

static void print_tree(const CliStore *s, const char *kept, bool surplus)
{
        const char *name = strrchr(kept, '/') + 1, *note = surplus ? "  no longer needed" : "";
        KeptOrigin origin = {};
        KeptFiles files = {};
        char xxh64[DIGEST_FAST_HEX_SIZE];
        uint64_t size = 0;

        if (kept_read_origin(s->cli->root, kept, &origin) ||
                        kept_read_files(s->cli->root, kept, &files, xxh64))
                cli_line(stdout, "%s  kernel tree  damaged%s", name, note);
        else {
                for (size_t i = 0; i < files.n; i++)
                        size += files.items[i].size;
                cli_line(stdout, "%s  kernel tree  kernel %s  of /%s  %" PRIu64 " MB%s", name,
                                origin.release, origin.source, size / 1000000, note);
        }
        kept_origin_done(&origin);
        kept_files_done(&files);
}

/* For people only: in JSON they would be no builds. */
static int print_trees(const CliStore *s)
{
        _cleanup_strv_ char **trees = NULL, **surplus = NULL;
        int r;

        r = kept_list(s->cli->root, s->config->store_directory, NULL, &trees);
        if (r == 0)
                r = kept_list_surplus(s->cli->root, s->config->store_directory, s->config->store_keep_trees,
                                &s->builds, &surplus);
        if (r)
                return err_trace(r);
        STRV_FOREACH (kept, trees)
                print_tree(s, *kept, strv_contains(surplus, *kept));
        return 0;
}

static int print_damaged(const CliStore *s)
{
        _cleanup_strv_ char **paths = NULL;
        int r;

        r = store_damaged(s->cli->root, s->config->store_directory, &paths);
        STRV_FOREACH (path, paths)
                cli_line(stdout, "%s  damaged, kept in /%s", strrchr(*path, '/') + 1,
                                *path + strspn(*path, "/"));
        return err_trace(r);
}

static Code print_rows(const CliStore *s, const BuildManifests *shared)
{
        size_t n = s->builds.n + shared->n;
        _cleanup_free_ BuildRow *rows = calloc(n + 1, sizeof(*rows));
        _cleanup_free_ char *text = NULL;
        int r = 0;

        if (!rows)
                return cli_fatal(-ENOMEM, "builds");
        for (size_t i = 0; i < n; i++)
                rows[i] = i < s->builds.n ? row_of(s, &s->builds.items[i])
                                          : row_of_shared(s, &shared->items[i - s->builds.n]);
        if (s->cli->json)
                r = builds_format(rows, n, &text);
        else {
                for (size_t i = 0; i < n; i++)
                        print_row(&rows[i]);
                r = print_trees(s);
                if (r == 0)
                        r = print_damaged(s);
        }
        if (r < 0)
                return cli_fatal(r, "builds");
        (void)fputs(strempty(text), stdout);
        return CODE_OK;
}

static Code list(const CliStore *s)
{
        _cleanup_strv_ char **problems = NULL;
        BuildManifests shared = {};
        Code code;
        int r;

        r = sharing_look_now(s->cli->root, s->config, NULL, &shared, &problems);
        STRV_FOREACH (problem, problems)
                cli_line(stderr, "nvidia-driver: shared store: %s, ignoring", *problem);
        code = r < 0 ? cli_fatal(r, "shared stores") : print_rows(s, &shared);
        build_manifests_done(&shared);
        return code;
}

static Code print_json(const BuildManifest *m)
{
        _cleanup_free_ char *text = NULL;
        int r = manifest_format(m, &text);

        if (r < 0)
                return cli_fatal(r, "manifest");
        (void)fputs(text, stdout);
        return CODE_OK;
}

static Code show(const CliStore *s, const char *id)
{
        const BuildManifest *m;
        Code code = cli_store_find(s, id, &m);

        if (code)
                return code;
        if (s->cli->json)
                return print_json(m);
        (void)printf("Build:     %s\nDriver:    %s, %s\nKernel:    %s %s\nVermagic:  %s\nCompiler:  %s\nLinker:    %s\n"
                     "Created:   %s\nSigned by: %s\n",
                        m->id, m->driver_version, driver_type_to_string(m->driver_type), m->kernel_release,
                        strempty(m->kernel_version), strna(m->kernel_vermagic), strna(m->compiler),
                        strna(m->linker), strna(m->created),
                        signer_is_empty(&m->signer) ? "nobody" : signer_name(&m->signer));
        for (size_t i = 0; i < m->n_inputs; i++)
                (void)printf("Input:     %s %s\n", m->inputs[i].sha256, m->inputs[i].name);
        for (size_t i = 0; i < m->n_files; i++)
                (void)printf("File:      %s %s (%" PRIu64 " bytes)\n", strna(m->files[i].sha256),
                                m->files[i].name, m->files[i].size);
        return CODE_OK;
}

static Code verify_one(const CliStore *s, const BuildManifest *m)
{
        Code code = cli_store_verify(s, m, m->directory, NULL);

        /* The daemon may retire old builds at any time. */
        if (code && !root_exists(s->cli->root, m->directory)) {
                (void)printf("%s: removed meanwhile\n", m->id);
                return CODE_OK;
        }
        (void)printf("%s: %s\n", m->id, code ? "damaged" : "ok");
        return code;
}

static Code verify(const CliStore *s, char *const *ids)
{
        const BuildManifest *m;
        Code worst = !*ids && s->n_unreadable > 0 ? CODE_BUILD_DAMAGED : CODE_OK, code;

        for (size_t i = 0; !*ids && i < s->builds.n; i++) {
                code = verify_one(s, &s->builds.items[i]);
                worst = code ? code : worst;
        }
        STRV_FOREACH (id, ids) {
                code = cli_store_find(s, *id, &m);
                if (code == CODE_OK)
                        code = verify_one(s, m);
                worst = code ? code : worst;
        }
        return worst == CODE_BUILD_DAMAGED ? cli_fail(worst, "The files are named above.") : worst;
}

/* @path: a build, or what is no build; @name: for people. */
static Code retire(const CliStore *s, const char *path, const char *name)
{
        int r;

        if (!s->cli->dry_run) {
                r = store_retire(s->cli->root, s->config->store_directory, path);
                if (r < 0)
                        return cli_fail(CODE_STORE_FAILED, "%s: %s.", path, strerror(-r));
        }
        (void)printf("%s: %s\n", name, s->cli->dry_run ? "would be removed" : "removed");
        return CODE_OK;
}

/* What was named as unreadable when the store was opened, less what time or a newer program may help. */
static Code gc_broken(CliStore *s)
{
        _cleanup_strv_ char **paths = NULL;
        Code worst = CODE_OK;
        int r;

        r = store_broken(s->cli->root, s->config->store_directory, &paths);
        if (r < 0)
                return cli_fail(CODE_STORE_FAILED, "%s: %s.", s->config->store_directory, strerror(-r));
        STRV_FOREACH (path, paths) {
                Code code = retire(s, *path, *path);

                worst = code ? code : worst;
        }
        return worst;
}

static Code gc_trees(CliStore *s)
{
        _cleanup_strv_ char **list = NULL;
        Code worst = CODE_OK;
        int r;

        r = kept_list_surplus(s->cli->root, s->config->store_directory, s->config->store_keep_trees,
                        &s->builds, &list);
        if (r < 0)
                return cli_fail(CODE_STORE_FAILED, "%s/" STORE_TREES ": %s.", s->config->store_directory,
                                strerror(-r));
        STRV_FOREACH (kept, list) {
                r = s->cli->dry_run ? 0 : kept_retire(s->cli->root, s->config->store_directory, *kept);
                if (r < 0)
                        worst = cli_fail(CODE_STORE_FAILED, "%s: %s.", *kept, strerror(-r));
                else
                        cli_line(stdout, "%s: %s", *kept,
                                        r > 0             ? "in use"
                                        : s->cli->dry_run ? "would be removed"
                                                          : "removed");
        }
        return worst;
}

static int choose(const CliStore *s, bool **ret_gone)
{
        const RetentionRules rules = {
                .keep = s->config->store_keep,
                .kernels = s->config->store_keep_kernels,
                .running = s->release,
                .in_use = s->in_use,
                .good = s->good,
        };

        return retention_choose(&s->builds, &rules, ret_gone);
}

/* One thing that cannot be removed is no reason to leave the others. */
static Code gc(CliStore *s)
{
        _cleanup_free_ bool *gone = NULL;
        Code code, worst;
        int r;

        code = cli_store_lock(s);
        if (code)
                return code;
        r = choose(s, &gone);
        if (r < 0)
                return cli_fatal(r, "gc");
        worst = gc_broken(s);
        for (size_t i = 0; i < s->builds.n; i++) {
                code = gone[i] ? retire(s, s->builds.items[i].directory, s->builds.items[i].id) : CODE_OK;
                worst = code ? code : worst;
        }
        code = gc_trees(s);
        if (!s->cli->dry_run && cli_store_discard_stale(s) < 0)
                (void)fprintf(stderr,
                                "nvidia-driver: what is left in staging is removed by the next start\n");
        return code ? code : worst;
}

static Code usage(void)
{
        (void)fprintf(stderr,
                        "nvidia-driver: builds list | show ID | verify [ID...] | export ID FILE | import FILE | gc\n");
        return CODE_USAGE;
}

Code cli_builds(Cli *cli)
{
        char *const *arguments = cli->arguments;
        const char *verb = arguments[0] ? arguments[0] : "list";
        size_t n = arguments[0] ? strv_length(arguments) - 1 : 0;
        CliStore s;
        Code code;

        if (streq(verb, "export"))
                return n == 2 ? cli_builds_export(cli) : usage();
        if (streq(verb, "import"))
                return n == 1 ? cli_builds_import(cli) : usage();
        if (!(streq(verb, "list") && n == 0) && !(streq(verb, "show") && n == 1) && !streq(verb, "verify") &&
                        !(streq(verb, "gc") && n == 0))
                return usage();

        code = cli_store_open(cli, &s);
        if (code)
                return code;
        if (streq(verb, "list"))
                code = list(&s);
        else if (streq(verb, "show"))
                code = show(&s, arguments[1]);
        else if (streq(verb, "verify"))
                code = verify(&s, arguments + 1);
        else
                code = gc(&s);
        cli_store_done(&s);
        return code;
}
