/* SPDX-License-Identifier: Apache-2.0 */

/*
 * nvidia-driver builds export. A package of the proprietary driver has
 * everything but the linked modules; cli-import.c links them.
 */

#include <fcntl.h>

#include "base/result.h"
#include "base/str.h"
#include "cli-store.h"
#include "policy/package.h"
#include "sys/manifestjson.h"
#include "sys/modsign.h"
#include "sys/package.h"

static int export_signature(PackageWriter *w, const BuildFile *f, int fd)
{
        _cleanup_free_ char *der = NULL, *why = NULL, *name = str_format("%s" MODSIG_SUFFIX, f->name);
        size_t size = 0;
        int r;

        r = name ? modsign_read(fd, &der, &size, &why) : -ENOMEM;
        return r ? (r < 0 ? err_trace(r) : err_fold(r)) : err_trace(package_write_data(w, name, der, size));
}

static int export_files(const CliStore *s, PackageWriter *w, const BuildManifest *m)
{
        _cleanup_free_ char *text = NULL;
        int r;

        r = manifest_format(m, &text);
        if (r == 0)
                r = package_write_data(w, MANIFEST_NAME, text, strlen(text));
        for (size_t i = 0; r == 0 && i < m->n_files; i++) {
                const BuildFile *f = &m->files[i];
                _cleanup_close_ int fd = -EBADF;

                if (!package_ships(m, f) && !package_ships_signature(m, f))
                        continue;
                r = cli_store_open_file(s, m->directory, f->name, O_RDONLY, &fd);
                if (r == 0)
                        r = package_ships(m, f) ? package_write_fd(w, f->name, fd, f->size)
                                                : export_signature(w, f, fd);
        }
        return r ? err_trace(r) : err_trace(package_writer_finish(w));
}

/* Beside the target and renamed: a file of that name is never half a package. */
static int export_to(const CliStore *s, const BuildManifest *m, const char *file)
{
        _cleanup_free_ char *temporary = str_format("%s.XXXXXX", file);
        _cleanup_(package_writer_freep) PackageWriter *w = NULL;
        _cleanup_close_ int fd = -EBADF;
        mode_t mask = umask(0);
        int r;

        (void)umask(mask);
        if (!temporary)
                return err_origin(-ENOMEM);
        fd = mkostemp(temporary, O_CLOEXEC);
        if (fd < 0)
                return err_origin(-errno);
        r = fchmod(fd, 0666 & ~mask) < 0 ? err_origin(-errno) : package_writer_new(fd, &w);
        if (r == 0)
                r = export_files(s, w, m);
        if (r == 0 && (fsync(fd) < 0 || rename(temporary, file) < 0))
                r = err_origin(-errno);
        if (r)
                (void)unlink(temporary);
        return err_trace(r);
}

Code cli_builds_export(Cli *cli)
{
        const char *file = cli->arguments[2];
        _cleanup_free_ char *why = NULL;
        const BuildManifest *m;
        CliStore s;
        Code code;
        int r;

        code = cli_store_open(cli, &s);
        if (code)
                return code;
        code = cli_store_find(&s, cli->arguments[1], &m);
        if (code == CODE_OK) {
                r = package_is_possible(m, &why);
                if (r == 0)
                        code = cli_fail(CODE_PACKAGE_INVALID, "No package can be made of build %s: %s.",
                                        m->id, strna(why));
                else if (r < 0)
                        code = cli_fatal(r, "export");
        }
        if (code == CODE_OK && cli_store_verify(&s, m, m->directory, NULL))
                code = cli_fail(CODE_BUILD_DAMAGED, "%s.", m->id);
        if (code == CODE_OK) {
                r = export_to(&s, m, file);
                if (r < 0)
                        code = cli_fail(code_of_write(r, CODE_STORE_FAILED), "%s: %s.", file, strerror(-r));
                else
                        (void)printf("%s\n", file);
        }
        cli_store_done(&s);
        return code;
}
