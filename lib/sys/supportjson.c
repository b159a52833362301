/* SPDX-License-Identifier: Apache-2.0 */

/*
 * supported-gpus.json, by jansson. Of each entry of "chips" four fields
 * matter; a device id that is no number is passed over, one odd entry among
 * two thousand is no reason to know nothing. 535.309.01's has 2192 entries, 330 kB.
 */

#include <fcntl.h>
#include <jansson.h>
#include <sys/mman.h>

#include "base/result.h"
#include "base/str.h"
#include "sys/decompress.h"
#include "sys/supportjson.h"

enum { FILE_MAX = 8 * 1024 * 1024 };

static bool has_feature(json_t *chip, const char *name)
{
        json_t *features = json_object_get(chip, "features"), *feature;
        size_t i;

        json_array_foreach(
                        features, i, feature) if (streq_ptr(json_string_value(feature), name)) return true;
        return false;
}

static int add_chip(json_t *chip, GpuSupport *s)
{
        const char *id = json_string_value(json_object_get(chip, "devid"));
        SupportedGpu gpu = {
                .open = has_feature(chip, "kernelopen"),
                .proprietary = has_feature(chip, "gsp_proprietary_supported"),
                .legacy = json_object_get(chip, "legacybranch"),
        };
        uint64_t device;

        if (!id || str_to_u64(id, 0, 0, UINT16_MAX, &device) < 0)
                return 0;
        gpu.device = (uint16_t)device;
        return err_trace(gpu_support_add(s, &gpu));
}

static int parse(const char *text, GpuSupport *s)
{
        json_error_t error;
        json_auto_t *root = json_loads(text, 0, &error);
        json_t *chips = json_object_get(root, "chips"), *chip;
        size_t i;

        json_array_foreach(chips, i, chip)
        {
                int r = add_chip(chip, s);

                if (r)
                        return err_trace(r);
        }
        if (s->n > 0)
                return 0;
        if (root)
                s->problem = str_format(
                                "/%s has no \"chips\" with a \"devid\", the built-in list is used", s->path);
        else
                s->problem = str_format(
                                "/%s:%d: %s, the built-in list is used", s->path, error.line, error.text);
        return s->problem ? 0 : err_origin(-ENOMEM);
}

/* Packages of Debian compress their documentation; libarchive takes plain text as well. */
static int read_text(int fd, char **ret, char **reterr)
{
        _cleanup_close_ int plain = memfd_create("supported-gpus", MFD_CLOEXEC);
        uint64_t size;
        int r;

        if (plain < 0)
                return err_origin(-errno);
        r = decompress(fd, plain, FILE_MAX, NULL, NULL, &size, reterr);
        if (r)
                return r < 0 ? err_trace(r) : r;
        if (lseek(plain, 0, SEEK_SET) < 0)
                return err_origin(-errno);
        r = fd_read_file(plain, FILE_MAX, ret, NULL);
        return r ? err_trace(r) : 0;
}

/* Positive: there is no such file. */
static int read_one(const Root *root, const char *path, GpuSupport *s)
{
        _cleanup_free_ char *text = NULL, *problem = NULL;
        _cleanup_close_ int fd = -EBADF;
        int r;

        /* Not to hang on a pipe. */
        r = root_open(root, path, O_RDONLY | O_NONBLOCK, &fd);
        if (r)
                return r < 0 ? err_trace(r) : r;
        r = str_replace(&s->path, path);
        if (r)
                return err_trace(r);

        r = read_text(fd, &text, &problem);
        if (r < 0)
                return err_trace(r);
        if (r == 0)
                return err_trace(parse(text, s));
        s->problem = str_format("/%s: %s, the built-in list is used", path, strna(problem));
        return s->problem ? 0 : err_origin(-ENOMEM);
}

static int list_places(const DriverSources *sources, char ***ret)
{
        static const char *const others[] = {
                "usr/share/doc/nvidia-driver/supported-gpus.json.gz", /* Debian */
                "usr/share/doc/nvidia-driver/supported-gpus.json",
                "usr/share/nvidia-driver-assistant/supported-gpus/supported-gpus.json", /* NVIDIA's
                                                                                           repositories */
        };
        _cleanup_strv_ char **l = NULL;
        int r = 0;

        for (size_t i = 0; r == 0 && i < sources->n; i++) {
                const char *path = sources->items[i].path;

                const char *slash = strrchr(path, '/');

                /* What is in a .run file is not known yet. */
                if (sources->items[i].folder)
                        continue;
                r = strv_pushf(&l, "%s/supported-gpus.json", path);
                if (r == 0 && slash)
                        r = strv_pushf(&l, "%.*s/supported-gpus/supported-gpus.json", (int)(slash - path),
                                        path);
        }
        for (size_t i = 0; r == 0 && i < ELEMENTSOF(others); i++)
                r = strv_push(&l, others[i]);
        if (r)
                return err_trace(r);
        *ret = TAKE_PTR(l);
        return 0;
}

int supportjson_find(const Root *root, const DriverSources *sources, GpuSupport *ret)
{
        _cleanup_(gpu_support_done) GpuSupport s = {};
        _cleanup_strv_ char **places = NULL;
        int r;

        r = list_places(sources, &places);
        if (r)
                return err_trace(r);
        STRV_FOREACH (place, places) {
                r = read_one(root, *place, &s);
                if (r < 0)
                        return err_trace(r);
                if (r == 0)
                        break;
        }
        *ret = s;
        s = (GpuSupport){};
        return 0;
}
