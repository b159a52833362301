/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Proprietary or open, by PCI device.
 *
 * NVIDIA ships the answer with the driver: supported-gpus.json lists for every
 * device id its features. Seen in the file of 535.309.01 and in the one that
 * NVIDIA's own driver container embeds (2025-01):
 *
 *   - without "kernelopen" only the proprietary modules drive it;
 *   - with "kernelopen" and "gsp_proprietary_supported" both do;
 *   - with "kernelopen" alone only the open ones do, but only if the file knows
 *     that second feature at all. 535 does not: there it says nothing about the
 *     proprietary modules, which README chapter 44 names for "Maxwell, Pascal,
 *     Volta, Turing, and later".
 *
 * Where there is no such file, or an older one that does not have the device,
 * three ranges of device ids must do. They are no product list, and everything
 * they do not know is driven by both.
 */

#include "base/result.h"
#include "policy/drivertype.h"

enum {
        /*
         * The GSP processor that the open modules depend on came with Turing
         * (README, chapter 44). 535's supported-gpus.json: 1340 to 1df6 have no
         * "kernelopen", the first Turing is 1e02.
         */
        DEVICE_TURING = 0x1e00,
        /*
         * Grace Hopper, "NVIDIA GH200": open only in the list of NVIDIA's driver
         * container ("fix for GH200 entries", 2025-01-13).
         */
        DEVICE_GH200_120GB = 0x2342,
        DEVICE_GH200_144G = 0x2348,
        /*
         * Blackwell and what follows have no proprietary modules any more. The
         * last Ada is 28f8, the first Blackwell 2901 (B200), so the README of
         * the open modules (GB300: 31c2).
         */
        DEVICE_BLACKWELL = 0x2900,
        /* Since this branch the open modules are NVIDIA's default for what both drive. */
        BRANCH_OPEN = 560,
};

static const char *const names[_GPU_MODULES_MAX] = {
        [GPU_MODULES_BOTH] = "both",
        [GPU_MODULES_PROPRIETARY] = "proprietary",
        [GPU_MODULES_OPEN] = "open",
        [GPU_MODULES_NEITHER] = "neither",
};

const char *gpu_modules_to_string(GpuModules modules)
{
        return modules >= 0 && modules < _GPU_MODULES_MAX ? names[modules] : "invalid";
}

void gpu_support_done(GpuSupport *s)
{
        free(s->path);
        free(s->items);
        free(s->problem);
        *s = (GpuSupport){};
}

int gpu_support_add(GpuSupport *s, const SupportedGpu *gpu)
{
        /* Two thousand of them: room is made for a power of two at a time. */
        if ((s->n & (s->n - 1)) == 0) {
                SupportedGpu *grown = reallocarray(s->items, MAX(2 * s->n, (size_t)1), sizeof(*grown));

                if (!grown)
                        return err_origin(-ENOMEM);
                s->items = grown;
        }
        s->items[s->n++] = *gpu;
        return 0;
}

static GpuModules by_range(uint16_t device)
{
        if (device < DEVICE_TURING)
                return GPU_MODULES_PROPRIETARY;
        if (device == DEVICE_GH200_120GB || device == DEVICE_GH200_144G || device >= DEVICE_BLACKWELL)
                return GPU_MODULES_OPEN;
        return GPU_MODULES_BOTH;
}

/* One device has an entry per subsystem; they only differ in the product's name. */
GpuModules gpu_modules_of(const GpuFact *gpu, const GpuSupport *support)
{
        const SupportedGpu *found = NULL;
        bool tells_proprietary = false;

        for (size_t i = 0; i < support->n; i++) {
                if (support->items[i].device == gpu->device)
                        found = &support->items[i];
                tells_proprietary = tells_proprietary || support->items[i].proprietary;
        }
        if (!found)
                return by_range(gpu->device);
        if (found->legacy)
                return GPU_MODULES_NEITHER;
        if (!found->open)
                return GPU_MODULES_PROPRIETARY;
        if (found->proprietary)
                return GPU_MODULES_BOTH;
        return tells_proprietary ? GPU_MODULES_OPEN : by_range(gpu->device);
}

DriverType driver_type_default(const char *version)
{
        return version && strtoul(version, NULL, 10) >= BRANCH_OPEN ? DRIVER_OPEN : DRIVER_PROPRIETARY;
}

/* The first GPU that is driven by modules of this type only. */
static const GpuFact *first_of(const GpuFacts *gpus, const GpuSupport *support, DriverType type)
{
        GpuModules only = type == DRIVER_OPEN ? GPU_MODULES_OPEN : GPU_MODULES_PROPRIETARY;

        for (size_t i = 0; i < gpus->n; i++)
                if (gpu_modules_of(&gpus->items[i], support) == only)
                        return &gpus->items[i];
        return NULL;
}

DriverType driver_type_needed(const GpuFacts *gpus, const GpuSupport *support)
{
        bool proprietary = first_of(gpus, support, DRIVER_PROPRIETARY),
             open = first_of(gpus, support, DRIVER_OPEN);

        if (proprietary == open)
                return _DRIVER_TYPE_INVALID;
        return open ? DRIVER_OPEN : DRIVER_PROPRIETARY;
}

