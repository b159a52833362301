/* SPDX-License-Identifier: Apache-2.0 */

#include "base/result.h"
#include "base/str.h"
#include "policy/firmware.h"

static const char *const actions[_FIRMWARE_ACTION_MAX] = {
        [FIRMWARE_NONE] = "none",
        [FIRMWARE_MISSING] = "missing",
        [FIRMWARE_HIDDEN] = "hidden",
        [FIRMWARE_POINT] = "point",
        [FIRMWARE_COPY] = "copy",
};

const char *firmware_action_to_string(FirmwareAction action)
{
        return action >= 0 && action < _FIRMWARE_ACTION_MAX ? actions[action] : "invalid";
}

void firmware_facts_done(FirmwareFacts *f)
{
        free(f->parameter);
        free(f->visible);
        free(f->source);
        *f = (FirmwareFacts){};
}

static int explain(FirmwareAction action, char *why, char **ret_why)
{
        if (!why)
                return err_origin(-ENOMEM);
        *ret_why = why;
        return (int)action;
}

int firmware_decide(const FirmwareFacts *f, const char *version, bool disabled, char **ret_why)
{
        bool set = !isempty(f->parameter), ours = set && streq(f->parameter, "/" FIRMWARE_PUBLIC);

        *ret_why = NULL;
        if (disabled)
                return explain(FIRMWARE_NONE, strdup("NVreg_EnableGpuFirmware=0 switches it off"), ret_why);
        if (f->visible)
                return explain(FIRMWARE_NONE, str_format("the kernel finds it in %s", f->visible), ret_why);
        if (!f->source)
                return explain(FIRMWARE_MISSING,
                                str_format("no directory with the firmware of driver %s was found", version),
                                ret_why);
        if (!f->parameter)
                return explain(FIRMWARE_HIDDEN,
                                strdup("this kernel has no /sys/module/firmware_class/parameters/path"),
                                ret_why);
        /* Somebody who has set it has firmware of other devices there. */
        if (set && !ours)
                return explain(FIRMWARE_HIDDEN,
                                str_format("somebody has set firmware_class.path to %s, where nvidia/%s is missing; copy %s "
                                           "there",
                                                f->parameter, version, f->source),
                                ret_why);
        if (f->is_public && !f->init_sees)
                return explain(FIRMWARE_HIDDEN,
                                str_format("%s is not seen in init's mount namespace; /run/nvidia must be mounted from the "
                                           "host, with propagation \"shared\"",
                                                f->source),
                                ret_why);
        return f->is_public ? FIRMWARE_POINT : FIRMWARE_COPY;
}

/* As the kernel reads an unsigned parameter: 0, 00, 0x0. */
static bool is_zero(const char *s, size_t size)
{
        if (size > 1 && s[0] == '0' && (s[1] == 'x' || s[1] == 'X')) {
                s += 2;
                size -= 2;
        }
        for (size_t i = 0; i < size; i++)
                if (s[i] != '0')
                        return false;
        return size > 0;
}

bool firmware_is_disabled(const char *parameters)
{
        bool disabled = false;

        for (const char *p = strempty(parameters); *p;) {
                size_t size = strcspn(p, " \t");
                const char *value = startswith(p, "NVreg_EnableGpuFirmware=");

                /* The last one wins, as it does in the kernel. */
                if (value)
                        disabled = is_zero(value, (size_t)(p + size - value));
                p += size;
                p += strspn(p, " \t");
        }
        return disabled;
}
