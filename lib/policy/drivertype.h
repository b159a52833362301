/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Which of NVIDIA's two kinds of kernel modules the GPUs of a machine need, and
 * with that the choice among driver sources of both kinds.
 */

#include "policy/driversource.h"
#include "policy/facts.h"

/* The kernel modules that drive a GPU. */
typedef enum GpuModules {
        GPU_MODULES_BOTH,
        GPU_MODULES_PROPRIETARY,
        GPU_MODULES_OPEN,
        GPU_MODULES_NEITHER, /* it needs a legacy driver: no reason to choose one way or the other */
        _GPU_MODULES_MAX,
        _GPU_MODULES_INVALID = -EINVAL,
} GpuModules;

const char *gpu_modules_to_string(GpuModules modules);

/* One device of NVIDIA's supported-gpus.json. */
typedef struct SupportedGpu {
        uint16_t device;
        bool open;        /* feature "kernelopen" */
        bool proprietary; /* feature "gsp_proprietary_supported": in spite of "kernelopen" */
        bool legacy;      /* "legacybranch": driven by older drivers only */
} SupportedGpu;

/* lib/sys/supportjson fills it; one without items is "no such file". */
typedef struct GpuSupport {
        char *path; /* in the root, without a leading slash */
        SupportedGpu *items;
        size_t n;
        char *problem; /* a file that could not be used, a sentence; or NULL */
} GpuSupport;

void gpu_support_done(GpuSupport *s);

/* Returns 0 or -ENOMEM. */
int gpu_support_add(GpuSupport *s, const SupportedGpu *gpu);

GpuModules gpu_modules_of(const GpuFact *gpu, const GpuSupport *support);

/*
 * The type without which one of the GPUs stays undriven. _DRIVER_TYPE_INVALID
 * if none asks for one, or if they contradict each other.
 */
DriverType driver_type_needed(const GpuFacts *gpus, const GpuSupport *support);

/*
 * "By the built-in list only the open modules drive 0000:01:00.0 (10de:2342)":
 * why modules of @type are not enough. *@ret is the caller's, and NULL if they
 * are. Returns 0 or -ENOMEM.
 */
int driver_type_explain(const GpuFacts *gpus, const GpuSupport *support, DriverType type, char **ret);

/* What NVIDIA's own installer takes for GPUs that are driven by both. */
DriverType driver_type_default(const char *version);

/*
 * driver_sources_choose(), and the type with it. A @type that is wanted stays
 * what it is, then GPUs that it cannot drive are a warning. For any, the GPUs
 * decide: GPUs that contradict each other are CODE_GPUS_CONFLICT; if only the
 * wrong type is there it is chosen with a warning. Returns 0 or a negative errno.
 */
int driver_type_choose(const DriverSources *l, const char *version, DriverType type, char *const *modules,
                const GpuFacts *gpus, const GpuSupport *support, SourceJudgement *ret);
