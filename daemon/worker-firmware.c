/* SPDX-License-Identifier: Apache-2.0 */

/* firmware: tens of megabytes, copied to where the kernel finds them. */

#include "base/root.h"
#include "base/str.h"
#include "helper.h"
#include "sys/firmware.h"

Code worker_firmware(char **arguments)
{
        _cleanup_(root_freep) Root *root = NULL;
        _cleanup_free_ char *name = NULL;
        int r;

        r = root_new("/", &root);
        if (r == 0)
                r = firmware_copy(root, arguments[0], arguments[1], &name);
        if (r == 0)
                return CODE_OK;
        helper_say(HELPER_KEY_DETAIL, "Copying the firmware from %s to %s: %s%s%s", arguments[0],
                        arguments[1], strempty(name), name ? ": " : "", strerror(-r));
        return code_of_write(r, CODE_FIRMWARE_HIDDEN);
}
