/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The files that the GPU operator mounts into a driver container: parameters of
 * one module each, key=value, one or more to a line. They are read before the
 * configuration's own files, so that [Parameters] comes later and wins, as the
 * kernel takes the last of two values; an empty assignment there forgets these.
 *
 * A bad line costs itself and is told; a line of modprobe.d is a common one.
 */

#include "base/result.h"
#include "base/str.h"
#include "settings-operator.h"

enum {
        SIZE_MAX_READ = 64 * 1024,
        LINES_MAX = 1024, /* the driver has about a hundred parameters; each line costs time on the loop */
};

static const char *const modules[] = { "nvidia", "nvidia-uvm", "nvidia-modeset", "nvidia-peermem",
        "nvidia-drm" };

/* The kernel also takes names alone; here one is more likely to be a word that does not belong. */
static bool has_bare_word(const char *line)
{
        bool quoted = false, value = false, word = false;

        for (; *line; line++) {
                if (*line == '"')
                        quoted = !quoted;
                if (!quoted && strchr(" \t", *line)) {
                        if (word && !value)
                                return true;
                        word = value = false;
                } else {
                        word = true;
                        value = value || *line == '=';
                }
        }
        return word && !value;
}

static int take_line(Config *config, const char *module, const char *line, char **reterr_expected)
{
        int r;

        if (!has_bare_word(line)) {
                r = config_assign(config, "Parameters", module, line, reterr_expected);
                return r < 0 ? err_trace(r) : r;
        }
        *reterr_expected = strdup(
                        "expected only key=value, such as NVreg_X=1, and no \"options\" before it");
        return *reterr_expected ? CONFIG_E_BAD_VALUE : err_origin(-ENOMEM);
}

static int take_text(
                Config *config, const char *module, const char *name, const char *text, char ***problems)
{
        _cleanup_strv_ char **lines = NULL;
        unsigned n = 0;
        int r;

        r = strv_split_lines(text, &lines);
        if (r == 0 && strv_length(lines) > LINES_MAX)
                return err_trace(strv_pushf(
                                problems, "%s: more than %d lines; ignoring the file", name, LINES_MAX));
        STRV_FOREACH (item, lines) {
                _cleanup_free_ char *expected = NULL;
                const char *line = str_strip(*item);

                n++;
                if (r < 0)
                        break;
                if (!*line || *line == '#')
                        continue;
                r = take_line(config, module, line, &expected);
                if (r > 0)
                        r = strv_pushf(problems, "%s:%u: %s: %s; ignoring the line", name, n, line,
                                        expected);
        }
        return err_trace(r);
}

int settings_operator_load(Config *config, const Root *root, char ***problems)
{
        for (size_t i = 0; i < ELEMENTSOF(modules); i++) {
                _cleanup_free_ char *path = str_format("drivers/%s.conf", modules[i]), *name = NULL,
                                    *text = NULL;
                size_t size = 0;
                int r;

                name = path ? root_path(root, path) : NULL;
                if (!name)
                        return err_origin(-ENOMEM);
                r = root_read_file(root, path, SIZE_MAX_READ, &text, &size);
                if (r == ROOT_E_ABSENT)
                        continue;
                if (r == -ENOMEM)
                        return err_trace(r);
                if (r == 0 && strlen(text) == size)
                        r = take_text(config, modules[i], name, text, problems);
                else
                        r = strv_pushf(problems, "%s: %s; ignoring the file", name,
                                        r < 0    ? strerror(-r)
                                        : r == 0 ? "expected text, found a NUL byte"
                                                 : "larger than 64 KiB");
                if (r)
                        return err_trace(r);
        }
        return 0;
}