/* "0000:01:00.0 (10de:2342), 0000:02:00.0 (10de:2342)": all of them. */
static char *list_of(const GpuFacts *gpus, const GpuSupport *support, DriverType type)
{
        GpuModules only = type == DRIVER_OPEN ? GPU_MODULES_OPEN : GPU_MODULES_PROPRIETARY;
        _cleanup_strv_ char **list = NULL;

        for (size_t i = 0; i < gpus->n; i++) {
                const GpuFact *gpu = &gpus->items[i];

                if (gpu_modules_of(gpu, support) == only &&
                                strv_pushf(&list, "%s (%04x:%04x)", gpu->address, gpu->vendor, gpu->device))
                        return NULL;
        }
        return strv_join(list, ", ");
}

static const char *slash_of(const GpuSupport *support)
{
        return support->n > 0 ? "/" : "";
}

static const char *origin_of(const GpuSupport *support)
{
        return support->n > 0 ? strempty(support->path) : "the built-in list";
}

static int refuse(const GpuFacts *gpus, const GpuSupport *support, SourceJudgement *ret)
{
        _cleanup_free_ char *proprietary = list_of(gpus, support, DRIVER_PROPRIETARY),
                            *open = list_of(gpus, support, DRIVER_OPEN);

        if (!proprietary || !open)
                return err_origin(-ENOMEM);
        *ret = (SourceJudgement){ .code = CODE_GPUS_CONFLICT };
        ret->evidence = str_format(
                        "By %s%s only the proprietary modules drive %s, and only the open ones %s.",
                        slash_of(support), origin_of(support), proprietary, open);
        return ret->evidence ? 0 : err_origin(-ENOMEM);
}

int driver_type_explain(const GpuFacts *gpus, const GpuSupport *support, DriverType type, char **ret)
{
        DriverType other = type == DRIVER_OPEN ? DRIVER_PROPRIETARY : DRIVER_OPEN;
        _cleanup_free_ char *list = NULL;

        *ret = NULL;
        if (!first_of(gpus, support, other))
                return 0;
        list = list_of(gpus, support, other);
        if (!list)
                return err_origin(-ENOMEM);
        *ret = str_format("By %s%s only the %s modules drive %s", slash_of(support), origin_of(support),
                        driver_type_to_string(other), list);
        return *ret ? 0 : err_origin(-ENOMEM);
}

/* The modules that will be built cannot drive these; whether they must is not ours to say. */
static int warn(const GpuFacts *gpus, const GpuSupport *support, DriverType type, SourceJudgement *j)
{
        _cleanup_free_ char *text = NULL;
        int r;

        r = driver_type_explain(gpus, support, type, &text);
        if (r || !text)
                return err_trace(r);
        j->warning = str_format(
                        "%s, but it is the %s ones that are built", text, driver_type_to_string(type));
        return j->warning ? 0 : err_origin(-ENOMEM);
}

static int choose_needed(const DriverSources *l, const char *version, DriverType type, char *const *modules,
                const GpuFacts *gpus, const GpuSupport *support, SourceJudgement *ret)
{
        _cleanup_free_ char *list = list_of(gpus, support, type);
        int r;

        if (!list)
                return err_origin(-ENOMEM);
        r = driver_sources_choose(l, version, type, modules, ret);
        if (r)
                return err_trace(r);
        if (ret->code == CODE_OK) {
                ret->reason = str_format("by %s%s nothing else drives %s", slash_of(support),
                                origin_of(support), list);
                return ret->reason ? 0 : err_origin(-ENOMEM);
        }

        source_judgement_done(ret);
        r = driver_sources_choose(l, version, _DRIVER_TYPE_INVALID, modules, ret);
        if (r == 0 && ret->code == CODE_OK)
                r = warn(gpus, support, l->items[ret->index].type, ret);
        return err_trace(r);
}

/* All the same to the GPUs: the version decides as ever, and then NVIDIA's default. */
static int choose_default(
                const DriverSources *l, const char *version, char *const *modules, SourceJudgement *ret)
{
        _cleanup_(source_judgement_done) SourceJudgement usual = {}, other = {};
        DriverType type;
        int r;

        r = driver_sources_choose(l, version, _DRIVER_TYPE_INVALID, modules, ret);
        if (r || ret->code != CODE_OK)
                return err_trace(r);

        version = l->items[ret->index].version;
        type = driver_type_default(version);
        r = driver_sources_choose(l, version, type, modules, &usual);
        if (r == 0)
                r = driver_sources_choose(l, version, type == DRIVER_OPEN ? DRIVER_PROPRIETARY : DRIVER_OPEN,
                                modules, &other);
        if (r || usual.code != CODE_OK || other.code != CODE_OK)
                return err_trace(r);

        ret->index = usual.index;
        ret->reason = str_format("the default of %s, both drive the GPUs", version);
        return ret->reason ? 0 : err_origin(-ENOMEM);
}

int driver_type_choose(const DriverSources *l, const char *version, DriverType type, char *const *modules,
                const GpuFacts *gpus, const GpuSupport *support, SourceJudgement *ret)
{
        bool proprietary = first_of(gpus, support, DRIVER_PROPRIETARY),
             open = first_of(gpus, support, DRIVER_OPEN);
        int r;

        if (type != _DRIVER_TYPE_INVALID) {
                r = driver_sources_choose(l, version, type, modules, ret);
                if (r == 0 && ret->code == CODE_OK)
                        r = warn(gpus, support, type, ret);
                return err_trace(r);
        }
        if (proprietary && open)
                return err_trace(refuse(gpus, support, ret));
        if (proprietary || open)
                return err_trace(choose_needed(l, version, open ? DRIVER_OPEN : DRIVER_PROPRIETARY, modules,
                                gpus, support, ret));
        return err_trace(choose_default(l, version, modules, ret));
}
