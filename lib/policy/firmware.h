/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The firmware that the driver asks the kernel for (nvidia/VERSION/gsp_*.bin).
 * The kernel looks for it in the mount namespace of init, which a container
 * does not share: it must be shown there before the first module is loaded.
 */

#include "base/macro.h"

/* Where we show firmware; the path that NVIDIA's own container uses, and others read. */
#define FIRMWARE_PUBLIC "run/nvidia/driver/lib/firmware"

typedef struct FirmwareFacts {
        char *parameter; /* firmware_class.path, "" if nobody has set it; NULL: this kernel has no such
                            parameter */
        char *visible;   /* directory where the kernel finds the files by itself, or NULL */
        char *source;    /* directory of the files as we see it, or NULL */
        bool is_public;  /* the source is our public place */
        bool init_sees;  /* and init sees it there */
} FirmwareFacts;

void firmware_facts_done(FirmwareFacts *f);

typedef enum FirmwareAction {
        FIRMWARE_NONE,    /* not wanted, or the kernel finds it */
        FIRMWARE_MISSING, /* nobody has it */
        FIRMWARE_HIDDEN,  /* it is there, but the kernel cannot be led to it: see the text */
        FIRMWARE_POINT,   /* it lies where it should: say so to the kernel */
        FIRMWARE_COPY,    /* copy it there, then say so */
        _FIRMWARE_ACTION_MAX,
        _FIRMWARE_ACTION_INVALID = -EINVAL,
} FirmwareAction;

const char *firmware_action_to_string(FirmwareAction action);

/*
 * @ret_why: a sentence's worth of particulars for a person, the caller's; NULL
 * for POINT and COPY. Returns the action or -ENOMEM.
 */
int firmware_decide(const FirmwareFacts *f, const char *version, bool disabled, char **ret_why);

/* True if the parameters of module nvidia switch the firmware off (NVreg_EnableGpuFirmware=0). */
bool firmware_is_disabled(const char *parameters);
